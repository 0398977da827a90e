"""Cycles of any day and length turn at local midnight, without drift."""

import pytest
from tests.billing.builders import (
    EUR,
    MADRID,
    a_fee,
    a_moment,
    a_subscription,
    a_version,
    an_account,
    an_offering,
    at,
    facts,
)

from millicent.billing.rules.cycles import CycleSpan, cycle_containing
from millicent.catalog.types import Period, PeriodUnit
from millicent.customers.types import BillCycle


def span(*parts, cycle, zone=MADRID):
    return cycle_containing(cycle=cycle, zone=zone, instant_ms=at(*parts, zone=zone))


def test_the_31st_is_the_last_day_of_short_months_and_comes_back():
    on_the_31st = BillCycle(day=31)
    days = [(2026, 1, 31), (2026, 2, 28), (2026, 3, 31), (2026, 4, 30), (2026, 5, 31)]

    spans = [span(*day, cycle=on_the_31st) for day in days]

    assert [each.from_ms for each in spans] == [at(*day) for day in days]
    assert [each.until_ms for each in spans[:-1]] == [each.from_ms for each in spans[1:]]


@pytest.mark.parametrize(
    ("unit", "count", "begins", "ends"),
    [
        (PeriodUnit.DAY, 1, (2026, 10, 14), (2026, 10, 15)),
        (PeriodUnit.WEEK, 2, (2026, 10, 5), (2026, 10, 19)),
        (PeriodUnit.MONTH, 2, (2026, 9, 5), (2026, 11, 5)),
        (PeriodUnit.QUARTER, 1, (2026, 10, 5), (2027, 1, 5)),
        (PeriodUnit.YEAR, 1, (2026, 1, 5), (2027, 1, 5)),
    ],
)
def test_a_cycle_may_have_any_length(unit, count, begins, ends):
    anchor = at(2026, 1, 5) if unit in (PeriodUnit.MONTH, PeriodUnit.QUARTER, PeriodUnit.YEAR) else at(2026, 10, 5)
    cycle = BillCycle(day=5, period=Period(count=count, unit=unit), anchor_ms=anchor)

    assert span(2026, 10, 14, 12, cycle=cycle) == CycleSpan(from_ms=at(*begins), until_ms=at(*ends))


def test_the_month_of_the_clock_change_has_an_hour_more_and_costs_the_same(open_office):
    october = span(2026, 10, 10, cycle=BillCycle(day=1))
    assert october.until_ms - october.from_ms == (31 * 24 + 1) * 3_600_000

    half = a_subscription(a_version(at(2026, 10, 16, 12)))
    office = open_office(
        facts(
            an_offering("plan", recurring=(a_fee(31 * EUR),)),
            accounts=[an_account(opened_at_ms=at(2026, 10, 1))],
            subscriptions=[half],
        )
    )
    office.release_month(11)

    assert office.lines() == [("recurring", "monthly_fee", 16_00), ("recurring", "monthly_fee", 31_00)]


def test_a_customer_of_the_31st_is_billed_for_each_month_once(open_office):
    office = open_office(
        facts(
            an_offering("plan", recurring=(a_fee(30 * EUR),)),
            accounts=[an_account(cycle=BillCycle(day=31), opened_at_ms=at(2026, 1, 31))],
            subscriptions=[a_subscription(a_version(at(2026, 1, 31)))],
        )
    )
    for day in ((2026, 2, 28), (2026, 3, 31), (2026, 4, 30), (2026, 5, 31)):
        office.release(through=a_moment(*day))

    assert [total for *_, total in office.totals()] == [60_00, 30_00, 30_00, 30_00]
