"""The time that a shard is told: it never goes back, and a jump of the machine's clock is not followed at once.

Time runs by the monotonic clock and is drawn towards the wall clock by at most a tenth of what passes. So a clock that
is set back an hour stops nothing, and one that is set forward an hour expires nothing before its time.
"""

import time
from collections.abc import Callable

import numpy as np

from millicent.charging.types import Rows
from millicent.kit.clock import system_now, to_ms

_NS_PER_MS = 1_000_000
_DRAWN_BY = 10  # of ten seconds that pass, one may be gained or lost


def _wall_ms() -> int:
    return to_ms(system_now())


class SteadyClock:
    """Milliseconds in UTC. `floor_ms`: what the journal was told last; time goes on from there."""

    def __init__(
        self,
        *,
        floor_ms: int = 0,
        wall_ms: Callable[[], int] = _wall_ms,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._wall_ms = wall_ms
        self._monotonic_ns = monotonic_ns
        self._seen_ns = monotonic_ns()
        self._now_ms = max(floor_ms, wall_ms())
        self._told_ms = self._now_ms

    def now_ms(self) -> int:
        passed_ms = (self._monotonic_ns() - self._seen_ns) // _NS_PER_MS
        if passed_ms > 0:
            self._seen_ns += passed_ms * _NS_PER_MS
            self._now_ms += passed_ms
            most = max(passed_ms // _DRAWN_BY, 1)
            self._now_ms += min(max(self._wall_ms() - self._now_ms, -most), most)
        self._told_ms = max(self._told_ms, self._now_ms)
        return self._told_ms

    def away_ms(self) -> int:
        """How far the wall clock is ahead of what is told."""
        return self._wall_ms() - self.now_ms()


def stamp(commands: Rows, *, floor_ms: int, now_ms: int) -> int:
    """Make `received_ms` rise within the batch, from what was told last to now at most. Returns the last of it.

    Rows that do not say when they came, came now.
    """
    received = commands["received_ms"]
    received[received <= 0] = now_ms
    np.clip(received, floor_ms, max(now_ms, floor_ms), out=received)
    np.maximum.accumulate(received, out=received)
    return int(received[-1])
