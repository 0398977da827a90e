"""Prepaid usage that comes in files: paid from the balance once, or once live; on no bill, and never twice."""

from contextlib import contextmanager

import pytest
from tests.billing.builders import EUR, a_moment
from tests.charging.people.builders import later
from tests.stories.operator import BillingOffice
from tests.stories.test_one_price_everywhere import (
    CALLS,
    DATA,
    MINUTES,
    MONTH_END,
    NUMBER,
    OPENS,
    PLAN,
    TOLD,
    Network,
    Use,
    a_network,
    tariff,
)

from millicent.assurance.live import live_against_bill
from millicent.charging.balance_facts import stored_facts
from millicent.charging.models.plans import RecordedUsage
from millicent.charging.people import Payment
from millicent.charging.selectors import money_by_currency, statement
from millicent.charging.services.agree_payment import agree_payment
from millicent.charging.services.declare_services import declare_services
from millicent.charging.services.record_usage import record_usage
from millicent.charging.services.top_up import top_up
from millicent.charging.types import BucketKind
from millicent.kit.errors import Outage
from millicent.kit.tenancy import tenant_scope

TEN_CENTS = "{code: home, when: {service: voice}, price: 0.10/min}"
TIERS = (
    "{code: tiers, when: {service: voice}, ladder: {model: graduated, counter: talk, steps: "
    "[{above: 0, price: 0.20/min}, {above: 10 min, price: 0.03/min}]}}"
)
BY_FILE = "prepaid: {charged: {voice: files}}\n"


@contextmanager
def a_prepaid_network(tenant_id, folder, *, declared: str = BY_FILE, rule: str = TEN_CENTS, euros: int = 20):
    """A customer who paid in advance from the first of the month on, with money in the balance."""
    with a_network(tenant_id, folder, rules=tariff(rule, DATA)) as network:
        with tenant_scope(tenant_id):
            declare_services(declared, who="ana", now=TOLD)
            (payer_id,) = network.payers()
            agree_payment(account_id=payer_id, payment=Payment.PREPAID.value, who="ana", now=OPENS)
        network.shard.provisioned(now=later(TOLD, minutes=1))
        top_up(
            tenant_id=tenant_id, port=network.shard, key="T1", account_id=payer_id, amount_nanos=euros * EUR,
            channel="cash", who="shop", now=later(TOLD, minutes=2),
        )  # fmt: skip
        yield network


def recorded(network: Network, *, now=MONTH_END, read: bool = True) -> int:
    count = record_usage(tenant_id=network.tenant_id, port=network.shard, lake=network.stores.lake, now=now)
    if read:
        network.shard.read(now=now)
    return count


def cents(network: Network) -> int:
    network.shard.read(now=MONTH_END)
    with tenant_scope(network.tenant_id):
        return money_by_currency()["EUR"] * 100 // EUR


