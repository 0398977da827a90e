"""Allowances: which may serve a usage, how much of a span each serves, and what is taken in the end.

Nothing is taken while a usage is being priced: units are noted in `Scratch.served`, and `take` settles them when the
price is certain. So usage that ends with a reason leaves no trace.
"""

from millicent.rating.kernel.arrays import (
    ALLOWANCE_BLOCKER,
    ALLOWANCE_FACTOR_TAKEN,
    ALLOWANCE_FACTOR_USED,
    ALLOWANCE_FAIR_FLOOR,
    ALLOWANCE_FAIR_USE,
    ALLOWANCE_MEMBER_CAP,
    ALLOWANCE_MONEY,
    ALLOWANCE_UNLIMITED,
    ALLOWANCE_WHOLE_INCREMENTS,
    ALWAYS,
    AMOUNT_LIMIT,
    FAIR_CHARGE,
    NEVER,
    NOTHING,
    Calendars,
    Charges,
    Prices,
    Scratch,
    Selection,
    State,
)
from millicent.rating.kernel.calendar import scheduled_case
from millicent.rating.kernel.splice import spliced


@spliced
def find_candidates(
    charges: Charges,
    row: int,
    place: int,
    selection: Selection,
    prices: Prices,
    state: State,
    money: int,
    known: int,
    scratch: Scratch,
) -> int:
    """Note the owner's buckets that are valid when the usage begins and meant for it, after the `known` ones.

    Returns how many there are then.
    """
    owner = charges.owner[row]
    found = known
    if owner < 0:
        return found
    instant_ms = charges.instant_ms[row]
    for candidate in range(state.candidate_first[owner], state.candidate_first[owner + 1]):
        bucket = state.candidate_bucket[candidate]
        allowance = state.allowance[bucket]
        if (
            allowance >= 0
            and prices.allowance[allowance, ALLOWANCE_MONEY] == money
            and state.valid_from_ms[bucket] <= instant_ms < state.valid_until_ms[bucket]
            and selection.class_allowance[charges.usage_class[row], allowance]
            and prices.place_allowance[place, allowance]
        ):
            scratch.active[found] = candidate
            scratch.served[found] = 0
            scratch.opened[found] = 1
            found += 1
    return found


@spliced
def open_windows(
    first: int,
    active: int,
    state: State,
    prices: Prices,
    selection: Selection,
    calendars: Calendars,
    calendar: int,
    instant_ms: int,
    end_ms: int,
    scratch: Scratch,
) -> int:
    """Note which candidates are inside their window at an instant. Returns when the first of them changes."""
    until_ms = NEVER
    for place in range(first, active):
        allowance = state.allowance[state.candidate_bucket[scratch.active[place]]]
        window = prices.window[calendar, allowance]
        if window == ALWAYS:
            continue
        inside = NOTHING
        certain = instant_ms
        while True:
            later, next_certain = scheduled_case(selection, window, calendars, calendar, certain, scratch.calendar_hint)
            if certain == instant_ms:
                inside = later
            elif (later >= 0) != (inside >= 0):
                break
            certain = next_certain
            if certain >= end_ms:
                break
        scratch.opened[place] = 1 if inside >= 0 else 0
        until_ms = min(until_ms, certain)
    return until_ms


@spliced
def units_for(taken: int, factor_taken: int, factor_used: int) -> int:
    """The most units of usage that `taken` from a bucket can serve: floor(taken * used / taken-per)."""
    if factor_taken == factor_used:
        return taken
    high = taken // factor_taken
    if high > AMOUNT_LIMIT // factor_used:
        return AMOUNT_LIMIT
    return high * factor_used + (taken - high * factor_taken) * factor_used // factor_taken


@spliced
def taken_for(units: int, factor_taken: int, factor_used: int) -> int:
    """What a bucket gives for units of usage, rounded up once for each usage; NOTHING when out of range."""
    if factor_taken == factor_used:
        return units
    high = units // factor_used
    if high > AMOUNT_LIMIT // factor_taken:
        return NOTHING
    rest = (units - high * factor_used) * factor_taken
    return high * factor_taken + (rest + factor_used - 1) // factor_used


@spliced
def available(prices: Prices, state: State, candidate: int) -> int:
    """What a candidate may still give, in its own units."""
    bucket = state.candidate_bucket[candidate]
    allowance = state.allowance[bucket]
    left = state.remaining[bucket]
    fair_use = prices.allowance[allowance, ALLOWANCE_FAIR_USE]
    if fair_use == FAIR_CHARGE:
        left -= prices.allowance[allowance, ALLOWANCE_FAIR_FLOOR]
    elif prices.allowance[allowance, ALLOWANCE_UNLIMITED]:
        left = AMOUNT_LIMIT
    cap = prices.allowance[allowance, ALLOWANCE_MEMBER_CAP]
    if cap >= 0:
        left = min(left, cap - state.candidate_taken[candidate])
    return max(0, min(left, AMOUNT_LIMIT))


@spliced
def serve_span(
    billed: int, increment: int, active: int, prices: Prices, state: State, scratch: Scratch
) -> tuple[int, bool]:
    """Let the candidates serve the first part of a billed length, in their order.

    Returns the units served and whether a blocker that is used up stopped it.
    """
    rest = billed
    for place in range(active):
        if rest == 0:
            break
        if not scratch.opened[place]:
            continue
        candidate = scratch.active[place]
        allowance = state.allowance[state.candidate_bucket[candidate]]
        capacity = units_for(
            available(prices, state, candidate),
            prices.allowance[allowance, ALLOWANCE_FACTOR_TAKEN],
            prices.allowance[allowance, ALLOWANCE_FACTOR_USED],
        )
        serves = min(rest, capacity - scratch.served[place])
        if prices.allowance[allowance, ALLOWANCE_WHOLE_INCREMENTS]:
            serves -= serves % increment
        scratch.served[place] += serves
        rest -= serves
        if rest > 0 and prices.allowance[allowance, ALLOWANCE_BLOCKER]:
            return billed - rest, True
    return billed - rest, False
