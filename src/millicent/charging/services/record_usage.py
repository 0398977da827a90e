"""Charge what only files tell of to balances: once each, however late, however often it comes."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

import polars as pl
import structlog
from django.db import connection

from millicent.billing.live import NoReleaseInForce, Releases, released_catalogues
from millicent.catalog.types import Catalogue
from millicent.charging.balance_facts import advance_spans, stored_facts
from millicent.charging.declared import DeclaredCharging
from millicent.charging.models.plans import FileIntake
from millicent.charging.ports import BalancePort
from millicent.charging.provisioning.file_usage import (
    Intake,
    keys_of,
    known_services,
    record_rows,
    told_by_files,
)
from millicent.charging.provisioning.numbers import identifier_numbers
from millicent.charging.remembered import refuse_while_forgetful
from millicent.charging.services.declare_services import declared_charging, service_map
from millicent.charging.types import Result
from millicent.customers.live import paying_frame
from millicent.kit.bulk import read_frame
from millicent.kit.clock import MS_PER_DAY, to_ms
from millicent.kit.lake import Lake
from millicent.kit.tenancy import tenant_scope
from millicent.mediation.selectors import FOREVER_MS, usage_of
from millicent.mediation.services.accept_charged_usage import ONLINE_SOURCE
from millicent.subscriptions.live import held_frame

AT_ONCE = 2_000
_MS_PER_HOUR = 3_600_000
_LOOK_BACK_MS = 600_000
_LOOK_FAR_BACK_MS = 40 * MS_PER_DAY  # once an hour: a file whose reading was broken off goes on under its first time
_DONE = (int(Result.DONE), int(Result.NOT_PRICED))  # what has no price is kept with its reason, and counted


def record_usage(*, tenant_id: UUID, port: BalancePort, lake: Lake, now: datetime, shard: int = 0) -> int:
    """Tell the shard what reached the lake and is its to charge; returns how many usages. Killed, it goes on.

    Each under its event key: what the history has was charged, and what it has not read yet the shard remembers.
    Raises HistoryBehind where neither can be relied on, and Outage.
    """
    with tenant_scope(tenant_id):
        refuse_while_forgetful(shard=shard)
        try:
            released = released_catalogues()
        except NoReleaseInForce:
            return 0
        position = FileIntake.objects.filter(shard=shard).values_list("received_until_ms", flat=True).first()
        usage = _received(lake, since_ms=_since(position, now_ms=to_ms(now)))
        waiting = _chosen(usage, lake=lake, released=released, now=now, shard=shard)
    done = tell_usage(waiting, tenant_id=tenant_id, port=port, released=released, now=now)
    with tenant_scope(tenant_id):
        FileIntake.objects.update_or_create(shard=shard, defaults={"received_until_ms": to_ms(now)})
    return done


def opening_usage(
    subscription_ids: pl.Series, *, lake: Lake, released: Releases, now: datetime, shard: int
) -> pl.DataFrame:
    """What these subscriptions used in their running cycle before they came into the shard. In a tenant's scope."""
    if not len(subscription_ids):
        return pl.DataFrame()
    entries = _entries(subscription_ids, shard=shard)
    since_ms = entries["since_ms"].min()
    if since_ms is None:
        return pl.DataFrame()
    found = usage_of(lake, from_ms=int(since_ms), until_ms=to_ms(now) + 1)  # type: ignore[arg-type]
    usage = found.filter(pl.col("subscription_id").is_in(subscription_ids.implode())).collect()
    return _chosen(usage, lake=lake, released=released, now=now, shard=shard)


def tell_usage(usage: pl.DataFrame, *, tenant_id: UUID, port: BalancePort, released: Releases, now: datetime) -> int:
    """RECORD in the order in which it happened. Outside any transaction."""
    if usage.is_empty():
        return 0
    catalogue = released.at(to_ms(now)).catalogue
    done = 0
    for some in known_services(usage, catalogue=catalogue).iter_slices(AT_ONCE):
        done += _tell(some, tenant_id=tenant_id, port=port, catalogue=catalogue, now=now)
    return done


