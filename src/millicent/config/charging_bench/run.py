"""The whole measurement: the shard alone with its journal, then killed and back, then its doors under load."""

import asyncio
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from millicent.charging.bench import ShardWorkload
from millicent.charging.client import SyncChargingClient
from millicent.charging.conservation import broken_promises
from millicent.charging.journal.insert import insert_row, journal_row
from millicent.charging.journal.lease import holder_name, release_lease, take_lease
from millicent.charging.journal.restore import Restored
from millicent.charging.journal.verify import verify_journal
from millicent.charging.server.opening import OpenShard, ShardPlace, open_shard
from millicent.charging.server.snapshotting import take_snapshot
from millicent.charging.shard import Shard
from millicent.charging.types import ANSWER, CHARGE, COMMAND, MOVEMENT, NOTICE, Batch, Result, Rows, Verb
from millicent.charging.types import commands as empty_commands
from millicent.config.charging_bench.http_load import HttpLoad
from millicent.config.charging_bench.http_load import run as run_http
from millicent.config.charging_bench.stand import RADIUS_SECRET, TOKEN, bench_place
from millicent.config.charging_bench.world import FIRST_MSISDN, a_world, radius_user, the_programs
from millicent.kit.errors import Defect
from millicent.network.diameter.load import LoadPlan
from millicent.network.diameter.load import run as run_diameter
from millicent.network.radius.load import LoadFigures, RadiusLoad, run_load

Answer = TypeVar("Answer")
NAMED = 20_000  # subscribers that the doors' loads are about
BATCH = 1_024
ON_THEIR_WAY = 6  # submissions
WARM_RATE = 2_000  # unmeasured: names are learnt, loops are loaded
CCR_RATES = (10_000, 20_000, 25_000, 30_000, 40_000, 50_000)
PACKET_RATES = (20_000, 25_000, 30_000, 40_000)
REQUEST_RATES = (2_500, 5_000, 6_000, 8_000, 10_000)
SUSTAINED_US = 500_000  # a load is sustained while 95 of 100 answers come within half a second
_OPEN_SECONDS = 120


def run(
    *, subscribers: int = 1_000_000, sessions: int = 100_000, batches: int = 500, seconds: int = 5
) -> dict[str, object]:
    """Measure on a home of its own. Figures of the doors are with server and load on the same cores."""
    figures = _apart(_in_process, subscribers, sessions, batches)
    ports = {name: _free_port() for name in ("diameter", "authentication", "accounting", "http")}
    with _stand(ports) as server:
        server.kill()
        server.wait()
    begun = time.perf_counter()
    with _stand(ports) as server:
        restart_seconds = round(time.perf_counter() - begun, 2)
        figures |= {"restart_seconds": restart_seconds, "server_rss_bytes": _resident(server.pid)}
        figures |= _diameter(ports["diameter"], seconds=seconds)
        figures |= _radius(ports["accounting"], seconds=seconds)
        figures |= _http(ports["http"], seconds=seconds)
        server.send_signal(signal.SIGTERM)
        server.wait()
    return {
        "workload": {"subscribers": subscribers, "sessions": sessions, "batch": BATCH, "seconds_of_each_load": seconds},
        **figures,
        "conservation": _apart(_verified),
        "limited_by": "the process of shard and doors is one core; PostgreSQL and the load share the other",
    }


def _apart(function: Callable[..., Answer], *given: object) -> Answer:
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(function, given)


# ---------------------------------------------------------------- the shard alone


