"""PostgreSQL killed, stuck or full: no answer without durability, and it goes on without a restart."""

import asyncio
import os
import random
import subprocess
from contextlib import contextmanager, suppress

import pytest
from tests.charging.faults.own_server import a_place_there, a_server_of_its_own, kill_server
from tests.charging.journal.builders import a_place, some_commands
from tests.charging.journal.fake_shard import FakeShard

from millicent.charging.journal.errors import ShardBusy
from millicent.charging.journal.verify import verify_journal
from millicent.charging.server.engine import Limits
from millicent.charging.server.opening import open_shard

NEEDS_EMBEDDED = pytest.mark.skipif(
    bool(os.environ.get("MILLICENT_TEST_DATABASE_URL")), reason="needs the embedded PostgreSQL, to kill it"
)


async def until(true):
    while not true():
        await asyncio.sleep(0.01)


async def kill_under_load(place, cluster, *, kills, seed):
    """Top up one account; kill the server at random instants. Returns what was acknowledged."""
    dice, acknowledged = random.Random(seed), []

    async def top_up(opened, stop):
        while not stop.is_set():
            with suppress(ShardBusy):
                answers = await opened.engine.submit(some_commands(1))
                acknowledged.append(int(answers["available_nanos"][0]))
            await asyncio.sleep(0)

    async with open_shard(FakeShard(), place=place) as opened:
        stop = asyncio.Event()
        busy = [asyncio.create_task(top_up(opened, stop)) for _ in range(4)]
        for _ in range(kills):
            before = len(acknowledged)
            await until(lambda before=before: len(acknowledged) > before + dice.randrange(1, 200))
            kill_server(cluster)
        before = len(acknowledged)
        await until(lambda: len(acknowledged) > before + 50)
        stop.set()
        await asyncio.gather(*busy)
    return acknowledged


@NEEDS_EMBEDDED
def test_a_killed_server_is_started_again_and_nothing_is_lost_or_done_twice(tmp_path):
    with a_server_of_its_own(tmp_path) as (urls, cluster):
        place = a_place_there(urls, tmp_path)
        acknowledged = asyncio.run(kill_under_load(place, cluster, kills=3, seed=3))
        found = verify_journal(place.store, folder=place.snapshots, new_shard=FakeShard)

    assert sorted(acknowledged) == list(range(1, len(acknowledged) + 1))
    assert (found.faults, found.commands) == ([], len(acknowledged))


@contextmanager
def a_stuck_journal(place):
    """As if every commit took for ever: somebody else holds the row that each insert looks at."""
    with place.store.connect() as connection, connection.transaction():
        connection.execute("SELECT 1 FROM charging_lease FOR UPDATE")
        yield


def test_while_postgresql_is_stuck_nothing_is_answered_and_what_is_too_much_is_refused(tenant_id, tmp_path):
    place = a_place(tenant_id, tmp_path)

    async def work():
        limits = Limits(waiting_rows=3, patience_ms=3_600_000)
        async with open_shard(FakeShard(), place=place, limits=limits) as opened:
            engine = opened.engine
            with a_stuck_journal(place):
                asked = []
                for each in range(1, 3):  # applied, not durable
                    asked.append(engine.submit_soon(some_commands(each)))
                    await until(lambda: engine.waiting_rows == 0)
                for each in range(3, 6):  # waiting
                    asked.append(engine.submit_soon(some_commands(each)))
                with pytest.raises(ShardBusy):
                    await engine.submit(some_commands(1_000))
                await asyncio.sleep(0.1)
                assert [each.done() for each in asked] == [False] * 5
            return [int((await each)["available_nanos"][0]) for each in asked]

    assert asyncio.run(work()) == [1, 3, 6, 10, 15]


def test_when_patience_ends_new_commands_are_refused_and_later_taken_again(tenant_id, tmp_path):
    place = a_place(tenant_id, tmp_path)

    async def work():
        async with open_shard(FakeShard(), place=place, limits=Limits(patience_ms=50)) as opened:
            with a_stuck_journal(place):
                asked = opened.engine.submit_soon(some_commands(1))
                await until(lambda: opened.writer.silent_ms > 50)
                with pytest.raises(ShardBusy):
                    await opened.engine.submit(some_commands(1_000))
            await asked
            return int((await opened.engine.submit(some_commands(2)))["available_nanos"][0])

    assert asyncio.run(work()) == 3


@contextmanager
def a_small_disk(folder, *, megabytes):
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a small disk needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@NEEDS_EMBEDDED
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_answers_nobody_and_is_recovered_from_without_a_restart(tmp_path):
    async def work(place, ballast):
        acknowledged = []
        async with open_shard(FakeShard(), place=place, limits=Limits(patience_ms=300)) as opened:
            for _ in range(20):
                acknowledged.append(int((await opened.engine.submit(some_commands(1)))["available_nanos"][0]))
            fill(ballast)
            try:
                while True:  # until the disk is full
                    answers = await asyncio.wait_for(
                        asyncio.shield(asked := opened.engine.submit_soon(large(1), b"")), timeout=3
                    )
                    acknowledged.extend(answers["available_nanos"].tolist())
            except (ShardBusy, TimeoutError):
                pass
            await until(lambda: opened.writer.silent_ms > 300)
            with pytest.raises(ShardBusy):
                await opened.engine.submit(some_commands(1))
            ballast.unlink()
            acknowledged.extend((await asked)["available_nanos"].tolist())
            await until(lambda: opened.writer.silent_ms == 0)
            acknowledged.append(int((await opened.engine.submit(some_commands(1)))["available_nanos"][0]))
        return acknowledged

    with a_small_disk(tmp_path / "small", megabytes=300) as disk, a_server_of_its_own(disk) as (urls, _):
        place = a_place_there(urls, tmp_path)
        acknowledged = asyncio.run(work(place, disk / "ballast"))
        found = verify_journal(place.store, folder=place.snapshots, new_shard=FakeShard)

    assert acknowledged == list(range(1, len(acknowledged) + 1))
    assert (found.faults, found.commands) == ([], len(acknowledged))


def large(amount):
    """Commands that do not compress."""
    rows = some_commands(*[amount] * 2_000)
    rows["used"] = [[random.getrandbits(60) for _ in range(6)] for _ in range(2_000)]
    return rows


def fill(ballast, *, leaves_megabytes=3):
    """Take what is free, but for a little."""
    free = os.statvfs(ballast.parent)
    size = free.f_bavail * free.f_frsize - leaves_megabytes * 1024 * 1024
    ballast.write_bytes(b"\0" * size)
