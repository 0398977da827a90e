"""Who leaves a plan and comes back within one cycle goes on with the allowance that the cycle granted."""

from tests.billing.builders import (
    a_call,
    a_subscription,
    a_tariff,
    a_version,
    an_offering,
    at,
    facts,
    minutes_included,
)

from millicent.billing.services.show_bill import show_bill
from millicent.catalog.types import CounterScope
from millicent.kit.tenancy import tenant_scope

MORNING, AWAY, BACK = at(2026, 9, 5, 12), at(2026, 9, 15, 12), at(2026, 9, 25, 12)


def who_comes_back(*calls, minutes=10, **allowance):
    """Away from 11 to 20 September, on a plan that has no minutes; six cents for each minute not included."""
    return facts(
        an_offering("plan", tariff="voice", allowances=(minutes_included(minutes, **allowance),)),
        an_offering("other", tariff="voice"),
        tariffs=(a_tariff(),),
        subscriptions=[
            a_subscription(
                a_version(at(2026, 9, 1), at(2026, 9, 11)),
                a_version(at(2026, 9, 11), at(2026, 9, 21), offering="other"),
                a_version(at(2026, 9, 21)),
            )
        ],
        calls=calls,
    )


def billed_cents(office):
    office.release_month(10)
    with tenant_scope(office.tenant_id):
        bill = show_bill("A-2026-000001", catalogue=office.facts.catalogues[0].catalogue)
    return [line[2] for line in office.lines()], [(use.granted_units, use.used_units) for use in bill.allowances]


def test_the_second_stay_goes_on_with_what_the_first_one_left(open_office):
    """Of ten minutes the first stay uses four, the second eight: two are charged."""
    office = open_office(who_comes_back(a_call(MORNING, seconds=240), a_call(BACK, seconds=480)))

    assert billed_cents(office) == ([12], [(600, 600)])


def test_what_is_left_serves_nobody_while_the_plan_is_not_held(open_office):
    """Four minutes included, five away are charged, six included when back."""
    calls = (a_call(MORNING, seconds=240), a_call(AWAY, seconds=300), a_call(BACK, seconds=360))
    office = open_office(who_comes_back(*calls))

    assert billed_cents(office) == ([30], [(600, 600)])


def test_where_it_is_prorated_the_cycle_grants_the_share_of_the_days_of_both_stays(open_office):
    """Twenty of thirty days: of thirty minutes, twenty. Twelve and twelve are used: four are charged."""
    calls = (a_call(MORNING, seconds=720), a_call(BACK, seconds=720))
    office = open_office(who_comes_back(*calls, minutes=30, prorate_first_cycle=True))

    assert billed_cents(office) == ([24], [(1_200, 1_200)])


def test_a_plans_one_time_minutes_are_granted_once_in_a_cycle(open_office):
    office = open_office(who_comes_back(a_call(MORNING, seconds=600), a_call(BACK, seconds=60), one_time=True))

    assert billed_cents(office) == ([6], [(600, 600)])


def test_minutes_that_a_pool_shares_go_on_too(open_office):
    """Eleven minutes in two calls, of which ten are included."""
    calls = (a_call(MORNING, seconds=480), a_call(BACK, seconds=180))
    office = open_office(who_comes_back(*calls, scope=CounterScope.POOL))

    assert billed_cents(office) == ([6], [(600, 600)])
