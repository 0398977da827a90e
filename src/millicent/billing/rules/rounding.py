"""The bill line's rounding: to what people pay in, half away from zero; and splits that add up to the whole."""

from collections.abc import Sequence
from functools import lru_cache

from millicent.kit.money import minor_digits, nano_digits
from millicent.kit.rounding import RoundingMode, divide_rounded


@lru_cache(maxsize=256)
def minor_step(currency: str) -> int:
    """Nanos in the smallest amount that people pay in: 10,000,000 for a euro cent."""
    return int(10 ** (nano_digits(currency) - minor_digits(currency)))


def to_minor_units(numerator: int, denominator: int, currency: str, mode: RoundingMode = RoundingMode.HALF_UP) -> int:
    """Round an exact ratio of nanos to whole minor units; the answer is in nanos."""
    step = minor_step(currency)
    return divide_rounded(numerator, denominator * step, mode) * step


def spread(total_nanos: int, *, over: Sequence[int], step: int = 1) -> list[int]:
    """Split a whole in proportion to amounts of either sign, in steps of `step` nanos, by largest remainder.

    The parts always add up to the whole; ties go to the earlier part. Amounts that add up to nothing give no
    proportion: the first then takes all.
    """
    whole = sum(over)
    if not whole:
        return [total_nanos, *([0] * (len(over) - 1))] if over else []
    sign = 1 if whole > 0 else -1
    shares = [divmod(total_nanos // step * each * sign, whole * sign) for each in over]
    parts = [share for share, _ in shares]
    missing = total_nanos // step - sum(parts)
    for place in sorted(range(len(over)), key=lambda place: (-shares[place][1], place))[:missing]:
        parts[place] += 1
    return [part * step for part in parts]
