"""Which rule prices an instant: longest prefix, then priority, then the band that began last."""

from millicent.kit.kernels import Int64s
from millicent.rating.kernel.arrays import (
    ENTRY_CASE,
    ENTRY_FROM_MS,
    ENTRY_UNTIL_MS,
    NEVER,
    NODE_DECK_COUNT,
    NODE_DECK_FIRST,
    NODE_PARENT,
    NODE_ZONE_SET,
    NOTHING,
    PICK_DECKS,
    PICK_HAS_BELOW,
    Calendars,
    Prefixes,
    Selection,
)
from millicent.rating.kernel.calendar import scheduled_case
from millicent.rating.kernel.splice import spliced


@spliced
def deck_case(prefixes: Prefixes, node: int, start_ms: int) -> int:
    """The deck row of this very prefix that is valid when the usage begins, or NOTHING."""
    first = prefixes.node[node, NODE_DECK_FIRST]
    for entry in range(first, first + prefixes.node[node, NODE_DECK_COUNT]):
        if prefixes.deck_entry[entry, ENTRY_FROM_MS] <= start_ms < prefixes.deck_entry[entry, ENTRY_UNTIL_MS]:
            return prefixes.deck_entry[entry, ENTRY_CASE]
    return NOTHING


@spliced
def case_at(
    prefixes: Prefixes,
    selection: Selection,
    calendars: Calendars,
    calendar: int,
    pick: int,
    root: int,
    node: int,
    start_ms: int,
    instant_ms: int,
    hint: Int64s,
) -> tuple[int, int, int]:
    """The case in force at an instant of a usage, until when it certainly is, and the zone set where it was found.

    At each prefix, from the longest on: rules of priority 0 and more, then the deck, then rules below it. Where none
    of them is in force at that instant the next shorter prefix answers, and at the end `root`, the schedule of the
    rules that ask for no destination.
    """
    until_ms = NEVER
    layer = 0
    while True:
        schedule = NOTHING
        zone_set = NOTHING
        if node < 0:
            schedule = root
        elif layer == 1:
            if selection.pick[pick, PICK_DECKS]:
                found = deck_case(prefixes, node, start_ms)
                if found >= 0:
                    return found, until_ms, NOTHING
        else:
            zone_set = prefixes.node[node, NODE_ZONE_SET]
            if zone_set >= 0 and layer == 0:
                schedule = selection.above[pick, zone_set]
            elif zone_set >= 0 and selection.pick[pick, PICK_HAS_BELOW]:
                schedule = selection.below[pick, zone_set]
        if schedule >= 0:
            case, certain = scheduled_case(selection, schedule, calendars, calendar, instant_ms, hint)
            until_ms = min(until_ms, certain)
            if case >= 0:
                return case, until_ms, zone_set
        if node < 0:
            return NOTHING, until_ms, NOTHING
        layer += 1
        if layer == 3:
            layer = 0
            node = prefixes.node[node, NODE_PARENT]
