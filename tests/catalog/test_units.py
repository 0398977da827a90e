"""What people write for prices, quantities and times is read exactly, or refused with a cure."""

from datetime import UTC, datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest

from millicent.catalog.loading import units
from millicent.catalog.loading.units import UnitKind
from millicent.catalog.types import Period, PeriodUnit
from millicent.kit.clock import to_ms
from millicent.kit.errors import BadInput

MADRID = ZoneInfo("Europe/Madrid")


@pytest.mark.parametrize(
    ("text", "expected", "kind"),
    [
        ("30 min", 1_800, UnitKind.TIME),
        ("1.5h", 5_400, UnitKind.TIME),
        ("1d", 86_400, UnitKind.TIME),
        ("10 GB", 10_000_000_000, UnitKind.VOLUME),
        ("10 GiB", 10_737_418_240, UnitKind.VOLUME),
        ("100 kB", 100_000, UnitKind.VOLUME),
        ("500 messages", 500, UnitKind.COUNT),
        ("2_000", 2_000, UnitKind.BARE),
    ],
)
def test_quantities(text, expected, kind):
    quantity = units.parse_quantity(text)

    assert (quantity.units, quantity.kind) == (expected, kind)


@pytest.mark.parametrize("text", ["", "-1 s", "ten", "1 Gb", "1 KB", "0.5 B", "1.5", "1 fortnight"])
def test_what_is_no_quantity_is_refused(text):
    with pytest.raises(BadInput):
        units.parse_quantity(text)


@pytest.mark.parametrize(
    ("text", "amount_nanos", "per_units"),
    [
        ("0.15/min", 150_000_000, 60),
        ("2 EUR/GB", 2_000_000_000, 1_000_000_000),
        ("5/100 messages", 5_000_000_000, 100),
        ("0.05", 50_000_000, 1),
        ("-1.00/h", -1_000_000_000, 3_600),
    ],
)
def test_prices(text, amount_nanos, per_units):
    price = units.parse_price(text, currency="EUR")

    assert (price.amount_nanos, price.per_units) == (amount_nanos, per_units)


@pytest.mark.parametrize("text", ["", "free", "0.1 USD/min", "1/0 min", "1e-3/min", "0.0000000001/s"])
def test_what_is_no_price_is_refused(text):
    with pytest.raises(BadInput):
        units.parse_price(text, currency="EUR")


def test_increments_shares_periods_and_clocks():
    assert [units.parse_increments(text) for text in ("60/60", "30/6", "1")] == [(60, 60), (30, 6), (1, 1)]
    assert units.parse_increments("100 kB/10 kB") == (100_000, 10_000)
    assert [units.parse_fraction(text) for text in ("21%", "0.21", "3/2")] == [
        Fraction(21, 100),
        Fraction(21, 100),
        Fraction(3, 2),
    ]
    assert units.parse_period("month") == Period(count=1, unit=PeriodUnit.MONTH)
    assert units.parse_period("28 days") == Period(count=28, unit=PeriodUnit.DAY)
    assert [units.parse_clock(text) for text in ("08:00", "24:00", "23:59:59")] == [28_800, 86_400, 86_399]


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (units.parse_increments, "0/1"),
        (units.parse_fraction, "1/0"),
        (units.parse_fraction, "NaN%"),
        (units.parse_fraction, "Infinity"),
        (units.parse_period, "0 days"),
        (units.parse_clock, "24:01"),
        (units.parse_days, "0"),
        (units.parse_date, "31/12/2026"),
    ],
)
def test_what_cannot_be_is_refused(parse, text):
    with pytest.raises(BadInput):
        parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-07-01", datetime(2026, 6, 30, 22, tzinfo=UTC)),
        ("2026-07-01 12:30", datetime(2026, 7, 1, 10, 30, tzinfo=UTC)),
        ("2026-10-25 02:30", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),  # happens twice: the first
        ("2026-07-01T12:30:00Z", datetime(2026, 7, 1, 12, 30, tzinfo=UTC)),
    ],
)
def test_times_are_local_unless_they_say_otherwise(text, expected):
    assert units.parse_instant_ms(text, zone=MADRID) == to_ms(expected)


def test_an_hour_that_daylight_saving_skips_is_refused():
    with pytest.raises(BadInput):
        units.parse_instant_ms("2026-03-29 02:30", zone=MADRID)


def test_a_day_that_begins_late_begins_when_it_begins():
    """In Beirut on 2026-03-29 there is no midnight: the day begins at 01:00 local, 22:00 UTC the day before."""
    assert units.parse_instant_ms("2026-03-29", zone=ZoneInfo("Asia/Beirut")) == to_ms(
        datetime(2026, 3, 28, 22, tzinfo=UTC)
    )
