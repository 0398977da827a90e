"""Which events were seen, across files, days and restarts, in bounded memory (decision 0031).

Keys lie in sorted files (runs), one set for each UTC month in which events began. A Bloom filter of the month in
memory (two bytes a key) says of nearly every new key that it is new; the few others are searched in the runs, which
are mapped into memory one at a time. A run counts once a PostgreSQL row names it: a killed commit leaves a file that
nobody reads. Small runs are merged into larger ones, so a month has a few dozen at most.
"""

import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from millicent.kit.errors import Outage
from millicent.kit.kernels import Bools, Int64s, UInt64s
from millicent.mediation.kernel.keys import (
    WORDS_PER_BLOCK,
    add_to_filter,
    ask_filter,
    find_in_run,
    mark_repeats,
    merge_two,
)

BYTES_PER_KEY = 16
LARGEST_RUN = 1 << 25  # 32 million keys, 512 MiB: what is mapped at a time
RUNS_TO_MERGE = 8
_READ_AT_A_TIME = 1 << 20
_SMALLEST_FILTER_KEYS = 1 << 20
_FILTER_BITS_PER_KEY = 16
_KEYS_WORTH_A_FILTER = 32  # a filter is made once a thirty-second of a month has been asked for


class KeyRunMissing(Outage):
    """A file of event keys is gone: without it duplicates would be charged. Bring the home folder back."""

    code = "key_run_missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRun:
    """One sorted file of keys of one month."""

    month: str
    file: str
    key_count: int


