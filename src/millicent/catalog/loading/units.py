"""What a person writes for quantities, prices and times, read exactly: "0.15/min", "60/60", "10 GB", "21%", "08:00".

Every function is pure and raises BadInput that says how it should have been written. No float anywhere.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum, unique
from fractions import Fraction
from zoneinfo import ZoneInfo

from millicent.catalog.types import Period, PeriodUnit
from millicent.kit.clock import to_ms
from millicent.kit.errors import BadInput
from millicent.kit.money import INT64_LARGEST, parse_nanos


@unique
class UnitKind(StrEnum):
    """What a unit measures. Prices and quantities of one rule must be of the kind that its services count."""

    TIME = "time"
    VOLUME = "volume"
    COUNT = "count"
    BARE = "bare"  # no unit was written


SECONDS = {"s": 1, "sec": 1, "second": 1, "min": 60, "minute": 60, "h": 3600, "hour": 3600, "d": 86400, "day": 86400}
BYTES = {
    "B": 1,
    "byte": 1,
    **{f"{letter}B": 1000**power for power, letter in enumerate("kMGTP", start=1)},
    **{f"{letter}iB": 1024**power for power, letter in enumerate("KMGTP", start=1)},
}
COUNTED = frozenset({"event", "message", "call", "request", "unit", "sms"})

_QUANTITY = re.compile(r"(?P<number>[0-9][0-9_]*(?:\.[0-9]+)?)\s*(?P<unit>[^\W\d]*)")
_MONEY = re.compile(r"(?P<amount>-?[0-9][0-9_]*(?:\.[0-9]+)?)(?:\s*(?P<currency>[A-Z]{3}))?")
_PERIOD = re.compile(r"(?:(?P<count>[1-9][0-9]{0,3})\s*)?(?P<unit>day|week|month|quarter|year)s?")
_CLOCK = re.compile(r"(?P<hour>[0-2]?[0-9]):(?P<minute>[0-5][0-9])(?::(?P<second>[0-5][0-9]))?")
_DAYS = re.compile(r"(?P<days>[1-9][0-9]{0,4})\s*(?:d|days?)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    units: int
    kind: UnitKind


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitPrice:
    amount_nanos: int
    per_units: int
    kind: UnitKind


def unit_size(word: str, *, counted: Collection[str] = COUNTED, where: str = "") -> Quantity:
    """One of the unit that `word` names. `counted` are the operator's own words for things that are counted."""
    singular = word.removesuffix("s") if len(word) > 1 else word
    for name in (word, singular):
        if name in SECONDS:
            return Quantity(units=SECONDS[name], kind=UnitKind.TIME)
        if name in BYTES:
            return Quantity(units=BYTES[name], kind=UnitKind.VOLUME)
        if name in counted or name in COUNTED:
            return Quantity(units=1, kind=UnitKind.COUNT)
    raise BadInput(
        f"{word!r} is not a unit",
        where=where,
        cure="Use s, min, h, d; B, kB, MB, GB, TB (thousands) or KiB, MiB, GiB (1024s); or the unit of the service.",
    )


def parse_quantity(text: str, *, counted: Collection[str] = COUNTED, where: str = "") -> Quantity:
    """ "30 min", "10 GB", "500 messages", "250": whole units, or an error."""
    found = _QUANTITY.fullmatch(text.strip())
    if not found:
        raise BadInput(f"{text!r} is not a quantity", where=where, cure='Write for example "30 min" or "10 GB".')
    number = Fraction(Decimal(found["number"].replace("_", "")))
    size = unit_size(found["unit"], counted=counted, where=where) if found["unit"] else None
    units = number * (size.units if size else 1)
    if units.denominator != 1 or units > INT64_LARGEST:
        raise BadInput(f"{text!r} is not a whole number of units", where=where, cure="Use a smaller unit.")
    return Quantity(units=int(units), kind=size.kind if size else UnitKind.BARE)


def parse_money(text: str, *, currency: str, where: str = "") -> int:
    """ "19.90" or "19.90 EUR" to nanos. Another currency than the one expected is an error."""
    found = _MONEY.fullmatch(text.strip())
    if not found:
        raise BadInput(f"{text!r} is not an amount", where=where, cure=f'Write for example "19.90 {currency}".')
    if found["currency"] not in (None, currency):
        raise BadInput(f"{text!r} is not in {currency}", where=where, cure=f"Prices here are in {currency}.")
    return parse_nanos(found["amount"].replace("_", ""), currency, where=where)


