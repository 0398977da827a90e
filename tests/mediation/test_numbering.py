"""Dialled digits become E.164 by the dial plan of the switch."""

import polars as pl
import pytest

from millicent.kit.errors import BadInput
from millicent.mediation.kernel.numbers import BAD, EMPTY, GOOD
from millicent.mediation.rules.numbering import dial_plan_from, normalised


def number(dialled, **declared):
    numbers, verdict = normalised(pl.Series([dialled]), dial_plan_from(declared))
    return numbers[0], int(verdict[0])


@pytest.mark.parametrize(
    ("region", "dialled", "expected"),
    [
        ("ES", "911234567", "34911234567"),
        ("ES", "0034911234567", "34911234567"),
        ("ES", "34911234567", "34911234567"),
        ("ES", "+34 911-234.567", "34911234567"),
        ("ES", "00442071234567", "442071234567"),
        ("ES", "112", "short:112"),
        ("ES", "*72", "short:*72"),
        ("DE", "015117174963", "4915117174963"),
        ("DE", "4915117174963", "4915117174963"),
        ("DE", "110", "short:110"),
        ("US", "2125551234", "12125551234"),
        ("US", "12125551234", "12125551234"),
        ("US", "011442071234567", "442071234567"),
        ("US", "911", "short:911"),
        ("FR", "0142685300", "33142685300"),
        ("IT", "0669812345", "390669812345"),
        ("ES", "sip:+4915117174963@10.0.0.1;user=phone", "4915117174963"),
        ("ES", "tel:+4915117174963", "4915117174963"),
    ],
)
def test_a_number_is_read_as_its_region_dials(region, dialled, expected):
    assert number(dialled, region=region) == (expected, GOOD)


@pytest.mark.parametrize("dialled", ["alice", "1" * 20, "x" * 50, "+12", "@host"])
def test_what_is_no_number_is_bad_and_writes_nothing(dialled):
    assert number(dialled, region="ES") == ("", BAD)


def test_an_empty_number_is_empty_and_a_name_can_be_declared_short():
    assert number("", region="ES") == ("", EMPTY)
    assert number("alice", region="ES", names_are_short=True) == ("short:alice", GOOD)


def test_declared_digits_for_an_outside_line_are_dropped_and_declared_codes_are_short():
    assert number("9911234567", region="ES", pass_through=["9"]) == ("34911234567", GOOD)
    assert number("9112", region="ES", pass_through=["9"]) == ("short:9112", GOOD)
    assert number("900123456", region="ES", short_codes=["900123456"]) == ("short:900123456", GOOD)


def test_bare_numbers_can_be_declared_international():
    assert number("915551234", country_code="34", bare="international") == ("915551234", GOOD)


@pytest.mark.parametrize(
    "declared", [{"region": "XX"}, {"prefix": "0"}, {"longest_short": "4"}, {"bare": "often"}, {"national_prefix": "+"}]
)
def test_a_plan_that_cannot_be_is_refused_with_a_cure(declared):
    with pytest.raises(BadInput, match=r"Use|Write|Prefixes"):
        dial_plan_from(declared)
