"""A customer's months: the fee ahead, the calls behind, tax on both."""

from fractions import Fraction

from tests.billing.builders import CENT, EUR, a_call, a_fee, a_tax, an_offering, at, facts


def test_the_first_bill_has_the_month_that_passed_and_the_month_ahead(open_office):
    office = open_office(
        facts(
            an_offering("plan", recurring=(a_fee(30 * EUR),), tariff="voice"),
            taxes=(a_tax("vat_es", Fraction(21, 100)),),
            calls=(a_call(at(2026, 9, 10, 12), seconds=600),),
        )
    )

    report = office.release_month(10)

    assert office.lines() == [
        ("recurring", "monthly_fee", 30_00),
        ("recurring", "monthly_fee", 30_00),
        ("usage", "Calls, Spain", 60),
    ]
    assert office.totals() == [("A-2026-000001", "EUR", 60_60, 12_73, 73_33)]
    assert (report.usage_in, report.usage_billed, report.usage_unpriced) == (1, 1, 0)
    assert office.balance("asset:receivable") == 73_33
    assert office.balance("liability:tax:vat_es") == -12_73
    assert 6 * CENT == 60_000_000