@dataclass(slots=True)
class _Filter:
    """A blocked Bloom filter; blocks follow the order of the keys' high halves."""

    capacity: int
    words: UInt64s = field(init=False)
    shift: np.uint64 = field(init=False)
    count: int = 0

    def __post_init__(self) -> None:
        block_bits = max((self.capacity * _FILTER_BITS_PER_KEY // 512).bit_length() - 1, 1)
        self.words = np.zeros((1 << block_bits) * WORDS_PER_BLOCK, np.uint64)
        self.shift = np.uint64(63 - block_bits)

    def add(self, *, high: UInt64s, low: UInt64s) -> None:
        add_to_filter(high, low, self.shift, self.words)
        self.count += len(high)

    def ask(self, *, high: UInt64s, low: UInt64s) -> Bools:
        perhaps = np.empty(len(high), np.bool_)
        ask_filter(high, low, self.shift, self.words, perhaps)
        return perhaps


@dataclass(slots=True)
class _Month:
    runs: list[KeyRun]
    fresh: list[UInt64s] = field(default_factory=list)  # sorted keys that no committed run holds yet
    filter: _Filter | None = None
    asked: int = 0


class KeyIndex:
    """All keys of one source family. One process at a time writes it; the caller holds the family's lock."""

    def __init__(self, *, folder: Path, runs: Sequence[KeyRun]) -> None:
        self.folder = folder
        self._months: dict[str, _Month] = {}
        for run in runs:
            self._month(run.month).runs.append(run)

    def mark_seen(self, *, month: str, high: UInt64s, low: UInt64s) -> tuple[Bools, UInt64s]:
        """True for every key that came before, in a run, in an earlier call or earlier in these arrays.

        The second answer is the new keys, sorted: known from now on, but in memory only until the caller has written
        them as a run, committed its row and said so with `adopt`.
        """
        kept = self._month(month)
        order = np.argsort(high, kind="stable")
        repeated = np.empty(len(high), np.bool_)
        mark_repeats(order, high, low, repeated)
        firsts = order[~repeated[order]]
        firsts = _by_both_halves(firsts, high=high, low=low)
        sorted_high, sorted_low = high[firsts], low[firsts]
        known = self._known(kept, high=sorted_high, low=sorted_low)
        new = ~known
        if kept.filter is not None:
            self._filter_of(kept, room=int(new.sum())).add(high=sorted_high[new], low=sorted_low[new])
        fresh = _interleaved(sorted_high[new], sorted_low[new])
        kept.fresh.append(fresh)
        seen = repeated
        seen[firsts[known]] = True
        return seen, fresh

    def write_run(self, *, month: str, keys: UInt64s) -> KeyRun:
        """Write sorted keys to a new file, durable. It counts when the caller has committed a row that names it."""
        run = KeyRun(month=month, file=f"{month}-{secrets.token_hex(8)}.keys", key_count=len(keys) // 2)
        write_keys(self.folder / run.file, [keys])
        return run

    def adopt(self, run: KeyRun, *, keys: UInt64s) -> None:
        """The row of this run is committed: its keys need not be held in memory any more.

        Another thread may be asking: it looks at fresh keys first and at runs after, so it misses none.
        """
        month = self._months[run.month]
        month.runs.append(run)
        month.fresh = [each for each in month.fresh if each is not keys]

    def runs_to_merge(self) -> list[list[KeyRun]]:
        """Groups of runs of about the same size, large enough to be worth joining."""
        groups = []
        for month in self._months.values():
            tiers: dict[int, list[KeyRun]] = {}
            for run in month.runs:
                tiers.setdefault(_tier(run.key_count), []).append(run)
            for tier in tiers.values():
                small = [run for run in tier if run.key_count * RUNS_TO_MERGE <= LARGEST_RUN]
                whole = len(small) - len(small) % RUNS_TO_MERGE
                groups += [small[first : first + RUNS_TO_MERGE] for first in range(0, whole, RUNS_TO_MERGE)]
        return groups

    def merge(self, runs: Sequence[KeyRun]) -> KeyRun:
        """Join runs of one month into a new file, a slice of the key space at a time. Nothing is deleted here."""
        merged = KeyRun(
            month=runs[0].month,
            file=f"{runs[0].month}-{secrets.token_hex(8)}.keys",
            key_count=sum(run.key_count for run in runs),
        )
        slices = max(1, -(-merged.key_count // _READ_AT_A_TIME))
        edges = [np.uint64((1 << 63) * place // slices) for place in range(slices)] + [np.uint64(1 << 63)]
        mapped = [self._mapped(run) for run in runs]
        places = [0] * len(runs)

        def pieces() -> Iterator[UInt64s]:
            for edge in edges[1:]:
                parts = []
                for which, keys in enumerate(mapped):
                    end = int(np.searchsorted(keys[0::2], edge))
                    parts.append(np.array(keys[2 * places[which] : 2 * end]))
                    places[which] = end
                yield _merged(parts)

        write_keys(self.folder / merged.file, pieces())
        return merged

    def replace(self, runs: Sequence[KeyRun], *, merged: KeyRun) -> None:
        """The rows are changed and committed: forget and delete the files that were joined."""
        month = self._months[merged.month]
        gone = {run.file for run in runs}
        month.runs = [run for run in month.runs if run.file not in gone] + [merged]
        for run in runs:
            (self.folder / run.file).unlink(missing_ok=True)

    def delete_strays(self) -> int:
        """Delete files that no committed row names: a killed run wrote them. Returns how many."""
        named = {run.file for month in self._months.values() for run in month.runs}
        strays = [path for path in self.folder.glob("*.keys") if path.name not in named]
        for path in strays:
            path.unlink()
        return len(strays)

    def _month(self, name: str) -> _Month:
        return self._months.setdefault(name, _Month(runs=[]))

    def _known(self, month: _Month, *, high: UInt64s, low: UInt64s) -> Bools:
        known = np.zeros(len(high), np.bool_)
        perhaps = self._perhaps_known(month, high=high, low=low)
        if not len(perhaps):
            return known
        asked_high, asked_low, found = high[perhaps], low[perhaps], np.zeros(len(perhaps), np.bool_)
        for keys in tuple(month.fresh):
            find_in_run(asked_high, asked_low, keys, found)
        for run in tuple(month.runs):  # mapped one at a time, so that memory stays bounded
            find_in_run(asked_high, asked_low, self._mapped(run), found)
        known[perhaps] = found
        return known

    def _perhaps_known(self, month: _Month, *, high: UInt64s, low: UInt64s) -> Int64s:
        """Where to look closer. For a few keys every key is looked up: a filter is not worth reading a month for."""
        month.asked += len(high)
        total = sum(run.key_count for run in tuple(month.runs))
        if month.filter is None and month.asked * _KEYS_WORTH_A_FILTER < total:
            return np.arange(len(high))
        return np.flatnonzero(self._filter_of(month, room=len(high)).ask(high=high, low=low))

    def _filter_of(self, month: _Month, *, room: int) -> _Filter:
        """The month's filter with room for more keys; made anew, twice as large, when it is full."""
        fresh, runs = tuple(month.fresh), tuple(month.runs)
        total = sum(run.key_count for run in runs) + sum(len(keys) // 2 for keys in fresh) + room
        if month.filter is not None and total <= month.filter.capacity:
            return month.filter
        capacity = _SMALLEST_FILTER_KEYS
        while capacity < total:
            capacity *= 2
        month.filter = None  # the old one goes before the new one comes
        made = _Filter(capacity)
        for keys in fresh:
            made.add(high=np.ascontiguousarray(keys[0::2]), low=np.ascontiguousarray(keys[1::2]))
        for run in runs:
            keys = self._mapped(run)
            for start in range(0, len(keys), 2 * _READ_AT_A_TIME):
                piece = np.array(keys[start : start + 2 * _READ_AT_A_TIME])
                made.add(high=np.ascontiguousarray(piece[0::2]), low=np.ascontiguousarray(piece[1::2]))
        month.filter = made
        return made

    def _mapped(self, run: KeyRun) -> UInt64s:
        try:
            keys: UInt64s = np.memmap(self.folder / run.file, np.uint64, mode="r").view(np.ndarray)
        except (FileNotFoundError, ValueError) as missing:
            raise KeyRunMissing(
                f"{self.folder / run.file} is missing: it holds event keys already counted"
            ) from missing
        if len(keys) != 2 * run.key_count:
            raise KeyRunMissing(f"{self.folder / run.file} is cut off: {len(keys) // 2} of {run.key_count} keys")
        return keys


def write_keys(path: Path, pieces: Iterable[UInt64s]) -> None:
    """Write pieces behind each other and force them to the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for piece in pieces:
            file.write(piece.tobytes())
        file.flush()
        os.fsync(file.fileno())


def _tier(key_count: int) -> int:
    return max(key_count, 1).bit_length() // 3


def _interleaved(high: UInt64s, low: UInt64s) -> UInt64s:
    keys = np.empty(2 * len(high), np.uint64)
    keys[0::2], keys[1::2] = high, low
    return keys


def _merged(parts: Sequence[UInt64s]) -> UInt64s:
    """Merge sorted keys, two and two."""
    waiting = list(parts)
    while len(waiting) > 1:
        first, second = waiting.pop(0), waiting.pop(0)
        merged = np.empty(len(first) + len(second), np.uint64)
        merge_two(first, second, merged)
        waiting.append(merged)
    return waiting[0]


def _by_both_halves(order: Int64s, *, high: UInt64s, low: UInt64s) -> Int64s:
    """Settle the order of keys whose high halves are equal: almost never, and then with a full sort."""
    arranged = high[order]
    if not (arranged[1:] == arranged[:-1]).any():
        return order
    return order[np.lexsort((low[order], arranged))]
