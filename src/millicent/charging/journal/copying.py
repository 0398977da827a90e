"""A copy of a shard's tables while it goes on: piece by piece between batches, then what changed meanwhile put on top.

Every row that a batch touches is in its images. So a piece that was copied too early or too late is set right by the
images of the batches in between, and the copy is the state after the last of them. A row that was changed and *not* in
its batch's images stays as it was copied: `charging verify` then finds the difference.
"""

import numpy as np

from millicent.charging.journal.shard_port import JournalledShard
from millicent.charging.types import Batch, RowImages, Rows

STEP_BYTES = 4 * 1024 * 1024


class TablesCopy:
    """Made between two batches; `note` every batch from then on; `step` until it says True; then `finish`."""

    def __init__(self, shard: JournalledShard) -> None:
        self._shard = shard
        self._left = list(shard.tables())
        self._row = 0
        self._copies: dict[str, Rows] = {}
        self._changes: list[RowImages] = []

    def note(self, sequence: int, batch: Batch) -> None:
        self._changes.extend(batch.images)

    def step(self) -> bool:
        """Copy the next piece. True when all is copied."""
        if not self._left:
            return True
        name = self._left[0]
        source = self._shard.tables()[name]
        if name not in self._copies:
            self._copies[name] = np.zeros(len(source), source.dtype)
        copy = self._copies[name]
        end = min(self._row + max(STEP_BYTES // source.dtype.itemsize, 1), len(copy))
        as_bytes(copy)[self._row : end] = as_bytes(source)[self._row : end]
        self._row = end
        if end == len(copy):
            self._left.pop(0)
            self._row = 0
        return not self._left

    def finish(self) -> dict[str, Rows]:
        """The tables as they are now, between two batches."""
        for name, source in self._shard.tables().items():
            self._copies[name] = _lengthened(self._copies.get(name), source)
        for change in self._changes:
            as_bytes(self._copies[change.table])[change.rows] = as_bytes(change.images)
        return self._copies


def _lengthened(copy: Rows | None, source: Rows) -> Rows:
    """A table that grew: its new rows are zero until a batch touches them, and then they are in its images."""
    if copy is not None and len(copy) == len(source):
        return copy
    longer = np.zeros(len(source), source.dtype)
    if copy is not None:
        as_bytes(longer)[: len(copy)] = as_bytes(copy)
    return longer


def as_bytes(rows: Rows) -> Rows:
    """The same rows as opaque runs of bytes, so that copying copies all of them, and comparing compares all."""
    plain: Rows = rows.view(np.dtype((np.void, rows.dtype.itemsize)))
    return plain
