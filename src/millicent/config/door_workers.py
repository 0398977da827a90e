"""Workers of a door: processes beside the shard's, on one port, that reach it over its socket.

One that dies is started again; all of them end with the one that started them.
"""

import asyncio
import signal
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from os import getppid
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Final

from millicent.config.settings import settings

if TYPE_CHECKING:
    from millicent.charging.client import ChargingClient
    from millicent.charging.server.doors import DoorRoom, RunningDoor

_PAUSE_SECONDS: Final = 1
KINDS: Final = ("radius", "http")


def run_workers(kind: str, *, count: int, stop: Event) -> None:
    """Keep `count` workers of a door running until `stop`."""
    context = get_context("spawn")
    workers: dict[int, BaseProcess] = {}
    while not stop.is_set():
        for number in range(count):
            if number not in workers or not workers[number].is_alive():
                workers[number] = context.Process(target=be_worker, args=(kind, number), daemon=True)
                workers[number].start()
        stop.wait(_PAUSE_SECONDS)
    for worker in workers.values():
        worker.terminate()
    for worker in workers.values():
        worker.join()


def be_worker(kind: str, number: int) -> None:
    """One worker, in a process of its own."""
    import uvloop

    from millicent.config.logs import configure_logs
    from millicent.config.setup import open_stores

    configure_logs(log_format=settings().log_format, log_level=settings().log_level)
    open_stores()
    uvloop.run(_serve(kind, number))


async def _serve(kind: str, number: int) -> None:
    """Open the door once the shard is reached, and keep it open until SIGTERM, or until the parent is gone."""
    from millicent.charging.client import socket_path
    from millicent.charging.server.doors import DoorRoom
    from millicent.config.setup import tenant_id_of

    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    tenant, home, parent = settings().tenant, settings().home_path, getppid()
    tenant_id = await asyncio.to_thread(tenant_id_of, tenant)
    port = await _reached(socket_path(home, tenant=tenant), stop=stop, parent=parent)
    if port is None:
        return
    try:
        door = await _open(kind, DoorRoom(port=port, tenant_id=tenant_id, tenant=tenant, home=home), number)
        while not stop.is_set() and getppid() == parent:
            await _waited(stop)
        await door.stop()
    finally:
        await port.__aexit__()


async def _reached(path: Path, *, stop: asyncio.Event, parent: int) -> "ChargingClient | None":
    """The shard's port, as soon as somebody answers: workers may be started first. None where all is over before."""
    from millicent.charging.client import ChargingClient
    from millicent.charging.journal.errors import ShardSilent

    while not stop.is_set() and getppid() == parent:
        try:
            return await ChargingClient(path).__aenter__()
        except (ShardSilent, TimeoutError):
            await _waited(stop)
    return None


async def _open(kind: str, room: "DoorRoom", number: int) -> "RunningDoor":
    from millicent.network.http.starting import declared_http, open_http
    from millicent.network.radius.starting import declared_radius, open_radius

    if kind == "radius":
        radius = declared_radius(room.home, tenant=room.tenant)
        assert radius is not None, "whoever started the workers has read it"
        return await open_radius(room, settings=radius, worker=number)
    api = declared_http(room.home, tenant=room.tenant)
    assert api is not None, "whoever started the workers has read it"
    return await open_http(room, settings=api)


async def _waited(stop: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(stop.wait(), _PAUSE_SECONDS)
    except TimeoutError:
        return
