"""Deferred revenue by day: what of an advance has been earned when a day has passed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from millicent.kit.clock import MS_PER_DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class DeferredLine:
    """A line billed in advance. `recognised_until_day` is where earlier runs stopped; None before the first."""

    currency: str
    ledger_code: str
    revenue_account: str
    net_nanos: int
    first_day: int  # days since 1970, UTC, of the period
    day_count: int
    recognised_until_day: int | None


def days_of(*, from_ms: int, until_ms: int) -> tuple[int, int]:
    """First day and number of days (at least one) of a period. Days are nearest midnights, so that a local month is
    a whole number of them wherever it is."""
    first = (from_ms + MS_PER_DAY // 2) // MS_PER_DAY
    last = (until_ms + MS_PER_DAY // 2) // MS_PER_DAY
    return first, max(last - first, 1)


def earned(line: DeferredLine, *, until_day: int) -> int:
    """Nanos earned before this day: whole days in proportion, everything when the period is over."""
    passed = min(max(until_day - line.first_day, 0), line.day_count)
    sign = 1 if line.net_nanos >= 0 else -1
    return sign * (abs(line.net_nanos) * passed // line.day_count)


@dataclass(frozen=True, slots=True, kw_only=True)
class DayOfRevenue:
    """What one day earned: (ledger code, revenue account) -> nanos, in one currency."""

    day: int
    currency: str
    nanos: Mapping[tuple[str, str], int]


def revenue_by_day(lines: Iterable[DeferredLine], *, from_day: int, until_day: int) -> list[DayOfRevenue]:
    """Revenue of every day in [from_day, until_day). What should have been earned earlier falls on the first day.

    The sum over all days of a line is the line, to the nano.
    """
    sums: dict[tuple[int, str], dict[tuple[str, str], int]] = {}
    for line in lines:
        before = 0 if line.recognised_until_day is None else earned(line, until_day=line.recognised_until_day)
        start = max(from_day, min(line.first_day, until_day - 1))
        for day in range(start, min(until_day, max(line.first_day + line.day_count, start + 1))):
            now = earned(line, until_day=day + 1)
            if now != before:
                accounts = sums.setdefault((day, line.currency), {})
                key = (line.ledger_code, line.revenue_account)
                accounts[key] = accounts.get(key, 0) + now - before
                before = now
    return [DayOfRevenue(day=day, currency=currency, nanos=nanos) for (day, currency), nanos in sorted(sums.items())]


def split_by_sign(nanos: Mapping[tuple[str, str], int]) -> Sequence[dict[tuple[str, str], int]]:
    """What was earned, and what is taken back because an advance was: two kinds of entry."""
    return (
        {key: each for key, each in nanos.items() if each > 0},
        {key: each for key, each in nanos.items() if each < 0},
    )
