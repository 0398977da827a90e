"""Prices change with a second catalogue release: from its date on, and never for what was billed before."""

from dataclasses import replace

import pytest
from tests.billing.builders import CENT, EUR, a_call, a_catalogue, a_fee, a_tariff, an_offering, at, facts

from millicent.billing.types import ReleasedCatalogue


def prices(fee_nanos, *, per_minute, in_advance=False):
    return a_catalogue(
        an_offering("plan", recurring=(a_fee(fee_nanos, in_advance=in_advance),), tariff="voice"),
        tariffs=(a_tariff(nanos_per_minute=per_minute),),
    )


def a_customer(*calls, second_from_ms):
    known = facts(an_offering("plan", tariff="voice"), calls=calls)
    return replace(
        known,
        catalogues=(
            ReleasedCatalogue(number=1, effective_from_ms=0, catalogue=prices(30 * EUR, per_minute=6 * CENT)),
            ReleasedCatalogue(
                number=2, effective_from_ms=second_from_ms, catalogue=prices(60 * EUR, per_minute=10 * CENT)
            ),
        ),
    )


def test_each_call_has_the_price_of_the_release_in_force_when_it_began(open_office):
    calls = (a_call(at(2026, 9, 15) - 1, seconds=60), a_call(at(2026, 9, 15), seconds=60))
    office = open_office(a_customer(*calls, second_from_ms=at(2026, 9, 15)))

    office.release_month(10)

    assert office.lines() == [("recurring", "monthly_fee", 30_00), ("usage", "Calls, Spain", 16)]


def test_a_fee_keeps_the_price_that_was_in_force_when_its_period_began(open_office):
    office = open_office(a_customer(second_from_ms=at(2026, 9, 15)))
    office.release_month(10)

    office.release_month(11)

    assert [total[2] for total in office.totals()] == [30_00, 60_00]


def test_a_release_dated_back_corrects_what_was_billed_at_the_old_price(open_office):
    known = a_customer(a_call(at(2026, 9, 20), seconds=60), second_from_ms=at(2026, 9, 15))
    office = open_office(replace(known, catalogues=known.catalogues[:1]))
    office.release_month(10)
    assert office.lines() == [("recurring", "monthly_fee", 30_00), ("usage", "Calls, Spain", 6)]

    office.facts = known
    office.release_month(11)

    assert office.lines() == [
        ("recurring", "monthly_fee", 60_00),
        ("adjustment", "Correction: Calls, Spain", 4),
    ]


@pytest.mark.parametrize("second_from_ms", [at(2026, 10, 1), at(2026, 11, 1)])
def test_a_release_for_later_changes_no_bill_before(open_office, second_from_ms):
    office = open_office(a_customer(a_call(at(2026, 9, 20), seconds=60), second_from_ms=second_from_ms))

    office.release_month(10)

    assert office.lines() == [("recurring", "monthly_fee", 30_00), ("usage", "Calls, Spain", 6)]
