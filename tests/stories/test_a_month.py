"""A customer's months: the fee ahead, the calls behind, tax on both."""

from dataclasses import replace
from fractions import Fraction

from tests.billing.builders import (
    CENT,
    EUR,
    MADRID,
    a_call,
    a_fee,
    a_moment,
    a_subscription,
    a_tariff,
    a_tax,
    a_version,
    an_offering,
    at,
    facts,
    minutes_included,
)

from millicent.billing.services.rehearse_bill_run import rehearse_bill_run
from millicent.billing.services.show_bill import show_bill
from millicent.catalog.types import Allowance, AllowanceKind, DayType, Match, TariffCalendar, TimeBand
from millicent.kit.tenancy import tenant_scope


def a_plain_customer(*calls):
    return facts(
        an_offering("plan", recurring=(a_fee(30 * EUR),), tariff="voice"),
        taxes=(a_tax("vat_es", Fraction(21, 100)),),
        calls=calls,
    )


def test_the_first_bill_has_the_month_that_passed_and_the_month_ahead(open_office):
    office = open_office(a_plain_customer(a_call(at(2026, 9, 10, 12), seconds=600)))

    report = office.release_month(10)

    assert office.lines() == [
        ("recurring", "monthly_fee", 30_00),
        ("recurring", "monthly_fee", 30_00),
        ("usage", "Calls, Spain", 60),
    ]
    assert office.totals() == [("A-2026-000001", "EUR", 60_60, 12_73, 73_33)]
    assert (report.usage_in, report.usage_billed, report.usage_unpriced) == (1, 1, 0)


def test_a_bill_is_owed_and_earned_and_taxed_in_the_ledger(open_office):
    office = open_office(a_plain_customer(a_call(at(2026, 9, 10, 12), seconds=600)))

    office.release_month(10)

    assert office.balance("asset:receivable") == 73_33
    assert office.balance("liability:deferred:recurring") == -60_00
    assert office.balance("revenue:usage") == -60
    assert office.balance("liability:tax:vat_es") == -12_73


def test_the_next_bill_has_only_the_month_ahead(open_office):
    office = open_office(a_plain_customer())
    office.release_month(10)

    office.release_month(11)

    assert office.lines() == [("recurring", "monthly_fee", 30_00)]
    assert [number for number, *_ in office.totals()] == ["A-2026-000001", "A-2026-000002"]


def test_releasing_the_same_month_twice_changes_nothing(open_office):
    office = open_office(a_plain_customer(a_call(at(2026, 9, 10, 12), seconds=600)))
    office.release_month(10)
    issued = office.everything()

    report = office.release_month(10)

    assert report is None
    assert office.everything() == issued


def test_a_rehearsal_says_what_the_release_will_issue_and_leaves_no_trace(open_office):
    office = open_office(a_plain_customer(a_call(at(2026, 9, 10, 12), seconds=600)))
    with tenant_scope(office.tenant_id):
        rehearsal = rehearse_bill_run(
            tenant_id=office.tenant_id,
            facts=office.facts,
            through=a_moment(2026, 10, 1),
            now=a_moment(2026, 10, 1, 2),
            keep_bills=True,
        )
    assert office.everything() == []

    office.release_month(10)

    (rehearsed,) = rehearsal.kept_bills
    with tenant_scope(office.tenant_id):
        issued = show_bill("A-2026-000001", catalogue=office.facts.catalogues[0].catalogue)
    assert rehearsed.digest == issued.digest
    assert rehearsed.lines == issued.lines
    assert rehearsed.total_nanos == issued.total_nanos == 7333 * EUR // 100


def test_a_call_that_no_price_is_for_is_counted_and_named_and_never_lost(open_office):
    abroad = a_call(at(2026, 9, 11, 12), seconds=60, other_party="33100000000")
    office = open_office(a_plain_customer(a_call(at(2026, 9, 10, 12), seconds=60), abroad))

    report = office.release_month(10)

    assert (report.usage_in, report.usage_billed, report.usage_unpriced) == (2, 1, 1)
    assert report.unpriced_by_reason == {"no_destination": 1}


