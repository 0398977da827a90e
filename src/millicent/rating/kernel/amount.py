"""Exact amounts in int64: whole nanos, and a number of parts of a nano over a denominator the tariff fixes.

`compile` has proved each rate sound: `amount * per` fits, the denominator is a multiple of every `per`, and
`limit` keeps `units // per * amount` within AMOUNT_LIMIT. The parts are never negative, so a negative amount is
its floor plus parts.
"""

from millicent.kit.rounding import RoundingMode
from millicent.rating.kernel.arrays import AMOUNT_LIMIT
from millicent.rating.kernel.splice import spliced

_UP, _HALF_UP, _HALF_EVEN = int(RoundingMode.UP), int(RoundingMode.HALF_UP), int(RoundingMode.HALF_EVEN)


@spliced
def product(units: int, amount: int, per: int, denominator: int) -> tuple[int, int]:
    """units * amount / per. The caller has compared `units // per` with the rate's limit."""
    if per == 1:
        return units * amount, 0
    high = units // per
    rest = (units - high * per) * amount
    low = rest // per
    rest -= low * per
    if rest != 0:
        rest *= denominator // per
    return high * amount + low, rest


@spliced
def too_many(units: int, per: int, limit: int) -> bool:
    """Whether a product would leave the range of amounts."""
    return (units if per == 1 else units // per) > limit


@spliced
def out_of_range(whole: int) -> bool:
    return whole > AMOUNT_LIMIT or whole < -AMOUNT_LIMIT


@spliced
def rounded(whole: int, parts: int, denominator: int, step: int, mode: int) -> int:
    """Round once to a multiple of `step` nanos; the sign does not change the size of the answer."""
    if parts == 0 and step == 1:
        return whole
    negative = whole < 0
    if negative:
        whole = -whole
        if parts > 0:
            whole -= 1
            parts = denominator - parts
    steps = whole // step
    rest = whole - steps * step
    if rest == 0 and parts == 0:
        away = False
    elif mode == _UP:
        away = True
    elif mode in (_HALF_UP, _HALF_EVEN):
        # twice the rest, in nanos and parts, against one step
        doubled = 2 * rest + (1 if 2 * parts >= denominator else 0)
        tie = doubled == step and (parts == 0 or 2 * parts == denominator)
        away = doubled >= step
        if tie and mode == _HALF_EVEN:
            away = steps % 2 == 1
    else:
        away = False
    if away:
        steps += 1
    return -steps * step if negative else steps * step
