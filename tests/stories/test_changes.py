"""Lives change within a cycle: plans, suspensions, endings. The bill follows the time that each was held."""

from dataclasses import replace

from tests.billing.builders import (
    EUR,
    a_fee,
    a_one_time_fee,
    a_subscription,
    a_version,
    an_offering,
    at,
    facts,
)

from millicent.catalog.types import OneTimeTrigger, Period, PeriodUnit, Proration
from millicent.subscriptions.types import SubscriptionStatus

SMALL = an_offering("small", recurring=(a_fee(30 * EUR, code="small_fee"),))
LARGE = an_offering("large", recurring=(a_fee(60 * EUR, code="large_fee"),))


def small_since_september():
    return facts(SMALL, LARGE, subscriptions=[a_subscription(a_version(at(2026, 9, 1), offering="small"))])


def changed_on(day, *, before, after, recorded=None):
    learned = recorded or day
    return a_subscription(
        a_version(at(2026, 9, 1), day, offering=before),
        a_version(day, offering=after, recorded_at_ms=learned),
    )


def test_a_plan_change_up_credits_the_unused_advance_and_charges_the_rest(open_office):
    office = open_office(small_since_september())
    office.release_month(10)
    office.facts = office.facts.with_subscriptions(changed_on(at(2026, 10, 11), before="small", after="large"))

    office.release_month(11)

    # October has 31 days: 21 of them are left on the 11th.
    assert office.lines() == [
        ("recurring", "large_fee", 40_65),
        ("recurring", "large_fee", 60_00),
        ("recurring", "Credit: small_fee", -20_32),
    ]


def test_a_plan_change_down_leaves_the_customer_with_credit(open_office):
    known = facts(SMALL, LARGE, subscriptions=[a_subscription(a_version(at(2026, 9, 1), offering="large"))])
    office = open_office(known)
    office.release_month(10)
    office.facts = known.with_subscriptions(changed_on(at(2026, 10, 11), before="large", after="small"))

    office.release_month(11)

    assert office.lines() == [
        ("recurring", "Credit: large_fee", -40_65),
        ("recurring", "small_fee", 20_32),
        ("recurring", "small_fee", 30_00),
    ]


def test_a_back_dated_change_corrects_the_months_that_were_billed(open_office):
    office = open_office(small_since_september())
    office.release_month(10)
    office.release_month(11)
    office.facts = office.facts.with_subscriptions(
        changed_on(at(2026, 10, 11), before="small", after="large", recorded=at(2026, 11, 20))
    )

    office.release_month(12)

    assert office.lines() == [
        ("recurring", "large_fee", 60_00),
        ("recurring", "large_fee", 60_00),
        ("recurring", "Credit: small_fee", -30_00),
        ("adjustment", "Correction: large_fee", 40_65),
        ("adjustment", "Correction: small_fee", -20_32),
    ]


def test_a_suspended_service_is_not_charged_and_the_advance_is_given_back(open_office):
    office = open_office(small_since_september())
    office.release_month(10)
    office.facts = office.facts.with_subscriptions(
        a_subscription(
            a_version(at(2026, 9, 1), at(2026, 10, 11), offering="small"),
            a_version(at(2026, 10, 11), at(2026, 10, 21), offering="small", status=SubscriptionStatus.SUSPENDED),
            a_version(at(2026, 10, 21), offering="small"),
        )
    )

    office.release_month(11)

    assert office.lines() == [("recurring", "small_fee", 30_00), ("recurring", "Credit: small_fee", -9_68)][::-1]


def test_a_price_may_go_on_during_suspension(open_office):
    line_rental = an_offering("small", recurring=(a_fee(30 * EUR, charged_while_suspended=True),))
    known = facts(
        line_rental,
        subscriptions=[
            a_subscription(
                a_version(at(2026, 9, 1), at(2026, 9, 11), offering="small"),
                a_version(at(2026, 9, 11), offering="small", status=SubscriptionStatus.SUSPENDED),
            )
        ],
    )
    office = open_office(known)

    office.release_month(10)

    assert [amount for _, _, amount in office.lines()] == [30_00, 30_00]


def ended_on(end, **changes):
    return a_subscription(
        a_version(at(2026, 9, 1), end, offering="small"),
        a_version(end, offering="small", status=SubscriptionStatus.TERMINATED),
        **changes,
    )


def test_a_cancellation_credits_what_was_paid_ahead_and_bills_no_more(open_office):
    office = open_office(small_since_september())
    office.release_month(10)
    office.facts = office.facts.with_subscriptions(ended_on(at(2026, 10, 11, 15)))

    office.release_month(11)
    assert office.lines() == [("recurring", "Credit: small_fee", -19_35)]  # 11 of 31 days are kept: 10.65

    office.release_month(12)
    assert len(office.totals()) == 2


def test_the_day_of_termination_is_free_where_the_price_says_so(open_office):
    kind = an_offering("small", recurring=(a_fee(30 * EUR, code="small_fee", bill_termination_day=False),))
    office = open_office(facts(kind, subscriptions=[a_subscription(a_version(at(2026, 9, 1), offering="small"))]))
    office.release_month(10)
    office.facts = office.facts.with_subscriptions(ended_on(at(2026, 10, 11, 15)))

    office.release_month(11)

    assert office.lines() == [("recurring", "Credit: small_fee", -20_32)]


