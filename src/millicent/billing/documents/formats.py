"""Amounts, dates and quantities as people of one place write them.

Babel knows the rules, but takes tens of microseconds for each number: a bill has hundreds. So babel is asked once for
each currency and place how an amount looks, and the digits are put into that frame here. A test holds the two against
each other.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel import Locale
from babel.core import UnknownLocaleError
from babel.dates import format_date, get_month_names
from babel.numbers import format_currency, format_percent, get_decimal_symbol, get_group_symbol

from millicent.billing.documents.words import WORDS
from millicent.kit.clock import from_ms, zone_named
from millicent.kit.money import minor_digits, nano_digits, to_decimal
from millicent.kit.rounding import RoundingMode, divide_rounded

MINUS = "−"
_BYTE_STEPS = (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3))
_FRENCH_BYTES = {"TB": "To", "GB": "Go", "MB": "Mo", "kB": "ko", "B": "o"}
NARROW_SPACE = "\u202f"


@lru_cache(maxsize=256)
def locale_of(*, language: str, country: str) -> Locale:
    """The language as it is written in a country. English of a country that babel does not know is international."""
    fallback = "en_001" if language == "en" else language
    try:
        return Locale.parse(f"{language}_{country}") if country else Locale.parse(fallback)
    except (UnknownLocaleError, ValueError):
        return Locale.parse(fallback)


@dataclass(frozen=True, slots=True, kw_only=True)
class _MoneyFrame:
    """How an amount of one currency looks in one place: what stands around the digits, and what between them."""

    before: str
    after: str
    group: str
    point: str
    least_grouped: int  # from this many whole digits on, thousands are grouped
    group_size: int  # of the groups above the thousands: 2 where lakhs and crores are counted


@lru_cache(maxsize=256)
def _money_frame(locale: Locale, currency: str) -> _MoneyFrame:
    def written(amount: int) -> str:
        return str(format_currency(amount, currency, locale=locale, format_type="standard", currency_digits=False))

    standard = locale.currency_formats["standard"]
    decimals = standard.frac_prec[0]
    sample = written(1).replace("\xa0", NARROW_SPACE)
    point = str(get_decimal_symbol(locale))
    digits = "1" + (point + "0" * decimals if decimals else "")
    before, _, after = sample.partition(digits)
    group = str(get_group_symbol(locale)).replace("\xa0", NARROW_SPACE)
    grouped_at_four = written(1000).replace("\xa0", NARROW_SPACE).count(f"1{group}000") == 1
    return _MoneyFrame(
        before=before,
        after=after,
        group=group,
        point=point,
        least_grouped=4 if grouped_at_four else 5,
        group_size=standard.grouping[1],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Formats:
    """Formatting for one bill: its language and country, its currency, the time zone of its customer."""

    language: str
    country: str
    currency: str
    zone: str

    @property
    def locale(self) -> Locale:
        return locale_of(language=self.language, country=self.country)

    def word(self, name: str, **values: object) -> str:
        text = WORDS[self.language][name]
        return text.format(**values) if values else text

    def money(self, nanos: int, *, decimals: int | None = None) -> str:
        """An amount with its currency; `decimals` is more than the minor unit where single events need it."""
        wanted = minor_digits(self.currency) if decimals is None else decimals
        return _written_money(nanos, currency=self.currency, locale=self.locale, decimals=wanted)

    def decimals_for(self, amounts_nanos: Iterable[int]) -> int:
        """Digits after the point for a column of single events: the minor unit, or four when one needs more."""
        least = minor_digits(self.currency)
        step = 10 ** (nano_digits(self.currency) - least)
        return least if all(nanos % step == 0 for nanos in amounts_nanos) else max(4, least)

    def count(self, number: int) -> str:
        frame = _money_frame(self.locale, self.currency)
        return _grouped(str(number), frame) if number >= 0 else MINUS + _grouped(str(-number), frame)

    def percent(self, rate: Fraction) -> str:
        return _percent(self.locale, rate)

    def day(self, instant_ms: int) -> str:
        """A local day in full: 1 November 2026."""
        return _long_date(self.locale, self.local(instant_ms).date())

    def short_day(self, instant_ms: int) -> str:
        return _short_date(self.locale, self.local(instant_ms).date())

    def span(self, from_ms_: int, until_ms: int) -> str:
        """A half-open span as people say it: first and last day, both included."""
        first, last = self.local(from_ms_).date(), self.local(max(from_ms_, until_ms - 1)).date()
        if first == last:
            return _short_date(self.locale, first)
        return f"{_short_date(self.locale, first)} – {_short_date(self.locale, last)}"

    def clock(self, instant_ms: int) -> str:
        return f"{self.local(instant_ms):%H:%M:%S}"

    def local(self, instant_ms: int) -> datetime:
        return from_ms(instant_ms).astimezone(_zone(self.zone))

    def month(self, text: str) -> str:
        """ "2026-11" as the short name of its month; anything else as it is."""
        year, _, month = text.partition("-")
        if not (year.isdigit() and month.isdigit() and 1 <= int(month) <= 12):
            return text
        return _month_name(self.locale, int(month))

    def quantity(self, units: int, unit: str) -> str:
        """Units as people say them: seconds as h:mm:ss, bytes in decimal multiples, the rest counted."""
        if unit == "second":
            return _duration(units)
        if unit == "byte":
            return self._bytes(units)
        if unit == self.currency:
            return self.money(units)
        if unit in ("message", "event"):
            return self.word(f"unit_one_{unit}" if units == 1 else f"unit_{unit}", count=self.count(units))
        return f"{self.count(units)} {unit}".strip()

    def _bytes(self, units: int) -> str:
        name, step = next(((name, step) for name, step in _BYTE_STEPS if abs(units) >= step), ("B", 1))
        name = _FRENCH_BYTES[name] if self.language == "fr" and name in _FRENCH_BYTES else name
        tenths = divide_rounded(units * 10, step, RoundingMode.HALF_UP)
        whole, tenth = divmod(tenths, 10)
        point = _money_frame(self.locale, self.currency).point
        return f"{self.count(whole)}{f'{point}{tenth}' if tenth else ''} {name}"


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return zone_named(name)


@lru_cache(maxsize=4096)
def _long_date(locale: Locale, day: date) -> str:
    return str(format_date(day, format="long", locale=locale))


@lru_cache(maxsize=4096)
def _short_date(locale: Locale, day: date) -> str:
    return str(format_date(day, format="medium", locale=locale))


@lru_cache(maxsize=1024)
def _month_name(locale: Locale, month: int) -> str:
    return str(get_month_names("abbreviated", "stand-alone", locale=locale)[month])


@lru_cache(maxsize=1024)
def _percent(locale: Locale, rate: Fraction) -> str:
    """At most four digits after the point of the percentage."""
    millionths = divide_rounded(rate.numerator * 10**6, rate.denominator, RoundingMode.HALF_UP)
    text = format_percent(to_decimal(millionths * 1_000, "EUR"), format="#,##0.####%", locale=locale)
    pattern = locale.percent_formats[None].pattern
    spaced = text if "\xa0" not in pattern and NARROW_SPACE not in pattern else text.replace("%", "\xa0%")
    return str(spaced).replace("\xa0\xa0", "\xa0").replace("\xa0", NARROW_SPACE)


def _written_money(nanos: int, *, currency: str, locale: Locale, decimals: int) -> str:
    """Put digits into the frame. Rounds half up where nanos are finer than `decimals`."""
    frame = _money_frame(locale, currency)
    units = divide_rounded(nanos, int(10 ** (nano_digits(currency) - decimals)), RoundingMode.HALF_UP)
    digits = str(abs(units)).rjust(decimals + 1, "0")
    whole, part = (digits[:-decimals], frame.point + digits[-decimals:]) if decimals else (digits, "")
    sign = MINUS if units < 0 else ""
    return f"{sign}{frame.before}{_grouped(whole, frame)}{part}{frame.after}"


def _grouped(digits: str, frame: _MoneyFrame) -> str:
    """Thousands apart, and above them every two or three digits."""
    if len(digits) < frame.least_grouped:
        return digits
    groups, rest = [digits[-3:]], digits[:-3]
    while rest:
        groups.append(rest[-frame.group_size :])
        rest = rest[: -frame.group_size]
    return frame.group.join(reversed(groups))


def _duration(seconds: int) -> str:
    sign, seconds = (MINUS, -seconds) if seconds < 0 else ("", seconds)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    return f"{sign}{hours}:{minute:02d}:{second:02d}"
