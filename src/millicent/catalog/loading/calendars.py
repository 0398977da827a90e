"""Calendars: bands of the day, and holidays from the `holidays` library plus the operator's own."""

from datetime import date

import holidays

from millicent.catalog.loading.reading import Section
from millicent.catalog.loading.units import parse_clock
from millicent.catalog.types import DayType, TariffCalendar, TimeBand
from millicent.kit.errors import BadInput

_WEEKDAYS = frozenset(DayType) - {DayType.SATURDAY, DayType.SUNDAY, DayType.HOLIDAY}
_DAY_SETS = {
    "weekdays": _WEEKDAYS,
    "weekend": frozenset({DayType.SATURDAY, DayType.SUNDAY}),
    "every_day": frozenset(DayType),
    **{day.name.lower(): frozenset({day}) for day in DayType},
}
END_OF_DAY = 86_400


def read_calendar(section: Section) -> TariffCalendar:
    zone = section.text("zone")
    section.time_zone(zone)
    bands = [band for part in section.sections("bands") for band in _read_band(part)]
    return TariffCalendar(
        code=section.text("code"), zone=zone, bands=tuple(bands), holidays=_read_holidays(section.section("holidays"))
    )


def _read_band(section: Section) -> list[TimeBand]:
    """A band that ends before it begins goes over midnight: two parts with one code, on the same kinds of day."""
    code = section.text("code")
    chosen = [_DAY_SETS[word] for word in section.words("days") if word in _DAY_SETS]
    for node in section.nodes("days"):
        if node.text not in _DAY_SETS:
            section.reading.fault(node, f"{node.text!r} is not a kind of day", f"Use: {', '.join(_DAY_SETS)}.")
    days = frozenset(DayType).intersection(frozenset().union(*chosen))
    start = section.parsed("from", parse_clock, default=0)
    end = section.parsed("until", parse_clock, default=END_OF_DAY)
    if start == end:
        section.fault("until", "this band has no length", 'A whole day is from "00:00" until "24:00".')
    spans = [(start, end)] if start < end else [(0, end), (start, END_OF_DAY)]
    return [
        TimeBand(code=code, days=days, start_second=first, end_second=last) for first, last in spans if first < last
    ]


def _read_holidays(section: Section) -> frozenset[date]:
    found = _library_holidays(section) if section.has("country") else set()
    return frozenset((found | _dates(section, "add")) - _dates(section, "remove"))


def _dates(section: Section, key: str) -> set[date]:
    days: set[date] = set()
    for node in section.nodes(key):
        try:
            days.add(date.fromisoformat(node.text))
        except ValueError:
            section.reading.fault(node, f"{node.text!r} is not a date", 'Write year-month-day: "2026-12-25".')
    return days


def _library_holidays(section: Section) -> set[date]:
    country, subdivision = section.text("country"), section.text("subdivision")
    first, _, last = section.text("years", "2025-2035").partition("-")
    years = range(int(first), int(last or first) + 1)

    def compute() -> list[str]:
        known = holidays.list_supported_countries()
        if country not in known:
            raise BadInput(f"no holidays are known for country {country!r}", cure="List them under `add:` instead.")
        if subdivision and subdivision not in known[country]:
            choices = ", ".join(known[country])
            raise BadInput(f"{subdivision!r} is not a subdivision of {country}", cure=f"Use one of: {choices}.")
        return [day.isoformat() for day in holidays.country_holidays(country, subdiv=subdivision or None, years=years)]

    question = f"holidays {country} {subdivision or '-'} {first}-{last or first}"
    nothing: list[str] = []
    answer = section.reading.attempt(
        section.field("country"), lambda: section.reading.derived.ask(question, compute), stand_in=nothing
    )
    return {date.fromisoformat(day) for day in answer}
