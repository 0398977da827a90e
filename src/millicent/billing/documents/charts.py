"""Bar charts as numbers and words: a renderer draws them, and the words are their alternative."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TypedDict

from millicent.billing.documents.formats import Formats
from millicent.billing.documents.words import WORDS
from millicent.billing.types import Bill, UsageDetail
from millicent.catalog.types import ChargeKind

_MOST_MONTHS = 12
_MOST_DAYS = 31
_MOST_SERVICES = 3
_MOST_DESTINATIONS = 5


class Bar(TypedDict):
    label: str
    text: str
    permille: int  # of the longest bar


class Chart(TypedDict):
    title: str
    alternative: str
    note: str  # what the chart comes to: the last month, the sum of the days; "" nothing
    lying: bool  # bars lie (names at their left) or stand (months beneath)
    last: bool  # the last bar is what this bill is about
    bars: list[Bar]


def usage_charts(bill: Bill, details: Sequence[UsageDetail], *, formats: Formats) -> list[Chart]:
    """Months of each service once there are two to compare, days of this cycle before; and where charges came from."""
    charts = [
        _chart(_title("usage_by_month", bill, service, formats), months, note=months[-1][2], last=True, formats=formats)
        for service, months in _history(bill, formats)
    ]
    if not charts:
        charts = _by_day(bill, details, formats)
    destinations = _by_destination(bill, formats)
    if destinations:
        title = formats.word("cost_by_destination")
        charts.append(_chart(title, destinations, lying=True, formats=formats))
    return charts


def _title(word: str, bill: Bill, service: str, formats: Formats) -> str:
    named = bill.names.get(service, {})
    name = named.get(formats.language) or named.get("en") or WORDS[formats.language].get(f"service_{service}", service)
    return formats.word(word, service=name)


def _history(bill: Bill, formats: Formats) -> list[tuple[str, list[tuple[str, int, str]]]]:
    unit_of = {line.service: line.unit for line in bill.lines if line.service}
    charted = []
    for service, months in bill.usage_history.items():
        unit = unit_of.get(service, _UNITS.get(service, ""))
        rows = [(formats.month(month), units, formats.quantity(units, unit)) for month, units in months[-_MOST_MONTHS:]]
        if sum(units > 0 for _, units, _ in rows) > 1:
            charted.append((service, rows))
    return charted[:_MOST_SERVICES]


_UNITS = {"voice": "second", "data": "byte", "sms": "message", "broadband": "byte", "iptv": "second"}


def _by_day(bill: Bill, details: Sequence[UsageDetail], formats: Formats) -> list[Chart]:
    """Every day of the cycle, those without usage too. Cycles of more than 31 days are not drawn by day."""
    days = _days(bill, formats)
    if len(days) > _MOST_DAYS:
        return []
    units: dict[str, dict[date, int]] = {}
    unit_of: dict[str, str] = {}
    for detail in details:
        used = units.setdefault(detail.service, dict.fromkeys(days, 0))
        day = formats.local(detail.occurred_at_ms).date()
        used[day] = used.get(day, 0) + detail.quantity_units
        unit_of[detail.service] = detail.unit
    charts = []
    for service, used in sorted(units.items())[:_MOST_SERVICES]:
        unit = unit_of[service]
        rows = [(str(day.day), used[day], formats.quantity(used[day], unit)) for day in sorted(used)]
        title = _title("usage_by_day", bill, service, formats)
        charts.append(_chart(title, rows, note=formats.quantity(sum(used.values()), unit), formats=formats))
    return charts


def _days(bill: Bill, formats: Formats) -> list[date]:
    first, last = formats.local(bill.cycle_from_ms).date(), formats.local(bill.cycle_until_ms - 1).date()
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def _by_destination(bill: Bill, formats: Formats) -> list[tuple[str, int, str]]:
    """The dearest destinations, and the rest in one bar."""
    nanos: dict[str, int] = {}
    for line in bill.lines:
        if line.kind is ChargeKind.USAGE and line.zone:
            named = bill.names.get(line.zone, line.texts)
            name = named.get(formats.language) or named.get("en") or line.zone
            nanos[name] = nanos.get(name, 0) + line.net_nanos
    ranked = sorted(
        ((name, amount) for name, amount in nanos.items() if amount > 0), key=lambda pair: (-pair[1], pair[0])
    )
    if len(ranked) < 2:
        return []
    rest = sum(amount for _, amount in ranked[_MOST_DESTINATIONS:])
    shown = ranked[:_MOST_DESTINATIONS] + ([(formats.word("other_destinations"), rest)] if rest else [])
    return [(name, amount, formats.money(amount)) for name, amount in shown]


def _chart(
    title: str,
    rows: Sequence[tuple[str, int, str]],
    *,
    formats: Formats,
    note: str = "",
    lying: bool = False,
    last: bool = False,
) -> Chart:
    longest = max((size for _, size, _ in rows), default=0) or 1
    values = "; ".join(f"{label} {text}" for label, size, text in rows if size or len(rows) <= _MOST_MONTHS)
    return {
        "title": title,
        "alternative": formats.word("chart_of", title=title, values=values),
        "note": note,
        "lying": lying,
        "last": last,
        "bars": [
            {"label": label, "text": text, "permille": max(0, size) * 1000 // longest} for label, size, text in rows
        ],
    }
