"""Schedules: what is in force at each second of each kind of day, already decided between rules."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from millicent.catalog.types import DayType, TariffCalendar, TimeBand
from millicent.kit.errors import BadInput
from millicent.rating.compile.tables import Table
from millicent.rating.kernel.arrays import NOTHING, SCHEDULE_COLUMNS, VARIES

_DAY_SECONDS = 86_400
_WHOLE_DAY = -1  # a rule without bands began before any band of the day


class Candidate(NamedTuple):
    """One rule that may be in force: higher priority first, then the band that began last, then the first named."""

    priority: int
    order: int
    bands: tuple[str, ...]
    case: int


@dataclass(slots=True)
class ScheduleTables:
    """Schedules of a program. Equal ones share a row."""

    calendars: tuple[TariffCalendar, ...]
    schedule: Table[np.int32] = field(default_factory=lambda: Table(SCHEDULE_COLUMNS, np.int32))
    segment: Table[np.int32] = field(default_factory=lambda: Table(3, np.int32))  # start, case, last
    known: dict[tuple[int, tuple[Candidate, ...]], int] = field(default_factory=dict)
    days: dict[tuple[tuple[int, int], ...], int] = field(default_factory=dict)

    def add(self, calendar: int, candidates: tuple[Candidate, ...]) -> int:
        """The schedule that these rules make together."""
        if not any(each.bands for each in candidates):
            candidates = (max(candidates, key=lambda each: (each.priority, -each.order)),)
        key = (calendar if any(each.bands for each in candidates) else 0, candidates)
        if key not in self.known:
            self.known[key] = self._build(self.calendars[calendar], candidates)
        return self.known[key]

    def never(self) -> int:
        """The schedule of what is in force at no time."""
        return self.schedule.add((NOTHING, *[0] * 8))

    def both(self, calendar: int, first: tuple[str, ...], second: tuple[str, ...]) -> int:
        """The schedule that is 0 while a band of each group holds, NOTHING else."""
        days = []
        for day in DayType:
            inside = [
                day_segments(self.calendars[calendar], day, (Candidate(0, 0, bands, 0),)) for bands in (first, second)
            ]
            days.append(_intersection(*inside))
        return self.schedule.add((VARIES, *[self._day(day) for day in days]))

    def _build(self, calendar: TariffCalendar, candidates: tuple[Candidate, ...]) -> int:
        days = [day_segments(calendar, day, candidates) for day in DayType]
        first = days[0]
        if len(first) == 1 and all(day == first for day in days):
            return self.schedule.add((first[0][1], *[0] * 8))
        return self.schedule.add((VARIES, *[self._day(day) for day in days]))

    def _day(self, segments: tuple[tuple[int, int], ...]) -> int:
        if segments not in self.days:
            last = len(segments) - 1
            self.days[segments] = len(self.segment)
            for place, (start, case) in enumerate(segments):
                self.segment.add((start, case, int(place == last)))
        return self.days[segments]


def bands_named(calendar: TariffCalendar, codes: tuple[str, ...]) -> list[TimeBand]:
    found = [band for band in calendar.bands if band.code in codes]
    missing = set(codes) - {band.code for band in found}
    if missing:
        raise BadInput(
            f"calendar {calendar.code} has no band {min(missing)!r}",
            where=calendar.code,
            cure="Name a band of the tariff's calendar.",
        )
    return found


def day_segments(
    calendar: TariffCalendar, day: DayType, candidates: tuple[Candidate, ...]
) -> tuple[tuple[int, int], ...]:
    """(start second, case) of one kind of day, in order, the first at 0; NOTHING where no rule is in force."""
    spans: list[tuple[int, int, int, int, int]] = []  # start, end, priority, began, order of preference, case
    cases: list[int] = []
    for each in candidates:
        parts = [(0, _DAY_SECONDS, _WHOLE_DAY)]
        if each.bands:
            named = bands_named(calendar, each.bands)
            parts = [(band.start_second, band.end_second, band.start_second) for band in named if day in band.days]
        for start, end, began in parts:
            spans.append((start, end, each.priority, began, -each.order))
            cases.append(each.case)
    edges = sorted({0, *(span[0] for span in spans), *(span[1] for span in spans if span[1] < _DAY_SECONDS)})
    segments: list[tuple[int, int]] = []
    for edge in edges:
        covering = [(span[2:], case) for span, case in zip(spans, cases, strict=True) if span[0] <= edge < span[1]]
        case = max(covering)[1] if covering else NOTHING
        if not segments or segments[-1][1] != case:
            segments.append((edge, case))
    return tuple(segments)


def _intersection(
    first: tuple[tuple[int, int], ...], second: tuple[tuple[int, int], ...]
) -> tuple[tuple[int, int], ...]:
    """Segments that are 0 where both are, NOTHING else."""
    segments: list[tuple[int, int]] = []
    for edge in sorted({start for start, _ in (*first, *second)}):
        states = [max(part for part in segment if part[0] <= edge)[1] for segment in (first, second)]
        case = 0 if states == [0, 0] else NOTHING
        if not segments or segments[-1][1] != case:
            segments.append((edge, case))
    return tuple(segments)
