"""Commands a second through a shard in this process, each answered when it is durable."""

import asyncio
import time
from typing import Any

import numpy as np

from millicent.charging.bench import ShardWorkload
from millicent.charging.server.opening import ShardPlace, open_shard


async def durable_workload(
    workload: ShardWorkload, *, place: ShardPlace, count: int, size: int = 512, at_once: int = 4
) -> dict[str, Any]:
    """Submit reports in submissions of `size`, `at_once` of them unanswered at any time, until `count` were answered.

    The journal of `place` is to be empty: what was loaded into the shard before is not in it. CPU seconds are those of
    this process, PostgreSQL's not among them.
    """
    warm = list(workload.batches(count=8, size=size))
    timed = list(workload.batches(count=count // size, size=size))
    latencies: list[float] = []
    async with open_shard(workload.shard, place=place, uses_clock=False) as opened:
        for rows in warm:
            await opened.engine.submit(rows)
        left = iter(timed)

        async def submit() -> None:
            for rows in left:
                began = time.perf_counter()
                await opened.engine.submit(rows)
                latencies.append(time.perf_counter() - began)

        started, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(submit() for _ in range(at_once)))
        took, cpu = time.perf_counter() - started, time.process_time() - cpu
    commands = len(timed) * size
    return {
        "commands": commands,
        "commands_per_second": round(commands / took),
        "commands_per_cpu_second": round(commands / cpu),
        "batches": opened.engine.durable_sequence - opened.restored.sequence,
        "p50_ms": round(float(np.percentile(latencies, 50)) * 1e3, 2),
        "p95_ms": round(float(np.percentile(latencies, 95)) * 1e3, 2),
        "p99_ms": round(float(np.percentile(latencies, 99)) * 1e3, 2),
    }
