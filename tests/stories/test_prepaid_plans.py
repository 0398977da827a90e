"""Plans that are paid from a balance: the statement, when the money is not there, and what a bill would have asked."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import pytest
from tests.billing.builders import EUR, a_moment, at
from tests.charging.people.builders import TARIFF, a_customer, an_operator, later
from tests.charging.people.live import LiveShard
from tests.mediation.builders import stores_in
from tests.stories.operator import BillingOffice

from millicent.catalog.selectors import catalogue_of
from millicent.charging.balance_facts import stored_facts
from millicent.charging.models.people import BalanceOrder, Notification
from millicent.charging.models.plans import FeeStanding
from millicent.charging.selectors import money_by_currency, statement
from millicent.charging.server.looks import balances_of_account
from millicent.charging.services.charge_fees import charge_fees
from millicent.charging.services.declare_services import declare_services
from millicent.charging.services.post_usage_days import check_prepaid
from millicent.charging.services.top_up import top_up
from millicent.charging.types import BucketKind
from millicent.kit.errors import Outage
from millicent.kit.tenancy import tenant_scope
from millicent.ledger.selectors import trial_balance
from millicent.subscriptions.services.change_plan import change_plan
from millicent.subscriptions.services.terminate import terminate
from millicent.subscriptions.types import Signature

SALES = Signature(who="sales", why="asked")
PLANS = """\
code: talk
services: [voice, data, sms]
tariff: basic
payment: prepaid
recurring:
  - {code: monthly, price: 10.00}
one_time:
  - {code: sim, price: 5.00, on: activation}
allowances:
  - {code: minutes, when: {service: voice}, amount: 100 min}
---
code: talk-more
services: [voice, data, sms]
tariff: basic
payment: prepaid
recurring:
  - {code: monthly, price: 30.00}
allowances:
  - {code: minutes, when: {service: voice}, amount: 500 min}
