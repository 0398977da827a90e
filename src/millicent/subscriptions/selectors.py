"""Reads of subscriptions: histories for billing, identifiers for enrichment, in a few queries however many."""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import polars as pl

from millicent.customers.selectors import account_zones, billing_account_codes
from millicent.kit.bulk import read_frame, read_rows
from millicent.kit.intake import sorted_objects
from millicent.subscriptions.types import (
    IDENTIFIER_FRAME_COLUMNS,
    NEW_IDENTIFIER_COLUMNS,
    NEW_VERSION_COLUMNS,
    HeldIdentifier,
    IdentifierKind,
    SubscriptionFacts,
    SubscriptionStatus,
    SubscriptionVersion,
)

_VERSIONS = """
SELECT subscription.id, subscription.code, subscription.billing_account_id, subscription.pool,
       version.effective_from_ms, version.effective_until_ms, version.offering, version.status, version.quantity,
       version.price_overrides, version.add_ons, version.coupons, version.characteristics, version.learned_at_ms
FROM subscriptions_subscription subscription
JOIN subscriptions_version version ON version.subscription_id = subscription.id
WHERE {believed} AND {chosen}
ORDER BY subscription.id, version.effective_from_ms
"""
_BELIEVED_NOW = "version.superseded_at_ms IS NULL"
_BELIEVED_THEN = "version.recorded_at_ms <= %s AND (version.superseded_at_ms IS NULL OR version.superseded_at_ms > %s)"
_IDENTIFIERS = """
SELECT held.kind, held.identifier, held.effective_from_ms, COALESCE(held.effective_until_ms, 9223372036854775807),
       held.subscription_id, subscription.billing_account_id
FROM subscriptions_serviceidentifier held
JOIN subscriptions_subscription subscription ON subscription.id = held.subscription_id
WHERE held.superseded_at_ms IS NULL
"""
_AS_ADDED = """
SELECT subscription.code, subscription.billing_account_id, subscription.pool,
       version.effective_from_ms, version.effective_until_ms, version.offering, version.status, version.quantity,
       version.price_overrides, version.add_ons, version.coupons, version.characteristics
FROM subscriptions_subscription subscription
JOIN subscriptions_version version ON version.subscription_id = subscription.id
    AND version.recorded_at_ms = subscription.recorded_at_ms
WHERE subscription.code IN (SELECT unnest(%s::text[]))
"""
_PLACES = """
SELECT subscription.code, subscription.billing_account_id, min(version.effective_from_ms)
FROM subscriptions_subscription subscription
JOIN subscriptions_version version ON version.subscription_id = subscription.id AND version.superseded_at_ms IS NULL
WHERE subscription.code IN (SELECT unnest(%s::text[]))
GROUP BY subscription.id
"""
_AS_RECORDED = """
SELECT subscription.code, held.kind, held.identifier, held.effective_from_ms, held.effective_until_ms,
       held.superseded_at_ms IS NULL
FROM subscriptions_serviceidentifier held
JOIN subscriptions_subscription subscription ON subscription.id = held.subscription_id
WHERE held.identifier IN (SELECT unnest(%s::text[]))
"""


def subscriptions_of(account_ids: Iterable[int], *, known_at_ms: int | None = None) -> list[SubscriptionFacts]:
    """Subscriptions of these billing accounts with their whole history, by id.

    With `known_at_ms` the answer is what was known then: later changes, back-dated ones too, are not in it.
    """
    return _facts(
        "subscription.billing_account_id IN (SELECT unnest(%s::bigint[]))", [list(account_ids)], known_at_ms=known_at_ms
    )


def subscriptions_by_code(codes: Iterable[str], *, known_at_ms: int | None = None) -> list[SubscriptionFacts]:
    """The same for subscriptions named by the operator's own numbers; unknown codes are not in the answer."""
    return _facts("subscription.code IN (SELECT unnest(%s::text[]))", [list(codes)], known_at_ms=known_at_ms)


def subscription_ids(*, codes: Iterable[str]) -> dict[str, int]:
    """Ids by code; codes that name no subscription are not in the answer."""
    return dict(
        read_rows(
            "SELECT code, id FROM subscriptions_subscription WHERE code IN (SELECT unnest(%s::text[]))", [list(codes)]
        )
    )


def offerings_held(account_ids: Iterable[int], *, at_ms: int) -> set[str]:
    """Codes of the offerings and add-ons that these accounts hold at an instant, active or suspended."""
    held: set[str] = set()
    for subscription in subscriptions_of(account_ids):
        for version in subscription.versions:
            begun = version.effective_from_ms <= at_ms
            ended = version.effective_until_ms is not None and version.effective_until_ms <= at_ms
            if begun and not ended and version.status is not SubscriptionStatus.TERMINATED:
                held |= {version.offering, *version.add_ons}
    return held


def identifier_frame() -> pl.DataFrame:
    """Everything that is or was held, as columns (IDENTIFIER_FRAME_COLUMNS), for finding who used a service."""
    schema = {name: getattr(pl, type_name) for name, type_name in IDENTIFIER_FRAME_COLUMNS.items()}
    return read_frame(_IDENTIFIERS, schema=schema)


