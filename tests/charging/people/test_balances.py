"""Top-ups, adjustments, transfers and emergency credit: once each, explained, and the same in the books."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from tests.charging.people.builders import EUR, NOW, a_customer, an_operator, later
from tests.charging.people.live import LiveShard

from millicent.charging.errors import AdvanceRefused, AmountRefused, BalanceRefused, KeyReused, SecondPersonNeeded
from millicent.charging.models.people import BalanceOrder
from millicent.charging.people import OrderState
from millicent.charging.selectors import money_by_currency, orders_waiting, statement
from millicent.charging.services.adjust_balance import adjust_balance, approve_adjustment, refuse_adjustment
from millicent.charging.services.declare_services import declare_services
from millicent.charging.services.grant_advance import grant_advance
from millicent.charging.services.post_usage_days import check_prepaid
from millicent.charging.services.settle_orders import settle_orders
from millicent.charging.services.top_up import owed_advance, top_up
from millicent.charging.services.transfer_balance import transfer_balance
from millicent.kit.errors import BadInput, Outage
from millicent.kit.tenancy import tenant_scope
from millicent.ledger.selectors import trial_balance

DECLARED = """\
top_ups:
  least: {EUR: 5}
  most: {EUR: 500}
  valid: 90 days
  grace: 30 days
  bonuses:
    - {code: ten, currency: EUR, least: 20, share: 10%, most: 5, valid: 30 days}
adjustments: {alone_up_to: {EUR: 10}}
emergency_credit:
  - {currency: EUR, amount: 3, fee: 0.30, below: 1}
