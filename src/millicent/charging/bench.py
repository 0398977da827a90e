"""A shard under load in this process, without a journal: what one core applies a second, and what memory it takes."""

import resource
import time
from collections.abc import Callable, Iterator

import numpy as np

from millicent.catalog.types import Catalogue
from millicent.charging.conservation import broken_promises
from millicent.charging.keys import plan_text, traffic_text
from millicent.charging.shard import Shard
from millicent.charging.types import Flag, NameKind, Result, Rows, Unit, Verb, commands
from millicent.kit.kernels import Int64s
from millicent.rating.bench import bench_catalogue, keys_under, prefix_texts
from millicent.rating.services import compile_catalogue

_START_MS = 1_790_812_800_000  # 1 October 2026
_LOAD_ROWS = 50_000
_EURO = 10**9


class ShardWorkload:
    """A loaded shard with open calls, and batches of reports for them: usage of 30 seconds, and the next 60 asked."""

    def __init__(
        self,
        *,
        subscribers: int,
        sessions: int,
        plans: int = 200,
        prefixes: int = 25_000,
        seed: int = 7,
        start_ms: int = _START_MS,
        changed: Callable[[Catalogue], Catalogue] = lambda catalogue: catalogue,
    ) -> None:
        self._source = np.random.default_rng(seed)
        texts = prefix_texts(prefixes, seed=seed)
        self.shard = Shard([(0, 1, compile_catalogue(changed(bench_catalogue(plans=plans, prefixes=texts))))])
        self.subscribers = subscribers
        self.sessions = sessions
        self.now_ms = start_ms
        self._traffic = self.shard.number_of(NameKind.TRAFFIC, traffic_text(service="voice"))
        self._currency = self.shard.number_of(NameKind.CURRENCY, "EUR")
        self._allowance = self.shard.number_of(NameKind.ALLOWANCE, "plan/minutes")
        self._plans = np.array(
            [self.shard.number_of(NameKind.PLAN, plan_text(tariff=f"plan{plan}", segment="")) for plan in range(plans)]
        )
        self._load()
        self._number_key, self._number_digits = keys_under(texts, count=sessions, source=self._source)
        self._requests = np.zeros(sessions, np.int64)
        self._open()

    def _rows(self, verb: Verb, count: int) -> Rows:
        rows = commands(count)
        rows["verb"] = verb
        rows["received_ms"] = self.now_ms
        return rows

    def _load(self) -> None:
        """An account with money, a subscription, an identifier and a bucket of minutes each."""
        for first in range(0, self.subscribers, _LOAD_ROWS):
            ids = np.arange(first, min(first + _LOAD_ROWS, self.subscribers))
            accounts = self._rows(Verb.ACCOUNT, len(ids))
            accounts["account_id"], accounts["other_name"] = ids, self._currency
            people = self._rows(Verb.SUBSCRIBER, len(ids))
            people["subscription_id"], people["account_id"] = ids, ids
            people["name"] = self._plans[self._source.integers(0, len(self._plans), len(ids))]
            numbers = self._rows(Verb.IDENTIFIER, len(ids))
            numbers["subscriber_key"], numbers["subscription_id"] = (1 << 60) + ids.astype(np.uint64), ids
            money = self._rows(Verb.TOP_UP, len(ids))
            money["account_id"], money["bucket_id"] = ids, 2 * ids
            money["amount"] = self._source.integers(1, 50, len(ids)) * _EURO
            minutes = self._rows(Verb.GRANT, len(ids))
            minutes["subscription_id"], minutes["bucket_id"], minutes["name"] = ids, 2 * ids + 1, self._allowance
            minutes["amount"] = self._source.integers(0, 1_200, len(ids))
            for rows in (accounts, people, numbers, money, minutes):
                self.shard.apply(rows)

    def _keys(self, session: Int64s) -> tuple[np.ndarray, np.ndarray]:
        spread = (session.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        return spread, spread ^ np.uint64(0x5555555555555555)

    def _open(self) -> None:
        self._subscriber = self._source.permutation(self.subscribers)[: self.sessions]
        for first in range(0, self.sessions, _LOAD_ROWS):
            calls = np.arange(first, min(first + _LOAD_ROWS, self.sessions))
            rows = self._rows(Verb.OPEN, len(calls))
            rows["key_high"], rows["key_low"] = self._keys(calls)
            rows["subscriber_key"] = (1 << 60) + self._subscriber[calls].astype(np.uint64)
            rows["door"] = 1
            rows["text_length"] = 40
            self.shard.apply(rows, b"x" * 40)

    def batches(self, *, count: int, size: int) -> Iterator[Rows]:
        """So many batches of reports, each for other calls."""
        for _ in range(count):
            self.now_ms += 1_000
            calls = self._source.choice(self.sessions, size, replace=False)
            self._requests[calls] += 1
            rows = self._rows(Verb.UNITS, size)
            rows["key_high"], rows["key_low"] = self._keys(calls)
            rows["request_number"] = self._requests[calls]
            rows["traffic"] = self._traffic
            rows["flags"] = Flag.ASKED
            rows["number_key"], rows["number_digits"] = self._number_key[calls], self._number_digits[calls]
            rows["used"][:, Unit.SECONDS] = np.where(self._requests[calls] > 1, 30, -1)
            rows["asked"][:, Unit.SECONDS] = 60
            yield rows


def shard_workload(
    *, subscribers: int = 1_000_000, sessions: int = 100_000, count: int = 500_000, size: int = 1_024, seed: int = 7
) -> dict[str, object]:
    """Load a shard, then apply reports: `count` in all, in batches of `size`. Only `apply` is timed."""
    begun = time.perf_counter()
    workload = ShardWorkload(subscribers=subscribers, sessions=sessions, seed=seed)
    loaded = time.perf_counter()
    for rows in workload.batches(count=max(2, 2 * sessions // size), size=size):
        workload.shard.apply(rows)  # compiled, and every call has its first slice
    seconds, refused, images = 0, 0, 0
    for rows in workload.batches(count=count // size, size=size):
        before = time.thread_time_ns()  # of this core alone: other work on the machine does not count against it
        batch = workload.shard.apply(rows)
        seconds += time.thread_time_ns() - before
        refused += int((batch.answers["result"] != Result.DONE).sum())
        images += sum(each.images.nbytes for each in batch.images)
    applied = count // size * size
    broken = broken_promises(workload.shard.tables())
    assert broken == [], broken[:3]
    return {
        "benchmark": "shard",
        "workload": {"subscribers": subscribers, "sessions": sessions, "batch": size, "seed": seed, "refused": refused},
        "commands_per_second_per_core": applied * 10**9 // seconds,
        "nanoseconds_per_command": seconds // applied,
        "image_bytes_per_command": images // applied,
        "load_seconds": round(loaded - begun, 1),
        "table_bytes": {name: rows.nbytes for name, rows in workload.shard.tables().items()},
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
