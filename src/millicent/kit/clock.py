"""Time: instants are int64 milliseconds since 1970 in UTC; zones only where a person or a tariff has one.

`now` is always an argument. The one place that reads the machine's clock is `system_now`, and only the doors call it.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from millicent.kit.errors import BadInput
from millicent.kit.kernels import Int64s

MS_PER_SECOND = 1_000
MS_PER_DAY = 86_400_000
_FIRST_YEAR, _LAST_YEAR = 1990, 2100


def system_now() -> datetime:
    return datetime.now(UTC)


def to_ms(instant: datetime) -> int:
    """Exact milliseconds since the epoch; a naive datetime is a mistake of the caller."""
    if instant.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    since = instant - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000 + since.microseconds // 1_000


def from_ms(instant_ms: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=instant_ms)


def zone_named(name: str, *, where: str = "") -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise BadInput(
            f"{name!r} is not a time zone", where=where, cure="Use an IANA name such as Europe/Paris."
        ) from None


def local_midnight_ms(day: date, zone: str) -> int:
    """The instant a local day begins. Where midnight is skipped by daylight saving, the first instant that exists."""
    start = datetime(day.year, day.month, day.day, tzinfo=zone_named(zone))
    return to_ms(start.astimezone(UTC))


def local_date(instant_ms: int, zone: str) -> date:
    return from_ms(instant_ms).astimezone(zone_named(zone)).date()


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneTransitions:
    """A time zone as two arrays: from `instant_ms[i]` on, local time is UTC + `offset_ms[i]`.

    `instant_ms[0]` is the smallest int64, so a search never falls off the front.
    """

    instant_ms: Int64s
    offset_ms: Int64s


@lru_cache(maxsize=64)
def zone_transitions(name: str) -> ZoneTransitions:
    """Every change of UTC offset from 1990 to 2100, found by bisection to the millisecond."""
    zone = zone_named(name)

    def offset_at(instant_ms: int) -> int:
        offset = from_ms(instant_ms).astimezone(zone).utcoffset()
        assert offset is not None
        return int(offset / timedelta(milliseconds=1))

    first = to_ms(datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC))
    last = to_ms(datetime(_LAST_YEAR, 1, 1, tzinfo=UTC))
    instants, offsets = [np.iinfo(np.int64).min], [offset_at(first)]
    step = 7 * MS_PER_DAY  # no zone changes twice within a week in this span
    for start in range(first, last, step):
        if offset_at(start + step) == offsets[-1]:
            continue
        low, high = start, start + step
        while high - low > 1:
            middle = (low + high) // 2
            if offset_at(middle) == offsets[-1]:
                low = middle
            else:
                high = middle
        instants.append(high)
        offsets.append(offset_at(high))
    return ZoneTransitions(instant_ms=np.array(instants, np.int64), offset_ms=np.array(offsets, np.int64))
