"""How fast accounts are billed: from facts in the stores to committed lines, taxes and ledger entries."""

import resource
import secrets
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from uuid import UUID

import numpy as np
import polars as pl
from django.db import connection

from millicent.billing.runs import RunReport
from millicent.billing.services.release_bill_run import release_bill_run
from millicent.billing.sources import StoredFacts
from millicent.billing.types import ReleasedCatalogue
from millicent.catalog.types import (
    Allowance,
    Catalogue,
    Match,
    Measure,
    Offering,
    Operator,
    PriceCard,
    RecurringPrice,
    Rollover,
    ServiceSpecification,
    Slot,
    Tariff,
    TariffCalendar,
    TariffRule,
    Tax,
    Zone,
    ZoneMap,
)
from millicent.customers.services.open_billing_accounts import open_billing_accounts
from millicent.customers.types import NewBillingAccount
from millicent.kit.clock import to_ms
from millicent.kit.lake import Lake
from millicent.kit.models import Tenant
from millicent.kit.tenancy import tenant_scope
from millicent.mediation.facts import MONTH_COLUMN, USAGE_SCHEMA, USAGE_TABLE, months_of, with_bucket
from millicent.rating.types import USAGE_COLUMNS
from millicent.subscriptions.services.add_subscriptions import add_subscriptions
from millicent.subscriptions.types import NewSubscription, SubscriptionStatus, SubscriptionVersion

_CYCLE = datetime(2026, 10, 1, tzinfo=UTC)
_THROUGH = datetime(2026, 11, 1, tzinfo=UTC)
_THROUGH_SECOND = datetime(2026, 12, 1, tzinfo=UTC)
_EUR = 1_000_000_000
_KINDS = ("mobile", "fixed", "data")
_EMPTY = {"String": "", "Boolean": True, "Int64": 0, "UInt64": 0}


