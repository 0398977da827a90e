"""Batch work over local processes: partitions in, results out in the same order, memory bounded.

Workers are started fresh (spawn): nothing of the parent's threads, connections or locks is copied into them. A worker
that is killed becomes an Outage, never a hang. Work that must survive is written so that a partition may be done
again: exactly-once is the stores' promise, not this file's.
"""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import TypeVar

from millicent.kit.errors import Outage

Argument = TypeVar("Argument")
Result = TypeVar("Result")
IN_FLIGHT_PER_WORKER = 2


class WorkerLost(Outage):
    """A worker process ended without an answer: killed, or out of memory. The work it had may be done again."""

    code = "worker_lost"


def run_partitions(
    function: Callable[[Argument], Result],
    arguments: Iterable[Argument],
    *,
    workers: int = 0,
    prepare: Callable[[], None] | None = None,
) -> Iterator[Result]:
    """Call `function` with every argument, spread over processes; yields results in the order of the arguments.

    `function` and `prepare` are importable by name; `prepare` runs once in each worker (opens its stores). Arguments
    are read only as far ahead as the workers need. An error of a worker is raised here, the rest is called off.
    `workers` 0 is one for each core; 1 stays in this process.
    """
    count = workers or os.cpu_count() or 1
    if count == 1:
        if prepare is not None:
            prepare()
        yield from map(function, arguments)
        return
    with ProcessPoolExecutor(
        max_workers=count, mp_context=multiprocessing.get_context("spawn"), initializer=prepare
    ) as pool:
        try:
            yield from _in_order(pool, function, iter(arguments), ahead=count * IN_FLIGHT_PER_WORKER)
        except BrokenProcessPool as loss:
            raise WorkerLost(
                "a worker process ended without an answer; it was killed, or the machine is out of memory"
            ) from loss
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _in_order(
    pool: ProcessPoolExecutor, function: Callable[[Argument], Result], arguments: Iterator[Argument], *, ahead: int
) -> Iterator[Result]:
    waiting: deque[Future[Result]] = deque(pool.submit(function, each) for each in islice(arguments, ahead))
    while waiting:
        yield waiting.popleft().result()
        waiting.extend(pool.submit(function, each) for each in islice(arguments, 1))
