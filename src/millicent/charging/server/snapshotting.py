"""Snapshots of a shard that goes on: copied between batches, written and catalogued by a thread."""

import asyncio

from millicent.charging.journal.copying import TablesCopy
from millicent.charging.journal.keeping import keep_snapshot, prune_journal
from millicent.charging.journal.snapshots import Snapshot, write_snapshot
from millicent.charging.server.opening import OpenShard
from millicent.charging.types import Rows


async def take_snapshot(opened: OpenShard, *, kept_batches: int | None = None) -> Snapshot:
    """Snapshot the shard as of now or a little later, while it answers. With `kept_batches` the journal is pruned."""
    sequence, tables = await _copied(opened)
    return await asyncio.to_thread(_keep, opened, tables, sequence, kept_batches)


async def _copied(opened: OpenShard) -> tuple[int, dict[str, Rows]]:
    """The tables, when the last batch in them is durable: nothing that may not have happened is written down."""
    engine = opened.engine
    copy = TablesCopy(engine.shard)
    engine.on_applied.append(copy.note)
    try:
        while not copy.step():
            await asyncio.sleep(0)
        engine.say_everything()
        sequence, tables = engine.sequence, copy.finish()
    finally:
        engine.on_applied.remove(copy.note)
    await engine.settled()
    return sequence, tables


def _keep(opened: OpenShard, tables: dict[str, Rows], sequence: int, kept_batches: int | None) -> Snapshot:
    place, taken_at_ms = opened.place, opened.engine.now_ms()
    snapshot = write_snapshot(place.snapshots, tables, shard=place.number, sequence=sequence, taken_at_ms=taken_at_ms)
    with place.store.connect() as connection:
        keep_snapshot(connection, snapshot, shard=place.number, folder=place.snapshots, taken_at_ms=taken_at_ms)
        if kept_batches is not None:
            prune_journal(connection, shard=place.number, kept_batches=kept_batches)
    return snapshot
