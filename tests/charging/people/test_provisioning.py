"""The shard is told who is there, as billing would have it, once, and whatever changed since."""

from uuid import UUID

import pytest
from tests.charging.people.builders import (
    DECEMBER,
    NOVEMBER,
    NOW,
    Listening,
    a_customer,
    a_moment,
    a_subscription,
    an_operator,
    at,
    grants,
    later,
)
from tests.charging.people.live import LiveShard

from millicent.charging.keys import identifier_key, plan_text
from millicent.charging.models.people import AccountAgreement, ProvisioningPosition
from millicent.charging.server.looks import balances_of_account
from millicent.charging.services.carry_over import carry_over
from millicent.charging.services.provision_shard import provision_shard
from millicent.charging.types import NO_LIMIT, Flag, Status, Verb
from millicent.kit.tenancy import tenant_scope
from millicent.subscriptions.services.change_plan import change_plan
from millicent.subscriptions.services.suspend import suspend
from millicent.subscriptions.services.terminate import terminate
from millicent.subscriptions.types import IdentifierKind, Signature

MINUTE, GB = 60, 10**9
SALES = Signature(who="sales", why="asked")


@pytest.fixture
def port() -> Listening:
    return Listening()


def provisioned(tenant_id: UUID, port: Listening, *, now=NOW, **options):
    return provision_shard(tenant_id=tenant_id, port=port, now=now, **options)


def catalogue_in_force():
    from millicent.catalog.selectors import catalogue_of

    return catalogue_of(1)


def test_a_prepaid_customer_is_known_with_plan_number_and_minutes(tenant_id, port):
    with tenant_scope(tenant_id):
        an_operator()
        account_id, subscription_id = a_customer("ANA", number="34600000001")

    report = provisioned(tenant_id, port)

    (account,) = port.told(Verb.ACCOUNT)
    (credit,) = port.told(Verb.CREDIT)
    (subscriber,) = port.told(Verb.SUBSCRIBER)
    (identifier,) = port.told(Verb.IDENTIFIER)
    assert (account["account_id"], port.text(account["other_name"]), account["flags"]) == (account_id, "EUR", 0)
    assert (credit["account_id"], credit["limit"]) == (account_id, 0)
    assert (subscriber["subscription_id"], subscriber["account_id"]) == (subscription_id, account_id)
    assert port.text(subscriber["name"]) == plan_text(tariff="basic", segment="consumer")
    assert (subscriber["limit"], subscriber["amount"]) == (NO_LIMIT, Status.ACTIVE)
    assert identifier["subscriber_key"] == identifier_key(IdentifierKind.MSISDN, "34600000001")
    assert grants(port, subscription_id) == [("prepaid/minutes", 100 * MINUTE)]
    (grant,) = port.told(Verb.GRANT)
    assert (grant["from_ms"], grant["until_ms"]) == (NOVEMBER, DECEMBER)
    assert (report.subscriptions, report.refused) == (1, {})


