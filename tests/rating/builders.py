"""Small catalogues and usage: a test says what matters to it, everything else is the plainest that works."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from millicent.catalog.types import (
    Allowance,
    Catalogue,
    DayType,
    Match,
    Measure,
    NetworkZone,
    Offering,
    Operator,
    PriceCard,
    RateDeck,
    ServiceSpecification,
    Slot,
    Tariff,
    TariffCalendar,
    TariffRule,
    TimeBand,
    Zone,
    ZoneMap,
)
from millicent.kit.kernels import Int64s
from millicent.rating.services import Priced, TariffProgram, compile_catalogue, price_usage
from millicent.rating.types import GRANT_COLUMNS, HOLDING_COLUMNS, Reason

EURO = 1_000_000_000
CENT = EURO // 100
LATE = 2**63 - 1
NAMES = {"en": "x"}
WORKING_DAYS = frozenset(DayType(day) for day in range(5))
EVERY_DAY = frozenset(DayType)

VOICE = ServiceSpecification(code="voice", names=NAMES, measure=Measure.DURATION, unit="second")
DATA = ServiceSpecification(code="data", names=NAMES, measure=Measure.TOTAL_VOLUME, unit="byte")
SMS = ServiceSpecification(code="sms", names=NAMES, measure=Measure.EVENTS, unit="message")
CONTENT = ServiceSpecification(code="content", names=NAMES, measure=Measure.EVENTS, unit="event")

PEAK = TimeBand(code="peak", days=WORKING_DAYS, start_second=8 * 3600, end_second=20 * 3600)
SPAIN = Zone(code="spain", names=NAMES, prefixes=("34",))
MOBILE = Zone(code="mobile", names=NAMES, prefixes=("346", "347"))
PREMIUM = Zone(code="premium", names=NAMES, prefixes=("34803", "short:118"))
WORLD = ZoneMap(code="world", zones=(SPAIN, MOBILE, PREMIUM))


def at(text: str, zone: str = "Europe/Madrid", *, fold: int = 0) -> int:
    """A local time as UTC milliseconds."""
    local = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return round((local.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)


def a_slot(amount_nanos: int, *, per: int = 1, increment: int = 1, start: int = 0) -> Slot:
    return Slot(start_units=start, increment_units=increment, amount_nanos=amount_nanos, per_units=per)


def a_card(amount_nanos: int = CENT, *, per: int = 1, increment: int = 1, **parts: object) -> PriceCard:
    return PriceCard(**{"slots": (a_slot(amount_nanos, per=per, increment=increment),), **parts})


def a_rule(code: str = "any", card: PriceCard | None = None, *, match: Match | None = None, **parts) -> TariffRule:
    return TariffRule(code=code, match=match or Match(), card=card or a_card(), **parts)


def a_tariff(*rules: TariffRule, code: str = "tariff", **parts) -> Tariff:
    return Tariff(code=code, **{"names": NAMES, "currency": "EUR", "calendar": "calendar", "rules": rules, **parts})


def an_allowance(amount: int = 100, *, code: str = "included", match: Match | None = None, **parts) -> Allowance:
    return Allowance(code=code, names=NAMES, match=match or Match(), amount=amount, **parts)


def a_calendar(*bands: TimeBand, zone: str = "Europe/Madrid", holidays: frozenset = frozenset()) -> TariffCalendar:
    return TariffCalendar(code="calendar", zone=zone, bands=bands or (PEAK,), holidays=holidays)


def a_deck(rows: list[dict], *, code: str = "deck", per_units: int = 60, currency: str = "EUR") -> RateDeck:
    """Rows give prefix and rate; increments are 60/60, always valid, unless said."""

    def column(name: str, default: int, dtype: type) -> Int64s:
        return np.array([row.get(name, default) for row in rows], dtype)

    return RateDeck(
        code=code,
        currency=currency,
        per_units=per_units,
        prefixes=tuple(row["prefix"] for row in rows),
        destinations=tuple(row.get("destination", row["prefix"]) for row in rows),
        rate_nanos=column("rate", CENT, np.int64),
        connect_nanos=column("connect", 0, np.int64),
        first_increment=column("first", 60, np.int32),
        next_increment=column("following", 60, np.int32),
        valid_from_ms=column("valid_from", -(2**63), np.int64),
        valid_until_ms=column("valid_until", LATE, np.int64),
        blocked=column("blocked", 0, np.int8),
    )


def a_catalogue(*tariffs: Tariff, allowances: tuple[Allowance, ...] = (), **parts) -> Catalogue:
    """All that the tariffs need; `allowances` belong to the offering "plan"."""
    base = {
        "operator": Operator(code="op", legal_name="Op", country="ES", currency="EUR", zone="Europe/Madrid"),
        "specifications": {each.code: each for each in (VOICE, DATA, SMS, CONTENT)},
        "calendars": {"calendar": a_calendar()},
        "zone_maps": {"world": WORLD},
        "network_zones": {"abroad": NetworkZone(code="abroad", names=NAMES, networks=("208", "26201"))},
        "decks": {},
        "tariffs": {tariff.code: tariff for tariff in tariffs},
        "offerings": {"plan": Offering(code="plan", names=NAMES, allowances=allowances)},
        "discounts": {},
        "taxes": {},
        "ledger_codes": {},
    }
    return Catalogue(**{**base, **parts})


def a_program(*tariffs: Tariff, **parts) -> TariffProgram:
    return compile_catalogue(a_catalogue(*tariffs, **parts))


NOON = at("2026-10-07T12:00:00")  # a Wednesday


def a_call(seconds: int = 60, *, to: str = "34911234567", when: int = NOON, **parts) -> dict:
    """One answered call of subscription 1."""
    return {"service": "voice", "duration_ms": seconds * 1000, "other_party": to, "occurred_at_ms": when, **parts}


def usage_of(*rows: dict) -> pl.DataFrame:
    """Rows of usage in the order given, keys numbered from 1, all of subscription 1 unless said."""
    return pl.DataFrame(
        [
            {"event_key_low": key, "subscription_id": 1, "billing_account_id": 10, **row}
            for key, row in enumerate(rows, 1)
        ]
    )


def a_holding(**parts) -> dict:
    return {
        "subscription_id": 1,
        "billing_account_id": 10,
        "pool": "",
        "effective_from_ms": 0,
        "effective_until_ms": LATE,
        "tariff": "tariff",
        "segment": "",
        "reseller": "",
        **parts,
    }


def holdings_of(*rows: dict) -> pl.DataFrame:
    schema = {name: getattr(pl, type_name) for name, type_name in HOLDING_COLUMNS.items()}
    return pl.DataFrame([a_holding(**row) for row in rows or ({},)], schema=schema)


def grants_of(*rows: dict) -> pl.DataFrame:
    """Buckets numbered from 1, of subscription 1 unless said, valid always."""
    schema = {name: getattr(pl, type_name) for name, type_name in GRANT_COLUMNS.items()}
    base = {
        "allowance": "plan/included",
        "scope": "subscription",
        "owner_id": 1,
        "pool": "",
        "remaining": 100,
        "valid_from_ms": 0,
        "valid_until_ms": LATE,
        "granted_at_ms": 0,
    }
    return pl.DataFrame([{"bucket_id": number, **base, **row} for number, row in enumerate(rows, 1)], schema=schema)


def priced(program: TariffProgram, *usage: dict, **frames: pl.DataFrame) -> Priced:
    return price_usage(
        programs=[(0, 1, program)],
        usage=usage_of(*usage),
        **{"holdings": holdings_of(), **frames},
    )


def amounts(result: Priced) -> list[int]:
    return result.rated["amount_nanos"].to_list()


def reasons(result: Priced) -> list[str]:
    return [Reason(number).name for number in result.rated["reason"].to_list()]
