"""The loop over charges: base price, surcharges, allowances' own prices, one rounding, money buckets.

A charge that ends with a reason changes no bucket and no counter.
"""

from millicent.kit.kernels import Int64s
from millicent.rating.kernel.amount import out_of_range, product, rounded, too_many
from millicent.rating.kernel.arrays import (
    ALLOWANCE_BLOCKER,
    ALLOWANCE_FACTOR_TAKEN,
    ALLOWANCE_FACTOR_USED,
    ALLOWANCE_FAIR_FLOOR,
    ALLOWANCE_FAIR_USE,
    ALLOWANCE_PRICE_AMOUNT,
    ALLOWANCE_PRICE_INCREMENT,
    ALLOWANCE_PRICE_LIMIT,
    ALLOWANCE_PRICE_PER,
    AMOUNT_LIMIT,
    BLOCK,
    DRAW_BUCKET,
    DRAW_CHARGE,
    DRAW_NANOS,
    DRAW_TAKEN,
    DRAW_UNITS,
    FAIR_THROTTLE,
    NODE_DECK_COUNT,
    NODE_PARENT,
    NODE_PLACE,
    NODE_ZONE_SET,
    NOTHING,
    PICK_ROOT,
    PICK_SURCHARGE_COUNT,
    PICK_SURCHARGE_FIRST,
    PICK_TARIFF,
    SURCHARGE_PLACES,
    SURCHARGE_SCHEDULE,
    TARIFF_CALENDAR,
    TARIFF_DENOMINATOR,
    TARIFF_HAS_ZONES,
    TARIFF_PREFIX_SET,
    TARIFF_ROUNDING,
    TARIFF_STEP_NANOS,
    Answers,
    Calendars,
    Charges,
    Prefixes,
    Prices,
    Scratch,
    Selection,
    State,
)
from millicent.rating.kernel.bucket import available, find_candidates, open_windows, taken_for
from millicent.rating.kernel.counter import settle_counters
from millicent.rating.kernel.prefix import node_of
from millicent.rating.kernel.span import price_spans
from millicent.rating.kernel.splice import spliced, uncounted
from millicent.rating.kernel.trace import STEP_DRAW, STEP_MONEY, STEP_PART, STEP_REASON, STEP_ROUND, record
from millicent.rating.types import Reason

_PRICED, _NO_RULE, _NO_DESTINATION = int(Reason.PRICED), int(Reason.NO_RULE), int(Reason.NO_DESTINATION)
_QUANTITY_NEGATIVE, _AMOUNT_OVERFLOW = int(Reason.QUANTITY_NEGATIVE), int(Reason.AMOUNT_OVERFLOW)
_BUCKET_BLOCKED = int(Reason.BUCKET_BLOCKED)


@spliced
def reaches_a_zone(prefixes: Prefixes, prices: Prices, tariff: int, node: int) -> bool:
    """Whether any prefix of the number stands in a zone or a deck of the tariff."""
    while node >= 0:
        zone_set = prefixes.node[node, NODE_ZONE_SET]
        if prefixes.node[node, NODE_DECK_COUNT] > 0:
            return True
        if zone_set >= 0 and prices.tariff_zone_set[tariff, zone_set]:
            return True
        node = prefixes.node[node, NODE_PARENT]
    return False


@spliced
def own_price(prices: Prices, state: State, candidate: int, units: int, denominator: int) -> tuple[bool, int, int]:
    """What an allowance itself asks for the units it serves, in whole increments of its price."""
    allowance = state.allowance[state.candidate_bucket[candidate]]
    amount = prices.allowance[allowance, ALLOWANCE_PRICE_AMOUNT]
    if amount == 0 or units == 0:
        return True, 0, 0
    increment = prices.allowance[allowance, ALLOWANCE_PRICE_INCREMENT]
    units = (units + increment - 1) // increment * increment
    per = prices.allowance[allowance, ALLOWANCE_PRICE_PER]
    if too_many(units, per, prices.allowance[allowance, ALLOWANCE_PRICE_LIMIT]):
        return False, 0, 0
    whole, parts = product(units, amount, per, denominator)
    return True, whole, parts


@spliced
def take(row: int, candidate: int, taken: int, state: State) -> tuple[int, int]:
    """Take from a bucket what is certain. Returns what it held before and after."""
    bucket = state.candidate_bucket[candidate]
    before = state.remaining[bucket]
    state.remaining[bucket] = before - taken
    state.candidate_taken[candidate] += taken
    return before, before - taken


