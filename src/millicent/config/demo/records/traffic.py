"""What subscribers do in a month: when they call, whom, for how long, and how much data they use."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from millicent.kit.kernels import Int64s

HOUR_MS = 3_600_000
# Calls of a day by local hour, in parts of a thousand.
_VOICE_DAY = np.array([6, 4, 3, 2, 2, 4, 10, 22, 42, 60, 68, 70, 66, 56, 52, 56, 60, 66, 74, 80, 76, 62, 40, 19])
_DATA_DAY = np.array([22, 14, 9, 7, 7, 10, 22, 36, 44, 46, 47, 48, 52, 54, 50, 48, 48, 50, 54, 62, 70, 76, 72, 52])
# How people write the numbers they dial: (prefix, digits that follow, share of all calls in a thousand).
_DIALLED = (
    ("6", 8, 340), ("7", 8, 60), ("91", 7, 130), ("93", 7, 80), ("95", 7, 60), ("900", 6, 20), ("902", 6, 15),
    ("0033", 9, 60), ("0044", 10, 55), ("+49", 10, 50), ("00351", 9, 45), ("001212", 7, 25), ("0052", 10, 25),
    ("00212", 9, 20), ("+34", 9, 10), ("112", 0, 3), ("00881", 9, 2),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """The month that is written, and the chance that shapes it."""

    first_ms: int
    days: int
    chance: np.random.Generator

    @property
    def end_ms(self) -> int:
        return self.first_ms + self.days * 24 * HOUR_MS


def instants(month: Month, count: int, *, day_shape: Int64s) -> Int64s:
    """Moments of the month, busy at the hours when people are, in rising order."""
    day = month.chance.integers(0, month.days, count)
    hour = month.chance.choice(24, count, p=day_shape / day_shape.sum())
    within = month.chance.integers(0, HOUR_MS // 1_000, count) * 1_000
    return np.sort(month.first_ms + (day * 24 + hour) * HOUR_MS + within)


def pick(month: Month, subscribers: pl.DataFrame, count: int) -> pl.DataFrame:
    """A subscriber for each event: a few do much, most do little."""
    weight = month.chance.pareto(1.5, subscribers.height) + 0.2
    return subscribers[month.chance.choice(subscribers.height, count, p=weight / weight.sum())]


def identities(month: Month, count: int) -> pl.Series:
    """Random UUIDs of version 4, as switches make them."""
    digits = month.chance.bytes(16 * count).hex()
    made = [digits[32 * place : 32 * place + 32] for place in range(count)]
    return pl.Series([f"{x[:8]}-{x[8:12]}-4{x[13:16]}-a{x[17:20]}-{x[20:]}" for x in made])


def dialled(month: Month, count: int, *, own_numbers: pl.Series) -> pl.Series:
    """Numbers as people dial them; one call in ten is to another of our subscribers."""
    share = np.array([part for _, _, part in _DIALLED])
    kind = month.chance.choice(len(_DIALLED), count, p=share / share.sum())
    digits = month.chance.integers(0, 10**10, count)
    numbers = [
        prefix + (f"{digit % 10**length:0{length}d}" if length else "")
        for (prefix, length, _), digit in zip((_DIALLED[place] for place in kind), digits.tolist(), strict=True)
    ]
    if own_numbers.len():
        for place in np.flatnonzero(month.chance.integers(0, 10, count) == 0).tolist():
            numbers[place] = str(own_numbers[int(digits[place]) % own_numbers.len()])
    return pl.Series(numbers)


def calls(month: Month, subscribers: pl.DataFrame, count: int, *, own_numbers: pl.Series) -> pl.DataFrame:
    """Calls: identifier, callee, start_ms, ring_ms, seconds, answered, uuid. Three in four are answered."""
    who = pick(month, subscribers, count)
    answered = month.chance.integers(0, 100, count) < 76
    seconds = np.minimum(np.ceil(month.chance.lognormal(4.2, 1.2, count)).astype(np.int64), 14_400)
    return pl.DataFrame(
        {
            "identifier": who["identifier"],
            "callee": dialled(month, count, own_numbers=own_numbers),
            "start_ms": instants(month, count, day_shape=_VOICE_DAY),
            "ring_ms": month.chance.integers(1, 25, count) * 1_000,
            "seconds": np.where(answered, seconds, 0),
            "answered": answered,
            "uuid": identities(month, count),
            "kind": pl.repeat("good", count, eager=True),
        }
    )


def sessions(month: Month, subscribers: pl.DataFrame, count: int, *, megabytes: int) -> pl.DataFrame:
    """Data sessions: who, start_ms, seconds, uplink, downlink; volumes around `megabytes`, with a long tail."""
    downlink = month.chance.lognormal(np.log(megabytes * 1_000_000), 1.4, count).astype(np.int64)
    return pick(month, subscribers, count).with_columns(
        start_ms=instants(month, count, day_shape=_DATA_DAY),
        seconds=pl.Series(month.chance.integers(60, 10_800, count)),
        downlink=pl.Series(downlink),
        uplink=pl.Series(downlink // month.chance.integers(4, 20, count)),
        serial=pl.Series(month.chance.integers(1, 2**31, count)),
        kind=pl.lit("good"),
    )
