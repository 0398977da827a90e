"""One usage under its rules: span by span, in closed form for each.

A span ends where another rule comes into force, where a slot or an allowance's window begins or ends, or with the
usage. Its length is rounded up to whole increments; the excess is taken out of what follows.
"""

from millicent.kit.kernels import Int64s
from millicent.rating.kernel.amount import out_of_range, product, too_many
from millicent.rating.kernel.arrays import (
    AMOUNT_LIMIT,
    CARD_CONNECT_AMOUNT,
    CARD_CONNECT_PER,
    CARD_COUNTER,
    CARD_MAXIMUM_LIMITS,
    CARD_MAXIMUM_NANOS,
    CARD_MINIMUM_NANOS,
    CARD_MINIMUM_UNITS,
    CARD_PLAIN,
    CARD_SHARE_AMOUNT,
    CARD_SHARE_LIMIT,
    CARD_SHARE_PER,
    CARD_SLOT_COUNT,
    CARD_SLOT_FIRST,
    CARD_STEP_COUNT,
    CARD_UNANSWERED_NANOS,
    CASE_BLOCKED,
    CASE_CARD,
    LARGEST,
    NOTHING,
    SLOT_AMOUNT,
    SLOT_INCREMENT,
    SLOT_LIMIT,
    SLOT_PER,
    SLOT_START,
    SMALLEST,
    TARIFF_BAND_BY_START,
    TARIFF_CALENDAR,
    TARIFF_DENOMINATOR,
    Calendars,
    Charges,
    Prefixes,
    Prices,
    Scratch,
    Selection,
    State,
)
from millicent.rating.kernel.bucket import open_windows, serve_span
from millicent.rating.kernel.counter import count_pending, counted, counter_place
from millicent.rating.kernel.ladder import added_cost
from millicent.rating.kernel.rule import case_at
from millicent.rating.kernel.splice import spliced
from millicent.rating.kernel.trace import (
    STEP_CASE,
    STEP_CONNECT,
    STEP_LADDER,
    STEP_LIMIT,
    STEP_MAXIMUM,
    STEP_MINIMUM,
    STEP_MINIMUM_UNITS,
    STEP_SHARE,
    STEP_SPAN,
    STEP_UNANSWERED,
    record,
)
from millicent.rating.types import Reason

LONGEST_SECONDS = 2**42  # beyond it an instant leaves int64 milliseconds
_PRICED, _NO_RULE, _BLOCKED = int(Reason.PRICED), int(Reason.NO_RULE), int(Reason.BLOCKED)
_BUCKET_BLOCKED, _LIMIT_REACHED = int(Reason.BUCKET_BLOCKED), int(Reason.LIMIT_REACHED)
_AMOUNT_OVERFLOW = int(Reason.AMOUNT_OVERFLOW)


@spliced
def seconds_until(start_ms: int, instant_ms: int) -> int:
    """Which second of the usage is the first to begin at or after an instant."""
    return (instant_ms - start_ms + 999) // 1000


@spliced
def slot_at(prices: Prices, card: int, offset: int) -> tuple[int, int]:
    """The slot that holds the unit at an offset, and where the next one begins."""
    slot = prices.card[card, CARD_SLOT_FIRST]
    last = slot + prices.card[card, CARD_SLOT_COUNT] - 1
    while slot < last and prices.slot[slot + 1, SLOT_START] <= offset:
        slot += 1
    return slot, prices.slot[slot + 1, SLOT_START] if slot < last else LARGEST


@spliced
def span_cost(prices: Prices, card: int, slot: int, before: int, units: int, denominator: int) -> tuple[bool, int, int]:
    """What units beyond the allowances cost: by the slot, or by the ladder after `before` units of the cycle."""
    if prices.card[card, CARD_STEP_COUNT] > 0:
        return added_cost(prices, card, before, units, denominator)
    per = prices.slot[slot, SLOT_PER]
    if too_many(units, per, prices.slot[slot, SLOT_LIMIT]):
        return False, 0, 0
    whole, parts = product(units, prices.slot[slot, SLOT_AMOUNT], per, denominator)
    return True, whole, parts