def test_a_first_cycle_that_began_late_has_its_share_of_minutes(tenant_id, port):
    with tenant_scope(tenant_id):
        an_operator()
        _, subscription_id = a_customer("ANA", since_ms=at(2026, 11, 10))

    provisioned(tenant_id, port)

    assert grants(port, subscription_id) == [("prepaid/minutes", 100 * MINUTE * 21 // 30)]


def test_what_is_told_twice_is_told_with_the_same_keys(tenant_id, port):
    with tenant_scope(tenant_id):
        an_operator()
        a_customer("ANA")
    provisioned(tenant_id, port)
    first = port.told(Verb.GRANT)
    port.forget()
    with tenant_scope(tenant_id):
        ProvisioningPosition.objects.all().delete()

    provisioned(tenant_id, port, now=later(NOW, days=1))

    again = port.told(Verb.GRANT)
    assert again[["key_high", "key_low", "bucket_id", "amount"]].tolist() == (
        first[["key_high", "key_low", "bucket_id", "amount"]].tolist()
    )


def test_when_nothing_changed_nothing_is_told(tenant_id, port):
    with tenant_scope(tenant_id):
        an_operator()
        a_customer("ANA")
    provisioned(tenant_id, port)
    port.forget()

    for minutes in (1, 2, 60):
        assert provisioned(tenant_id, port, now=later(NOW, minutes=minutes)).commands == 0


def test_a_customer_who_was_just_added_is_told_once(tenant_id, port):
    with tenant_scope(tenant_id):
        an_operator()
    provisioned(tenant_id, port)
    port.forget()
    with tenant_scope(tenant_id):
        _, subscription_id = a_customer("EVA", since_ms=at(2026, 11, 10), recorded=later(NOW, seconds=30))

    for seconds in (31, 41, 51):
        provisioned(tenant_id, port, now=later(NOW, seconds=seconds))

    assert [row["subscription_id"] for row in port.told(Verb.SUBSCRIBER)] == [subscription_id]
    assert len(port.told(Verb.GRANT)) == 1


def test_a_customer_whose_row_was_committed_late_is_told_all_the_same(tenant_id, port):
    """Recorded at 12:00:10 by a transaction that a poll at 12:00:20 could not see."""
    with tenant_scope(tenant_id):
        an_operator()
    provisioned(tenant_id, port)
    provisioned(tenant_id, port, now=later(NOW, seconds=20))
    with tenant_scope(tenant_id):
        _, subscription_id = a_customer("EVA", since_ms=at(2026, 11, 10), recorded=later(NOW, seconds=10))

    provisioned(tenant_id, port, now=later(NOW, seconds=30))

    assert [row["subscription_id"] for row in port.told(Verb.SUBSCRIBER)] == [subscription_id]


def test_a_new_plan_takes_the_old_ones_allowance_and_brings_its_own(tenant_id, port):
    with tenant_scope(tenant_id):
        an_operator()
        _, subscription_id = a_customer("ANA")
    provisioned(tenant_id, port)
    (minutes,) = port.told(Verb.GRANT)
    port.forget()
    with tenant_scope(tenant_id):
        change_plan(
            code="S-ANA", offering="plan", at_ms=at(2026, 11, 11), catalogue=catalogue_in_force(),
            now=later(NOW, hours=1), signature=SALES,
        )  # fmt: skip

    provisioned(tenant_id, port, now=later(NOW, hours=2))
    assert grants(port, subscription_id) == [], "it is not yet the eleventh"
    provisioned(tenant_id, port, now=a_moment(2026, 11, 11, 0, 1))

    (ended,) = port.told(Verb.EXPIRE)
    assert ended["bucket_id"] == minutes["bucket_id"]
    assert grants(port, subscription_id) == [("plan/data", 10 * GB)]
    assert port.told(Verb.ACCOUNT)[-1]["flags"] == Flag.POSTPAID
    assert port.told(Verb.CREDIT)[-1]["limit"] == NO_LIMIT


def test_a_plan_that_is_taken_again_in_its_cycle_grants_its_minutes_no_second_time(tenant_id, port):
    with tenant_scope(tenant_id):
        an_operator()
        _, subscription_id = a_customer("ANA")
    provisioned(tenant_id, port)
    assert grants(port, subscription_id) == [("prepaid/minutes", 100 * MINUTE)]
    changes = [("plan", at(2026, 11, 11)), ("prepaid", at(2026, 11, 15))]
    for hours, (offering, at_ms) in enumerate(changes, start=1):
        with tenant_scope(tenant_id):
            change_plan(
                code="S-ANA", offering=offering, at_ms=at_ms, catalogue=catalogue_in_force(),
                now=later(NOW, hours=hours), signature=SALES,
            )  # fmt: skip
    provisioned(tenant_id, port, now=a_moment(2026, 11, 11, 0, 1))
    port.forget()

    provisioned(tenant_id, port, now=a_moment(2026, 11, 15, 0, 1))

    assert len(port.told(Verb.EXPIRE)) == 1, "what the other plan brought"
    assert grants(port, subscription_id) == []
    port.forget()
    provisioned(tenant_id, port, now=a_moment(2026, 12, 1, 0, 1))
    assert grants(port, subscription_id) == [("prepaid/minutes", 100 * MINUTE)]


def test_a_new_cycle_rolls_once_and_grants_anew(tenant_id, port):
    with tenant_scope(tenant_id):
        an_operator()
        account_id, subscription_id = a_customer("ANA")
    provisioned(tenant_id, port)
    port.forget()

    for day in (1, 2):
        provisioned(tenant_id, port, now=a_moment(2026, 12, day, 0, 1))

    rolled = port.told(Verb.ROLL)
    assert rolled[["subscription_id", "account_id", "instant_ms"]].tolist() == [
        (subscription_id, -1, DECEMBER),
        (-1, account_id, DECEMBER),
    ]
    assert grants(port, subscription_id) == [("prepaid/minutes", 100 * MINUTE)]
    assert len(port.told(Verb.EXPIRE)) == 0, "what ends with its cycle ends in the shard by itself"


def test_a_suspended_subscription_is_barred_and_a_terminated_one_is_gone(tenant_id, port):
    with tenant_scope(tenant_id):
        an_operator()
        a_customer("ANA")
    provisioned(tenant_id, port)
    port.forget()

    with tenant_scope(tenant_id):
        suspend(code="S-ANA", at_ms=at(2026, 11, 11), now=later(NOW, hours=1), signature=SALES)
    provisioned(tenant_id, port, now=a_moment(2026, 11, 11, 1))
    with tenant_scope(tenant_id):
        terminate(code="S-ANA", at_ms=at(2026, 11, 12), now=a_moment(2026, 11, 11, 2), signature=SALES)
    provisioned(tenant_id, port, now=a_moment(2026, 11, 12, 1))

    assert port.told(Verb.SUBSCRIBER)["amount"].tolist() == [Status.BARRED, Status.GONE]


def test_members_of_a_pool_share_it_and_pools_of_other_payers_are_others(tenant_id, port):
    with tenant_scope(tenant_id):
        an_operator()
        account_id, first = a_customer("ANA", offering="family", pool="home")
        second = a_subscription("S-BEN", account="ANA", offering="family", pool="home")
        other_account, other = a_customer("EVA", offering="family", pool="home")

    provisioned(tenant_id, port)

    pools = {row["subscription_id"]: port.text(row["other_name"]) for row in port.told(Verb.SUBSCRIBER)}
    assert pools == {first: f"{account_id}/home", second: f"{account_id}/home", other: f"{other_account}/home"}
    assert [(row["scope"], port.text(row["other_name"])) for row in port.told(Verb.GRANT)] == [
        (2, pools[first]),
        (2, pools[second]),
        (2, pools[other]),
    ]


def test_what_a_pool_would_share_serves_a_subscription_outside_any_pool_alone_as_on_its_bill(tenant_id, port):
    with tenant_scope(tenant_id):
        an_operator()
        _, alone = a_customer("ANA", offering="family")

    provisioned(tenant_id, port)

    (told,) = port.told(Verb.GRANT)
    assert (told["scope"], told["subscription_id"]) == (0, alone)


def test_the_payer_pays_for_those_below_it(tenant_id, port):
    with tenant_scope(tenant_id):
        an_operator()
        payer, _ = a_customer("HQ", offering="plan")
        _, below = a_customer("SHOP", offering="plan", payer="HQ")

    provisioned(tenant_id, port)

    assert {row["subscription_id"]: row["account_id"] for row in port.told(Verb.SUBSCRIBER)}[below] == payer
    assert port.told(Verb.ACCOUNT)["account_id"].tolist() == [payer]


def test_an_agreement_decides_how_an_account_pays_and_the_last_one_counts(tenant_id, port):
    with tenant_scope(tenant_id):
        an_operator()
        account_id, _ = a_customer("ANA", offering="plan")
        for limit in (50, 80):
            AccountAgreement.objects.create(
                billing_account_id=account_id, payment="hybrid", credit_limit_nanos=limit * 10**9, recorded_at_ms=limit,
                who="eva",
            )  # fmt: skip

    provisioned(tenant_id, port)

    assert port.told(Verb.ACCOUNT)["flags"].tolist() == [Flag.POSTPAID]
    assert port.told(Verb.CREDIT)["limit"].tolist() == [80 * 10**9]


def test_a_spend_limit_is_a_characteristic_of_the_subscription(tenant_id, port):
    with tenant_scope(tenant_id):
        an_operator()
        a_customer("ANA", offering="plan", characteristics={"spend_limit": "25.00"})

    provisioned(tenant_id, port)

    assert port.told(Verb.SUBSCRIBER)["limit"].tolist() == [25 * 10**9]


def test_a_load_that_was_killed_goes_on_where_it_was(tenant_id, port):
    with tenant_scope(tenant_id):
        an_operator()
        ids = [a_customer(f"C{number}", number=f"3460000001{number}")[1] for number in range(4)]

    class Dying(Listening):
        def submit(self, commands, texts=b""):
            pieces = sum(Verb.SUBSCRIBER in rows["verb"] for rows in self.rows)
            if pieces == 2 and Verb.SUBSCRIBER in commands["verb"]:
                raise KeyboardInterrupt
            return super().submit(commands, texts)

    dying = Dying()
    with pytest.raises(KeyboardInterrupt):
        provisioned(tenant_id, dying, at_once=1)
    provisioned(tenant_id, port, now=later(NOW, minutes=1), at_once=1)

    assert [*dying.told(Verb.SUBSCRIBER)["subscription_id"], *port.told(Verb.SUBSCRIBER)["subscription_id"]] == ids


def test_without_a_released_catalogue_there_is_nothing_to_tell(tenant_id, port):
    assert provisioned(tenant_id, port).commands == 0
    assert port.rows == []


class Rolling:
    """EVA's plan includes 10 GB; at most 4 GB of what is left rolls over, once."""

    def __init__(self, tenant_id: UUID) -> None:
        with tenant_scope(tenant_id):
            an_operator()
            self.account_id, self.subscription_id = a_customer("EVA", offering="plan")
        self.tenant_id = tenant_id
        self.port = LiveShard(tenant_id).provisioned()

    def month_turns(self, *moment: int) -> list[int]:
        """What there is of each bucket afterwards, in MB, smallest first."""
        now = a_moment(*moment)
        self.port.tick(now)
        self.port.read()
        for _ in range(2):
            carry_over(tenant_id=self.tenant_id, port=self.port, now=now)
        self.port.read()
        self.port.provisioned(now=now)
        self.port.read()
        return self.left()

    def left(self) -> list[int]:
        rows = balances_of_account(self.port.shard, self.account_id)
        return sorted(row["remaining"] // 10**6 for row in rows if row["allowance"] == "plan/data")


@pytest.fixture
def rolling(tenant_id):
    made = Rolling(tenant_id)
    yield made
    made.port.close()


def test_what_is_left_rolls_over_up_to_its_cap_and_as_often_as_the_allowance_says(rolling):
    assert rolling.left() == [10_000]

    assert rolling.month_turns(2026, 12, 1, 0, 1) == [4_000, 10_000]
    assert rolling.month_turns(2027, 1, 1, 0, 1) == [4_000, 10_000], "of December's ten; November's four are gone"


def test_what_is_left_of_a_plan_that_is_not_held_any_more_is_lost(rolling):
    with tenant_scope(rolling.tenant_id):
        change_plan(
            code="S-EVA", offering="prepaid", at_ms=at(2026, 11, 20), catalogue=catalogue_in_force(), now=NOW,
            signature=SALES,
        )  # fmt: skip
    rolling.port.provisioned(now=a_moment(2026, 11, 20, 1))

    assert rolling.month_turns(2026, 12, 1, 0, 1) == []
