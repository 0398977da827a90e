"""Proof that the journal is whole and says the same as the snapshots: replayed, compared to the byte, and added up.

Every batch is read once: its sequence follows, its checksum holds, each movement goes on from where its bucket was,
and what answers say was charged is what left the buckets. At each kept snapshot the replayed tables are compared with
the snapshot's, which was copied from the memory of a process that answered.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from millicent.charging.journal.connection import JournalStore
from millicent.charging.journal.copying import as_bytes
from millicent.charging.journal.layouts import in_layout
from millicent.charging.journal.read import Cursor, JournalledBatch, journal_batches, journal_ends
from millicent.charging.journal.restore import load_snapshot, put_images
from millicent.charging.journal.shard_port import JournalledShard
from millicent.charging.journal.snapshots import Snapshot, read_snapshot, snapshots_of
from millicent.charging.types import NOT_SAID, Batch, BucketKind, Rows
from millicent.kit.kernels import Int64s

_SHOWN = 20
_MONEY = (BucketKind.MONEY, BucketKind.CREDIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was looked at, and every fault that was found (the first of them, at most so many)."""

    first_sequence: int
    last_sequence: int
    batches: int
    commands: int
    movements: int
    charged_nanos: int  # by the answers, of all batches that were read
    snapshots_compared: Sequence[int]
    faults: Sequence[str]


@dataclass(slots=True, kw_only=True)
class _Sums:
    """What has been added up so far."""

    batches: int = 0
    commands: int = 0
    movements: int = 0
    charged_nanos: int = 0
    remaining: dict[int, int] = field(default_factory=dict)  # bucket -> after its last movement
    faults: list[str] = field(default_factory=list)

    def fault(self, text: str) -> None:
        if len(self.faults) < _SHOWN:
            self.faults.append(text)


def verify_journal(
    store: JournalStore,
    *,
    folder: Path,
    new_shard: Callable[[], JournalledShard],
    judge: Callable[[JournalledShard], Sequence[str]] = lambda shard: (),
) -> Verified:
    """Replay all that the journal still has and hold it against the snapshots. Changes nothing.

    `judge` looks at the tables at the end: whether reservations and balances agree. Raises JournalDamaged at a gap or
    a wrong checksum: nothing after it can be judged.
    """
    shard, sums = new_shard(), _Sums()
    with store.connect() as connection, connection.cursor() as cursor:
        first, last = journal_ends(cursor, shard=store.shard)
        kept = sorted((each for each in snapshots_of(folder) if each.sequence <= last), key=lambda each: each.sequence)
        begun = 0
        if first > 1:
            begun = load_snapshot(
                shard, cursor, number=store.shard, folder=folder, until=kept[0].sequence if kept else 0
            )
        compared: list[int] = []
        for snapshot in [each for each in kept if each.sequence >= begun]:
            _replay(shard, cursor, sums, number=store.shard, after=begun, until=snapshot.sequence)
            _compare(shard, snapshot, sums)
            begun = snapshot.sequence
            compared.append(snapshot.sequence)
        _replay(shard, cursor, sums, number=store.shard, after=begun, until=last)
    for text in judge(shard):
        sums.fault(text)
    return Verified(
        first_sequence=first, last_sequence=last, batches=sums.batches, commands=sums.commands,
        movements=sums.movements, charged_nanos=sums.charged_nanos, snapshots_compared=compared, faults=sums.faults,
    )  # fmt: skip


def _replay(shard: JournalledShard, cursor: Cursor, sums: _Sums, *, number: int, after: int, until: int) -> None:
    for each in journal_batches(cursor, shard=number, after=after, until=until):
        put_images(shard, each.batch.images, each.batch.names)
        _add_up(each, sums)


def _compare(shard: JournalledShard, snapshot: Snapshot, sums: _Sums) -> None:
    replayed, written = shard.tables(), read_snapshot(snapshot)
    for name in sorted(replayed.keys() | written.keys()):
        if name not in replayed or name not in written:
            sums.fault(f"snapshot {snapshot.sequence}: table {name} is in only one of snapshot and replay")
            continue
        for text in _differences(replayed[name], written[name]):
            sums.fault(f"snapshot {snapshot.sequence}: {name} {text}")


def _differences(replayed: Rows, written: Rows) -> Iterator[str]:
    written = in_layout(written, replayed.dtype)
    shared = min(len(replayed), len(written))
    for longer in (replayed, written):
        if len(longer) > shared and as_bytes(longer[shared:]).tobytes().strip(b"\0"):
            yield f"has {len(replayed)} rows replayed and {len(written)} in the snapshot"
            return
    differing = np.flatnonzero(as_bytes(replayed[:shared]) != as_bytes(written[:shared]))
    for row in differing[:3]:
        fields = [name for name in replayed.dtype.names or () if np.any(replayed[row][name] != written[row][name])]
        yield f"row {row} differs in {', '.join(fields) or 'padding'}: {len(differing)} rows in all"


def _add_up(each: JournalledBatch, sums: _Sums) -> None:
    batch = each.batch
    sums.batches += 1
    sums.commands += len(batch.commands)
    sums.movements += len(batch.movements)
    charged = charged_by_answers(batch)
    sums.charged_nanos += charged
    moved = moved_by_usage(batch)
    if moved != -charged:
        sums.fault(f"batch {each.sequence}: answers charged {charged} nanos and buckets moved by {moved}")
    for text in _breaks(batch, sums.remaining):
        sums.fault(f"batch {each.sequence}: {text}")


def charged_by_answers(batch: Batch) -> int:
    """Nanos that the commands of a batch took, less what they gave back. A stored answer took nothing again."""
    return int(batch.answers["charged_nanos"][batch.answers["stored"] == 0].sum())


def moved_by_usage(batch: Batch) -> int:
    """The change of money and credit for usage; topping up and the like are not usage."""
    movements = batch.movements
    used = (movements["cause"] == NOT_SAID) & np.isin(movements["kind"], _MONEY)
    return int(movements["change"][used].sum())


def _breaks(batch: Batch, remaining: dict[int, int]) -> Iterator[str]:
    """Movements that do not go on from where their bucket was."""
    movements = batch.movements
    if not len(movements):
        return
    order = np.argsort(movements["bucket_id"], kind="stable")
    buckets, change, after = (movements[name][order] for name in ("bucket_id", "change", "remaining"))
    before: Int64s = after - change
    first = np.concatenate([[True], buckets[1:] != buckets[:-1]])
    for place in np.flatnonzero(~first & (before != np.concatenate([[0], after[:-1]]))):
        yield f"bucket {buckets[place]} had {after[place - 1]} and goes on from {before[place]}"
    for place in np.flatnonzero(first):
        known = remaining.get(int(buckets[place]))
        if known is not None and known != before[place]:
            yield f"bucket {buckets[place]} had {known} and goes on from {before[place]}"
    last = np.concatenate([buckets[1:] != buckets[:-1], [True]])
    remaining.update(zip(buckets[last].tolist(), after[last].tolist(), strict=True))
