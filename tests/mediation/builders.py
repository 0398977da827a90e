"""Builders for mediation: sources, files of usage events, and subscribers. They show only what a test is about."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import polars as pl

from millicent.kit.clock import to_ms
from millicent.kit.lake import Lake
from millicent.kit.tenancy import tenant_scope
from millicent.mediation.directory import IDENTIFIER_COLUMNS, SubscriberDirectory, build_directory
from millicent.mediation.selectors import usage_of
from millicent.mediation.services.collect_file import BatchReport, collect_file
from millicent.mediation.services.declare_source import declare_source
from millicent.mediation.stores import MediationStores

NOW = datetime(2026, 11, 5, 12, tzinfo=UTC)
NOON_MS = to_ms(datetime(2026, 11, 3, 12, tzinfo=UTC))
FOREVER_MS = 2**63 - 1
ALICE, BOB = "alice", "bob"


def identifiers(*rows: tuple[str, str, int, int, int, int]) -> pl.DataFrame:
    """(kind, identifier, from_ms, until_ms, subscription_id, billing_account_id)"""
    return pl.DataFrame(list(rows), schema=IDENTIFIER_COLUMNS, orient="row")


def a_directory(*names: str) -> SubscriberDirectory:
    """Subscribers by SIP user, numbered from 1; account 10 times that."""
    rows = [("sip_user", name, 0, FOREVER_MS, place, 10 * place) for place, name in enumerate(names, start=1)]
    return build_directory(identifiers(*rows))


def stores_in(folder: Path) -> MediationStores:
    return MediationStores(lake=Lake(root=str(folder / "lake")), folder=folder / "mediation")


def a_source(tenant_id: UUID, *, name: str = "switch", format: str = "usage_events", **declared: object) -> str:
    with tenant_scope(tenant_id):
        declare_source({"name": name, "format": format, **declared}, now=NOW)
    return name


def a_call(event_id: str, *, who: str = ALICE, **said: Any) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "service": "voice",
        "identifier_kind": "sip_user",
        "identifier": who,
        "other_party": "+34911234567",
        "occurred_at_ms": NOON_MS,
        "duration_ms": 60_000,
        **said,
    }


def a_part(part: str, *, session: str = "s1", at_ms: int = NOON_MS, **said: Any) -> dict[str, Any]:
    return {
        "part": part,
        "correlation_key": session,
        "service": "data",
        "identifier_kind": "sip_user",
        "identifier": ALICE,
        "occurred_at_ms": at_ms,
        **said,
    }


def write_events(path: Path, events: Iterable[dict[str, Any] | str]) -> Path:
    """A file of JSON Lines; a text stands for a line that is no usage."""
    lines = (event if isinstance(event, str) else json.dumps(event) for event in events)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def collect(
    tenant_id: UUID, stores: MediationStores, path: Path, *, source: str = "switch", **more: Any
) -> BatchReport:
    return collect_file(
        tenant_id=tenant_id, stores=stores, source=source, url=str(path), now=more.pop("now", NOW), **more
    )


def totals(report: BatchReport) -> tuple[int, int, int, int, int]:
    """(records in, accepted, suspended, rejected, duplicate)"""
    return report.records_in, report.accepted, report.suspended, report.rejected, report.duplicate


def lake_usage(stores: MediationStores) -> pl.DataFrame:
    found = usage_of(stores.lake, from_ms=0, until_ms=4_102_444_800_000).collect()
    return found.sort("occurred_at_ms", "batch_id", "record_number")
