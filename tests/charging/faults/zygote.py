"""Starts charging processes quickly: everything is imported once here, each process is a fork of this one.

Reads one JSON line for each process to start and prints its process id. Each process serves a shard (of tests; with
--real the real one) on its socket until it is killed or told to stop by SIGTERM.
"""

import asyncio
import json
import os
import signal
import sys
import threading
from pathlib import Path
from uuid import UUID

from tests.charging.journal.fake_shard import FakeShard
from tests.charging.simulator import the_program

from millicent.charging.journal.connection import JournalStore
from millicent.charging.server.doors import DoorRoom
from millicent.charging.server.opening import ShardPlace
from millicent.charging.server.serve import ServePlan, serve_shard
from millicent.charging.server.snapshotting import take_snapshot
from millicent.charging.server.standby import follow_until_lease
from millicent.charging.shard import Shard
from millicent.kit.errors import MillicentError


async def snapshot_at_once(opened):
    await take_snapshot(opened, kept_batches=1)


def looks(opened):
    async def open_sessions(asked):
        tables = opened.engine.shard.tables()
        return int(tables["session"]["state"].sum()) if "session" in tables else 0

    return {"open_sessions": open_sessions}


async def serve(asked, shard, lease=None, restored=None):
    place = place_of(asked)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    plan = ServePlan(
        place=place,
        room=lambda port: DoorRoom(port=port, tenant_id=place.store.tenant_id, tenant="main", home=place.snapshots),
        looks=looks,
        kept_batches=3,
        chores={snapshot_at_once: 1} if asked.get("snapshots") else {},
    )
    await serve_shard(shard, plan=plan, stop=stop, lease=lease, restored=restored)


def place_of(asked):
    folder = Path(asked["folder"])
    store = JournalStore(url=asked["url"], tenant_id=UUID(asked["tenant_id"]))
    return ShardPlace(store=store, snapshots=Path(asked.get("snapshots_in") or folder / "snapshots"),
                      socket=folder / asked.get("socket", "shard.sock"))  # fmt: skip


def real_shards():
    """The loops are compiled, or loaded, here once; a process that is forked has them."""
    programs = [(0, 1, the_program())]
    Shard(programs).ready()
    return lambda: Shard(programs)


def child(asked, new_shard):
    shard = new_shard()
    try:
        if asked.get("standby"):
            taken = follow_until_lease(shard, place=place_of(asked), stop=threading.Event())
            assert taken is not None
            asyncio.run(serve(asked, shard, *taken))
        else:
            asyncio.run(serve(asked, shard))
    except MillicentError as error:
        (Path(asked["folder"]) / f"ended-{os.getpid()}").write_text(error.code)
        os._exit(error.exit_status)
    os._exit(0)


def main():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are buried at once
    new_shard = real_shards() if "--real" in sys.argv else FakeShard
    told = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # logs of the children are nobody's answers
    for line in sys.stdin:
        started = os.fork()
        if started == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            child(json.loads(line), new_shard)
        print(started, file=told, flush=True)


if __name__ == "__main__":
    main()