@spliced
def note_draw(answers: Answers, row: int, bucket: int, units: int, taken: int, nanos: int) -> None:
    place = answers.draw_count[0]
    answers.draw[place, DRAW_CHARGE] = row
    answers.draw[place, DRAW_BUCKET] = bucket
    answers.draw[place, DRAW_UNITS] = units
    answers.draw[place, DRAW_TAKEN] = taken
    answers.draw[place, DRAW_NANOS] = nanos
    answers.draw_count[0] = place + 1


@spliced
def settle_units(
    row: int,
    active: int,
    tariff: int,
    prices: Prices,
    state: State,
    scratch: Scratch,
    answers: Answers,
    trace: Int64s | None,
) -> None:
    """The price is certain: take the units that allowances served, and flag what went beyond fair use."""
    denominator = prices.tariff[tariff, TARIFF_DENOMINATOR]
    for place in range(active):
        units = scratch.served[place]
        if units == 0:
            continue
        candidate = scratch.active[place]
        bucket = state.candidate_bucket[candidate]
        allowance = state.allowance[bucket]
        taken = taken_for(
            units,
            prices.allowance[allowance, ALLOWANCE_FACTOR_TAKEN],
            prices.allowance[allowance, ALLOWANCE_FACTOR_USED],
        )
        before, after = take(row, candidate, taken, state)
        if (
            prices.allowance[allowance, ALLOWANCE_FAIR_USE] == FAIR_THROTTLE
            and after < prices.allowance[allowance, ALLOWANCE_FAIR_FLOOR]
        ):
            answers.throttled[row] = 1
        _, whole, parts = own_price(prices, state, candidate, units, denominator)
        nanos = rounded(
            whole, parts, denominator, prices.tariff[tariff, TARIFF_STEP_NANOS], prices.tariff[tariff, TARIFF_ROUNDING]
        )
        note_draw(answers, row, bucket, units, taken, nanos)
        if trace is not None:
            record(trace, STEP_DRAW, bucket, units, taken, before, after, whole, parts, 0)


@spliced
def draw_money(
    row: int, first: int, last: int, amount_nanos: int, prices: Prices, state: State, scratch: Scratch
) -> tuple[int, bool]:
    """Note what the money buckets give for an amount, in their order. Returns what is left to charge, and whether a
    blocker that is used up stopped it."""
    left = amount_nanos
    for place in range(first, last):
        if left == 0:
            break
        if not scratch.opened[place]:
            continue
        candidate = scratch.active[place]
        gives = min(left, available(prices, state, candidate))
        scratch.served[place] = gives
        left -= gives
        allowance = state.allowance[state.candidate_bucket[candidate]]
        if left > 0 and prices.allowance[allowance, ALLOWANCE_BLOCKER]:
            return left, True
    return left, False


@spliced
def settle_money(
    row: int, first: int, last: int, state: State, scratch: Scratch, answers: Answers, trace: Int64s | None
) -> None:
    for place in range(first, last):
        nanos = scratch.served[place]
        if nanos == 0:
            continue
        candidate = scratch.active[place]
        before, after = take(row, candidate, nanos, state)
        note_draw(answers, row, state.candidate_bucket[candidate], 0, nanos, 0)
        if trace is not None:
            record(trace, STEP_MONEY, state.candidate_bucket[candidate], before, after, nanos, 0, 0, 0, 0)