def test_an_early_end_costs_its_fee_and_a_late_one_does_not(open_office):
    bound = replace(
        SMALL, one_time=(a_one_time_fee(90 * EUR, trigger=OneTimeTrigger.TERMINATION, within_days=365, code="early"),)
    )
    long_ago = a_subscription(
        a_version(at(2024, 9, 1), at(2026, 9, 11), offering="small"),
        a_version(at(2026, 9, 11), offering="small", status=SubscriptionStatus.TERMINATED),
        subscription_id=12,
    )
    office = open_office(facts(bound, subscriptions=[ended_on(at(2026, 9, 11)), long_ago]))

    office.release_month(10)

    assert office.lines() == [
        ("recurring", "small_fee", 10_00),
        ("one_time", "early", 90_00),
        ("recurring", "small_fee", 10_00),
    ]


def test_activation_change_of_plan_and_an_add_on_are_charged_once(open_office):
    small = replace(SMALL, one_time=(a_one_time_fee(5 * EUR, trigger=OneTimeTrigger.ACTIVATION, code="activation"),))
    large = replace(LARGE, one_time=(a_one_time_fee(7 * EUR, trigger=OneTimeTrigger.PLAN_CHANGE, code="change"),))
    extra = an_offering(
        "extra", add_on=True, one_time=(a_one_time_fee(3 * EUR, trigger=OneTimeTrigger.PURCHASE, code="purchase"),)
    )
    changed = a_subscription(
        a_version(at(2026, 9, 1), at(2026, 9, 16), offering="small"),
        a_version(at(2026, 9, 16), offering="large", add_ons=("extra",)),
    )
    office = open_office(facts(small, large, extra, subscriptions=[changed]))

    office.release_month(10)
    office.release_month(11)

    assert [line for line in office.lines(number="A-2026-000001") if line[0] == "one_time"] == [
        ("one_time", "purchase", 3_00),
        ("one_time", "change", 7_00),
        ("one_time", "activation", 5_00),
    ]
    assert office.lines() == [("recurring", "large_fee", 60_00)]


def test_a_yearly_price_is_billed_ahead_once_and_the_rest_is_given_back(open_office):
    yearly = an_offering(
        "small", recurring=(a_fee(365 * EUR, code="yearly", period=Period(count=1, unit=PeriodUnit.YEAR)),)
    )
    begun = a_subscription(a_version(at(2026, 9, 11), offering="small"))
    office = open_office(facts(yearly, subscriptions=[begun]))
    office.release_month(10)
    assert office.lines() == [("recurring", "yearly", 365_00)]
    office.release_month(11)
    assert len(office.totals()) == 1

    office.facts = office.facts.with_subscriptions(
        a_subscription(
            a_version(at(2026, 9, 11), at(2026, 11, 20), offering="small"),
            a_version(at(2026, 11, 20), offering="small", status=SubscriptionStatus.TERMINATED),
        )
    )
    office.release_month(12)

    assert office.lines() == [("recurring", "Credit: yearly", -295_00)]  # 70 of 365 days were held


def test_a_price_in_arrears_is_billed_when_its_time_has_passed(open_office):
    behind = an_offering("small", recurring=(a_fee(30 * EUR, code="behind", in_advance=False),))
    office = open_office(facts(behind, subscriptions=[a_subscription(a_version(at(2026, 9, 16), offering="small"))]))

    office.release_month(10)
    assert office.lines() == [("recurring", "behind", 15_00)]

    office.release_month(11)
    assert office.lines() == [("recurring", "behind", 30_00)]


def test_quantity_and_an_agreed_price_change_what_the_days_cost(open_office):
    seats = a_subscription(
        a_version(at(2026, 9, 1), at(2026, 9, 16), offering="small", quantity=2),
        a_version(at(2026, 9, 16), offering="small", quantity=3, price_overrides={"small_fee": 20 * EUR}),
    )
    office = open_office(facts(SMALL, subscriptions=[seats]))

    office.release_month(10)

    assert office.lines() == [("recurring", "small_fee", 60_00), ("recurring", "small_fee", 60_00)]


def test_thirty_day_months_make_every_day_cost_the_same(open_office):
    even = an_offering("small", recurring=(a_fee(30 * EUR, code="even", proration=Proration.THIRTY_DAY),))
    office = open_office(facts(even, subscriptions=[a_subscription(a_version(at(2026, 9, 1), offering="small"))]))
    office.release_month(10)
    office.facts = office.facts.with_subscriptions(ended_on(at(2026, 10, 11)))

    office.release_month(11)

    assert office.lines() == [("recurring", "Credit: even", -20_00)]


def test_without_proration_any_part_costs_the_whole(open_office):
    whole = an_offering("small", recurring=(a_fee(30 * EUR, proration=Proration.NONE),))
    office = open_office(facts(whole, subscriptions=[ended_on(at(2026, 9, 3))]))

    office.release_month(10)

    assert office.lines() == [("recurring", "monthly_fee", 30_00)]
