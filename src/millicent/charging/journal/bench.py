"""How many commits and bytes a second the journal takes, with rows that look like a busy network's."""

import time
from queue import SimpleQueue
from typing import Any

import numpy as np

from millicent.charging.journal.connection import JournalStore
from millicent.charging.journal.insert import insert_row, journal_row
from millicent.charging.journal.lease import release_lease, take_lease
from millicent.charging.journal.read import journal_ends
from millicent.charging.journal.writer import JournalWriter
from millicent.charging.types import ANSWER, CHARGE, MOVEMENT, NOTICE, Batch, RowImages, Verb, commands

_TABLE = np.dtype([(f"field_{place}", "i8") for place in range(25)], align=True)
_TABLES = ("bucket", "session", "group", "stored")
_DEPTH = 2


def a_busy_batch(rows: int, *, seed: int = 1) -> Batch:
    """About 1.3 kB a command before compression: a command, its answer, a movement and four rows of state."""
    dice = np.random.default_rng(seed)
    brought, answers, movements = commands(rows), np.zeros(rows, ANSWER), np.zeros(rows, MOVEMENT)
    brought["verb"] = Verb.UNITS
    brought["received_ms"] = 1_790_000_000_000 + np.arange(rows)
    for name, top in (("key_high", 2**62), ("key_low", 2**62), ("subscriber_key", 10**11)):
        brought[name] = dice.integers(0, top, rows)
    brought["used"][:, 1] = dice.integers(0, 10**7, rows)
    answers["charged_nanos"] = dice.integers(0, 10**9, rows)
    answers["available_nanos"] = dice.integers(0, 10**11, rows)
    movements["command"] = np.arange(rows)
    movements["change"] = -answers["charged_nanos"]
    return Batch(
        commands=brought, texts=b"", answers=answers, movements=movements, charges=np.zeros(0, CHARGE),
        notices=np.zeros(0, NOTICE), names=[], images=[_images(dice, name, rows) for name in _TABLES],
    )  # fmt: skip


def _images(dice: np.random.Generator, table: str, rows: int) -> RowImages:
    images = np.zeros(rows, _TABLE)
    for place in range(12):
        images[f"field_{place}"] = dice.integers(0, 10**7, rows)
    return RowImages(table=table, rows=np.sort(dice.choice(10**6, rows, replace=False)), images=images)


def journal_figures(store: JournalStore, *, batch_rows: int, seconds: float) -> dict[str, Any]:
    """Commit batches as the engine does, at most two on their way; latency is from handing over to durable."""
    with store.connect() as connection:
        lease = take_lease(connection, shard=store.shard, holder="bench")
        assert lease is not None, "nobody else uses the bench's shard"
        with connection.cursor() as cursor:
            _, last = journal_ends(cursor, shard=store.shard)
        batch = a_busy_batch(batch_rows)
        row = journal_row(batch, shard=store.shard, sequence=last + 1)
        insert_row(connection, row, lease=lease, known_layouts=set())
    done: SimpleQueue[int] = SimpleQueue()
    writer = JournalWriter(store=store, lease=lease, on_durable=done.put, on_end=lambda why: None)
    writer.start()
    latencies, started = _pump(writer, batch, done, first=last + 2, seconds=seconds)
    took = time.perf_counter() - started
    writer.stop()
    with store.connect() as connection:
        release_lease(connection, lease)
    return {
        "batch_rows": batch_rows,
        "commits_per_second": round(len(latencies) / took, 1),
        "commands_per_second": round(len(latencies) * batch_rows / took),
        "journalled_megabytes_per_second": round(len(latencies) * len(row.payload) / took / 1e6, 2),
        "payload_bytes_per_command": len(row.payload) // batch_rows,
        "p50_ms": round(float(np.percentile(latencies, 50)) * 1e3, 2),
        "p95_ms": round(float(np.percentile(latencies, 95)) * 1e3, 2),
        "p99_ms": round(float(np.percentile(latencies, 99)) * 1e3, 2),
    }


def _pump(
    writer: JournalWriter, batch: Batch, done: "SimpleQueue[int]", *, first: int, seconds: float
) -> tuple[list[float], float]:
    latencies: list[float] = []
    put_at: dict[int, float] = {}
    started = time.perf_counter()
    sequence = first
    while time.perf_counter() - started < seconds or put_at:
        if len(put_at) < _DEPTH and time.perf_counter() - started < seconds:
            put_at[sequence] = time.perf_counter()
            writer.put(sequence, batch)
            sequence += 1
            continue
        durable = done.get(timeout=60)
        latencies.append(time.perf_counter() - put_at.pop(durable))
    return latencies, started