@spliced
def price_charge(
    charges: Charges,
    row: int,
    node: int,
    prefixes: Prefixes,
    calendars: Calendars,
    prices: Prices,
    selection: Selection,
    state: State,
    scratch: Scratch,
    answers: Answers,
    trace: Int64s | None,
) -> int:
    """Price one charge, settle its buckets and counters, write its answer. Returns its reason."""
    quantity = charges.quantity[row]
    if quantity < 0:
        return _QUANTITY_NEGATIVE
    if quantity > AMOUNT_LIMIT:
        return _AMOUNT_OVERFLOW
    pick = charges.pick[row]
    tariff = selection.pick[pick, PICK_TARIFF]
    denominator = prices.tariff[tariff, TARIFF_DENOMINATOR]
    place = prefixes.node[node, NODE_PLACE] if node >= 0 else 0
    active = find_candidates(charges, row, place, selection, prices, state, 0, 0, scratch) if quantity > 0 else 0
    scratch.pending_counter[0] = 0
    whole = 0
    parts = 0
    charged = 0
    served = 0
    surcharges = selection.pick[pick, PICK_SURCHARGE_COUNT]
    for part in range(1 + surcharges):  # part 0 is the base price, the others are surcharges
        root = selection.pick[pick, PICK_ROOT]
        if part > 0:
            surcharge = selection.pick[pick, PICK_SURCHARGE_FIRST] + part - 1
            if not prices.place_surcharge[place, selection.surcharge[surcharge, SURCHARGE_PLACES]]:
                continue
            root = selection.surcharge[surcharge, SURCHARGE_SCHEDULE]
        if trace is not None:
            record(trace, STEP_PART, part, quantity, 0, 0, 0, 0, 0, 0)
        reason, more, more_parts, units, by_buckets, unserved, case, zone_set = price_spans(
            charges, row, prefixes, calendars, prices, selection, state, scratch,
            pick, tariff, root, node if part == 0 else NOTHING, active if part == 0 else 0, part > 0, trace,
        )  # fmt: skip
        if part == 0:
            charged = units
            served = by_buckets
            answers.case[row] = case
            answers.zone_set[row] = zone_set
            answers.unserved_units[row] = unserved
            asked = charges.number_digits[row] != 0 and prices.tariff[tariff, TARIFF_HAS_ZONES]
            if reason == _NO_RULE and case < 0 and asked and not reaches_a_zone(prefixes, prices, tariff, node):
                return _NO_DESTINATION
        if reason != _PRICED:
            return reason
        whole += more
        parts += more_parts
        if parts >= denominator:
            parts -= denominator
            whole += 1
        if out_of_range(whole):
            return _AMOUNT_OVERFLOW
    for candidate in range(active):
        units = scratch.served[candidate]
        sound, more, more_parts = own_price(prices, state, scratch.active[candidate], units, denominator)
        whole += more
        parts += more_parts
        if parts >= denominator:
            parts -= denominator
            whole += 1
        if not sound or out_of_range(whole):
            return _AMOUNT_OVERFLOW
    step = prices.tariff[tariff, TARIFF_STEP_NANOS]
    mode = prices.tariff[tariff, TARIFF_ROUNDING]
    amount_nanos = rounded(whole, parts, denominator, step, mode)
    if trace is not None:
        record(trace, STEP_ROUND, whole, parts, denominator, step, mode, amount_nanos, 0, 0)
    last = active
    if amount_nanos > 0:
        last = find_candidates(charges, row, place, selection, prices, state, 1, active, scratch)
    if last > active:
        open_windows(
            active, last, state, prices, selection, calendars, prices.tariff[tariff, TARIFF_CALENDAR],
            charges.instant_ms[row], charges.instant_ms[row], scratch,
        )  # fmt: skip
        amount_nanos, stopped = draw_money(row, active, last, amount_nanos, prices, state, scratch)
        if stopped:
            return _BUCKET_BLOCKED
        settle_money(row, active, last, state, scratch, answers, trace)
    if active > 0:
        settle_units(row, active, tariff, prices, state, scratch, answers, trace)
    settle_counters(state, scratch)
    answers.amount_nanos[row] = amount_nanos
    answers.charged_units[row] = charged
    answers.bucket_units[row] = served
    return _PRICED


@uncounted
def price_charges(
    order: Int64s,  # [n] rows in the order in which they draw on buckets and counters
    first: int,
    charges: Charges,
    prefixes: Prefixes,
    calendars: Calendars,
    prices: Prices,
    selection: Selection,
    state: State,
    scratch: Scratch,
    answers: Answers,
    trace: Int64s | None,
) -> int:
    """Price the charges from place `first` of the order on. Stops early when the draws might not fit any more.

    Returns the place it came to: the caller makes room and goes on from there.
    """
    room = answers.draw.shape[0] - scratch.active.shape[0]
    for begin in range(first, order.shape[0], BLOCK):
        end = min(begin + BLOCK, order.shape[0])
        for place in range(begin, end):  # short and without writes: the processor looks up several at once
            row = order[place]
            pick = charges.pick[row]
            if pick >= 0:
                prefix_set = prices.tariff[selection.pick[pick, PICK_TARIFF], TARIFF_PREFIX_SET]
                scratch.node[place - begin] = node_of(
                    prefixes, prefix_set, charges.number_key[row], charges.number_digits[row]
                )
        for place in range(begin, end):
            if answers.draw_count[0] > room:
                return place
            row = order[place]
            if charges.pick[row] < 0:
                continue
            node = scratch.node[place - begin]
            reason = price_charge(
                charges, row, node, prefixes, calendars, prices, selection, state, scratch, answers, trace
            )
            answers.reason[row] = reason
            if trace is not None:
                record(trace, STEP_REASON, reason, 0, 0, 0, 0, 0, 0, 0)
    return order.shape[0]