def run(
    *, accounts: int = 20_000, subscriptions: int = 3, events: int = 100, workers: int = 2, seed: int = 7
) -> dict[str, object]:
    """Bill `accounts` accounts for two months. `events` is per account and month, spread over its subscriptions.

    Facts are prepared first and not counted, and a few accounts are billed before, so that kernels are compiled and
    cached; the clock runs from the call of a release, start of the workers included, to its last commit. The second
    month finds what the first one left: its charges, and what rolls over of allowances.
    """
    _bill(accounts=20, subscriptions=subscriptions, events=events, workers=1, seed=seed)
    report, seconds, second_seconds = _bill(
        accounts=accounts, subscriptions=subscriptions, events=events, workers=workers, seed=seed
    )
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {
        "workload": {
            "accounts": accounts,
            "subscriptions_per_account": subscriptions,
            "events_per_account": events,
            "taxes": 2,
            "workers": workers,
        },
        "accounts_per_second": int(accounts / seconds),
        "seconds": round(seconds, 3),
        "second_month_accounts_per_second": int(accounts / second_seconds),
        "second_month_seconds": round(second_seconds, 3),
        "lines": report.lines,
        "bills": report.bills,
        "peak_rss_bytes": max(children, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * 1024,
        "limited_by": "computing lines in Python in the workers; the committer and PostgreSQL share the same cores",
    }


def _bill(*, accounts: int, subscriptions: int, events: int, workers: int, seed: int) -> tuple[RunReport, float, float]:
    """A new tenant with these accounts, billed twice: the first report, and how long each release took."""
    folder = Path(tempfile.mkdtemp(prefix="millicent-bench-billing-"))
    try:
        tenant = Tenant.objects.create(code=f"bench-{secrets.token_hex(6)}", created_at=_CYCLE)
        tenant_id = UUID(str(tenant.id))
        facts = _facts(
            tenant_id, folder=folder, accounts=accounts, subscriptions=subscriptions, events=events, seed=seed
        )
        report, seconds = _timed(tenant_id, facts=facts, through=_THROUGH, workers=workers)
        second, second_seconds = _timed(tenant_id, facts=facts, through=_THROUGH_SECOND, workers=workers)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for each in (report, second):
        assert each.bills == accounts, "every account gets its bill"
        assert each.usage_in == accounts * events == each.usage_billed, "no usage is lost"
    return report, seconds, second_seconds


def _timed(tenant_id: UUID, *, facts: "BenchFacts", through: datetime, workers: int) -> tuple[RunReport, float]:
    started = time.perf_counter()
    report = release_bill_run(tenant_id=tenant_id, facts=facts, through=through, now=through, workers=workers)
    assert report is not None, "there is something to bill"
    return report, time.perf_counter() - started


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchFacts(StoredFacts):
    """Customers, subscriptions and usage from the stores; the catalogue from this file."""

    def releases(self, *, known_until_ms: int) -> Sequence[ReleasedCatalogue]:
        return [ReleasedCatalogue(number=1, effective_from_ms=0, catalogue=_catalogue())]


def _facts(tenant_id: UUID, *, folder: Path, accounts: int, subscriptions: int, events: int, seed: int) -> BenchFacts:
    lake = Lake(root=str(folder / "lake"))
    connection.close()
    with tenant_scope(tenant_id):
        ids = _write_customers(accounts=accounts, subscriptions=subscriptions)
    for number, since in enumerate((_CYCLE, _THROUGH)):
        _write_usage(
            lake, ids=ids, subscriptions=subscriptions, events=events, seed=seed + number, since=since, month=number
        )
    return BenchFacts(lake=lake)


def _write_customers(*, accounts: int, subscriptions: int) -> dict[str, list[int]]:
    """Account and subscription ids, subscriptions in the order of their accounts."""
    opened_ms = to_ms(_CYCLE)
    opened = open_billing_accounts(
        [
            NewBillingAccount(
                code=f"B{number:07d}",
                party_code=f"P{number:07d}",
                party_name=f"Customer {number}",
                currency="EUR",
                zone="UTC",
                opened_at_ms=opened_ms,
                country="ES",
            )
            for number in range(accounts)
        ],
        now=_CYCLE,
    )
    added = add_subscriptions(
        [
            NewSubscription(
                code=f"B{number:07d}-{place}",
                account_code=f"B{number:07d}",
                versions=(
                    SubscriptionVersion(
                        effective_from_ms=opened_ms,
                        effective_until_ms=None,
                        offering=_KINDS[place % len(_KINDS)],
                        status=SubscriptionStatus.ACTIVE,
                        recorded_at_ms=opened_ms,
                    ),
                ),
            )
            for number in range(accounts)
            for place in range(subscriptions)
        ],
        now=_CYCLE,
    )
    return {"accounts": list(opened.values()), "subscriptions": list(added.values())}


def _write_usage(
    lake: Lake,
    *,
    ids: dict[str, list[int]],
    subscriptions: int,
    events: int,
    seed: int,
    since: datetime,
    month: int,
) -> None:
    """Calls spread over the month, over each account's subscriptions and over two zones."""
    chance = np.random.default_rng(seed)
    count = len(ids["accounts"]) * events
    account = np.repeat(np.array(ids["accounts"], np.int64), events)
    place = np.tile(np.arange(events) % subscriptions, len(ids["accounts"]))
    subscription = np.array(ids["subscriptions"], np.int64)[np.arange(count) // events * subscriptions + place]
    occurred = to_ms(since) + chance.integers(0, 30 * 86_400, count) * 1000
    known = pl.DataFrame(
        {
            "event_key_high": np.arange(count) + month * count,
            "event_key_low": np.arange(count),
            "occurred_at_ms": occurred,
            "received_at_ms": occurred,
            "other_party": np.where(chance.integers(0, 2, count) == 0, "34910000000", "33140000000"),
            "duration_ms": chance.integers(1, 600, count) * 1000,
            "subscription_id": subscription,
            "billing_account_id": account,
        }
    ).with_columns(service=pl.lit("voice"), direction=pl.lit("originating"), identifier_kind=pl.lit("msisdn"))
    rows = known.with_columns(
        pl.lit(_EMPTY[kind]).alias(name) for name, kind in USAGE_COLUMNS.items() if name not in known.columns
    ).select(pl.col(name).cast(kind) for name, kind in USAGE_SCHEMA.items())
    for sequence, (partition, part) in enumerate(months_of(with_bucket(rows))):
        lake.append(
            USAGE_TABLE,
            part.with_columns(pl.lit(partition).alias(MONTH_COLUMN)),
            writer=f"bench-{month}",
            sequence=sequence,
            partition_by=(MONTH_COLUMN,),
        )


def _catalogue() -> Catalogue:
    zones = tuple(
        Zone(code=code, names={"en": code}, prefixes=(prefix,)) for code, prefix in (("es", "34"), ("fr", "33"))
    )
    return Catalogue(
        operator=Operator(code="bench", legal_name="Bench", country="ES", currency="EUR", zone="UTC"),
        specifications={
            "voice": ServiceSpecification(code="voice", names={"en": "Calls"}, measure=Measure.DURATION, unit="second")
        },
        calendars={"plain": TariffCalendar(code="plain", zone="UTC", bands=())},
        zone_maps={"world": ZoneMap(code="world", zones=zones)},
        network_zones={},
        decks={},
        tariffs={
            "voice": Tariff(
                code="voice",
                names={"en": "Calls"},
                currency="EUR",
                calendar="plain",
                rules=(_rule("es", 2), _rule("fr", 9)),
            )
        },
        offerings={kind: _offering(kind) for kind in _KINDS},
        discounts={},
        taxes={"vat": _tax("vat", Fraction(21, 100)), "levy": _tax("levy", Fraction(1, 100))},
        ledger_codes={"recurring": "revenue:recurring", "usage": "revenue:usage"},
    )


def _tax(code: str, rate: Fraction) -> Tax:
    return Tax(code=code, names={"en": code}, jurisdiction="ES", categories=("standard",), rate=rate)


def _rule(zone: str, cents: int) -> TariffRule:
    slot = Slot(start_units=0, increment_units=1, amount_nanos=cents * _EUR // 100, per_units=60)
    return TariffRule(
        code=zone, match=Match(services=("voice",), zones=(f"world/{zone}",)), card=PriceCard(slots=(slot,))
    )


def _offering(kind: str) -> Offering:
    fee = RecurringPrice(code=f"{kind}_fee", names={"en": f"{kind} fee"}, amount_nanos=20 * _EUR, currency="EUR")
    minutes = Allowance(
        code="minutes",
        names={"en": "Minutes"},
        match=Match(services=("voice",)),
        amount=3_600,
        rollover=Rollover(cycles=1),
    )
    return Offering(
        code=kind, names={"en": kind}, services=("voice",), tariff="voice", recurring=(fee,), allowances=(minutes,)
    )
