"""A subscription changes by verbs; what was recorded stays, and what was known when can be read again."""

import pytest
from django.db import IntegrityError, transaction
from tests.customers.builders import an_account, opened
from tests.subscriptions.builders import PLANS, SALES, a_number, a_version, at, facts, story, subscribed

from millicent.subscriptions.errors import (
    HistoryBroken,
    NotEligible,
    NothingBefore,
    SubscriptionCodeTaken,
    TransitionRefused,
    UnknownSubscription,
)
from millicent.subscriptions.models import Subscription, SubscriptionChange, SubscriptionVersionRow
from millicent.subscriptions.services.activate import activate_new, activate_pending
from millicent.subscriptions.services.add_add_on import add_add_on
from millicent.subscriptions.services.change_plan import change_plan
from millicent.subscriptions.services.change_quantity import change_quantity
from millicent.subscriptions.services.override_price import override_price
from millicent.subscriptions.services.redeem_coupon import redeem_coupon
from millicent.subscriptions.services.remove_add_on import remove_add_on
from millicent.subscriptions.services.resume import resume
from millicent.subscriptions.services.suspend import suspend
from millicent.subscriptions.services.terminate import terminate
from millicent.subscriptions.types import SubscriptionStatus


def test_a_change_of_plan_cuts_the_history_in_two(tenant):
    subscribed()

    change_plan(code="S", offering="large", at_ms=100, catalogue=PLANS, now=at(90), signature=SALES)

    assert story() == [(0, 100, "small", "active"), (100, None, "large", "active")]
    change = SubscriptionChange.objects.get()
    assert (change.verb, change.who, change.why, change.effective_at_ms) == (
        "change_plan",
        "sales",
        "customer asked",
        100,
    )


def test_a_back_dated_change_leaves_what_was_known_before_readable(tenant):
    subscribed()

    change_plan(code="S", offering="large", at_ms=100, catalogue=PLANS, now=at(900), signature=SALES)

    assert story(known_at_ms=899) == [(0, None, "small", "active")]
    assert story(known_at_ms=900) == [(0, 100, "small", "active"), (100, None, "large", "active")]
    assert [version.recorded_at_ms for version in facts().versions] == [0, 900]


def test_a_back_dated_change_of_plan_ends_where_the_next_one_was_recorded(tenant):
    subscribed()
    change_plan(code="S", offering="large", at_ms=500, catalogue=PLANS, now=at(500), signature=SALES)
    suspend(code="S", at_ms=300, now=at(510), signature=SALES)

    subscribed("T")
    change_plan(code="S", offering="large", at_ms=200, catalogue=PLANS, now=at(600), signature=SALES)

    assert story() == [
        (0, 200, "small", "active"),
        (200, 300, "large", "active"),
        (300, 500, "large", "suspended"),
        (500, None, "large", "suspended"),
    ]


def test_a_suspension_and_its_end_frame_the_days_between(tenant):
    subscribed()

    suspend(code="S", at_ms=10, now=at(10), signature=SALES)
    resume(code="S", at_ms=20, now=at(20), signature=SALES)
    suspend(code="S", at_ms=5, now=at(30), signature=SALES)

    assert story() == [
        (0, 5, "small", "active"),
        (5, 10, "small", "suspended"),
        (10, 20, "small", "suspended"),
        (20, None, "small", "active"),
    ]


def test_a_termination_ends_everything_and_frees_the_number(tenant):
    subscribed(identifiers=(a_number(),))
    suspend(code="S", at_ms=200, now=at(50), signature=SALES)

    terminate(code="S", at_ms=100, now=at(60), signature=SALES)

    assert story() == [
        (0, 100, "small", "active"),
        (100, 200, "small", "terminated"),
        (200, None, "small", "terminated"),
    ]
    subscribed("T", identifiers=(a_number(since=100),))


def test_the_same_change_again_changes_nothing(tenant):
    subscribed()
    suspend(code="S", at_ms=10, now=at(10), signature=SALES)
    rows = SubscriptionVersionRow.objects.count()

    suspend(code="S", at_ms=10, now=at(11), signature=SALES)

    assert SubscriptionVersionRow.objects.count() == rows
    assert SubscriptionChange.objects.count() == 1


def test_add_ons_quantities_prices_and_coupons_are_versions_too(tenant):
    subscribed(versions=(a_version(offering="large"),))

    add_add_on(code="S", add_on="roaming", at_ms=10, catalogue=PLANS, now=at(10), signature=SALES)
    change_quantity(code="S", quantity=3, at_ms=20, now=at(20), signature=SALES)
    override_price(code="S", price_code="monthly", amount_nanos=5, at_ms=30, now=at(30), signature=SALES)
    redeem_coupon(code="S", coupon="WELCOME", at_ms=40, catalogue=PLANS, now=at(40), signature=SALES)
    remove_add_on(code="S", add_on="roaming", at_ms=50, now=at(50), signature=SALES)
    override_price(code="S", price_code="monthly", amount_nanos=None, at_ms=60, now=at(60), signature=SALES)

    assert [
        (version.effective_from_ms, version.add_ons, version.quantity, dict(version.price_overrides), version.coupons)
        for version in facts().versions
    ] == [
        (0, (), 1, {}, ()),
        (10, ("roaming",), 1, {}, ()),
        (20, ("roaming",), 3, {}, ()),
        (30, ("roaming",), 3, {"monthly": 5}, ()),
        (40, ("roaming",), 3, {"monthly": 5}, ("WELCOME",)),
        (50, (), 3, {"monthly": 5}, ("WELCOME",)),
        (60, (), 3, {}, ("WELCOME",)),
    ]