@spliced
def affordable(
    prices: Prices,
    maximum: int,
    card: int,
    slot: int,
    before: int,
    units: int,
    whole: int,
    parts: int,
    denominator: int,
) -> int:
    """The most units, in whole increments, that keep a charge of which some is already known within a maximum."""
    increment = prices.slot[slot, SLOT_INCREMENT]
    low = 0
    high = (units + increment - 1) // increment
    while low < high:
        middle = (low + high + 1) >> 1
        sound, cost, cost_parts = span_cost(prices, card, slot, before, min(units, middle * increment), denominator)
        total = whole + cost
        total_parts = parts + cost_parts
        if total_parts >= denominator:
            total_parts -= denominator
            total += 1
        if sound and (total < maximum or (total == maximum and total_parts == 0)):
            low = middle
        else:
            high = middle - 1
    return min(units, low * increment)


@spliced
def price_spans(
    charges: Charges,
    row: int,
    prefixes: Prefixes,
    calendars: Calendars,
    prices: Prices,
    selection: Selection,
    state: State,
    scratch: Scratch,
    pick: int,
    tariff: int,
    root: int,
    node: int,
    active: int,
    optional: bool,
    trace: Int64s | None,
) -> tuple[int, int, int, int, int, int, int, int]:
    """Price one usage under one set of rules: the base price, or one surcharge (`optional`).

    Returns reason, nanos, parts of a nano, units charged, units the allowances served, units not served, the case
    in force at the first second and the zone set where it was found.
    """
    denominator = prices.tariff[tariff, TARIFF_DENOMINATOR]
    calendar = prices.tariff[tariff, TARIFF_CALENDAR]
    hint = scratch.calendar_hint
    start_ms = charges.instant_ms[row]
    quantity = charges.quantity[row]
    case, until_ms, zone_set = case_at(
        prefixes, selection, calendars, calendar, pick, root, node, start_ms, start_ms, hint
    )
    first_case = case
    first_set = zone_set
    if case < 0 and not optional:
        return _NO_RULE, 0, 0, 0, 0, 0, NOTHING, NOTHING
    if case >= 0 and selection.case[case, CASE_BLOCKED]:
        return _BLOCKED, 0, 0, 0, 0, 0, case, zone_set
    first_card = selection.case[case, CASE_CARD] if case >= 0 else NOTHING
    whole = 0
    parts = 0
    if quantity == 0:
        if first_card >= 0 and not charges.answered[row]:
            whole = prices.card[first_card, CARD_UNANSWERED_NANOS]
            if trace is not None:
                record(trace, STEP_UNANSWERED, whole, 0, 0, 0, 0, 0, 0, 0)
        return _PRICED, whole, 0, 0, 0, 0, first_case, first_set
    limits = False
    plain = True
    if first_card >= 0:
        plain = prices.card[first_card, CARD_PLAIN] != 0
        whole, parts = product(
            1, prices.card[first_card, CARD_CONNECT_AMOUNT], prices.card[first_card, CARD_CONNECT_PER], denominator
        )
        if trace is not None and (whole != 0 or parts != 0):
            record(trace, STEP_CONNECT, first_card, whole, parts, 0, 0, 0, 0, 0)
    if not plain:
        lowest_units = prices.card[first_card, CARD_MINIMUM_UNITS]
        if quantity < lowest_units:
            if trace is not None:
                record(trace, STEP_MINIMUM_UNITS, quantity, lowest_units, 0, 0, 0, 0, 0, 0)
            quantity = lowest_units
        limits = prices.card[first_card, CARD_MAXIMUM_LIMITS] != 0
    by_start = charges.whole_by_start[row] or prices.tariff[tariff, TARIFF_BAND_BY_START]
    if not by_start and quantity > LONGEST_SECONDS:
        return _AMOUNT_OVERFLOW, 0, 0, 0, 0, 0, first_case, first_set
    end_ms = start_ms if by_start else start_ms + quantity * 1000
    charged = 0
    served = 0
    unserved = 0
    offset = 0
    while offset < quantity:
        instant_ms = start_ms if by_start else start_ms + offset * 1000
        if offset > 0 and not by_start:
            case, until_ms, zone_set = case_at(
                prefixes, selection, calendars, calendar, pick, root, node, start_ms, instant_ms, hint
            )
            if case < 0 and not optional:
                return _NO_RULE, 0, 0, 0, 0, 0, first_case, first_set
            if case >= 0 and selection.case[case, CASE_BLOCKED]:
                return _BLOCKED, 0, 0, 0, 0, 0, first_case, first_set
        end = quantity
        while until_ms < end_ms:  # never when the start decides
            change = seconds_until(start_ms, until_ms)
            later, until_ms, _ = case_at(
                prefixes, selection, calendars, calendar, pick, root, node, start_ms, start_ms + change * 1000, hint
            )
            if later != case:
                end = change
                break
        if case < 0:  # a surcharge out of its bands
            offset = end
            continue
        if active > 0 and (offset == 0 or not by_start):
            window_ms = open_windows(
                0, active, state, prices, selection, calendars, calendar, instant_ms, end_ms, scratch
            )
            if window_ms < end_ms:
                end = min(end, seconds_until(start_ms, window_ms))
        card = selection.case[case, CASE_CARD]
        if trace is not None:
            record(trace, STEP_CASE, case, offset, end, zone_set, 0, 0, 0, 0)
        slot, next_slot = slot_at(prices, card, offset)
        end = min(end, next_slot)
        increment = prices.slot[slot, SLOT_INCREMENT]
        billed = end - offset
        if increment > 1:
            billed = (billed + increment - 1) // increment * increment
        by_buckets = 0
        if active > 0:
            by_buckets, stopped = serve_span(billed, increment, active, prices, state, scratch)
            if stopped:
                return _BUCKET_BLOCKED, 0, 0, 0, 0, 0, first_case, first_set
        rest = billed - by_buckets
        wanted = rest
        cost = 0
        cost_parts = 0
        if rest > 0:
            before = 0
            counter = NOTHING
            laddered = prices.card[card, CARD_STEP_COUNT] > 0
            if laddered:
                counter = counter_place(charges, row, prices.card[card, CARD_COUNTER], state)
                before = counted(counter, state, scratch)
                if before > AMOUNT_LIMIT or before < 0:
                    return _AMOUNT_OVERFLOW, 0, 0, 0, 0, 0, first_case, first_set
            if limits:
                maximum = prices.card[first_card, CARD_MAXIMUM_NANOS]
                rest = affordable(prices, maximum, card, slot, before, rest, whole, parts, denominator)
            sound, cost, cost_parts = span_cost(prices, card, slot, before, rest, denominator)
            if laddered:
                sound = sound and count_pending(counter, rest, scratch)
                if trace is not None:
                    record(trace, STEP_LADDER, prices.card[card, CARD_COUNTER], before, before + rest, 0, 0, 0, 0, 0)
            whole += cost
            parts += cost_parts
            if parts >= denominator:
                parts -= denominator
                whole += 1
            if not sound or out_of_range(whole):
                return _AMOUNT_OVERFLOW, 0, 0, 0, 0, 0, first_case, first_set
        charged += rest
        served += by_buckets
        if trace is not None:
            record(trace, STEP_SPAN, slot, offset, end, billed, by_buckets, rest, cost, cost_parts)
        if rest < wanted:
            unserved = max(0, quantity - offset - by_buckets - rest)
            if trace is not None:
                record(trace, STEP_LIMIT, charged + served, unserved, 0, 0, 0, 0, 0, 0)
            break
        offset += billed
    if unserved > 0 and charged == 0 and served == 0:
        return _LIMIT_REACHED, 0, 0, 0, 0, unserved, first_case, first_set
    if not plain and charged > 0:
        if prices.card[first_card, CARD_SHARE_AMOUNT] != 0:
            content = charges.content_nanos[row]
            per = prices.card[first_card, CARD_SHARE_PER]
            if content < -AMOUNT_LIMIT or too_many(abs(content), per, prices.card[first_card, CARD_SHARE_LIMIT]):
                return _AMOUNT_OVERFLOW, 0, 0, 0, 0, 0, first_case, first_set
            cost, cost_parts = product(content, prices.card[first_card, CARD_SHARE_AMOUNT], per, denominator)
            if trace is not None:
                record(trace, STEP_SHARE, first_card, content, cost, cost_parts, 0, 0, 0, 0)
            whole += cost
            parts += cost_parts
            if parts >= denominator:
                parts -= denominator
                whole += 1
        lowest = prices.card[first_card, CARD_MINIMUM_NANOS]
        if lowest != SMALLEST and whole < lowest:
            if trace is not None:
                record(trace, STEP_MINIMUM, whole, parts, lowest, 0, 0, 0, 0, 0)
            whole = lowest
            parts = 0
        highest = prices.card[first_card, CARD_MAXIMUM_NANOS]
        if highest != LARGEST and (whole > highest or (whole == highest and parts > 0)):
            if trace is not None:
                record(trace, STEP_MAXIMUM, whole, parts, highest, 0, 0, 0, 0, 0)
            whole = highest
            parts = 0
    if out_of_range(whole):
        return _AMOUNT_OVERFLOW, 0, 0, 0, 0, 0, first_case, first_set
    return _PRICED, whole, parts, charged, served, unserved, first_case, first_set