"""


class Counter:
    """What a service desk does, with a name and a clock."""

    def __init__(self, tenant_id: UUID, *customers: str) -> None:
        with tenant_scope(tenant_id):
            an_operator()
            declare_services(DECLARED, who="ana", now=NOW)
            self.accounts = {code: a_customer(code, number=f"3460000010{place}")[0]
                             for place, code in enumerate(customers)}  # fmt: skip
        self.tenant_id = tenant_id
        self.port = LiveShard(tenant_id).provisioned()

    def __getitem__(self, code: str) -> int:
        return self.accounts[code]

    def top_up(self, code: str, euros: int, *, key: str = "T1", now=NOW, channel: str = "agent"):
        return top_up(
            tenant_id=self.tenant_id, port=self.port, key=key, account_id=self[code], amount_nanos=euros * EUR,
            channel=channel, who="shop 7", now=now,
        )  # fmt: skip

    def adjust(self, code: str, nanos: int, *, key: str = "A1", who: str = "eva", why: str = "dropped calls"):
        return adjust_balance(
            tenant_id=self.tenant_id, port=self.port, key=key, account_id=self[code], amount_nanos=nanos, who=who,
            why=why, now=NOW,
        )  # fmt: skip

    def transfer(self, giver: str, taker: str, euros: int, *, key: str = "X1"):
        return transfer_balance(
            tenant_id=self.tenant_id, port=self.port, key=key, from_account_id=self[giver], to_account_id=self[taker],
            amount_nanos=euros * EUR, who="app", now=NOW,
        )  # fmt: skip

    def advance(self, code: str, *, key: str = "E1"):
        return grant_advance(
            tenant_id=self.tenant_id, port=self.port, key=key, account_id=self[code], who="app", now=NOW
        )

    def lines(self, code: str) -> list[tuple[str, int]]:
        """(cause, change in cents) of an account's money, in order."""
        self.port.read()
        with tenant_scope(self.tenant_id):
            return [(line.cause, line.change * 100 // EUR) for line in statement(self[code]) if line.currency]

    def money(self, code: str) -> int:
        """Cents in an account's balance, by the shard's own tables."""
        tables = self.port.shard.tables()
        buckets, accounts = tables["bucket"], tables["account"]
        (row,) = (accounts["account_id"] == self[code]).nonzero()[0]
        own = (buckets["owner"] == row) & (buckets["kind"] == 2) & (buckets["state"] == 1)
        return int(buckets["free"][own].sum() + buckets["reserved"][own].sum()) * 100 // EUR

    def books(self) -> dict[str, int]:
        """Cents by ledger account; debits less credits."""
        self.port.read()
        with tenant_scope(self.tenant_id):
            assert [check.difference_nanos for check in check_prepaid()] in ([], [0])
            return {row.ledger_account: row.balance_nanos * 100 // EUR for row in trial_balance()}


@pytest.fixture
def counter(tenant_id) -> Iterator[Counter]:
    made = Counter(tenant_id, "ANA", "BEN")
    yield made
    made.port.close()


def test_a_top_up_is_in_the_balance_in_the_statement_and_in_the_books(counter):
    done = counter.top_up("ANA", 10)

    assert done.state is OrderState.DONE
    assert counter.money("ANA") == 1000
    assert counter.lines("ANA") == [("top-up: agent", 1000)]
    assert counter.books() == {"asset:clearing:agent": 1000, "liability:prepaid": -1000}


def test_the_same_top_up_twice_is_one_top_up(counter):
    counter.top_up("ANA", 10)
    again = counter.top_up("ANA", 10)

    assert again.repeated
    assert counter.money("ANA") == 1000


def test_a_key_that_stands_for_another_top_up_is_refused_and_leaves_no_trace(counter):
    counter.top_up("ANA", 10)

    with pytest.raises(KeyReused):
        counter.top_up("ANA", 12)

    assert counter.lines("ANA") == [("top-up: agent", 1000)]


@pytest.mark.parametrize("euros", [4, 501])
def test_a_top_up_outside_the_declared_bounds_is_refused(counter, euros):
    with pytest.raises(AmountRefused):
        counter.top_up("ANA", euros)

    assert counter.port.read() is None
    assert counter.lines("ANA") == []


def test_a_bonus_comes_on_top_and_is_goodwill_in_the_books(counter):
    counter.top_up("ANA", 25)

    assert counter.lines("ANA") == [("top-up: agent", 2500), ("bonus: ten", 250)]
    assert counter.books() == {
        "asset:clearing:agent": 2500,
        "expense:goodwill": 250,
        "liability:prepaid": -2750,
    }


def test_a_top_up_that_the_shard_did_not_hear_of_is_finished_later_and_once(counter):
    counter.port.outage = Outage("nobody answers")
    with pytest.raises(Outage):
        counter.top_up("ANA", 10)
    counter.port.outage = None

    assert settle_orders(tenant_id=counter.tenant_id, port=counter.port, now=later(NOW, minutes=1)) == 1
    assert settle_orders(tenant_id=counter.tenant_id, port=counter.port, now=later(NOW, minutes=2)) == 0

    assert counter.money("ANA") == 1000


def test_a_top_up_whose_answer_was_lost_is_not_made_twice(counter):
    counter.port.lost = Outage("the line broke")
    with pytest.raises(Outage):
        counter.top_up("ANA", 10)
    counter.port.lost = None

    settle_orders(tenant_id=counter.tenant_id, port=counter.port, now=later(NOW, minutes=1))

    assert counter.money("ANA") == 1000
    assert counter.lines("ANA") == [("top-up: agent", 1000)]


def test_an_order_that_the_history_names_is_done_without_asking_the_shard_again(counter):
    counter.port.lost = Outage("the line broke")
    with pytest.raises(Outage):
        counter.top_up("ANA", 10)
    counter.port.lost = None
    counter.port.read()
    before = counter.port.submitted

    settle_orders(tenant_id=counter.tenant_id, port=counter.port, now=later(NOW, minutes=1))

    assert counter.port.submitted == before
    with tenant_scope(counter.tenant_id):
        assert BalanceOrder.objects.get(key="T1").state == OrderState.DONE


def test_a_small_adjustment_is_made_at_once_and_says_who_and_why(counter):
    counter.adjust("ANA", 5 * EUR)
    counter.port.read()

    with tenant_scope(counter.tenant_id):
        (line,) = [each for each in statement(counter["ANA"]) if each.currency]
    assert (line.cause, line.who, line.why, line.change) == ("goodwill", "eva", "dropped calls", 5 * EUR)
    assert counter.books() == {"expense:goodwill": 500, "liability:prepaid": -500}


def test_a_large_adjustment_waits_for_a_second_person(counter):
    asked = counter.adjust("ANA", 50 * EUR)
    assert asked.state is OrderState.WAITING
    assert counter.money("ANA") == 0

    with pytest.raises(SecondPersonNeeded):
        approve_adjustment(tenant_id=counter.tenant_id, port=counter.port, key="A1", who="eva", now=NOW)
    assert counter.money("ANA") == 0
    approve_adjustment(tenant_id=counter.tenant_id, port=counter.port, key="A1", who="ana", now=NOW)

    assert counter.money("ANA") == 5000


def test_an_adjustment_that_was_refused_is_never_made(counter):
    counter.adjust("ANA", 50 * EUR)
    refuse_adjustment(tenant_id=counter.tenant_id, key="A1", who="ana", now=NOW)

    settle_orders(tenant_id=counter.tenant_id, port=counter.port, now=later(NOW, hours=1))

    assert counter.money("ANA") == 0
    with tenant_scope(counter.tenant_id):
        assert orders_waiting() == []


def test_an_adjustment_downwards_takes_no_more_than_there_is(counter):
    counter.top_up("ANA", 5)

    with pytest.raises(BalanceRefused) as refusal:
        counter.adjust("ANA", -6 * EUR)

    assert refusal.value.facts["result"] == "insufficient"
    assert counter.money("ANA") == 500
    counter.adjust("ANA", -2 * EUR, key="A2", why="paid twice")
    assert counter.books() == {
        "asset:clearing:agent": 500,
        "liability:prepaid": -300,
        "revenue:adjustments": -200,
    }


def test_an_adjustment_without_a_reason_is_refused(counter):
    with pytest.raises(BadInput):
        counter.adjust("ANA", EUR, why=" ")


def test_a_transfer_moves_all_of_it_or_nothing(counter):
    counter.top_up("ANA", 10)

    with pytest.raises(BalanceRefused):
        counter.transfer("ANA", "BEN", 11)
    assert (counter.money("ANA"), counter.money("BEN")) == (1000, 0)
    counter.transfer("ANA", "BEN", 4, key="X2")

    assert (counter.money("ANA"), counter.money("BEN")) == (600, 400)
    assert counter.lines("BEN") == [("transfer", 400)]
    assert counter.books() == {"asset:clearing:agent": 1000, "liability:prepaid": -1000}


def test_emergency_credit_is_repaid_with_its_fee_out_of_the_next_top_up(counter):
    counter.advance("ANA")
    assert counter.money("ANA") == 300
    with pytest.raises(AdvanceRefused):
        counter.advance("ANA", key="E2")
    assert counter.books() == {"asset:receivable": 330, "liability:prepaid": -300, "revenue:one_time": -30}

    counter.top_up("ANA", 10)

    assert counter.money("ANA") == 970
    with tenant_scope(counter.tenant_id):
        assert owed_advance(counter["ANA"]) == 0
    assert counter.books() == {
        "asset:clearing:agent": 1000,
        "asset:receivable": 0,
        "liability:prepaid": -970,
        "revenue:one_time": -30,
    }


def test_a_balance_that_expired_comes_back_with_a_top_up_within_the_grace(counter):
    counter.top_up("ANA", 10)
    counter.port.tick(later(NOW, days=91))
    assert counter.money("ANA") == 0
    assert counter.books() == {"asset:clearing:agent": 1000, "liability:prepaid": 0, "revenue:breakage": -1000}

    counter.top_up("ANA", 5, key="T2", now=later(NOW, days=100))

    assert counter.money("ANA") == 1500
    assert counter.lines("ANA")[-2:] == [("top-up: agent", 500), ("restored within the grace", 1000)]
    assert counter.books()["revenue:breakage"] == 0


def test_a_balance_that_expired_is_gone_after_the_grace(counter):
    counter.top_up("ANA", 10)
    counter.port.tick(later(NOW, days=91))
    counter.port.read()

    counter.top_up("ANA", 5, key="T2", now=later(NOW, days=122))

    assert counter.money("ANA") == 500


def test_histories_add_up_to_the_balances(counter):
    counter.top_up("ANA", 25)
    counter.transfer("ANA", "BEN", 7)
    counter.adjust("BEN", -2 * EUR)
    counter.port.read()

    with tenant_scope(counter.tenant_id):
        assert money_by_currency() == {"EUR": (counter.money("ANA") + counter.money("BEN")) * EUR // 100}
