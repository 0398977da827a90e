"""The charging process from its start to its end: the shard, its socket, its doors, and its chores."""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import structlog

from millicent.charging.journal.lease import Lease
from millicent.charging.journal.restore import Restored
from millicent.charging.journal.shard_port import JournalledShard
from millicent.charging.server.doors import DoorRoom, RunningDoor, StartDoor
from millicent.charging.server.engine import Limits
from millicent.charging.server.opening import OpenShard, ShardPlace, open_shard
from millicent.charging.server.snapshotting import take_snapshot
from millicent.charging.server.sockets import Look, ShardSocket
from millicent.charging.types import Batch, ChargingPort
from millicent.kit import metrics
from millicent.kit.errors import MillicentError

SNAPSHOT_SECONDS = 300
KEPT_BATCHES = 100_000  # of the newest stay in the journal, for traces and statements
Chore = Callable[[OpenShard], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServePlan:
    """What a charging process consists of."""

    place: ShardPlace
    room: Callable[[ChargingPort], DoorRoom]
    doors: Mapping[str, StartDoor] = field(default_factory=dict)
    looks: Callable[[OpenShard], Mapping[str, Look]] = lambda opened: {}
    on_applied: Sequence[Callable[[int, Batch], None]] = ()  # hears every batch, in the loop
    chores: Mapping[Chore, int] = field(default_factory=dict)  # seconds from one to the next
    limits: Limits | None = None
    snapshot_seconds: int = SNAPSHOT_SECONDS
    kept_batches: int = KEPT_BATCHES


async def serve_shard(
    shard: JournalledShard,
    *,
    plan: ServePlan,
    stop: asyncio.Event,
    lease: Lease | None = None,
    restored: Restored | None = None,
    on_restored: Callable[[], None] = lambda: None,
    on_ready: Callable[[OpenShard], None] = lambda opened: None,
) -> None:
    """Serve until `stop`, or until the shard ends by itself: then its error is raised.

    `on_restored` runs in a thread before the first batch. The last snapshot is taken at a graceful stop, so the next
    start replays nothing.
    """
    async with open_shard(shard, place=plan.place, lease=lease, restored=restored, limits=plan.limits) as opened:
        opened.engine.on_applied.extend(plan.on_applied)
        await asyncio.to_thread(on_restored)
        await opened.engine.settled()  # the first batch builds indexes and compiled loops; nobody waits for it yet
        async with AsyncExitStack() as stack:
            await _start_faces(stack, opened, plan)
            _spare_what_stays()
            on_ready(opened)
            await _until_over(opened, plan, stop)
        if opened.engine.ended.done():
            raise opened.engine.ended.result() or AssertionError("a shard that ends by itself says why")
        if opened.engine.durable_sequence > opened.restored.snapshot_sequence:
            await take_snapshot(opened, kept_batches=plan.kept_batches)


def _spare_what_stays() -> None:
    """Catalogue, programs and modules stay as long as the process: the collector need not walk them again and again.

    A full collection over them takes a tenth of a second, during which nobody is answered.
    """
    gc.collect()
    gc.freeze()


async def _start_faces(stack: AsyncExitStack, opened: OpenShard, plan: ServePlan) -> None:
    """The socket and the doors. They stop in the reverse order, before the shard does."""
    server = ShardSocket(opened.engine, path=plan.place.socket, epoch=opened.lease.epoch, shard=plan.place.number)
    server.looks.update({"status": _status(opened), "snapshot": _snapshot(opened, plan), **plan.looks(opened)})
    await server.start()
    stack.push_async_callback(server.stop)
    for name, start in plan.doors.items():
        door = await start(plan.room(opened.engine))
        if door is not None:
            structlog.get_logger("millicent.charging").info("door opened", door=name)
            stack.push_async_callback(_stop_door, name, door)


async def _stop_door(name: str, door: RunningDoor) -> None:
    try:
        await door.stop()
    except Exception:  # the shard is closed in any case
        structlog.get_logger("millicent.charging").exception("a door did not close well", door=name)


async def _until_over(opened: OpenShard, plan: ServePlan, stop: asyncio.Event) -> None:
    chores = {_tick: 1, _keep_snapshots(plan): plan.snapshot_seconds, **plan.chores}
    tasks = [asyncio.ensure_future(_again_and_again(chore, opened, every)) for chore, every in chores.items()]
    stopped = asyncio.ensure_future(stop.wait())
    waiting: list[asyncio.Future[Any]] = [stopped, opened.engine.ended]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (*tasks, stopped):
            task.cancel()
        await asyncio.gather(*tasks, stopped, return_exceptions=True)


async def _again_and_again(chore: Chore, opened: OpenShard, every_seconds: int) -> None:
    """A chore that fails is told and tried again: charging goes on."""
    while True:
        await asyncio.sleep(every_seconds)
        try:
            await chore(opened)
        except MillicentError as error:
            metrics.FAULTS.labels(code=error.code).inc()
            structlog.get_logger("millicent.charging").error("chore failed", code=error.code, message=error.message)
        except Exception:
            metrics.FAULTS.labels(code="defect").inc()
            structlog.get_logger("millicent.charging").exception("chore failed", code="defect")


async def _tick(opened: OpenShard) -> None:
    opened.engine.tick()


def _keep_snapshots(plan: ServePlan) -> Chore:
    last = -1

    async def keep(opened: OpenShard) -> None:
        nonlocal last
        last = max(last, opened.restored.snapshot_sequence)
        if opened.engine.durable_sequence > last:
            last = (await take_snapshot(opened, kept_batches=plan.kept_batches)).sequence

    return keep


def _status(opened: OpenShard) -> Look:
    async def status(asked: Mapping[str, Any]) -> object:
        engine = opened.engine
        return {
            "shard": opened.place.number,
            "epoch": opened.lease.epoch,
            "sequence": engine.sequence,
            "durable_sequence": engine.durable_sequence,
            "waiting_commands": engine.waiting_rows,
            "database_silent_ms": opened.writer.silent_ms,
            "now_ms": engine.now_ms(),
            "restored_from_snapshot": opened.restored.snapshot_sequence,
            "replayed_batches": opened.restored.replayed,
            "rows": {name: len(rows) for name, rows in engine.shard.tables().items()},
            "bytes": sum(rows.nbytes for rows in engine.shard.tables().values()),
        }

    return status


def _snapshot(opened: OpenShard, plan: ServePlan) -> Look:
    async def snapshot(asked: Mapping[str, Any]) -> object:
        taken = await take_snapshot(opened, kept_batches=plan.kept_batches)
        return {"sequence": taken.sequence, "folder": str(taken.folder), "size_bytes": taken.size_bytes}

    return snapshot