def parse_price(text: str, *, currency: str, counted: Collection[str] = COUNTED, where: str = "") -> UnitPrice:
    """ "0.15/min", "2 EUR/GB", "5/100 messages", "0.05": an amount for so many units, kept as it was written."""
    amount, slash, per = text.partition("/")
    if not _MONEY.fullmatch(amount.strip()):
        raise BadInput(f"{text!r} is not a price", where=where, cure='Write for example "0.15/min" or "2.00/GB".')
    nanos = parse_money(amount, currency=currency, where=where)
    if not slash:
        return UnitPrice(amount_nanos=nanos, per_units=1, kind=UnitKind.BARE)
    per = per.strip()
    size = parse_quantity(per if per[:1].isdigit() else f"1 {per}", counted=counted, where=where)
    if size.units <= 0:
        raise BadInput(f"{text!r} is a price for nothing", where=where, cure='Write for example "0.15/min".')
    return UnitPrice(amount_nanos=nanos, per_units=size.units, kind=size.kind)


def parse_increments(text: str, *, counted: Collection[str] = COUNTED, where: str = "") -> tuple[int, int]:
    """ "60/60", "30/6", "100 kB/100 kB" or "1": the first step and the steps after it, in units."""
    first, _, following = text.partition("/")
    steps = tuple(parse_quantity(part, counted=counted, where=where).units for part in (first, following or first))
    if min(steps) <= 0:
        raise BadInput(f"{text!r} has a step of nothing", where=where, cure='Write for example "60/1".')
    return steps[0], steps[1]


def parse_fraction(text: str, *, where: str = "") -> Fraction:
    """ "21%", "0.21" or "3/2", exactly."""
    bare = text.strip()
    try:
        if bare.endswith("%"):
            return Fraction(Decimal(bare[:-1].strip())) / 100
        if "/" in bare:
            over, _, under = bare.partition("/")
            return Fraction(int(over), int(under))
        return Fraction(Decimal(bare))
    except (ArithmeticError, ValueError):
        raise BadInput(f"{text!r} is not a share", where=where, cure='Write for example "21%" or "3/2".') from None


def parse_period(text: str, *, where: str = "") -> Period:
    """ "month", "3 months", "28 days"."""
    found = _PERIOD.fullmatch(text.strip())
    if not found:
        raise BadInput(f"{text!r} is not a period", where=where, cure='Write for example "month" or "28 days".')
    return Period(count=int(found["count"] or 1), unit=PeriodUnit(found["unit"]))


def parse_days(text: str, *, where: str = "") -> int:
    found = _DAYS.fullmatch(text.strip())
    if not found:
        raise BadInput(f"{text!r} is not a number of days", where=where, cure='Write for example "30 days".')
    return int(found["days"])


def parse_clock(text: str, *, where: str = "") -> int:
    """ "08:00" to seconds after midnight; "24:00" is the end of the day."""
    found = _CLOCK.fullmatch(text.strip())
    seconds = 0
    if found:
        seconds = int(found["hour"]) * 3600 + int(found["minute"]) * 60 + int(found["second"] or 0)
    if not found or seconds > 86_400:
        raise BadInput(
            f"{text!r} is not a time of day", where=where, cure='Write "08:00"; the end of a day is "24:00".'
        )
    return seconds


def parse_date(text: str, *, where: str = "") -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise BadInput(f"{text!r} is not a date", where=where, cure='Write year-month-day: "2026-12-25".') from None


def parse_instant_ms(text: str, *, zone: ZoneInfo, where: str = "") -> int:
    """A date, or a date and time, in local time of `zone` unless it ends in Z or an offset. A time that daylight
    saving skips is an error; one that happens twice is the first."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadInput(
            f"{text!r} is not a date and time", where=where, cure='Write "2026-12-25" or "2026-12-25 18:30".'
        ) from None
    if moment.tzinfo is not None:
        return to_ms(moment)
    local = moment.replace(tzinfo=zone)
    if datetime.fromtimestamp(to_ms(local) // 1000, zone).replace(tzinfo=None) != moment.replace(microsecond=0):
        if moment == datetime.combine(moment.date(), moment.min.time()):
            return to_ms(local)  # midnight that does not exist: the day begins when it begins
        skipped = timedelta(hours=1)
        raise BadInput(
            f"{text!r} does not exist in {zone.key}: daylight saving skips it",
            where=where,
            cure=f'Did you mean "{moment + skipped}"?',
        )
    return to_ms(local)
