"""What changes around a subscription: the bill day, who pays, and prices that turn otherwise than the bills."""

from dataclasses import replace

import pytest
from tests.billing.builders import EUR, a_call, a_fee, a_moment, a_subscription, an_account, an_offering, at, facts

from millicent.billing.rules.comparison import OutlierReason
from millicent.billing.services.rehearse_bill_run import rehearse_bill_run
from millicent.catalog.types import Period, PeriodUnit
from millicent.customers.types import BillCycle
from millicent.kit.tenancy import tenant_scope

WEEKLY = Period(count=1, unit=PeriodUnit.WEEK)


def test_a_new_bill_day_begins_with_a_short_cycle_and_no_day_is_billed_twice(open_office):
    known = facts(an_offering("plan", recurring=(a_fee(30 * EUR, in_advance=False),)))
    office = open_office(known)
    office.release_month(10)

    office.facts = replace(known, accounts=(an_account(cycle=BillCycle(day=16)),))
    office.release(through=a_moment(2026, 10, 16), now=a_moment(2026, 10, 16, 2))
    office.release(through=a_moment(2026, 11, 16), now=a_moment(2026, 11, 16, 2))

    assert cycles(office) == [
        (at(2026, 9, 1), at(2026, 10, 1)),
        (at(2026, 10, 1), at(2026, 10, 16)),
        (at(2026, 10, 16), at(2026, 11, 16)),
    ]
    assert [total[2] for total in office.totals()] == [30_00, 15_00, 30_00]


def test_a_new_bill_day_gives_back_what_was_billed_ahead_of_it(open_office):
    known = facts(an_offering("plan", recurring=(a_fee(30 * EUR),)))
    office = open_office(known)
    office.release_month(10)

    office.facts = replace(known, accounts=(an_account(cycle=BillCycle(day=16)),))
    office.release(through=a_moment(2026, 10, 16), now=a_moment(2026, 10, 16, 2))

    assert office.lines() == [
        ("recurring", "Credit: monthly_fee", -15_00),
        ("recurring", "monthly_fee", 30_00),
    ]


def cycles(office):
    return office._rows("SELECT cycle_from_ms, cycle_until_ms FROM billing_bill ORDER BY sequence", [])


def test_a_new_payer_is_billed_from_the_next_cycle_and_nothing_twice(open_office):
    child = an_account(2, payer_id=2)
    known = facts(
        an_offering("plan", recurring=(a_fee(30 * EUR),)),
        accounts=[an_account(1), child],
        subscriptions=[
            a_subscription(subscription_id=11, account_id=1),
            a_subscription(subscription_id=12, account_id=2),
        ],
    )
    office = open_office(known)
    office.release_month(10)

    office.facts = replace(known, accounts=(an_account(1), replace(child, payer_id=1)))
    office.release_month(11)

    assert [total[2] for total in office.totals()] == [60_00, 60_00, 60_00]
    assert office.lines() == [("recurring", "monthly_fee", 30_00)] * 2


def test_weekly_prices_on_a_monthly_bill_are_charged_week_by_week(open_office):
    office = open_office(
        facts(an_offering("plan", recurring=(a_fee(7 * EUR, code="week", period=WEEKLY, in_advance=False),)))
    )

    office.release_month(10)
    office.release_month(11)

    weeks = [3 * 7_00 + 7_00, 4 * 7_00]
    assert [total[2] for total in office.totals()] == weeks


def a_talkative_customer(*calls):
    return facts(an_offering("plan", recurring=(a_fee(10 * EUR, in_advance=False),), tariff="voice"), calls=calls)


@pytest.mark.parametrize(
    ("minutes", "reason"),
    [(167, OutlierReason.MUCH_HIGHER), (166, None), (0, None)],
)
def test_a_rehearsal_names_bills_at_least_twice_the_last(open_office, minutes, reason):
    office = open_office(a_talkative_customer())
    office.release_month(10)
    if minutes:
        office.facts = a_talkative_customer(a_call(at(2026, 10, 5), seconds=60 * minutes))

    found = rehearsal_of_october(office)

    assert [(each.payer_code, each.reason) for each in found.outliers] == ([("A-1", reason)] if reason else [])
    if reason:
        assert found.outliers[0].moved == (("usage", 10_020_000_000),)
        assert found.outliers[0].previous_nanos == 10 * EUR


def test_a_rehearsal_names_bills_at_most_half_the_last(open_office):
    office = open_office(a_talkative_customer(a_call(at(2026, 9, 5), seconds=60 * 167)))
    office.release_month(10)

    found = rehearsal_of_october(office)

    assert [(each.reason, each.total_nanos, each.previous_nanos) for each in found.outliers] == [
        (OutlierReason.MUCH_LOWER, 10 * EUR, 20_020_000_000)
    ]


def test_a_rehearsal_names_who_had_a_bill_and_has_none_now(open_office):
    office = open_office(a_talkative_customer())
    office.release_month(10)
    office.facts = office.facts.with_subscriptions()

    found = rehearsal_of_october(office)

    assert [each.reason for each in found.outliers] == [
        OutlierReason.NO_BILL,
    ]


def test_first_bills_are_listed_only_when_asked_for(open_office):
    office = open_office(a_talkative_customer())
    asked = {"through": a_moment(2026, 10, 1), "now": a_moment(2026, 10, 1, 2)}

    with tenant_scope(office.tenant_id):
        quiet = rehearse_bill_run(tenant_id=office.tenant_id, facts=office.facts, **asked)
        full = rehearse_bill_run(tenant_id=office.tenant_id, facts=office.facts, first_bills=True, **asked)

    assert quiet.outliers == []
    assert [each.reason for each in full.outliers] == [OutlierReason.FIRST_BILL]


def rehearsal_of_october(office):
    with tenant_scope(office.tenant_id):
        return rehearse_bill_run(
            tenant_id=office.tenant_id,
            facts=office.facts,
            through=a_moment(2026, 11, 1),
            now=a_moment(2026, 11, 1, 2),
        )
