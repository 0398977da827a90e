"""Life cycles of what mediation keeps: an enum and the table of its permitted steps for each."""

from collections.abc import Mapping
from enum import StrEnum, unique


@unique
class BatchState(StrEnum):
    """One file, push or sweep."""

    COLLECTING = "collecting"  # under way, or stopped half-way: the next run goes on
    CLOSED = "closed"  # read to the end, control totals final but for suspense
    DAMAGED = "damaged"  # the file stopped being of its format at `next_offset`; what came before is kept
    REPEATED = "repeated"  # the content was collected before; nothing is counted


BATCH_TRANSITIONS: Mapping[BatchState, frozenset[BatchState]] = {
    BatchState.COLLECTING: frozenset({BatchState.CLOSED, BatchState.DAMAGED}),
    BatchState.DAMAGED: frozenset({BatchState.COLLECTING}),
    BatchState.CLOSED: frozenset(),
    BatchState.REPEATED: frozenset(),
}


@unique
class SuspenseState(StrEnum):
    """One record that could not go on."""

    SUSPENDED = "suspended"
    CORRECTED = "corrected"  # a person mended its fields; waits for a retry
    RETRIED = "retried"  # went on: as usage, as a part, or found to be a duplicate
    WRITTEN_OFF = "written_off"


SUSPENSE_TRANSITIONS: Mapping[SuspenseState, frozenset[SuspenseState]] = {
    SuspenseState.SUSPENDED: frozenset({SuspenseState.CORRECTED, SuspenseState.RETRIED, SuspenseState.WRITTEN_OFF}),
    SuspenseState.CORRECTED: frozenset(
        {SuspenseState.CORRECTED, SuspenseState.SUSPENDED, SuspenseState.RETRIED, SuspenseState.WRITTEN_OFF}
    ),
    SuspenseState.RETRIED: frozenset(),
    SuspenseState.WRITTEN_OFF: frozenset(),
}

WAITING = (SuspenseState.SUSPENDED.value, SuspenseState.CORRECTED.value)
