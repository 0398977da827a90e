"""A coupon is redeemed as often as the catalogue allows, also when several come for the last one at once."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import UUID

import pytest
from django.db import connection
from tests.customers.builders import an_account, opened
from tests.subscriptions.builders import SALES, a_catalogue, a_version, an_offering, at, facts, subscribed
from tests.subscriptions.test_import import faults, files

from millicent.catalog.types import Discount
from millicent.kit.tenancy import tenant_scope
from millicent.subscriptions.errors import CouponUsedUp, ImportRefused, TransitionRefused
from millicent.subscriptions.models import CouponTally, SubscriptionChange, SubscriptionVersionRow
from millicent.subscriptions.selectors import subscriptions_by_code
from millicent.subscriptions.services.import_customers import import_customers
from millicent.subscriptions.services.redeem_coupon import redeem_coupon
from millicent.subscriptions.services.terminate import terminate

ROWS = """subscription,account,offering,from,coupons
S1,HQ,small,2026-01-01,FEW
S2,HQ,small,2026-01-01,
S3,SHOP,small,2026-01-01,FEW
S4,SHOP,small,2026-01-01,FEW|MANY
"""
ALL_OF_THEM = ("S1", "S2", "S3", "S4")


def a_shop(*, limit: int | None):
    """A catalogue with coupon FEW, redeemed as often as `limit` says, and MANY, redeemed as often as anybody likes."""
    few = Discount(code="FEW", names={"en": "Few"}, scope=None, coupon=True, redemptions_limit=limit)  # type: ignore[arg-type]
    many = Discount(code="MANY", names={"en": "Many"}, scope=None, coupon=True)  # type: ignore[arg-type]
    return a_catalogue(an_offering("small"), discounts=(few, many))


def redeem(code: str = "S", *, limit: int | None = 1, at_ms: int = 10, now_ms: int = 10):
    return redeem_coupon(
        code=code, coupon="FEW", catalogue=a_shop(limit=limit), at_ms=at_ms, now=at(now_ms), signature=SALES
    )


def holders() -> list[str]:
    return [each.code for each in subscriptions_by_code(ALL_OF_THEM) if "FEW" in each.versions[-1].coupons]


def test_the_last_redemption_is_the_last(tenant):
    opened(an_account("A"))
    for code in ALL_OF_THEM:
        subscribed(code)
    redeem("S1", limit=2)
    redeem("S2", limit=2)
    rows, changes = SubscriptionVersionRow.objects.count(), SubscriptionChange.objects.count()

    with pytest.raises(CouponUsedUp) as refusal:
        redeem("S3", limit=2)

    assert refusal.value.facts == {"coupon": "FEW", "redemptions_limit": 2}
    assert (SubscriptionVersionRow.objects.count(), SubscriptionChange.objects.count()) == (rows, changes)
    assert holders() == ["S1", "S2"]
    assert CouponTally.objects.get(coupon="FEW").redeemed == 2


def test_one_subscription_redeems_once_however_often_it_asks_and_whether_or_not_it_lives_on(tenant):
    subscribed("S")
    subscribed("T")

    redeem("S")
    redeem("S", now_ms=11)
    redeem("S", at_ms=5, now_ms=12)
    terminate(code="S", at_ms=20, now=at(20), signature=SALES)

    assert [version.coupons for version in facts().versions] == [(), ("FEW",), ("FEW",), ("FEW",)]
    with pytest.raises(CouponUsedUp):
        redeem("T")


def test_what_was_refused_is_not_counted(tenant):
    subscribed("S")
    subscribed("T")
    terminate(code="S", at_ms=5, now=at(5), signature=SALES)
    with pytest.raises(TransitionRefused):
        redeem("S")

    redeem("T")

    assert CouponTally.objects.get(coupon="FEW").redeemed == 1


def test_a_limit_that_came_later_counts_who_had_redeemed_before(tenant):
    subscribed("S", versions=(a_version(coupons=("FEW", "MANY")),))
    subscribed("T")
    CouponTally.objects.all().delete()

    with pytest.raises(CouponUsedUp):
        redeem("T")

    redeem("T", limit=None)
    assert CouponTally.objects.get(coupon="FEW").redeemed == 2


def test_of_four_that_come_at_once_for_two_redemptions_two_get_one(tenant_id):
    with tenant_scope(tenant_id):
        opened(an_account("A"))
        for code in ALL_OF_THEM:
            subscribed(code)
    together = Barrier(len(ALL_OF_THEM))

    def come(code: str) -> bool:
        try:
            with tenant_scope(tenant_id):
                together.wait(timeout=30)
                redeem(code, limit=2)
        except CouponUsedUp:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(len(ALL_OF_THEM)) as counter:
        got = list(counter.map(come, ALL_OF_THEM))

    assert sorted(got) == [False, False, True, True]
    with tenant_scope(tenant_id):
        assert holders() == [code for code, lucky in zip(ALL_OF_THEM, got, strict=True) if lucky]
        assert CouponTally.objects.get(coupon="FEW").redeemed == 2


def test_an_import_refuses_the_rows_that_come_too_late_and_none_of_them_leaves_a_trace(tenant, tmp_path):
    brought = files(tmp_path, subscriptions=ROWS, identifiers="subscription,kind,identifier\nS4,msisdn,34600000001\n")

    with pytest.raises(ImportRefused):
        import_customers(files=brought, catalogue=a_shop(limit=2), good_rows_only=False, now=at(1))

    assert (SubscriptionVersionRow.objects.count(), CouponTally.objects.count()) == (0, 0)

    report = import_customers(files=brought, catalogue=a_shop(limit=2), good_rows_only=True, now=at(1))

    too_late = "comes too late: coupon FEW may be redeemed 2 times"
    assert faults(report) == [
        ("identifiers.csv", 2, "subscription", "S4", "is refused itself"),
        ("subscriptions.csv", 5, "coupons", '["FEW", "MANY"]', too_late),
    ]
    assert holders() == ["S1", "S3"]
    assert dict(CouponTally.objects.values_list("coupon", "redeemed")) == {"FEW": 2}

    again = import_customers(files=brought, catalogue=a_shop(limit=3), good_rows_only=False, now=at(2))

    assert [(count.new, count.standing) for count in again.counts] == [(0, 2), (1, 3), (1, 0)]
    assert dict(CouponTally.objects.values_list("coupon", "redeemed")) == {"FEW": 3, "MANY": 1}


def test_an_import_and_a_redemption_at_once_share_the_limit(tenant_id, tmp_path):
    with tenant_scope(tenant_id):
        subscribed("S")
    brought = files(tmp_path, subscriptions=ROWS.splitlines()[0] + "\nS1,HQ,small,2026-01-01,FEW\n", identifiers=NOBODY)
    together = Barrier(2)

    def come(ask) -> bool:
        try:
            with tenant_scope(tenant_id):
                together.wait(timeout=30)
                ask()
        except (CouponUsedUp, ImportRefused):
            return False
        finally:
            connection.close()
        return True

    def bring() -> None:
        import_customers(files=brought, catalogue=a_shop(limit=1), good_rows_only=False, now=at(1))

    with ThreadPoolExecutor(2) as counter:
        got = list(counter.map(come, (redeem, bring)))

    assert sorted(got) == [False, True]
    assert tally(tenant_id) == 1


NOBODY = "subscription,kind,identifier\n"


def tally(tenant_id: UUID) -> int:
    with tenant_scope(tenant_id):
        return CouponTally.objects.get(coupon="FEW").redeemed