def _tell(some: pl.DataFrame, *, tenant_id: UUID, port: BalancePort, catalogue: Catalogue, now: datetime) -> int:
    with tenant_scope(tenant_id):
        ids = some["subscription_id"].unique().to_list()
        held = held_frame(at_ms=to_ms(now), known_at_ms=to_ms(now), ids=ids)
    held = held.select("subscription_id").with_columns(identifier_numbers(held["kind"], held["identifier"]))
    answers = port.submit(record_rows(some, catalogue=catalogue, held=held, port=port, at_ms=to_ms(now)))
    results = answers["result"].tolist()
    refused = [Result(each).name.lower() for each in results if each not in _DONE]
    if refused:
        structlog.get_logger("millicent.charging").warning(
            "usage of files was not charged", count=len(refused), first=refused[0]
        )
    return len(results) - len(refused)


def _since(position: int | None, *, now_ms: int) -> int:
    if position is None or position // _MS_PER_HOUR != now_ms // _MS_PER_HOUR:
        return min(now_ms if position is None else position, now_ms) - _LOOK_FAR_BACK_MS
    return position - _LOOK_BACK_MS


def _received(lake: Lake, *, since_ms: int) -> pl.DataFrame:
    found = usage_of(lake, from_ms=0, until_ms=FOREVER_MS, received_from_ms=since_ms)
    return found.filter(pl.col("source") != ONLINE_SOURCE).collect()


def _chosen(usage: pl.DataFrame, *, lake: Lake, released: Releases, now: datetime, shard: int) -> pl.DataFrame:
    """Of this usage, what the shard is to be told of and has not been. In a tenant's scope."""
    usage = usage.filter((pl.col("subscription_id") >= 0) & (pl.col("source") != ONLINE_SOURCE))
    if usage.is_empty():
        return usage
    entries = _entries(usage["subscription_id"].unique(), shard=shard)
    usage = usage.join(entries, on="subscription_id", how="semi")
    if usage.is_empty():
        return usage
    intake = _intake(usage, entries=entries, lake=lake, released=released, now=now)
    return _not_recorded(told_by_files(usage, intake=intake))


def _intake(usage: pl.DataFrame, *, entries: pl.DataFrame, lake: Lake, released: Releases, now: datetime) -> Intake:
    at_ms = to_ms(now)
    ids = usage["billing_account_id"].unique().to_list()
    paying = paying_frame(at_ms=at_ms, known_at_ms=at_ms, ids=ids)
    payers = dict(paying.select("billing_account_id", "payer_id").iter_rows())
    advance = advance_spans(sorted(set(payers.values())), facts=stored_facts(lake), released=released, at_ms=at_ms)
    now_in = partial(_is_in, at_ms=at_ms)
    return Intake(
        services=services_of_files(declared_charging(), catalogue=released.at(at_ms).catalogue),
        payers=payers,
        advance=advance,
        prepaid_now=frozenset(payer for payer, spans in advance.items() if any(map(now_in, spans))),
        entries=entries,
    )


def services_of_files(declared: DeclaredCharging, *, catalogue: Catalogue) -> frozenset[str]:
    """Services for which who pays in advance is charged from files: as declared, else those without a door."""
    live = service_map(declared).services()
    return frozenset(
        code for code in catalogue.specifications if declared.prepaid.charged_live.get(code, code in live) is False
    )


def _is_in(span: object, *, at_ms: int) -> bool:
    return bool(span.from_ms <= at_ms < span.until_ms)  # type: ignore[attr-defined]


def _entries(subscription_ids: pl.Series, *, shard: int) -> pl.DataFrame:
    return read_frame(
        "SELECT subscription_id, entered_at_ms, since_ms FROM charging_shard_entry "
        "WHERE shard = %s AND subscription_id IN (SELECT unnest(%s::bigint[]))",
        [shard, subscription_ids.to_list()],
        schema={"subscription_id": pl.Int64, "entered_at_ms": pl.Int64, "since_ms": pl.Int64},
    )


def _not_recorded(usage: pl.DataFrame) -> pl.DataFrame:
    keys: Sequence[tuple[int, int]] = keys_of(usage)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT recorded.event_key_high, recorded.event_key_low FROM charging_recorded_usage recorded "
            "JOIN unnest(%s::bigint[], %s::bigint[]) AS asked(high, low) "
            "ON recorded.event_key_high = asked.high AND recorded.event_key_low = asked.low",
            [[high for high, _ in keys], [low for _, low in keys]],
        )
        known = set(cursor.fetchall())
    return usage.filter(pl.Series([key not in known for key in keys], dtype=pl.Boolean))
