"""Exact rates for an int64 kernel: reduced, proved small enough, or refused before anything is priced."""

from fractions import Fraction
from math import lcm
from typing import NamedTuple

from millicent.kit.errors import BadInput
from millicent.rating.kernel.arrays import AMOUNT_LIMIT

PRODUCT_LIMIT = 2**62
DENOMINATOR_LIMIT = 2**61


class Rate(NamedTuple):
    """`amount` for each `per`, in lowest terms. Quantities up to `limit * per` stay within the range of amounts."""

    amount: int
    per: int
    limit: int


def exact_rate(rate: Fraction, *, where: str) -> Rate:
    """Prove that a rate can be multiplied in int64, or say what to change."""
    amount, per = rate.numerator, rate.denominator
    if abs(amount) > AMOUNT_LIMIT or abs(amount) * per > PRODUCT_LIMIT:
        raise BadInput(
            f"the price {rate} nanos per unit needs numbers too large to be exact",
            where=where,
            cure="Use fewer digits, or a rounder quantity after 'per'.",
        )
    return Rate(amount=amount, per=per, limit=AMOUNT_LIMIT // abs(amount) if amount else AMOUNT_LIMIT)


def exact_amount(nanos: int | None, *, where: str, absent: int = 0) -> int:
    """An amount within the range of amounts; `absent` stands for none."""
    if nanos is None:
        return absent
    if abs(nanos) > AMOUNT_LIMIT:
        raise BadInput(f"{nanos} nanos is too large an amount", where=where, cure="The largest is about 1.15e18.")
    return nanos


def common_denominator(denominators: set[int], *, where: str) -> int:
    """One denominator for all amounts of a tariff, small enough that its parts add up in int64."""
    common = lcm(*denominators) if denominators else 1
    if common > DENOMINATOR_LIMIT:
        raise BadInput(
            "the quantities that prices are given for have no common multiple that is small enough",
            where=where,
            cure="Give the prices of one tariff per quantities such as 1, 60, 1000 or 1048576.",
        )
    return common
