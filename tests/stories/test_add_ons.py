"""An add-on that brings its own tariff prices what the plan has no price for."""

from dataclasses import replace

from tests.billing.builders import (
    CENT,
    EUR,
    a_call,
    a_fee,
    a_subscription,
    a_tariff,
    a_version,
    an_account,
    an_offering,
    at,
    facts,
    minutes_included,
)

from millicent.billing.services.itemise_bill import itemise_bill
from millicent.catalog.types import Match
from millicent.kit.tenancy import tenant_scope

ABROAD = "33140000000"


def a_tariff_for_france():
    """Twenty cents a minute to France and to nowhere else."""
    home = a_tariff("abroad", nanos_per_minute=20 * CENT)
    (rule,) = home.rules
    return replace(
        home, rules=(replace(rule, code="france", match=Match(services=("voice",), zones=("world/france",))),)
    )


def a_customer(*calls, add_ons=("abroad_pack",), until_ms=None, plan_tariff="voice", **plan):
    held = a_version(at(2026, 9, 1), until_ms, add_ons=add_ons)
    versions = (held,) if until_ms is None else (held, a_version(until_ms))
    return facts(
        an_offering("plan", recurring=(a_fee(10 * EUR),), tariff=plan_tariff, **plan),
        an_offering("abroad_pack", tariff="abroad", usage_tax_category="abroad", usage_ledger_code="abroad"),
        tariffs=(a_tariff(), a_tariff_for_france()),
        zones={"spain": "34", "france": "33"},
        accounts=[an_account()],
        subscriptions=[a_subscription(*versions)],
        calls=calls,
    )


def usage_lines(office):
    return [line for line in office.lines() if line[0] == "usage"]


def test_an_add_on_prices_calls_that_the_plan_has_no_price_for(open_office):
    office = open_office(
        a_customer(
            a_call(at(2026, 9, 10, 12), seconds=60),
            a_call(at(2026, 9, 11, 12), seconds=120, other_party=ABROAD),
        )
    )

    report = office.release_month(10)

    assert usage_lines(office) == [("usage", "Calls, France", 40), ("usage", "Calls, Spain", 6)]
    assert (report.usage_in, report.usage_billed, report.usage_unpriced) == (2, 2, 0)


def test_the_plan_keeps_the_calls_that_it_has_a_price_for(open_office):
    office = open_office(a_customer(a_call(at(2026, 9, 10, 12), seconds=600), add_ons=("abroad_pack",)))

    office.release_month(10)

    assert usage_lines(office) == [("usage", "Calls, Spain", 60)]


def test_an_add_on_prices_only_while_it_is_held(open_office):
    office = open_office(
        a_customer(
            a_call(at(2026, 9, 10, 12), seconds=60, other_party=ABROAD),
            a_call(at(2026, 9, 20, 12), seconds=60, other_party=ABROAD),
            until_ms=at(2026, 9, 15),
        )
    )

    report = office.release_month(10)

    assert usage_lines(office) == [("usage", "Calls, France", 20)]
    assert report.unpriced_by_reason == {"no_destination": 1}


def test_an_add_on_gives_a_plan_without_a_tariff_its_prices(open_office):
    office = open_office(a_customer(a_call(at(2026, 9, 10, 12), seconds=60, other_party=ABROAD), plan_tariff=""))

    office.release_month(10)

    assert usage_lines(office) == [("usage", "Calls, France", 20)]
    assert office.balance("revenue:usage") == -20


def test_included_minutes_serve_the_plans_calls_and_then_those_of_the_add_on(open_office):
    office = open_office(
        a_customer(
            a_call(at(2026, 9, 10, 12), seconds=120, other_party=ABROAD),
            a_call(at(2026, 9, 11, 12), seconds=240),
            allowances=(minutes_included(5),),
        )
    )

    office.release_month(10)

    assert usage_lines(office) == [("usage", "Calls, France", 20), ("usage", "Calls, Spain", 0)]


def test_the_itemised_part_has_the_calls_that_an_add_on_priced(open_office):
    office = open_office(
        a_customer(
            a_call(at(2026, 9, 10, 12), seconds=60),
            a_call(at(2026, 9, 11, 12), seconds=120, other_party=ABROAD),
        )
    )
    office.release_month(10)

    with tenant_scope(office.tenant_id):
        details = itemise_bill("A-2026-000001", facts=office.facts)

    assert [(each.zone, each.quantity_units, each.amount_nanos // CENT) for each in details] == [
        ("world/spain", 60, 6),
        ("world/france", 120, 40),
    ]
