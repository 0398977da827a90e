"""From a lease to a shard that answers, and back again in order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from millicent.charging.journal.connection import Connection, JournalStore
from millicent.charging.journal.errors import Fenced, ShardHeld
from millicent.charging.journal.lease import Lease, holder_name, lease_state, take_lease
from millicent.charging.journal.read import Cursor, journal_batches, journal_ends
from millicent.charging.journal.restore import Restored, replay_journal, restore_shard
from millicent.charging.journal.shard_port import JournalledShard
from millicent.charging.journal.writer import JournalWriter
from millicent.charging.server.clock import SteadyClock
from millicent.charging.server.engine import ChargingEngine, Limits
from millicent.kit.errors import MillicentError

_LOOKED_BACK = 16  # batches; the last command among them says what time the shard was told
_DRAIN_SECONDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardPlace:
    """Where one shard lives: its journal, its snapshots, its socket."""

    store: JournalStore
    snapshots: Path
    socket: Path

    @property
    def number(self) -> int:
        return self.store.shard


@dataclass(slots=True, kw_only=True)
class OpenShard:
    """A shard that answers."""

    place: ShardPlace
    engine: ChargingEngine
    lease: Lease
    restored: Restored
    writer: JournalWriter = field(repr=False)


def lease_or_refusal(connection: Connection, place: ShardPlace) -> Lease:
    """The lease, or ShardHeld with the name of whoever has it."""
    lease = take_lease(connection, shard=place.number, holder=holder_name(), address=str(place.socket))
    if lease is None:
        held = lease_state(connection, shard=place.number)
        assert held is not None, "a lease that cannot be taken is somebody's"
        raise ShardHeld(f"shard {place.number} is held by {held.holder} in epoch {held.epoch}", holder=held.holder)
    return lease


@asynccontextmanager
async def open_shard(
    shard: JournalledShard,
    *,
    place: ShardPlace,
    lease: Lease | None = None,
    restored: Restored | None = None,
    limits: Limits | None = None,
    uses_clock: bool = True,
) -> AsyncIterator[OpenShard]:
    """Hold the lease, bring a new shard to the end of its journal, and let it answer until the block ends.

    `restored`: the shard stands there already (a standby), with its `lease` just taken. Without a clock the commands
    bring the time. Raises ShardHeld when another process holds the lease.
    """
    if lease is None:
        lease = await asyncio.to_thread(_take, place)
    loop = asyncio.get_running_loop()
    desk = _Desk(loop)
    writer = JournalWriter(store=place.store, lease=lease, on_durable=desk.durable, on_end=desk.ended)
    writer.start()  # it keeps the lease while the journal is replayed
    try:
        reached, told_ms = await asyncio.to_thread(_bring_to_end, shard, place, restored)
        engine = desk.seat(
            ChargingEngine(
                shard=shard,
                sequence=reached.sequence,
                clock=SteadyClock(floor_ms=told_ms) if uses_clock else None,
                floor_ms=told_ms,
                limits=limits,
            )
        )
        engine.remake = partial(_make_again, shard, place)
        engine.poison.folder = place.snapshots
        engine.attach(writer)
        yield OpenShard(place=place, engine=engine, lease=lease, restored=reached, writer=writer)
        await _drain(engine)
    finally:
        await asyncio.to_thread(writer.stop, wait=desk.leave())


class _Desk:
    """Takes the writer's words into the loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._engine: ChargingEngine | None = None
        self._lost: MillicentError | None = None

    def seat(self, engine: ChargingEngine) -> ChargingEngine:
        if self._lost is not None:
            raise self._lost
        self._engine = engine
        return engine

    def leave(self) -> bool:
        """End the engine; whether it was well until now."""
        if self._engine is None:
            return False
        well = not self._engine.ended.done()
        self._engine.end(None)
        return well

    def durable(self, sequence: int) -> None:
        self._loop.call_soon_threadsafe(self._durable, sequence)

    def ended(self, why: MillicentError | None) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ended, why)

    def _durable(self, sequence: int) -> None:
        if self._engine is not None and not self._engine.ended.done():
            self._engine.durable(sequence)

    def _ended(self, why: MillicentError | None) -> None:
        self._lost = why or Fenced("the journal's writer has ended")
        if self._engine is not None:
            self._engine.end(why)


def _take(place: ShardPlace) -> Lease:
    with place.store.connect() as connection:
        return lease_or_refusal(connection, place)


def _bring_to_end(shard: JournalledShard, place: ShardPlace, restored: Restored | None) -> tuple[Restored, int]:
    """Nobody else can write any more: the last batch there is now is the last of the past."""
    with place.store.connect() as connection, connection.cursor() as cursor:
        if restored is None:
            restored = restore_shard(shard, connection, number=place.number, folder=place.snapshots)
        else:
            last = replay_journal(shard, cursor, number=place.number, after=restored.sequence)
            restored = Restored(
                sequence=last, snapshot_sequence=restored.snapshot_sequence, replayed=last - restored.sequence
            )
        told_ms = _told_ms(cursor, number=place.number)
    structlog.get_logger("millicent.charging").info(
        "shard restored", sequence=restored.sequence, snapshot=restored.snapshot_sequence, replayed=restored.replayed
    )
    return restored, told_ms


def _make_again(shard: JournalledShard, place: ShardPlace) -> int:
    """Empty the shard and bring it to the last batch that is durable; returns which. Blocks: nobody is to see less."""
    with place.store.connect() as connection:
        shard.begin_again()
        return restore_shard(shard, connection, number=place.number, folder=place.snapshots).sequence


def _told_ms(cursor: Cursor, *, number: int) -> int:
    """The latest instant that a journalled command brought, 0 in an empty journal."""
    first, last = journal_ends(cursor, shard=number)
    found = journal_batches(cursor, shard=number, after=max(last - _LOOKED_BACK, first - 1, 0))
    return max((int(each.batch.commands["received_ms"].max(initial=0)) for each in found), default=0)


async def _drain(engine: ChargingEngine) -> None:
    """What was taken is applied, durable and answered before the shard closes; not while PostgreSQL is away."""
    if engine.ended.done():
        return
    settled = asyncio.ensure_future(engine.settled())
    waiting: list[asyncio.Future[Any]] = [settled, engine.ended]
    await asyncio.wait(waiting, timeout=_DRAIN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    settled.cancel()
