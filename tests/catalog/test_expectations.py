"""The operator's expected prices are compared with what the kernel says."""

import pytest
from tests.catalog.builders import OFFERING, a_catalogue, some_files

from millicent.catalog.expectations import check_expectations
from millicent.catalog.loading import examine_files
from millicent.config.commands.catalog_prices import price_expectations

CALL = "tariff: basic, at: 2026-01-05 12:00, service: voice, to: '+34911', usage: 90 s"
INCLUDED = {"offerings/plan.yaml": OFFERING + "allowances: [{code: x, when: {service: voice}, amount: 1 min}]\n"}


def told(row, changes=None):
    """What check says of one expectation row."""
    catalogue = a_catalogue({**(changes or {}), "expectations/e.yaml": f"- {{expect: A call, {row}}}\n"})
    return [fault.message for fault in check_expectations(catalogue, pricer=price_expectations)]


@pytest.mark.parametrize(
    ("row", "changes"),
    [
        (f"{CALL}, costs: 0.15, rule: home", None),
        (f"{CALL.replace('+34911', '+33911')}, costs: 0.45 EUR", None),
        (f"{CALL.replace('+34911', '+49911')}, refused: no_destination", None),
        (f"{CALL.replace('tariff: basic', 'offering: plan')}, costs: 0.05, included: 60", INCLUDED),
        (f"{CALL}, costs: 0.15, included: 0", INCLUDED),
    ],
)
def test_a_price_that_comes_out_is_silent(row, changes):
    assert told(row, changes) == []


def test_another_price_says_what_was_expected_and_what_came_out():
    assert told(f"{CALL}, costs: 0.16") == [
        "'A call': expected 0.16 EUR, the tariff gives 0.15 EUR "
        "(rule home, zone world/home, 90 units charged, 0 included)"
    ]


def test_another_rule_is_told():
    assert told(f"{CALL}, rule: away") == ["'A call': expected rule 'away', the tariff gives rule 'home'"]


def test_a_call_that_cannot_be_priced_says_why():
    assert told(f"{CALL.replace('+34911', '+49911')}, costs: 0.15") == [
        "'A call': expected reason PRICED, the tariff gives reason NO_DESTINATION"
    ]


def test_other_included_units_are_told():
    row = f"{CALL.replace('tariff: basic', 'offering: plan')}, included: 90"

    assert told(row, INCLUDED) == ["'A call': expected 90 units included, the tariff gives 60 units included"]


def test_an_expectation_points_to_its_row():
    rows = f"- {{expect: A, {CALL}, costs: 0.15}}\n- {{expect: B, {CALL}, costs: 9}}\n"
    catalogue = examine_files(some_files({"expectations/e.yaml": rows})).catalogue
    assert catalogue is not None

    (fault,) = check_expectations(catalogue, pricer=price_expectations)

    assert (fault.file, fault.line, fault.code) == ("expectations/e.yaml", 2, "expectation")
