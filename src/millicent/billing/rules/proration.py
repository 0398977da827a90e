"""Which part of a price's period a service covered, as an exact ratio of two integers."""

from calendar import monthrange
from datetime import date
from functools import lru_cache

from millicent.billing.rules.cycles import CycleSpan
from millicent.catalog.types import Proration
from millicent.kit.clock import local_date, local_midnight_ms


def length_of(*, period: CycleSpan, proration: Proration, zone: str, months: int) -> int:
    """How much a whole period counts: milliseconds, days, 30 for each month, or 1 where no part is split."""
    match proration:
        case Proration.BY_SECOND:
            return period.until_ms - period.from_ms
        case Proration.BY_DAY:
            return (_day(period.until_ms, zone) - _day(period.from_ms, zone)).days
        case Proration.THIRTY_DAY:
            return 30 * months if months else (_day(period.until_ms, zone) - _day(period.from_ms, zone)).days
        case Proration.NONE:
            return 1


def covered(
    *, from_ms: int, until_ms: int, period: CycleSpan, proration: Proration, zone: str, months: int, last_day: bool
) -> int:
    """How much of the period [from_ms, until_ms) covers, in the counts of `length_of`.

    A day belongs to whoever holds it last, so a plan that ends within a day leaves that day to its successor.
    `last_day` says that nobody follows and the day is billed: termination. Parts that follow each other always add
    up to the whole.
    """
    if from_ms <= period.from_ms and until_ms >= period.until_ms:
        return length_of(period=period, proration=proration, zone=zone, months=months)
    start, end = max(from_ms, period.from_ms), min(until_ms, period.until_ms)
    if start >= end:
        return 0
    match proration:
        case Proration.BY_SECOND:
            return end - start
        case Proration.NONE:
            return 1
        case _:
            first, after = _day(start, zone), _day(end, zone)
            if last_day and local_midnight_ms(after, zone) != end:
                after = date.fromordinal(after.toordinal() + 1)
            if proration is Proration.BY_DAY or not months:
                return (after - first).days
            origin = _day(period.from_ms, zone)
            return _thirty_day_count(origin=origin, day=after) - _thirty_day_count(origin=origin, day=first)


def _thirty_day_count(*, origin: date, day: date) -> int:
    """Days from the period's first day, each of its months counting 30: a 31st day adds nothing, a short month's
    last day adds what is missing."""
    months = (day.year - origin.year) * 12 + day.month - origin.month
    if _months_after(origin, months) > day:
        months -= 1
    return 30 * months + min((day - _months_after(origin, months)).days, 30)


@lru_cache(maxsize=4096)
def _months_after(origin: date, months: int) -> date:
    number = origin.year * 12 + origin.month - 1 + months
    year, month = number // 12, number % 12 + 1
    return date(year, month, min(origin.day, monthrange(year, month)[1]))


@lru_cache(maxsize=65_536)
def _day(instant_ms: int, zone: str) -> date:
    return local_date(instant_ms, zone)
