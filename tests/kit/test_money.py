"""Money is exact: one rounding, no digit dropped, parts that add up."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from millicent.kit.errors import BadInput
from millicent.kit.money import INT64_LARGEST, Money, format_plain, parse_nanos, round_to_decimals, to_decimal
from millicent.kit.rounding import RoundingMode, divide_rounded, split_by_largest_remainder

AMOUNTS = st.integers(-(10**18), 10**18)


def judge(value: Fraction, mode: RoundingMode) -> int:
    """Rounding by comparing distances, and nothing else."""
    below, above = value.__floor__(), value.__ceil__()
    towards, away = (below, above) if value >= 0 else (above, below)
    nearer = min((below, above), key=lambda each: abs(value - each))
    tie = abs(value - below) == abs(value - above) and below != above
    return {
        RoundingMode.UP: away,
        RoundingMode.DOWN: towards,
        RoundingMode.HALF_UP: away if tie else nearer,
        RoundingMode.HALF_EVEN: (below if below % 2 == 0 else above) if tie else nearer,
    }[mode]


@given(AMOUNTS, st.integers(1, 10**6), st.sampled_from(RoundingMode))
def test_every_mode_rounds_as_an_independent_judge_does(numerator, denominator, mode):
    assert divide_rounded(numerator, denominator, mode) == judge(Fraction(numerator, denominator), mode)


@pytest.mark.parametrize(
    ("numerator", "up", "down", "half_up", "half_even"),
    [(5, 3, 2, 3, 2), (-5, -3, -2, -3, -2), (7, 4, 3, 4, 4), (-7, -4, -3, -4, -4), (4, 2, 2, 2, 2), (0, 0, 0, 0, 0)],
)
def test_halves_of_either_sign(numerator, up, down, half_up, half_even):
    assert [divide_rounded(numerator, 2, mode) for mode in RoundingMode] == [up, down, half_up, half_even]


@given(AMOUNTS, st.lists(st.integers(0, 10**9), min_size=1, max_size=20))
def test_parts_of_a_split_add_up_and_are_within_one_of_their_share(total, weights):
    assume(sum(weights) > 0)

    parts = split_by_largest_remainder(total, weights)

    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - Fraction(total * weight, sum(weights))) < 1


def test_ties_of_a_split_go_to_the_earlier_part():
    assert split_by_largest_remainder(100, [1, 1, 1]) == [34, 33, 33]
    assert split_by_largest_remainder(-100, [1, 1, 1]) == [-34, -33, -33]
    assert split_by_largest_remainder(1, [0, 5, 5]) == [0, 1, 0]


def test_an_amount_is_read_exactly_or_refused():
    assert parse_nanos("12.345", "EUR") == 12_345_000_000
    assert parse_nanos("-0.000000001", "EUR") == -1
    assert parse_nanos("1500000.25", "IDR") == 1_500_000_250_000
    for text in ("0.0000000001", "ten", "NaN", "Infinity", "", "1e30", "1,5"):
        with pytest.raises(BadInput):
            parse_nanos(text, "EUR", where="deck.csv:7")
    assert parse_nanos("9223372036.854775807", "EUR") == INT64_LARGEST


@given(st.integers(-INT64_LARGEST, INT64_LARGEST), st.sampled_from(["EUR", "JPY", "KWD", "IDR"]))
def test_what_is_printed_reads_back_to_the_same_amount(nanos, currency):
    assert parse_nanos(format_plain(nanos, currency), currency) == nanos
    assert Decimal(format_plain(nanos, currency)) == to_decimal(nanos, currency)


def test_amounts_are_printed_with_the_digits_people_pay_in_and_no_digit_is_dropped():
    assert format_plain(1_500_000_000, "EUR") == "1.50"
    assert format_plain(1_000_000_001, "EUR") == "1.000000001"
    assert format_plain(5_000_000_000, "JPY") == "5"
    assert format_plain(5_000_000_000, "KWD") == "5.000"


def test_rounding_to_decimals_is_of_the_main_unit():
    third = Fraction(10_000_000_000, 3)  # 3.333... EUR

    assert round_to_decimals(third, "EUR", decimals=2, mode=RoundingMode.HALF_UP) == 3_330_000_000
    assert round_to_decimals(third, "EUR", decimals=4, mode=RoundingMode.UP) == 3_333_400_000


def test_currencies_are_never_mixed():
    assert str(Money(nanos=1, currency="EUR") + Money(nanos=2, currency="EUR")) == "0.000000003 EUR"
    with pytest.raises(ValueError, match="cannot add USD to EUR"):
        Money(nanos=1, currency="EUR") + Money(nanos=2, currency="USD")
