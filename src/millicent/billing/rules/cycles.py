"""Bill cycles: cycle k of an account is a pure function of its day, its period and its zone.

Boundaries are local midnights, so a day with a clock change is 23 or 25 hours long. A cycle day that a month does not
have becomes the month's last day, and the next month has it again: each boundary is computed from k, never from the
boundary before it.
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from millicent.catalog.types import Period, PeriodUnit
from millicent.customers.types import BillCycle
from millicent.kit.clock import local_date, local_midnight_ms

_MONTHS = {PeriodUnit.MONTH: 1, PeriodUnit.QUARTER: 3, PeriodUnit.YEAR: 12}
_DAYS = {PeriodUnit.DAY: 1, PeriodUnit.WEEK: 7}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class CycleSpan:
    """One cycle: [from_ms, until_ms)."""

    from_ms: int
    until_ms: int


@lru_cache(maxsize=65_536)
def cycle_boundary(*, cycle: BillCycle, zone: str, index: int) -> int:
    """The instant cycle `index` begins. Month-based cycles count from year 0, others from the anchor's local day."""
    return local_midnight_ms(_boundary_day(cycle=cycle, zone=zone, index=index), zone)


def _boundary_day(*, cycle: BillCycle, zone: str, index: int) -> date:
    if cycle.period.unit in _DAYS:
        step = _DAYS[cycle.period.unit] * cycle.period.count
        return local_date(cycle.anchor_ms, zone) + timedelta(days=step * index)
    months = _phase(cycle=cycle, zone=zone) + index * months_in(cycle.period)
    year, month = months // 12, months % 12 + 1
    return date(year, month, min(cycle.day, monthrange(year, month)[1]))


def months_in(period: Period) -> int:
    """How many months a month-based period has; 0 for days and weeks."""
    return _MONTHS.get(period.unit, 0) * period.count


def _phase(*, cycle: BillCycle, zone: str) -> int:
    """Which months begin a cycle of several months: those in step with the anchor's month."""
    anchor = local_date(cycle.anchor_ms, zone)
    return (anchor.year * 12 + anchor.month - 1) % months_in(cycle.period)


@lru_cache(maxsize=65_536)
def cycle_index(*, cycle: BillCycle, zone: str, instant_ms: int) -> int:
    """Which cycle an instant lies in."""
    day = local_date(instant_ms, zone)
    if cycle.period.unit in _DAYS:
        step = _DAYS[cycle.period.unit] * cycle.period.count
        index = (day - local_date(cycle.anchor_ms, zone)).days // step
    else:
        index = (day.year * 12 + day.month - 1 - _phase(cycle=cycle, zone=zone)) // months_in(cycle.period)
    return index if cycle_boundary(cycle=cycle, zone=zone, index=index) <= instant_ms else index - 1


def cycle_span(*, cycle: BillCycle, zone: str, index: int) -> CycleSpan:
    return CycleSpan(
        from_ms=cycle_boundary(cycle=cycle, zone=zone, index=index),
        until_ms=cycle_boundary(cycle=cycle, zone=zone, index=index + 1),
    )


@lru_cache(maxsize=65_536)
def cycle_containing(*, cycle: BillCycle, zone: str, instant_ms: int) -> CycleSpan:
    return cycle_span(cycle=cycle, zone=zone, index=cycle_index(cycle=cycle, zone=zone, instant_ms=instant_ms))


def cycle_from(*, cycle: BillCycle, zone: str, start_ms: int) -> CycleSpan:
    """The cycle that goes on from `start_ms`: shorter than usual when the account's bill day was changed before."""
    return CycleSpan(from_ms=start_ms, until_ms=cycle_containing(cycle=cycle, zone=zone, instant_ms=start_ms).until_ms)
