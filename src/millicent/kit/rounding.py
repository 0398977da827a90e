"""Exact rounding of rationals to integers. One rounding at a defined place; these are the only ways to do it."""

from collections.abc import Sequence
from enum import IntEnum, unique


@unique
class RoundingMode(IntEnum):
    """How a value between two neighbours is settled. `UP` and `DOWN` are away from and towards zero."""

    UP = 0
    DOWN = 1
    HALF_UP = 2  # a tie goes away from zero
    HALF_EVEN = 3  # a tie goes to the even neighbour


def divide_rounded(numerator: int, denominator: int, mode: RoundingMode) -> int:
    """Divide exactly, then round once. The sign does not change the size of the answer."""
    if denominator <= 0:
        raise ValueError("the denominator must be positive")
    quotient, rest = divmod(abs(numerator), denominator)
    if rest and _rounds_away(quotient=quotient, rest=rest, denominator=denominator, mode=mode):
        quotient += 1
    return -quotient if numerator < 0 else quotient


def _rounds_away(*, quotient: int, rest: int, denominator: int, mode: RoundingMode) -> bool:
    match mode:
        case RoundingMode.UP:
            return rest > 0
        case RoundingMode.DOWN:
            return False
        case RoundingMode.HALF_UP:
            return 2 * rest >= denominator
        case RoundingMode.HALF_EVEN:
            return 2 * rest > denominator or (2 * rest == denominator and quotient % 2 == 1)


def split_by_largest_remainder(total: int, weights: Sequence[int]) -> list[int]:
    """Split a whole in proportion to `weights`; the parts always add up to the whole.

    Ties go to the earlier part, so the same call gives the same split. Weights must not be negative,
    and one of them at least must be positive.
    """
    weight_sum = sum(weights)
    if weight_sum <= 0 or min(weights) < 0:
        raise ValueError("weights must not be negative and must not all be zero")
    sign = -1 if total < 0 else 1
    shares = [divmod(abs(total) * weight, weight_sum) for weight in weights]
    parts = [share for share, _ in shares]
    missing = abs(total) - sum(parts)
    by_remainder = sorted(range(len(weights)), key=lambda place: (-shares[place][1], place))
    for place in by_remainder[:missing]:
        parts[place] += 1
    return [sign * part for part in parts]
