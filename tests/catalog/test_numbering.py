"""Numbering plans as prefixes, held against the library's own example numbers."""

import phonenumbers
import pytest
from phonenumbers import PhoneNumberType

from millicent.catalog.numbering import calling_codes, prefixes_of
from millicent.catalog.numbering.patterns import compact, prefixes_of_pattern
from millicent.kit.errors import BadInput

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)


def e164(region, number_type):
    example = phonenumbers.example_number_for_type(region, number_type)
    return phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)[1:] if example else None


@pytest.mark.parametrize("number_type", ["mobile", "fixed_line"])
def test_the_example_number_of_each_country_falls_under_its_prefixes(number_type):
    kind = {"mobile": PhoneNumberType.MOBILE, "fixed_line": PhoneNumberType.FIXED_LINE}[number_type]
    missed, too_many = [], []
    for region in REGIONS:
        number = e164(region, kind)
        if number is None:
            continue
        try:
            prefixes = prefixes_of(region, (number_type,))
        except BadInput:
            too_many.append(region)
            continue
        if not number.startswith(tuple(prefixes)):
            missed.append((region, number))

    assert missed == []
    assert set(too_many) <= {"US", "CA", "PR", "GU", "MP", "VI", "IN"}  # cannot be told apart, or too many to list


def test_spanish_mobiles_begin_with_6_and_some_with_7():
    prefixes = prefixes_of("ES", ("mobile",))

    assert {"346", "3471", "3472", "3473", "3474"} <= set(prefixes)
    assert not any("34910000000".startswith(prefix) for prefix in prefixes)


def test_canada_and_the_united_states_share_no_area_code():
    united_states, canada = set(prefixes_of("US", ())), set(prefixes_of("CA", ()))

    assert {"1212", "1800"} <= united_states
    assert {"1416", "1604"} <= canada
    assert not united_states & canada
    assert all(len(prefix) <= 4 for prefix in united_states | canada)


def test_the_main_country_of_a_shared_code_has_the_code_and_the_others_more_digits():
    assert prefixes_of("GB", ()) == ["44"]
    assert prefixes_of("RU", ()) == ["7"]
    assert "77" in prefixes_of("KZ", ())
    assert all(prefix.startswith("44") and len(prefix) > 2 for prefix in prefixes_of("JE", ()))


def test_a_country_that_does_not_exist_is_refused():
    with pytest.raises(BadInput):
        prefixes_of("ZZ", ())


def test_calling_codes_are_of_countries_only():
    codes = calling_codes()

    assert {1, 34, 7} <= set(codes)
    assert not {800, 870, 881, 882, 883, 979} & set(codes)


@pytest.mark.parametrize(
    ("pattern", "prefixes"),
    [
        (r"6\d{8}", {"6"}),
        (r"(?:6\d|7[1-3])\d{7}", {"6", "71", "72", "73"}),
        (r"9(?:0[0-9]|1)\d{5}", {"90", "91"}),
        (r"80\d{3,6}", {"80"}),
        (r"5(?:01|2)?\d", {"5"}),
        (r"112|0\d{2}", {"112", "0"}),
    ],
)
def test_a_pattern_becomes_the_fewest_prefixes(pattern, prefixes):
    assert prefixes_of_pattern(pattern) == prefixes


def test_ten_sisters_become_their_mother():
    assert compact([f"34{digit}" for digit in range(10)]) == {"34"}
    assert compact(["34", "346", "35"]) == {"34", "35"}


def test_a_pattern_of_an_unknown_kind_is_refused():
    with pytest.raises(BadInput):
        prefixes_of_pattern(r"6\d+")
