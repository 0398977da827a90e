"""Families, hierarchies, currencies, late records."""

from fractions import Fraction

from tests.billing.builders import (
    EUR,
    a_call,
    a_fee,
    a_subscription,
    a_tariff,
    a_tax,
    a_version,
    an_account,
    an_offering,
    at,
    facts,
    minutes_included,
)

from millicent.billing.services.show_bill import show_bill
from millicent.catalog.types import CounterScope, Rollover
from millicent.kit.tenancy import tenant_scope


def test_a_company_pays_for_its_branches_on_one_bill(open_office):
    office = open_office(
        facts(
            an_offering("plan", recurring=(a_fee(10 * EUR, in_advance=False),)),
            accounts=[an_account(1), an_account(2, payer_id=1, parent_id=1), an_account(3, payer_id=1, parent_id=2)],
            subscriptions=[a_subscription(subscription_id=20 + branch, account_id=branch) for branch in (1, 2, 3)],
            taxes=(a_tax("vat_es", Fraction(21, 100)),),
        )
    )

    report = office.release_month(10)

    assert report.bills == 1
    assert office.totals() == [("A-2026-000001", "EUR", 30_00, 6_30, 36_30)]


def test_two_currencies_are_two_bills(open_office):
    dollars = an_offering("dollars", recurring=(a_fee(7 * EUR, in_advance=False, currency="USD"),))
    euros = an_offering("plan", recurring=(a_fee(10 * EUR, in_advance=False),))
    office = open_office(
        facts(
            euros,
            dollars,
            subscriptions=[
                a_subscription(),
                a_subscription(a_version(at(2026, 9, 1), offering="dollars"), subscription_id=12),
            ],
        )
    )

    office.release_month(10)

    assert office.totals() == [
        ("A-2026-000001", "EUR", 10_00, 0, 10_00),
        ("A-2026-000002", "USD", 7_00, 0, 7_00),
    ]


def test_a_call_that_arrives_late_is_billed_next_time_as_a_correction(open_office):
    office = open_office(facts(an_offering("plan", tariff="voice"), calls=(a_call(at(2026, 9, 10, 12), seconds=600),)))
    office.release_month(10)
    office.facts = office.facts.with_calls(
        a_call(at(2026, 9, 20, 12), seconds=300, received_at_ms=at(2026, 10, 15)), a_call(at(2026, 10, 5), seconds=60)
    )

    report = office.release_month(11)

    assert office.lines() == [("usage", "Calls, Spain", 6), ("adjustment", "Correction: Calls, Spain", 30)]
    assert (report.usage_in, report.usage_billed, report.usage_unpriced) == (2, 2, 0)
    office.release_month(12)
    assert len(office.totals()) == 2


def test_a_late_call_takes_its_place_in_the_included_minutes(open_office):
    """The allowance would have served the late call of the 5th, and not all of the call of the 10th."""
    office = open_office(
        facts(
            an_offering("plan", tariff="voice", allowances=(minutes_included(10),)),
            calls=(a_call(at(2026, 9, 10, 12), seconds=600),),
        )
    )
    office.release_month(10)
    assert office.lines() == [("usage", "Calls, Spain", 0)]
    office.facts = office.facts.with_calls(a_call(at(2026, 9, 5, 12), seconds=300, received_at_ms=at(2026, 10, 15)))

    office.release_month(11)

    assert office.lines() == [("adjustment", "Correction: Calls, Spain", 30)]


def test_a_bundle_brings_its_childrens_prices_and_a_family_shares_its_minutes(open_office):
    child = an_offering("line", tariff="voice", recurring=(a_fee(5 * EUR, code="line_fee", in_advance=False),))
    bundle = an_offering(
        "bundle",
        children=("line",),
        recurring=(a_fee(20 * EUR, code="bundle_fee", in_advance=False),),
        allowances=(minutes_included(10, scope=CounterScope.POOL),),
    )
    members = [
        a_subscription(a_version(at(2026, 9, 1), offering="bundle"), subscription_id=11, pool="family"),
        a_subscription(a_version(at(2026, 9, 1), offering="line"), subscription_id=12, pool="family"),
    ]
    office = open_office(
        facts(
            child,
            bundle,
            subscriptions=members,
            calls=(
                a_call(at(2026, 9, 10, 12), seconds=480, subscription_id=11),
                a_call(at(2026, 9, 11, 12), seconds=480, subscription_id=12),
            ),
        )
    )

    office.release_month(10)

    assert office.lines() == [
        ("recurring", "bundle_fee", 20_00),
        ("recurring", "line_fee", 5_00),
        ("usage", "Calls, Spain", 0),
        ("recurring", "line_fee", 5_00),
        ("usage", "Calls, Spain", 36),
    ]
    with tenant_scope(office.tenant_id):
        bill = show_bill("A-2026-000001", catalogue=office.facts.catalogues[0].catalogue)
    assert [(use.owner, use.granted_units, use.used_units) for use in bill.allowances] == [("family", 600, 600)]


def test_minutes_that_a_branch_shares_say_on_the_companys_bill_which_branch_it_is(open_office):
    plan = an_offering("plan", tariff="voice", allowances=(minutes_included(10, scope=CounterScope.ACCOUNT),))
    office = open_office(
        facts(
            plan,
            accounts=[an_account(1), an_account(2, payer_id=1, parent_id=1)],
            subscriptions=[a_subscription(subscription_id=22, account_id=2)],
            calls=(a_call(at(2026, 9, 10, 12), seconds=60, subscription_id=22),),
        )
    )

    office.release_month(10)

    with tenant_scope(office.tenant_id):
        bill = show_bill("A-2026-000001", catalogue=office.facts.catalogues[0].catalogue)
    assert [(use.owner, use.used_units) for use in bill.allowances] == [(bill.accounts[1].code, 60)]


def test_what_is_left_rolls_over_once_and_is_then_gone(open_office):
    plan = an_offering("plan", tariff="voice", allowances=(minutes_included(10, rollover=Rollover(cycles=1)),))
    office = open_office(
        facts(
            plan,
            tariffs=(a_tariff(),),
            calls=(
                a_call(at(2026, 9, 10, 12), seconds=240),
                a_call(at(2026, 10, 10, 12), seconds=960),
                a_call(at(2026, 11, 10, 12), seconds=660),
            ),
        )
    )

    totals = []
    for month in (10, 11, 12):
        office.release_month(month)
        totals.append(office.lines()[-1][2])

    assert totals == [0, 0, 6]  # 6 + 10 minutes in October, 10 again in November