def identifiers_of(subscription_ids: Iterable[int]) -> dict[int, tuple[HeldIdentifier, ...]]:
    """What each subscription holds or held, oldest first."""
    rows = read_rows(
        "SELECT subscription_id, kind, identifier, effective_from_ms, effective_until_ms "
        "FROM subscriptions_serviceidentifier "
        "WHERE superseded_at_ms IS NULL AND subscription_id IN (SELECT unnest(%s::bigint[])) "
        "ORDER BY subscription_id, effective_from_ms, id",
        [list(subscription_ids)],
    )
    return {
        subscription_id: tuple(
            HeldIdentifier(
                kind=IdentifierKind(kind), identifier=text, effective_from_ms=from_ms, effective_until_ms=until_ms
            )
            for _, kind, text, from_ms, until_ms in held
        )
        for subscription_id, held in groupby(rows, key=lambda row: row[0])
    }


def versions_as_added(*, codes: Iterable[str]) -> pl.DataFrame:
    """Subscriptions with the versions they were first recorded with (NEW_VERSION_COLUMNS), whatever changed since."""
    schema = {name: getattr(pl, type_name) for name, type_name in NEW_VERSION_COLUMNS.items()}
    found = read_frame(_AS_ADDED, [list(codes)], schema=schema | {"account_code": pl.Int64})
    accounts = billing_account_codes(ids=found["account_code"].unique().to_list())
    return found.with_columns(
        pl.col("account_code").replace_strict(accounts, default=None, return_dtype=pl.String),
        *(sorted_objects(found[name]) for name in ("price_overrides", "add_ons", "coupons", "characteristics")),
    )


def subscription_places(*, codes: Iterable[str]) -> pl.DataFrame:
    """subscription_code, zone, first_from_ms of these subscriptions: what a date of theirs is read by."""
    schema = {"subscription_code": pl.String, "zone": pl.String, "first_from_ms": pl.Int64}
    found = read_frame(_PLACES, [list(codes)], schema=schema | {"zone": pl.Int64})
    zones = account_zones(ids=found["zone"].unique().to_list())
    return found.with_columns(pl.col("zone").replace_strict(zones, default=None, return_dtype=pl.String))


def identifiers_as_recorded(*, identifiers: Iterable[str]) -> pl.DataFrame:
    """Who holds or held these identifiers: NEW_IDENTIFIER_COLUMNS and `believed`, rows no longer believed included."""
    schema = {name: getattr(pl, type_name) for name, type_name in NEW_IDENTIFIER_COLUMNS.items()}
    found = read_frame(_AS_RECORDED, [list(identifiers)], schema=schema | {"believed": pl.String})
    return found.with_columns(believed=pl.col("believed") == "t")


def count_subscriptions() -> int:
    return int(read_rows("SELECT count(*) FROM subscriptions_subscription", [])[0][0])


def _facts(chosen: str, values: Sequence[object], *, known_at_ms: int | None) -> list[SubscriptionFacts]:
    believed, instants = (_BELIEVED_NOW, []) if known_at_ms is None else (_BELIEVED_THEN, [known_at_ms, known_at_ms])
    rows = read_rows(_VERSIONS.format(believed=believed, chosen=chosen), [*instants, *values])
    return [
        SubscriptionFacts(
            subscription_id=subscription_id,
            code=code,
            billing_account_id=account_id,
            pool=pool,
            versions=tuple(_version(row[4:]) for row in versions),
        )
        for (subscription_id, code, account_id, pool), versions in groupby(rows, key=lambda row: row[:4])
    ]


def _version(row: tuple[Any, ...]) -> SubscriptionVersion:
    return SubscriptionVersion(
        effective_from_ms=row[0],
        effective_until_ms=row[1],
        offering=row[2],
        status=SubscriptionStatus(row[3]),
        quantity=row[4],
        price_overrides=_object(row[5]),
        add_ons=_codes(row[6]),
        coupons=_codes(row[7]),
        characteristics=_object(row[8]),
        recorded_at_ms=row[9],
    )


def _object(text: str) -> Mapping[str, Any]:
    return {} if text == "{}" else json.loads(text)


def _codes(text: str) -> tuple[str, ...]:
    return () if text == "[]" else tuple(json.loads(text))


_PLANS = """
SELECT version.subscription_id, subscription.billing_account_id, subscription.pool, version.effective_from_ms,
       COALESCE(version.effective_until_ms, 9223372036854775807), version.offering
FROM subscriptions_version version
JOIN subscriptions_subscription subscription ON subscription.id = version.subscription_id
WHERE version.superseded_at_ms IS NULL AND version.status IN ('active', 'suspended')
"""
PLAN_FRAME_COLUMNS = {
    "subscription_id": pl.Int64,
    "billing_account_id": pl.Int64,
    "pool": pl.String,
    "effective_from_ms": pl.Int64,
    "effective_until_ms": pl.Int64,
    "offering": pl.String,
}


def plan_frame() -> pl.DataFrame:
    """Which offering every subscription holds or held, as columns, for the list price of its usage."""
    return read_frame(_PLANS, schema=PLAN_FRAME_COLUMNS)