discounts: [welcome]
"""
FIRST = a_moment(2026, 11, 1, 1)
LEDGER = "recurring: revenue:recurring\nusage: revenue:usage\none_time: revenue:one_time\n"
DISCOUNTS = "welcome: {percent: 10%, cycles: 1}\n"


@dataclass
class Shop:
    """An operator of prepaid plans, one customer, and a clock."""

    tenant_id: UUID
    folder: object
    plan: str = "talk"
    since: datetime = FIRST
    port: LiveShard = field(init=False)

    def __post_init__(self):
        with tenant_scope(self.tenant_id):
            an_operator(
                offerings=self.offerings, tariff=TARIFF, others={"discounts.yaml": DISCOUNTS, "ledger.yaml": LEDGER}
            )
            declare_services("prepaid: {unpaid: {retry: 1 h}}\n", who="ana", now=FIRST)
            self.account, self.subscription = a_customer(
                "ANA", number="34600000100", offering=self.plan, since_ms=at(2026, 11, 1), recorded=FIRST
            )
        self.stores = stores_in(self.folder)
        self.port = LiveShard(self.tenant_id, now=FIRST)
        self.works(FIRST)

    @property
    def offerings(self) -> str:
        return PLANS

    def works(self, now: datetime) -> int:
        """What `millicent up` does at an instant: fees, then who is there, then history."""
        taken = charge_fees(tenant_id=self.tenant_id, port=self.port, lake=self.stores.lake, now=now)
        self.port.tick(now)
        self.port.provisioned(now=now)
        self.port.read(now=now)
        return taken

    def top_up(self, euros: int, *, now: datetime, key: str = "T1") -> None:
        top_up(
            tenant_id=self.tenant_id, port=self.port, key=key, account_id=self.account, amount_nanos=euros * EUR,
            channel="cash", who="shop", now=now,
        )  # fmt: skip
        self.port.read(now=now)

    def lines(self) -> list[tuple[str, int]]:
        with tenant_scope(self.tenant_id):
            found = statement(self.account)
        money = [line for line in found if line.kind is BucketKind.MONEY]
        return [(line.why or line.cause, line.change * 100 // EUR) for line in money]

    def cents(self) -> int:
        with tenant_scope(self.tenant_id):
            assert [check.difference_nanos for check in check_prepaid()] in ([], [0])
            return money_by_currency().get("EUR", 0) * 100 // EUR

    def minutes(self) -> int:
        rows = balances_of_account(self.port.shard, self.account)
        return sum(row["remaining"] for row in rows if row["allowance"].endswith("/minutes")) // 60

    def books(self) -> dict[str, int]:
        with tenant_scope(self.tenant_id):
            return {
                row.ledger_account: -(-row.balance_nanos * 100 // EUR) for row in trial_balance() if row.balance_nanos
            }

    def told(self) -> list[str]:
        with tenant_scope(self.tenant_id):
            return list(Notification.objects.filter(kind=100).values_list("text", flat=True))


def changed(code: str, plan: str, *, day: int, now: datetime) -> None:
    change_plan(code=code, offering=plan, at_ms=at(2026, 11, day), catalogue=catalogue_of(1), now=now, signature=SALES)


@pytest.fixture
def shop(tenant_id, tmp_path) -> Iterator[Shop]:
    made = Shop(tenant_id, tmp_path)
    yield made
    made.port.close()


def test_without_money_the_plan_waits_and_the_customer_is_told_once(shop):
    shop.works(later(FIRST, minutes=1))
    shop.works(later(FIRST, hours=2))

    assert (shop.minutes(), shop.lines()) == (0, [])
    assert shop.told() == ["Your plan could not be renewed: €15.00 are missing. Top up and it goes on."]
    with tenant_scope(shop.tenant_id):
        assert BalanceOrder.objects.filter(verb="fee").count() == 2, "at once, and an hour later"


def test_a_top_up_pays_the_plan_and_what_it_includes_is_there(shop):
    shop.top_up(20, now=later(FIRST, minutes=5))

    assert shop.works(later(FIRST, minutes=6)) == 1
    assert shop.works(later(FIRST, minutes=7)) == 0

    assert shop.lines() == [
        ("top-up: cash", 2000),
        ("talk: monthly, 2026-11-01 to 2026-11-30; talk: sim, 2026-11-01", -1500),
    ]
    assert (shop.cents(), shop.minutes()) == (500, 100)
    assert shop.books() == {
        "asset:bank:cash": 2000,
        "liability:prepaid": -500,
        "liability:tax:vat": -260,  # 21 per cent within 15.00
        "revenue:one_time": -413,
        "revenue:recurring": -826,
    }


def test_the_next_month_is_taken_when_it_begins_and_not_a_month_that_nobody_paid(shop):
    shop.works(a_moment(2026, 11, 20))
    shop.top_up(20, now=a_moment(2026, 12, 1, 0, 1))
    shop.works(a_moment(2026, 12, 1, 0, 2))
    assert shop.lines()[1:] == [("talk: monthly, 2026-12-01 to 2026-12-31", -1000)]

    shop.works(a_moment(2027, 1, 1, 0, 1))
    shop.works(a_moment(2027, 1, 1, 0, 9))

    assert shop.lines()[2:] == [("talk: monthly, 2027-01-01 to 2027-01-31", -1000)]
    assert (shop.cents(), shop.minutes()) == (0, 100)

    shop.works(a_moment(2027, 2, 1, 0, 1))
    assert (shop.cents(), shop.minutes()) == (0, 0)


@pytest.mark.parametrize("read", [True, False], ids=["history reads first", "the shard remembers"])
def test_killed_after_the_shard_took_it_a_fee_is_not_taken_again(shop, read):
    shop.top_up(40, now=later(FIRST, minutes=5))
    shop.port.lost = Outage("the line broke")
    with pytest.raises(Outage):
        shop.works(later(FIRST, minutes=6))
    shop.port.lost = None
    if read:
        shop.port.read()

    shop.works(later(FIRST, minutes=8))
    shop.works(later(FIRST, minutes=9))

    assert (shop.cents(), shop.minutes()) == (2500, 100)
    with tenant_scope(shop.tenant_id):
        assert FeeStanding.objects.get().paid


def test_a_change_of_plan_in_mid_month_costs_the_difference_of_the_days(shop):
    shop.top_up(60, now=later(FIRST, minutes=5))
    shop.works(later(FIRST, minutes=6))
    with tenant_scope(shop.tenant_id):
        changed("S-ANA", "talk-more", day=16, now=a_moment(2026, 11, 15))
    assert shop.works(a_moment(2026, 11, 15, 1)) == 1, "half of the old plan comes back"

    shop.works(a_moment(2026, 11, 16, 1))

    assert [cents for _, cents in shop.lines()] == [6000, -1500, 500, -1250], (
        "ten per cent of all that the month costs: SIM and both halves"
    )
    assert shop.cents() == 6000 - 1500 + 500 - 1250
    assert shop.minutes() == 500


def test_whoever_leaves_gets_the_days_back_that_were_paid(shop):
    shop.top_up(20, now=later(FIRST, minutes=5))
    shop.works(later(FIRST, minutes=6))
    with tenant_scope(shop.tenant_id):
        terminate(code="S-ANA", at_ms=at(2026, 11, 16), signature=SALES, now=a_moment(2026, 11, 15))

    shop.works(a_moment(2026, 11, 16, 1))
    shop.works(a_moment(2026, 12, 1, 1))

    assert [cents for _, cents in shop.lines()] == [2000, -1500, 500]
    assert shop.books()["revenue:recurring"] == -413, "five euros, less the tax within them"


def test_the_bill_run_asks_for_nothing(shop):
    shop.top_up(20, now=later(FIRST, minutes=5))
    shop.works(later(FIRST, minutes=6))
    office = BillingOffice(tenant_id=shop.tenant_id, facts=stored_facts(shop.stores.lake))

    report = office.release_month(12)

    assert (report.bills, report.parked, report.payers) == (0, 0, 1)
    assert "asset:receivable" not in shop.books()


def test_a_barred_plan_is_barred_after_the_grace_and_free_again_when_it_is_paid(tenant_id, tmp_path):
    shop = Shop(tenant_id, tmp_path)
    with tenant_scope(tenant_id):
        declare_services("prepaid: {unpaid: {then: barred, grace: 3 days}}\n", who="ana", now=later(FIRST, minutes=1))

    def status(now):
        shop.works(now)
        tables = shop.port.shard.tables()
        return int(tables["subscriber"]["status"][1])

    try:
        assert status(later(FIRST, minutes=2)) == 0
        assert status(later(FIRST, days=2)) == 0
        assert status(later(FIRST, days=3, minutes=5)) == 1
        shop.top_up(20, now=later(FIRST, days=4))
        assert status(later(FIRST, days=4, minutes=1)) == 0
        assert shop.minutes() == 100
    finally:
        shop.port.close()


def test_what_the_balance_paid_is_what_a_bill_would_have_asked_for(tenant_id, tmp_path):
    """The same plans and the same changes on a customer who pays by bill: the judge."""
    by_bill = PLANS.replace("payment: prepaid\n", "payment: postpaid\n")

    class Twice(Shop):
        @property
        def offerings(self):
            return PLANS + "---\n" + by_bill.replace("code: talk", "code: billed")

    shop = Twice(tenant_id, tmp_path)
    try:
        with tenant_scope(tenant_id):
            a_customer("BEN", number="34600000200", offering="billed", since_ms=at(2026, 11, 1), recorded=FIRST)
        shop.top_up(100, now=later(FIRST, minutes=5))
        shop.works(later(FIRST, minutes=6))
        with tenant_scope(tenant_id):
            for code, plan in (("S-ANA", "talk-more"), ("S-BEN", "billed-more")):
                changed(code, plan, day=12, now=a_moment(2026, 11, 12))
        shop.works(a_moment(2026, 11, 12, 1))
        with tenant_scope(tenant_id):
            for code in ("S-ANA", "S-BEN"):
                terminate(code=code, at_ms=at(2026, 12, 8), signature=SALES, now=a_moment(2026, 12, 1, 0, 1))
        shop.works(a_moment(2026, 12, 1, 1))
        shop.works(a_moment(2026, 12, 8, 1))
        shop.works(a_moment(2027, 1, 1, 1))

        office = BillingOffice(tenant_id=tenant_id, facts=stored_facts(shop.stores.lake))
        for month, year in ((12, 2026), (1, 2027)):
            office.release_month(month, year=year)

        billed = sum(net for _, _, net, _, _ in office.totals())
        assert shop.cents() == 10_000 - billed
        assert billed > 0
    finally:
        shop.port.close()