def _terminated_resume():
    resume(code="S", at_ms=150, now=at(150), signature=SALES)


def _terminated_plan():
    change_plan(code="S", offering="large", at_ms=150, catalogue=PLANS, now=at(150), signature=SALES)


def _before_it_began():
    suspend(code="S", at_ms=-1, now=at(150), signature=SALES)


def _unknown():
    suspend(code="nobody", at_ms=1, now=at(150), signature=SALES)


def _not_for_consumers():
    change_plan(code="S", offering="office", at_ms=50, catalogue=PLANS, now=at(150), signature=SALES)


def _needs_large():
    add_add_on(code="S", add_on="roaming", at_ms=50, catalogue=PLANS, now=at(150), signature=SALES)


def _a_plan_is_no_add_on():
    add_add_on(code="S", add_on="large", at_ms=50, catalogue=PLANS, now=at(150), signature=SALES)


def _coupon_too_late():
    redeem_coupon(code="S", coupon="WELCOME", at_ms=500, catalogue=PLANS, now=at(150), signature=SALES)


@pytest.mark.parametrize(
    ("ask", "refusal"),
    [
        (_terminated_resume, TransitionRefused),
        (_terminated_plan, TransitionRefused),
        (_before_it_began, NothingBefore),
        (_unknown, UnknownSubscription),
        (_not_for_consumers, NotEligible),
        (_needs_large, NotEligible),
        (_a_plan_is_no_add_on, NotEligible),
        (_coupon_too_late, NotEligible),
    ],
)
def test_what_the_business_refuses_leaves_no_trace(tenant, ask, refusal):
    subscribed()
    terminate(code="S", at_ms=100, now=at(100), signature=SALES)
    before = list(SubscriptionVersionRow.objects.order_by("id").values())

    with pytest.raises(refusal):
        ask()

    assert list(SubscriptionVersionRow.objects.order_by("id").values()) == before
    assert SubscriptionChange.objects.count() == 1


def test_an_add_on_that_excludes_another_is_refused_beside_it_either_way(tenant):
    subscribed(versions=(a_version(offering="large", add_ons=("roaming",)),))

    with pytest.raises(NotEligible, match="cannot be had beside roaming"):
        add_add_on(code="S", add_on="quiet", at_ms=10, catalogue=PLANS, now=at(10), signature=SALES)

    subscribed("T", account="B", versions=(a_version(offering="large", add_ons=("quiet",)),))
    with pytest.raises(NotEligible, match="quiet cannot be had beside it"):
        add_add_on(code="T", add_on="roaming", at_ms=10, catalogue=PLANS, now=at(10), signature=SALES)


def _activate(code="S", offering="small"):
    return activate_new(
        code=code, account_code="A", offering=offering, at_ms=10, catalogue=PLANS, now=at(20), signature=SALES
    )


def test_an_activation_asked_twice_is_found(tenant):
    opened(an_account("A"))

    assert _activate() == _activate()
    assert story() == [(10, None, "small", "active")]
    with pytest.raises(SubscriptionCodeTaken):
        _activate(offering="large")


def test_a_pending_subscription_becomes_active(tenant):
    subscribed(versions=(a_version(status=SubscriptionStatus.PENDING),))

    activate_pending(code="S", at_ms=7, now=at(7), signature=SALES)

    assert story() == [(0, 7, "small", "pending"), (7, None, "small", "active")]


def test_a_history_with_a_gap_is_refused(tenant):
    with pytest.raises(HistoryBroken):
        subscribed(versions=(a_version(effective_until_ms=5), a_version(effective_from_ms=6)))

    assert not Subscription.objects.exists()


def test_the_table_itself_refuses_versions_that_overlap(tenant):
    subscription_id = subscribed()

    with pytest.raises(IntegrityError, match="versions_of_a_subscription_do_not_overlap"), transaction.atomic():
        SubscriptionVersionRow.objects.create(
            subscription_id=subscription_id,
            effective_from_ms=50,
            effective_until_ms=60,
            offering="small",
            status="active",
            learned_at_ms=0,
            recorded_at_ms=0,
        )


@pytest.mark.parametrize("rewriting", [{"offering": "large"}, {"effective_until_ms": 3}, {"quantity": 2}])
def test_the_table_itself_refuses_to_rewrite_what_was_recorded(tenant, rewriting):
    subscribed()

    with pytest.raises(IntegrityError, match="never rewritten"), transaction.atomic():
        SubscriptionVersionRow.objects.update(**rewriting)
