"""Accumulated tiers: what a total costs, in closed form, and what a usage adds to it."""

from millicent.rating.kernel.amount import out_of_range, product, too_many
from millicent.rating.kernel.arrays import (
    CARD_PACKAGE_UNITS,
    CARD_STEP_COUNT,
    CARD_STEP_FIRST,
    STEP_AMOUNT,
    STEP_FLOOR,
    STEP_LIMIT,
    STEP_ORIGIN,
    STEP_PER,
    STEP_START_AMOUNT,
    STEP_START_NANOS,
    STEP_START_PER,
    Prices,
)
from millicent.rating.kernel.splice import spliced


@spliced
def total_cost(prices: Prices, card: int, total: int, denominator: int) -> tuple[bool, int, int]:
    """What `total` units of a cycle cost on a card's ladder: whether it is in range, nanos, parts."""
    if total <= 0:
        return True, 0, 0
    package = prices.card[card, CARD_PACKAGE_UNITS]
    if package > 0:
        total = (total + package - 1) // package
    step = prices.card[card, CARD_STEP_FIRST]
    last = step + prices.card[card, CARD_STEP_COUNT] - 1
    while step < last and prices.step[step + 1, STEP_FLOOR] < total:
        step += 1
    units = total - prices.step[step, STEP_ORIGIN]
    per = prices.step[step, STEP_PER]
    if too_many(units, per, prices.step[step, STEP_LIMIT]):
        return False, 0, 0
    whole, parts = product(units, prices.step[step, STEP_AMOUNT], per, denominator)
    parts += prices.step[step, STEP_START_AMOUNT] * (denominator // prices.step[step, STEP_START_PER])
    whole += prices.step[step, STEP_START_NANOS]
    if parts >= denominator:
        parts -= denominator
        whole += 1
    return not out_of_range(whole), whole, parts


@spliced
def added_cost(prices: Prices, card: int, before: int, units: int, denominator: int) -> tuple[bool, int, int]:
    """What `units` more cost after `before`: f(before + units) - f(before). May be negative where a price falls."""
    sound_after, whole, parts = total_cost(prices, card, before + units, denominator)
    sound_before, whole_before, parts_before = total_cost(prices, card, before, denominator)
    whole -= whole_before
    parts -= parts_before
    if parts < 0:
        parts += denominator
        whole -= 1
    return sound_after and sound_before, whole, parts
