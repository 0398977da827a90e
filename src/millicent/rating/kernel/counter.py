"""Counters of accumulated tiers: what a usage adds is pending until its price is certain."""

from millicent.rating.kernel.arrays import NOTHING, PENDING_COUNTERS, Charges, Scratch, State
from millicent.rating.kernel.splice import spliced


@spliced
def counter_place(charges: Charges, row: int, counter: int, state: State) -> int:
    """Where the counter of this usage's owner stands. When nobody keeps it, a number below zero of its own: two ladders
    of one usage do not count on each other."""
    if charges.counter_owner[row, 0] < 0:  # list prices: no counter is kept at all
        return NOTHING - counter
    owner = charges.counter_owner[row, state.counter_scope[counter]]
    return NOTHING - counter if owner < 0 else state.counter_first[counter] + owner


@spliced
def counted(place: int, state: State, scratch: Scratch) -> int:
    """Units so far in the cycle, those of the usage at hand included."""
    units = 0 if place < 0 else state.counter_units[place]
    for pending in range(1, scratch.pending_counter[0] + 1):
        if scratch.pending_counter[pending] == place:
            units += scratch.pending_units[pending]
    return units


@spliced
def count_pending(place: int, units: int, scratch: Scratch) -> bool:
    """Note units for a counter. False when one usage moves too many counters."""
    last = scratch.pending_counter[0]
    for pending in range(1, last + 1):
        if scratch.pending_counter[pending] == place:
            scratch.pending_units[pending] += units
            return True
    if last == PENDING_COUNTERS:
        return False
    scratch.pending_counter[0] = last + 1
    scratch.pending_counter[last + 1] = place
    scratch.pending_units[last + 1] = units
    return True


@spliced
def settle_counters(state: State, scratch: Scratch) -> None:
    """The price is certain: the counters move."""
    for pending in range(1, scratch.pending_counter[0] + 1):
        if scratch.pending_counter[pending] >= 0:
            state.counter_units[scratch.pending_counter[pending]] += scratch.pending_units[pending]
