"""Valid messages, spoilt: bits flipped, lengths that lie, parts left out or said twice, and bytes that are nothing.

Structure is spoilt in Python, for a pool of messages; bits and lengths then by numpy over whole batches, so that ten
million inputs are a matter of minutes.
"""

import random
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

UInt8s = NDArray[np.uint8]
Int64s = NDArray[np.int64]


def _cut(raw: bytes, dice: random.Random) -> bytes:
    return raw[: dice.randrange(len(raw) + 1)]


def _said_twice(raw: bytes, dice: random.Random) -> bytes:
    begin = dice.randrange(len(raw)) // 4 * 4
    end = min(len(raw), begin + 4 * dice.randint(1, 20))
    return raw[:end] + raw[begin:end] * dice.randint(1, 3) + raw[end:]


def _left_out(raw: bytes, dice: random.Random) -> bytes:
    begin = dice.randrange(len(raw)) // 4 * 4
    return raw[:begin] + raw[begin + 4 * dice.randint(1, 10) :]


def _nested(raw: bytes, dice: random.Random) -> bytes:
    """A part within itself, many times: what walks by recursion would fall."""
    begin = dice.randrange(len(raw)) // 4 * 4
    piece = raw[begin : begin + 8]
    return raw[:begin] + piece * dice.randint(2, 60) + raw[begin:]


def _nothing_known(raw: bytes, dice: random.Random) -> bytes:
    return dice.randbytes(dice.randrange(1, 600))


def _sound(raw: bytes, dice: random.Random) -> bytes:
    return raw


_WAYS = (_sound, _sound, _cut, _said_twice, _left_out, _nested, _nothing_known)


def a_pool(
    samples: Sequence[bytes], *, seed: int, count: int, mend: Callable[[bytes, random.Random], bytes], longest: int
) -> list[bytes]:
    """Spoilt messages; `mend` writes the outer length, mostly right, so that the walk goes beyond the header."""
    dice = random.Random(seed)
    made = (dice.choice(_WAYS)(dice.choice(samples), dice) for _ in range(count))
    return [mend(raw[:longest], dice) for raw in made]


class Batches:
    """Batches of spoilt messages, equal for equal seeds."""

    def __init__(self, pool: Sequence[bytes], *, seed: int) -> None:
        self._dice = np.random.default_rng(seed)
        self._width = max(map(len, pool))
        self._rows = np.zeros((len(pool), self._width), np.uint8)
        self._sizes = np.array([len(raw) for raw in pool], np.int64)
        for place, raw in enumerate(pool):
            self._rows[place, : len(raw)] = np.frombuffer(raw, np.uint8)

    def next(self, count: int, *, spare: int) -> tuple[UInt8s, Int64s]:
        """Messages [count, width] and their sizes. The first `spare` octets, a header, are mostly left alone."""
        dice = self._dice
        chosen = dice.integers(0, len(self._sizes), count)
        rows, sizes = self._rows[chosen], self._sizes[chosen]
        for _ in range(3):  # none, one, two or three octets of a message become others
            hit = np.flatnonzero(dice.random(count) < 0.5)
            low = np.where(dice.random(hit.size) < 0.95, np.minimum(spare, sizes[hit] - 1), 0)
            at = low + (dice.random(hit.size) * (sizes[hit] - low)).astype(np.int64)
            flipped = rows[hit, at] ^ (1 << dice.integers(0, 8, hit.size)).astype(np.uint8)
            extreme = dice.choice(np.array([0, 1, 7, 8, 127, 128, 254, 255], np.uint8), hit.size)
            rows[hit, at] = np.where(dice.random(hit.size) < 0.6, flipped, extreme)
        return rows, sizes


def in_one_run(rows: UInt8s, sizes: Int64s) -> tuple[UInt8s, Int64s, Int64s]:
    """The messages one behind the other, and where each begins and ends."""
    end = np.cumsum(sizes)
    return rows[np.arange(rows.shape[1]) < sizes[:, None]], end - sizes, end
