"""What changes around a subscription: the bill day, who pays, and prices that turn otherwise than the bills."""

from dataclasses import dataclass, replace
from fractions import Fraction

import pytest
from tests.billing.builders import (
    CENT,
    EUR,
    KnownFacts,
    a_call,
    a_fee,
    a_moment,
    a_subscription,
    a_tariff,
    a_tax,
    an_account,
    an_offering,
    at,
    facts,
)

from millicent.billing.rules.comparison import OutlierReason
from millicent.billing.services.rehearse_bill_run import rehearse_bill_run
from millicent.catalog.types import Period, PeriodUnit
from millicent.customers.types import BillCycle, BillingAccountFacts
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


@dataclass(frozen=True, kw_only=True)
class ChangingFacts(KnownFacts):
    """Accounts whose terms change on 1 October."""

    later: tuple[BillingAccountFacts, ...]

    def payers(self, *, at_ms, known_until_ms):
        return KnownFacts.payers(self._at(at_ms), at_ms=at_ms, known_until_ms=known_until_ms)

    def groups(self, payer_ids, *, at_ms, known_until_ms):
        return KnownFacts.groups(self._at(at_ms), payer_ids, at_ms=at_ms, known_until_ms=known_until_ms)

    def terms(self, account_ids, *, at_ms, known_until_ms):
        return KnownFacts.terms(self._at(at_ms), account_ids, at_ms=at_ms, known_until_ms=known_until_ms)

    def _at(self, at_ms):
        return replace(self, accounts=self.later) if at_ms >= at(2026, 10, 1) else self


def changing(known, *later):
    return ChangingFacts(
        catalogues=known.catalogues,
        accounts=known.accounts,
        subscriptions=known.subscriptions,
        calls=known.calls,
        later=later,
    )


def test_a_late_call_has_the_price_of_the_segment_of_its_cycle(open_office):
    """Ten cents a minute, thirty for businesses; the customer becomes a business on 1 October."""
    (rule,) = a_tariff(nanos_per_minute=10 * CENT).rules
    (dear,) = a_tariff(nanos_per_minute=30 * CENT).rules
    dear = replace(dear, code="business", match=replace(dear.match, segments=("business",)))
    calls = (a_call(at(2026, 9, 10, 12), seconds=60),)
    tariff = replace(a_tariff(), rules=(dear, rule))
    known = facts(an_offering("plan", tariff="voice"), tariffs=(tariff,), calls=calls)
    office = open_office(changing(known, an_account(segment="business")))
    office.release_month(10)
    assert office.lines() == [("usage", "Calls, Spain", 10)]

    office.facts = office.facts.with_calls(
        a_call(at(2026, 9, 20, 12), seconds=60, received_at_ms=at(2026, 10, 15)), a_call(at(2026, 10, 5), seconds=60)
    )
    office.release_month(11)

    assert office.lines() == [("usage", "Calls, Spain", 30), ("adjustment", "Correction: Calls, Spain", 10)]


def test_a_late_call_is_taxed_where_the_customer_lived_in_its_cycle(open_office):
    """The customer moves to the Canaries, where there is no VAT, on 1 October."""
    vat = a_tax("vat", Fraction(21, 100), jurisdiction="ES", except_jurisdictions=("ES-CN",))
    known = facts(
        an_offering("plan", tariff="voice"),
        taxes=(vat,),
        calls=(a_call(at(2026, 9, 10, 12), seconds=6000),),
    )
    office = open_office(changing(known, an_account(jurisdiction="ES-CN")))
    office.release_month(10)
    assert office.taxes() == [("vat", 6_00, 1_26, "")]

    office.facts = office.facts.with_calls(
        a_call(at(2026, 9, 20, 12), seconds=3000, received_at_ms=at(2026, 10, 15)), a_call(at(2026, 10, 5), seconds=60)
    )
    office.release_month(11)

    assert office.taxes() == [("vat", 3_00, 63, "")]
    assert office.totals()[-1][2:] == (3_06, 63, 3_69)


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
