"""Unlimited with fair use: what lies beyond is charged, or is free and slow; a bill says unlimited all the same."""

from dataclasses import replace

import pytest
from tests.billing.builders import a_call, a_subscription, a_version, an_offering, at, facts, minutes_included

from millicent.billing.services.show_bill import show_bill
from millicent.catalog.types import FairUse
from millicent.kit.tenancy import tenant_scope


def an_endless_plan(*calls, quantity=1, fair_use=FairUse.CHARGE, **allowance):
    """Calls without end, with fair use of ten minutes."""
    endless = replace(minutes_included(0), unlimited=True, fair_use=fair_use, fair_use_units=600, **allowance)
    return facts(
        an_offering("plan", tariff="voice", allowances=(endless,)),
        subscriptions=[a_subscription(a_version(at(2026, 9, 1), quantity=quantity))],
        calls=calls,
    )


def allowances_shown(office, number="A-2026-000001"):
    with tenant_scope(office.tenant_id):
        bill = show_bill(number, catalogue=office.facts.catalogues[0].catalogue)
    return [(use.granted_units, use.used_units) for use in bill.allowances]


@pytest.mark.parametrize(
    ("fair_use", "quantity", "cents", "used"),
    [
        (FairUse.CHARGE, 1, 30, 600),
        (FairUse.CHARGE, 2, 0, 900),
        (FairUse.THROTTLE, 1, 0, 900),
        (FairUse.NONE, 1, 0, 900),
    ],
)
def test_fifteen_minutes_of_an_endless_plan_with_fair_use_of_ten(open_office, fair_use, quantity, cents, used):
    calls = (a_call(at(2026, 9, 10, 12), seconds=480), a_call(at(2026, 9, 11, 12), seconds=420))
    office = open_office(an_endless_plan(*calls, fair_use=fair_use, quantity=quantity))

    report = office.release_month(10)

    assert report.parked == 0
    assert office.lines() == [("usage", "Calls, Spain", cents)]
    assert allowances_shown(office) == [(None, used)]


def test_fair_use_begins_anew_with_each_cycle(open_office):
    calls = (a_call(at(2026, 9, 10, 12), seconds=900), a_call(at(2026, 10, 11, 12), seconds=660))
    office = open_office(an_endless_plan(*calls))

    office.release_month(10)
    office.release_month(11)

    assert [total[2] for total in office.totals()] == [30, 6]


@pytest.mark.parametrize(("fair_use", "cents"), [(FairUse.CHARGE, [30, 12]), (FairUse.THROTTLE, [0, 0])])
def test_what_is_bought_once_goes_on_in_the_next_cycle_beyond_its_fair_use(open_office, fair_use, cents):
    calls = (a_call(at(2026, 9, 10, 12), seconds=900), a_call(at(2026, 10, 11, 12), seconds=120))
    office = open_office(an_endless_plan(*calls, fair_use=fair_use, one_time=True))

    office.release_month(10)
    office.release_month(11)

    assert [total[2] for total in office.totals()] == cents
