"""A tenant's charging process, put together: where its journal is, which catalogue it has, which doors it opens."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from uuid import UUID

import structlog

from millicent.charging.client import socket_path
from millicent.charging.journal.connection import JournalStore
from millicent.charging.journal.lease import Lease
from millicent.charging.journal.restore import Restored
from millicent.charging.server.adoption import (
    LOOK_SECONDS,
    adopt_new_releases,
    adopt_releases_of_sessions,
    programs_from,
)
from millicent.charging.server.doors import DoorRoom
from millicent.charging.server.looks import looks_of_open
from millicent.charging.server.opening import OpenShard, ShardPlace
from millicent.charging.server.projection import EVERY_SECONDS, Projection
from millicent.charging.server.serve import Chore, ServePlan, serve_shard
from millicent.charging.server.standby import follow_until_lease
from millicent.charging.shard import Shard
from millicent.charging.types import ChargingPort
from millicent.config.charging_doors import load_doors
from millicent.config.settings import settings
from millicent.kit.clock import system_now, to_ms
from millicent.kit.embedded import revive_servers
from millicent.kit.errors import Refusal


class NoCatalogueToCharge(Refusal):
    """A charging process needs a released catalogue: nothing can be priced without one."""

    code = "charging_without_catalogue"


def journal_store(tenant_id: UUID) -> JournalStore:
    """The journal of a tenant's shard, over a connection of its own."""
    from millicent.config.django import DATABASE_URLS

    revive = revive_servers if not settings().database_url else _leave_it
    return JournalStore(url=DATABASE_URLS.application, tenant_id=tenant_id, revive=revive)


def _leave_it() -> None:
    """A server of yours is yours to start."""


def snapshots_folder(tenant_id: UUID) -> Path:
    return settings().home_path / "charging" / str(tenant_id) / "0"


def shard_place(tenant_id: UUID, *, tenant: str) -> ShardPlace:
    return ShardPlace(
        store=journal_store(tenant_id),
        snapshots=snapshots_folder(tenant_id),
        socket=socket_path(settings().home_path, tenant=tenant),
    )


def new_shard(tenant_id: UUID, *, warm: bool = False) -> tuple[Shard, set[int]]:
    """An empty shard with every release that matters from now on; and their numbers.

    `warm` compiles the loops first, in a shard that is thrown away: its first batch takes names, and those of the real
    one must go through the journal.
    """
    programs = programs_from(tenant_id, now_ms=to_ms(system_now()))
    if not programs:
        raise NoCatalogueToCharge("nothing was released yet: `millicent catalog release` first")
    if warm:
        Shard(programs).ready()
    return Shard(programs), {release for _, release, _ in programs}


def serve(
    tenant_id: UUID,
    *,
    tenant: str,
    standby: bool = False,
    beside_parent: bool = False,
    on_ready: Callable[[], None] = lambda: None,
) -> None:
    """Be the tenant's charging process until SIGTERM or Ctrl-C; as a standby, once the other one is gone.

    `beside_parent`: and no longer than the process that started this one lives.
    """
    import uvloop

    parent = os.getppid() if beside_parent else 0
    shard, known = new_shard(tenant_id, warm=True)
    place = shard_place(tenant_id, tenant=tenant)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    taken: tuple[Lease, Restored] | None = None
    if standby:
        taken = follow_until_lease(shard, place=place, stop=stop)
        if taken is None:
            return
    plan = _plan(tenant_id, tenant=tenant, place=place, shard=shard, known=known)
    uvloop.run(_serve(shard, plan, taken=taken, on_ready=on_ready, known=known, tenant_id=tenant_id, parent=parent))


def _plan(tenant_id: UUID, *, tenant: str, place: ShardPlace, shard: Shard, known: set[int]) -> ServePlan:
    def room(port: ChargingPort) -> DoorRoom:
        return DoorRoom(port=port, tenant_id=tenant_id, tenant=tenant, home=settings().home_path)

    projection = Projection(shard)
    chores: dict[Chore, int] = {
        adopt_new_releases(tenant_id, shard, known=known): LOOK_SECONDS,
        projection.write: EVERY_SECONDS,
    }
    return ServePlan(
        place=place, room=room, doors=load_doors(), looks=looks_of_open, chores=chores, on_applied=(projection.mark,)
    )


async def _serve(
    shard: Shard,
    plan: ServePlan,
    *,
    taken: tuple[Lease, Restored] | None,
    on_ready: Callable[[], None],
    known: set[int],
    tenant_id: UUID,
    parent: int,
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    lease, restored = taken or (None, None)

    def ready(opened: OpenShard) -> None:
        structlog.get_logger("millicent.charging").info("charging", socket=str(plan.place.socket))
        on_ready()

    watching = asyncio.ensure_future(_stop_with(parent, stop)) if parent else None
    await serve_shard(
        shard,
        plan=plan,
        stop=stop,
        lease=lease,
        restored=restored,
        on_restored=partial(adopt_releases_of_sessions, tenant_id, shard, known=known),
        on_ready=ready,
    )
    if watching is not None:
        watching.cancel()


async def _stop_with(parent: int, stop: asyncio.Event) -> None:
    """A parent that was killed cannot tell its children."""
    while os.getppid() == parent:
        await asyncio.sleep(1)
    stop.set()
