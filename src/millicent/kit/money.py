"""Money as exact integers.

An amount is an int64 count of *nanos*: the smallest step of a currency inside Millicent, 10^-9 of its main unit for
most currencies, and 10^-6 for those whose nominal values are so large that nine digits would overflow.
A float never touches an amount.
"""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from babel.numbers import get_currency_precision

from millicent.kit.errors import BadInput
from millicent.kit.rounding import RoundingMode, divide_rounded

# One unit of these is worth so little that bills run to billions: three digits less keeps them inside int64.
_LARGE_NOMINAL = frozenset({"IDR", "VND", "IRR", "LAK", "GNF", "SLL", "UZS", "PYG", "KHR", "COP", "UGX", "MMK", "LBP"})
DEFAULT_DIGITS = 9
LARGE_NOMINAL_DIGITS = 6
INT64_LARGEST = 2**63 - 1


def nano_digits(currency: str) -> int:
    """How many digits after the point one currency's amounts are counted in."""
    return LARGE_NOMINAL_DIGITS if currency in _LARGE_NOMINAL else DEFAULT_DIGITS


def minor_digits(currency: str) -> int:
    """Digits after the point that people pay in: 2 for EUR, 0 for JPY, 3 for KWD."""
    return int(get_currency_precision(currency))


def nanos_per_unit(currency: str) -> int:
    return int(10 ** nano_digits(currency))


def parse_nanos(text: str | int, currency: str, *, where: str = "") -> int:
    """Read a decimal such as "12.345" exactly. More digits than the currency holds is an error, never a rounding."""
    try:
        amount = Decimal(str(text))
        scaled = amount.scaleb(nano_digits(currency))
    except InvalidOperation:
        raise BadInput(f"{text!r} is not an amount", where=where, cure="Write a decimal such as 0.015.") from None
    if not amount.is_finite() or scaled != scaled.to_integral_value():
        raise BadInput(
            f"{text!r} has more than {nano_digits(currency)} digits after the point, the most {currency} holds",
            where=where,
            cure="Give the price for a larger quantity instead, for example per 1000 units.",
        )
    nanos = int(scaled)
    if abs(nanos) > INT64_LARGEST:
        raise BadInput(
            f"{text!r} {currency} is too large", where=where, cure="The largest amount is about 9.2e18 nanos."
        )
    return nanos


def to_decimal(nanos: int, currency: str) -> Decimal:
    return Decimal(nanos).scaleb(-nano_digits(currency))


def format_plain(nanos: int, currency: str, *, decimals: int | None = None) -> str:
    """Digits only, a point, no grouping: for machines and logs. Never drops a digit that is not zero."""
    value = to_decimal(nanos, currency)
    least = minor_digits(currency) if decimals is None else decimals
    text = format(value, "f")
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0").ljust(least, "0")
    return f"{whole}.{fraction}" if fraction else whole


def round_to_decimals(amount: Fraction, currency: str, *, decimals: int, mode: RoundingMode) -> int:
    """Round an exact number of nanos to `decimals` digits of the main unit; the answer is in nanos."""
    step = int(10 ** (nano_digits(currency) - decimals))
    return divide_rounded(amount.numerator, amount.denominator * step, mode) * step


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """An amount that cannot lose its currency. For edges and screens; kernels use bare int64 columns."""

    nanos: int
    currency: str

    def __add__(self, other: "Money") -> "Money":
        if other.currency != self.currency:
            raise ValueError(f"cannot add {other.currency} to {self.currency}")
        return Money(nanos=self.nanos + other.nanos, currency=self.currency)

    def __neg__(self) -> "Money":
        return Money(nanos=-self.nanos, currency=self.currency)

    def __str__(self) -> str:
        return f"{format_plain(self.nanos, self.currency)} {self.currency}"