def lines(network: Network) -> list[tuple[str, int]]:
    network.shard.read(now=MONTH_END)
    with tenant_scope(network.tenant_id):
        (payer_id,) = network.payers()
        return [
            (line.cause or line.usage["service"], line.change * 100 // EUR)
            for line in statement(payer_id)
            if line.kind is BucketKind.MONEY
        ]


def november(network: Network, *, now=None):
    """The bill run of November; a prepaid customer has no bill."""
    office = BillingOffice(tenant_id=network.tenant_id, facts=stored_facts(network.stores.lake))
    return office.release(through=a_moment(2026, 12, 1), now=now or a_moment(2026, 12, 2))


A_CALL = Use(10, 9, (600,))  # ten minutes: one euro


def test_calls_of_files_are_taken_from_the_balance_once_and_stand_on_no_bill(tenant_id, tmp_path):
    with a_prepaid_network(tenant_id, tmp_path) as network:
        network.by_file(A_CALL, Use(11, 9, (300,)))

        assert [recorded(network), recorded(network)] == [2, 0]

        assert lines(network) == [("top-up: cash", 2000), ("voice", -100), ("voice", -50)]
        report = november(network)
        assert (report.bills, report.usage_in, report.usage_billed) == (0, 2, 0)
        assert report.unpriced_by_reason == {"paid_in_advance": 2}


def test_the_same_calls_in_another_file_and_a_late_file_are_charged_once(tenant_id, tmp_path):
    with a_prepaid_network(tenant_id, tmp_path) as network:
        network.by_file(A_CALL)
        recorded(network)
        november(network)
        network.by_file(Use(12, 9, (300,)), name="late.jsonl", received=a_moment(2026, 12, 5))

        assert recorded(network, now=a_moment(2026, 12, 5, 1)) == 1
        assert recorded(network, now=a_moment(2026, 12, 5, 2)) == 0

        assert cents(network) == 2000 - 100 - 50
        office = BillingOffice(tenant_id=tenant_id, facts=stored_facts(network.stores.lake))
        december = office.release(through=a_moment(2027, 1, 1), now=a_moment(2027, 1, 2))
        assert (december.bills, december.unpriced_by_reason) == (0, {"paid_in_advance": 1})


@pytest.mark.parametrize("remembered", [True, False], ids=["history reads first", "the shard remembers"])
def test_killed_after_the_shard_took_it_the_call_is_not_taken_again(tenant_id, tmp_path, remembered):
    with a_prepaid_network(tenant_id, tmp_path) as network:
        network.by_file(A_CALL)
        network.shard.lost = Outage("the line broke")
        with pytest.raises(Outage):
            recorded(network, read=False)
        network.shard.lost = None
        if remembered:
            network.shard.read(now=MONTH_END)

        recorded(network)

        assert cents(network) == 1900
        with tenant_scope(tenant_id):
            assert RecordedUsage.objects.count() == 1


def test_calls_that_a_gateway_charged_are_not_charged_again_by_their_file(tenant_id, tmp_path):
    with a_prepaid_network(tenant_id, tmp_path, declared="prepaid: {charged: {voice: live}}\n") as network:
        network.through_diameter(A_CALL)
        network.by_file(A_CALL, Use(12, 9, (300,)))

        assert recorded(network) == 0

        assert cents(network) == 1900
        assert november(network).bills == 0


def test_assurance_shows_what_the_files_have_and_the_gateway_has_not(tenant_id, tmp_path):
    with a_prepaid_network(tenant_id, tmp_path, declared="prepaid: {charged: {voice: live}}\n") as network:
        network.through_diameter(A_CALL, Use(10, 12, (60,)))
        network.by_file(A_CALL, Use(12, 9, (300,)))

        with tenant_scope(tenant_id):
            found = live_against_bill(network.stores.lake, now=MONTH_END, prepaid=True)

        told = [(each.reason.value, each.live_nanos, each.bill_nanos) for each in found.differences]
        assert told == [("only_online", EUR // 10, 0), ("only_file", 0, EUR // 2)]
        assert found.compared == 1


def test_usage_of_before_the_customer_paid_in_advance_is_billed_and_after_it_is_not(tenant_id, tmp_path):
    with a_network(tenant_id, tmp_path, rules=tariff(TEN_CENTS, DATA)) as network:
        with tenant_scope(tenant_id):
            declare_services(BY_FILE, who="ana", now=TOLD)
            (payer_id,) = network.payers()
            agree_payment(account_id=payer_id, payment=Payment.PREPAID.value, who="ana", now=a_moment(2026, 11, 12))
        network.by_file(A_CALL, Use(13, 9, (300,)))

        report = november(network)

        assert (report.usage_billed, report.unpriced_by_reason) == (1, {"paid_in_advance": 1})
        office = BillingOffice(tenant_id=tenant_id, facts=stored_facts(network.stores.lake))
        assert office.lines() == [("usage", "voice", 100)]


# ---------------------------------------------------------------- who comes into the shard in mid-cycle


@pytest.mark.parametrize("allowances", ["", MINUTES], ids=["tiers of a month", "twelve minutes"])
def test_a_first_load_in_mid_month_opens_allowances_and_tiers_as_the_bill_has_them(tenant_id, tmp_path, allowances):
    early = Use(3, 9, (480,))
    with a_loaded_network(tenant_id, tmp_path, early, rule=TIERS, allowances=allowances) as network:
        network.through_diameter(*CALLS)
        network.by_file(*CALLS, name="after.jsonl")

        assert recorded(network) == 0
        assert network.live_prices() == network.bill_prices()
        assert network.compared().holds


def test_a_file_of_before_the_load_that_comes_after_it_counts_once(tenant_id, tmp_path):
    with a_loaded_network(tenant_id, tmp_path, Use(3, 9, (480,)), rule=TIERS) as network:
        network.by_file(Use(4, 9, (240,)), name="late.jsonl")
        assert [recorded(network), recorded(network)] == [1, 0]
        network.through_diameter(*CALLS)
        network.by_file(*CALLS, name="after.jsonl")

        assert network.live_prices() == network.bill_prices()


@contextmanager
def a_loaded_network(tenant_id, folder, early: Use, *, rule: str, allowances: str = ""):
    """A postpaid customer who called on the third; the shard is loaded for the first time on the tenth."""
    from tests.charging.people.builders import a_customer, an_operator
    from tests.charging.people.live import LiveShard
    from tests.mediation.builders import a_source, stores_in

    plan = PLAN + allowances if allowances else PLAN.replace("allowances:\n", "")
    with tenant_scope(tenant_id):
        an_operator(offerings=plan, tariff=tariff(rule, DATA))
        a_customer("C-1", offering="plan", number=NUMBER)
    a_source(tenant_id)
    live = LiveShard(tenant_id, now=TOLD)
    network = Network(tenant_id=tenant_id, stores=stores_in(folder), shard=live)
    try:
        network.by_file(early, name="before.jsonl", received=a_moment(2026, 11, 9))
        live.provisioned(now=TOLD, lake=network.stores.lake)
        live.provisioned(now=later(TOLD, minutes=1), lake=network.stores.lake)
        live.read(now=TOLD)
        while_exported(network)
        yield network
    finally:
        live.close()


def while_exported(network: Network) -> None:
    from millicent.charging.services.export_charges import export_charges

    while export_charges(tenant_id=network.tenant_id, lake=network.stores.lake):
        pass
