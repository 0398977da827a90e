"""A shard as it was: the newest sound snapshot, and every batch that was journalled after it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from millicent.charging.journal.connection import Connection
from millicent.charging.journal.copying import as_bytes
from millicent.charging.journal.errors import NothingToReplay
from millicent.charging.journal.layouts import in_layout
from millicent.charging.journal.payload import decode_images
from millicent.charging.journal.read import Cursor, Layouts, journal_ends, journal_pages
from millicent.charging.journal.shard_port import JournalledShard, Names
from millicent.charging.journal.snapshots import Snapshot, SnapshotUnsound, read_snapshot, snapshots_of
from millicent.charging.types import RowImages, Rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """Where the shard stands."""

    sequence: int  # of the last batch in it
    snapshot_sequence: int  # 0: no snapshot was used
    replayed: int  # batches


def restore_shard(
    shard: JournalledShard, connection: Connection, *, number: int, folder: Path, until: int | None = None
) -> Restored:
    """Bring a new shard to the last batch of its journal (or to `until`).

    A damaged snapshot is passed over. Raises NothingToReplay when the journal begins after the snapshot that is left.
    """
    with connection.cursor() as cursor:
        begun = load_snapshot(shard, cursor, number=number, folder=folder, until=until)
        reached = replay_journal(shard, cursor, number=number, after=begun, until=until)
    return Restored(sequence=reached, snapshot_sequence=begun, replayed=reached - begun)


def load_snapshot(
    shard: JournalledShard, cursor: Cursor, *, number: int, folder: Path, until: int | None = None
) -> int:
    """Put the newest sound snapshot into a new shard; returns its sequence, 0 where there is none."""
    first, last = journal_ends(cursor, shard=number)
    for snapshot in snapshots_of(folder):
        if snapshot.sequence > (last if until is None else until):
            continue  # of a journal that was replaced by an older copy
        if _loaded(shard, cursor, snapshot, number=number):
            _refuse_gap(number, first=first, after=snapshot.sequence)
            return snapshot.sequence
    _refuse_gap(number, first=first, after=0)
    return 0


def _loaded(shard: JournalledShard, cursor: Cursor, snapshot: Snapshot, *, number: int) -> bool:
    try:
        tables = read_snapshot(snapshot)
    except SnapshotUnsound as unsound:
        structlog.get_logger("millicent.charging").error("snapshot passed over", message=unsound.message)
        return False
    put_tables(shard, tables, _names_until(cursor, number=number, sequence=snapshot.sequence))
    return True


def put_tables(shard: JournalledShard, tables: Mapping[str, Rows], names: Names) -> None:
    """Fill a new shard with whole tables: room by replaying the last row of each, then one copy of memory a table."""
    layouts = {name: rows.dtype for name, rows in shard.tables().items()}
    moved = {name: in_layout(rows, layouts[name]) for name, rows in tables.items() if name in layouts and len(rows)}
    last = [
        RowImages(table=name, rows=np.array([len(rows) - 1], np.int64), images=rows[-1:])
        for name, rows in moved.items()
    ]
    shard.replay(last, names)
    for name, rows in shard.tables().items():
        if name in moved:
            assert len(rows) == len(moved[name]), f"table {name} has room for {len(rows)} of {len(moved[name])} rows"
            as_bytes(rows)[:] = as_bytes(moved[name])
    shard.replay([], [])  # what it derives from its tables is derived anew


def _refuse_gap(number: int, *, first: int, after: int) -> None:
    if first > after + 1:
        raise NothingToReplay(
            f"the journal of shard {number} begins with batch {first}, and the newest sound snapshot ends with "
            f"{after}. Bring back the folder of snapshots that was kept",
            first=first,
            snapshot=after,
        )


def _names_until(cursor: Cursor, *, number: int, sequence: int) -> Names:
    cursor.execute(
        "SELECT kind, number, text FROM charging_name WHERE shard = %s AND sequence <= %s ORDER BY kind, number",
        [number, sequence],
    )
    return [(kind, place, text) for kind, place, text in cursor.fetchall()]


def replay_journal(shard: JournalledShard, cursor: Cursor, *, number: int, after: int, until: int | None = None) -> int:
    """Replay every batch after a sequence; returns the last one."""
    layouts = Layouts(cursor)
    for page in journal_pages(cursor, shard=number, after=after, until=until):
        images, names = decode_images(page.payload, layout_for=layouts)
        put_images(shard, images, names)
        after = page.sequence
    return after


def put_images(shard: JournalledShard, images: Sequence[RowImages], names: Names) -> None:
    """Replay rows in the layouts that the shard's tables have now; a table that is no more is left out."""
    layouts = {name: rows.dtype for name, rows in shard.tables().items()}
    known = [each for each in images if each.table in layouts]
    shard.replay([_moved(each, layouts[each.table]) for each in known], names)


def _moved(image: RowImages, layout: "np.dtype[Any]") -> RowImages:
    return image if image.images.dtype == layout else replace(image, images=in_layout(image.images, layout))