def _in_process(subscribers: int, sessions: int, batches: int) -> dict[str, Any]:
    """Commands a second that are durable: by the clock, or by this process's time of one core where that is slower."""
    _stores()
    begun = time.perf_counter()
    before = _own_resident()
    world = a_world(subscribers=subscribers, sessions=sessions, named=NAMED, now_ms=time.time_ns() // 10**6)
    loaded = time.perf_counter() - begun
    for rows in world.batches(count=2 * sessions // BATCH, size=BATCH):
        world.shard.apply(rows)  # compiled, and every call has its first slice
    held = _own_resident() - before
    restored = _first_row(world.shard)
    took, spent, refused = asyncio.run(_durable(world, restored, place=bench_place(), batches=batches))
    broken = broken_promises(world.shard.tables())
    if broken:
        raise Defect(f"the shard broke a promise under load: {broken[0]}")
    tables = world.shard.tables()
    per_session = (tables["session"].nbytes + tables["session_text"].nbytes + tables["group"].nbytes) // sessions
    return {
        "commands_per_second_per_core": round(batches * BATCH / max(took, spent)),
        "commands_per_second": round(batches * BATCH / took),
        "cpu_seconds": round(spent, 2),
        "refused_commands": refused,
        "load_seconds": round(loaded, 1),
        "bytes_per_subscriber": held // subscribers,
        "table_bytes_per_session": per_session,
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def _first_row(shard: Shard) -> Restored:
    """The journal begins with the names; the state itself comes with the first snapshot."""

    def none(dtype: "np.dtype[np.void]") -> Rows:
        return np.zeros(0, dtype)

    place = bench_place()
    batch = Batch(commands=none(COMMAND), texts=b"", answers=none(ANSWER), movements=none(MOVEMENT),
                  charges=none(CHARGE), notices=none(NOTICE), names=shard.names(), images=[])  # fmt: skip
    with place.store.connect() as connection:
        lease = take_lease(connection, shard=place.number, holder=holder_name())
        assert lease is not None, "the benchmark's shard is nobody else's"
        insert_row(connection, journal_row(batch, shard=place.number, sequence=1), lease=lease, known_layouts=set())
        release_lease(connection, lease)
    return Restored(sequence=1, snapshot_sequence=0, replayed=0)


async def _durable(
    world: ShardWorkload, restored: Restored, *, place: ShardPlace, batches: int
) -> tuple[float, float, int]:
    """Submit batches, some at a time, until all are durable. Returns seconds, seconds of CPU, and refusals."""
    async with open_shard(world.shard, place=place, restored=restored) as opened:
        await take_snapshot(opened)
        for rows in world.batches(count=1, size=BATCH):
            await opened.engine.submit(rows)
        await take_snapshot(opened, kept_batches=1)  # the row of the names leaves: a proof begins with the snapshot
        made = list(world.batches(count=batches, size=BATCH))
        begun, spent = time.perf_counter(), time.process_time()
        refused = await _pump(opened, made)
        return time.perf_counter() - begun, time.process_time() - spent, refused


async def _pump(opened: OpenShard, made: list[Rows]) -> int:
    room = asyncio.Semaphore(ON_THEIR_WAY)
    refused = 0

    async def submit(rows: Rows) -> None:
        nonlocal refused
        try:
            answers = await opened.engine.submit(rows)
            refused += int((answers["result"] != Result.DONE).sum())
        finally:
            room.release()

    tasks = []
    for rows in made:
        await room.acquire()
        tasks.append(asyncio.ensure_future(submit(rows)))
    await asyncio.gather(*tasks)
    return refused


# ---------------------------------------------------------------- the server


def _stores() -> None:
    from millicent.config.logs import configure_logs
    from millicent.config.setup import open_stores

    configure_logs(log_format="console", log_level="warning")
    open_stores(migrate=True)


@contextmanager
def _stand(ports: dict[str, int]) -> Iterator[subprocess.Popen[bytes]]:
    """The server in a process of its own, once it has answered a command."""
    server = subprocess.Popen(
        [sys.executable, "-m", "millicent.config.charging_bench.stand", json.dumps(ports)], stdout=subprocess.PIPE
    )
    try:
        assert server.stdout is not None
        while (line := server.stdout.readline()) != b"open\n":
            if not line:
                raise Defect("the charging server of the benchmark ended; its own words stand above")
        with SyncChargingClient(bench_place().socket) as port:
            asked = empty_commands(1)
            asked["verb"], asked["subscription_id"] = Verb.ENQUIRE, 1
            port.submit(asked)
        yield server
    finally:
        if server.poll() is None:
            server.kill()
        server.wait()
        assert server.stdout is not None
        server.stdout.close()


def _sustained(
    rates: tuple[int, ...], measured: Callable[[int], Any], rate_of: Callable[[Any], int]
) -> tuple[int, Any]:
    """The highest rate that is answered in time and in full, and what it came to."""
    best: tuple[int, Any] = (0, None)
    for rate in rates:
        figures = measured(rate)
        if rate_of(figures) < rate * 97 // 100 or figures.p95_us > SUSTAINED_US:
            return best if best[0] else (rate_of(figures), figures)
        best = (rate_of(figures), figures)
    return best


def _milliseconds(figures: Any) -> dict[str, float]:
    return {name: getattr(figures, f"{name}_us") / 1_000 for name in ("p50", "p95", "p99", "p999")}


def _diameter(port: int, *, seconds: int) -> dict[str, Any]:
    turn = iter(range(1_000))

    def measured(rate: int) -> Any:
        host = f"pgw{{}}-{next(turn)}.example.net"
        plan = LoadPlan(port=port, rate=rate, seconds=seconds, sessions=NAMED, first_subscriber=FIRST_MSISDN, host=host)
        return _apart(run_diameter, plan)

    measured(WARM_RATE)
    rate, whole = _sustained(CCR_RATES, measured, lambda figures: _granted(figures, seconds=seconds))
    half = measured(max(rate // 2, 100))
    return {
        "ccr_per_second": rate,
        "ccr_bytes": whole.message_bytes,
        "ccr_ms": _milliseconds(whole),
        "p95_ms_at_half_load": half.p95_us / 1_000,
        "ccr_ms_at_half_load": _milliseconds(half),
        "ccr_results": dict(whole.results),
    }


def _granted(figures: Any, *, seconds: int) -> int:
    """Answers of success a second: a server that says it is too busy has not charged."""
    share = figures.results.get(2001, 0) / max(sum(figures.results.values()), 1)
    return int(figures.per_second * share)


def _radius(port: int, *, seconds: int) -> dict[str, Any]:
    turn = iter(range(1_000))

    def measured(rate: int) -> LoadFigures:
        load = RadiusLoad(
            port=port, secret=RADIUS_SECRET, user_name=radius_user, sessions=NAMED, packets_per_second=rate,
            seconds=seconds, run=str(next(turn)),
        )  # fmt: skip
        return _apart(run_load, load)

    rate, whole = _sustained(PACKET_RATES, measured, lambda figures: figures.answered_per_second)
    return {"radius_packets_per_second": rate, "radius_ms": _milliseconds(whole)}


def _http(port: int, *, seconds: int) -> dict[str, Any]:
    turn = iter(range(1_000))

    def measured(rate: int) -> Any:
        return _apart(run_http, HttpLoad(port=port, token=TOKEN, rate=rate, seconds=seconds, run=str(next(turn))))

    measured(WARM_RATE // 2)
    rate, whole = _sustained(REQUEST_RATES, measured, lambda figures: figures.per_second)
    return {"http_requests_per_second": rate, "http_ms": _milliseconds(whole), "http_statuses": whole.statuses}


# ---------------------------------------------------------------- afterwards


def _verified() -> dict[str, Any]:
    """The journal replayed from the snapshot: movements add up to balances, what was charged to what was taken."""
    _stores()
    place = bench_place()
    found = verify_journal(
        place.store,
        folder=place.snapshots,
        new_shard=lambda: Shard(the_programs()),
        judge=lambda shard: broken_promises(shard.tables()),
    )
    if found.faults:
        raise Defect(f"the journal of the benchmark does not add up: {found.faults[0]}")
    shown = asdict(found)
    return {name: shown[name] for name in ("batches", "commands", "movements", "charged_nanos")}


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _own_resident() -> int:
    return _resident(os.getpid())


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