def test_included_minutes_serve_the_first_calls_of_each_cycle(open_office):
    office = open_office(
        facts(
            an_offering("plan", recurring=(a_fee(10 * EUR),), tariff="voice", allowances=(minutes_included(10),)),
            calls=(
                a_call(at(2026, 9, 10, 12), seconds=480),
                a_call(at(2026, 9, 11, 12), seconds=480),
                a_call(at(2026, 10, 5, 12), seconds=600),
            ),
        )
    )

    office.release_month(10)

    assert office.lines()[-1] == ("usage", "Calls, Spain", 36)
    office.release_month(11)
    assert office.lines()[-1] == ("usage", "Calls, Spain", 0)


def test_included_money_pays_for_calls_until_it_is_used_up(open_office):
    money = Allowance(
        code="bonus",
        names={"en": "Bonus"},
        match=Match(services=("voice",)),
        kind=AllowanceKind.MONEY,
        amount=EUR,
    )
    office = open_office(
        facts(
            an_offering("plan", recurring=(a_fee(10 * EUR, in_advance=False),), tariff="voice", allowances=(money,)),
            calls=(a_call(at(2026, 9, 10, 12), seconds=600), a_call(at(2026, 9, 11, 12), seconds=600)),
        )
    )

    office.release_month(10)

    assert office.lines() == [("recurring", "monthly_fee", 10_00), ("usage", "Calls, Spain", 20)]
    with tenant_scope(office.tenant_id):
        bill = show_bill("A-2026-000001", catalogue=office.facts.catalogues[0].catalogue)
    (bonus,) = bill.allowances
    assert (bonus.unit, bonus.granted_units, bonus.used_units) == ("EUR", EUR, EUR)


def test_calls_to_one_zone_at_two_prices_are_two_lines_that_say_which(open_office):
    """Ten cents in the peak hours of 8 to 20, four cents in the rest of the day, on one bill in three languages."""
    every_day = frozenset(DayType)
    bands = (
        TimeBand(code="peak", days=every_day, start_second=8 * 3600, end_second=20 * 3600),
        TimeBand(code="off_peak", days=every_day, start_second=0, end_second=8 * 3600),
        TimeBand(code="off_peak", days=every_day, start_second=20 * 3600, end_second=86_400),
    )
    rules = [
        replace(rule, code=band, match=replace(rule.match, bands=(band,)))
        for band, cents in (("peak", 10), ("off_peak", 4))
        for rule in a_tariff(nanos_per_minute=cents * CENT).rules
    ]
    known = facts(
        an_offering("plan", tariff="voice"),
        tariffs=(replace(a_tariff(), rules=tuple(rules)),),
        calls=(a_call(at(2026, 9, 10, 12), seconds=60), a_call(at(2026, 9, 10, 22), seconds=60)),
    )
    (released,) = known.catalogues
    calendar = TariffCalendar(code="plain", zone=MADRID, bands=bands)
    catalogue = replace(released.catalogue, calendars={"plain": calendar})
    office = open_office(replace(known, catalogues=(replace(released, catalogue=catalogue),)))

    office.release_month(10)

    assert office.lines() == [("usage", "Calls, Spain (off-peak)", 4), ("usage", "Calls, Spain (peak)", 10)]
    with tenant_scope(office.tenant_id):
        bill = show_bill("A-2026-000001", catalogue=catalogue)
    assert [line.texts["es"] for line in bill.lines] == [
        "Llamadas, España (hora valle)",
        "Llamadas, España (hora punta)",
    ]


def test_calls_at_the_prices_of_two_plans_say_which(open_office):
    """The plan changes on 16 September, from six cents a minute to ten."""
    known = facts(
        an_offering("plan", tariff="voice"),
        an_offering("large", tariff="large"),
        tariffs=(a_tariff(), a_tariff("large", nanos_per_minute=10 * CENT)),
        subscriptions=[
            a_subscription(a_version(at(2026, 9, 1), at(2026, 9, 16)), a_version(at(2026, 9, 16), offering="large"))
        ],
        calls=(a_call(at(2026, 9, 10, 12), seconds=60), a_call(at(2026, 9, 20, 12), seconds=60)),
    )
    office = open_office(known)

    office.release_month(10)

    assert office.lines() == [("usage", "Calls, Spain (large)", 10), ("usage", "Calls, Spain (voice)", 6)]
