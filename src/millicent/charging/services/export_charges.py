"""Charges of the journal into the lake table `charged`, exactly once: one row for each usage whose price is final.

The lake remembers the last batch that it has (writer, sequence), so it is asked before anything is written: a crash
between lake and PostgreSQL only means that PostgreSQL hears of it later. Prices stand as the shard computed them, with
the names of the rule and the zone by which it found them.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import numpy as np
import polars as pl
from django.db import connection

from millicent.catalog.selectors import catalogue_of
from millicent.charging.journal.read import JournalledBatch, journal_batches, locked_position, move_reader
from millicent.charging.keys import SEPARATOR
from millicent.charging.types import NOT_SAID, NameKind, Rows, Unit
from millicent.kit.lake import Lake
from millicent.kit.tenancy import tenant_scope
from millicent.rating.kernel.arrays import SHORT_CODES
from millicent.rating.kernel.number import KEY_DIGITS

READER = "lake"
CHARGED_TABLE = "charged"
MONTH_COLUMN = "usage_month"  # "2026-10", UTC, of when the usage began
BATCHES_AT_ONCE = 2_000

# as rating.types.USAGE_COLUMNS and RATED_COLUMNS where they mean the same
CHARGED_COLUMNS = {
    "shard": "Int32",
    "sequence": "Int64",  # of the batch in the journal
    "event_key_high": "Int64",
    "event_key_low": "Int64",
    "occurred_at_ms": "Int64",
    "ended_at_ms": "Int64",
    "received_at_ms": "Int64",
    "subscription_id": "Int64",
    "billing_account_id": "Int64",
    "service": "String",
    "direction": "String",
    "call_type": "String",
    "visited_network": "String",
    "attributes": "String",
    "other_party": "String",  # as many digits as the key of a number holds
    "rating_group": "Int64",
    "unit": "String",
    "units": "Int64",
    "uplink_bytes": "Int64",
    "downlink_bytes": "Int64",
    "charged_units": "Int64",
    "bucket_units": "Int64",
    "tariff": "String",
    "segment": "String",
    "currency": "String",
    "amount_nanos": "Int64",
    "uncollected_nanos": "Int64",
    "throttled": "Boolean",
    "reason": "Int16",
    "catalog_release": "Int32",
    "rule": "String",  # by which it was priced; "" where none was, and in rows of a release that did not say it
    "zone": "String",
    MONTH_COLUMN: "String",
}
ADDED_COLUMNS = ("rule", "zone")  # that a table of an older release does not have
_AS_THEY_ARE = ("occurred_at_ms", "ended_at_ms", "subscription_id", "units", "charged_units", "bucket_units",
                "amount_nanos", "uncollected_nanos", "reason")  # fmt: skip
_RENAMED = {
    "billing_account_id": "account_id", "rating_group": "group", "uplink_bytes": "input_octets",
    "downlink_bytes": "output_octets", "catalog_release": "release",
}  # fmt: skip
_NAMED = {"rule": NameKind.RULE, "zone": NameKind.ZONE}
_TRAFFIC = ("service", "direction", "call_type", "visited_network", "attributes")


def export_charges(*, tenant_id: UUID, lake: Lake, shard: int = 0) -> int:
    """Take the next batches to the lake; returns how many. 0: the lake is at the journal's end."""
    writer = f"charging-{shard}"
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        position = locked_position(cursor, reader=READER, shard=shard)
        begun = max(position, lake.committed_sequence(CHARGED_TABLE, writer=writer) or 0)
        found = list(journal_batches(cursor, shard=shard, after=begun, until=begun + BATCHES_AT_ONCE))
        reached = found[-1].sequence if found else begun
        rows = charged_frame(found, names=_names(shard), shard=shard)
        if len(rows):
            lake.append(CHARGED_TABLE, rows, writer=writer, sequence=reached, partition_by=(MONTH_COLUMN,),
                        added=ADDED_COLUMNS)  # fmt: skip
        if reached != position:
            move_reader(cursor, reader=READER, shard=shard, sequence=reached)
    return reached - position


def _names(shard: int) -> Mapping[str, Sequence[str]]:
    """Texts of what charges name, by number. They stand in the database before the batch that uses them does."""
    kinds = (NameKind.PLAN, NameKind.TRAFFIC, NameKind.RULE, NameKind.ZONE)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT kind, text FROM charging_name WHERE shard = %s AND kind = ANY(%s) ORDER BY kind, number",
            [shard, [each.value for each in kinds]],
        )
        rows = cursor.fetchall()
    return {kind: [text for each, text in rows if each == kind] for kind in kinds}


def scan_charged(lake: Lake) -> pl.LazyFrame | None:
    """The table `charged` with all of CHARGED_COLUMNS, whatever release wrote it; None when nothing was charged yet."""
    charged = lake.scan(CHARGED_TABLE)
    if charged is None:
        return None
    known = charged.collect_schema().names()
    return charged.with_columns(
        (pl.col(name).fill_null("") if name in known else pl.lit("").alias(name)) for name in ADDED_COLUMNS
    )


def charged_frame(
    batches: Sequence[JournalledBatch], *, names: Mapping[str, Sequence[str]], shard: int
) -> pl.DataFrame:
    """The charges of these batches in CHARGED_COLUMNS."""
    charges = np.concatenate([each.batch.charges for each in batches]) if batches else None
    if charges is None or not len(charges):
        return pl.DataFrame(schema={name: getattr(pl, kind) for name, kind in CHARGED_COLUMNS.items()})
    columns: dict[str, Any] = {name: charges[name] for name in _AS_THEY_ARE}
    columns |= {name: charges[field] for name, field in _RENAMED.items()}
    columns |= _traffic_columns(charges, names[NameKind.TRAFFIC]) | _plan_columns(charges, names[NameKind.PLAN])
    columns |= {name: _texts_of(charges[name], names[kind]) for name, kind in _NAMED.items()}
    columns |= {
        "shard": np.full(len(charges), shard),
        "sequence": np.concatenate([np.full(len(each.batch.charges), each.sequence) for each in batches]),
        "event_key_high": charges["key_high"].view(np.int64),
        "event_key_low": charges["key_low"].view(np.int64),
        "received_at_ms": np.concatenate([_received(each) for each in batches]),
        "other_party": [_digits(key, count) for key, count in zip(charges["number_key"].tolist(),
                                                                  charges["number_digits"].tolist(), strict=True)],
        "unit": [Unit(each).name.lower() if each >= 0 else "" for each in charges["unit"].tolist()],
        "throttled": charges["throttled"] != 0,
    }  # fmt: skip
    rows = pl.DataFrame(columns).with_columns(
        pl.col("occurred_at_ms").cast(pl.Datetime("ms")).dt.strftime("%Y-%m").alias(MONTH_COLUMN)
    )
    return rows.select(pl.col(name).cast(getattr(pl, kind)) for name, kind in CHARGED_COLUMNS.items())


def _received(each: JournalledBatch) -> np.ndarray[Any, np.dtype[np.int64]]:
    batch = each.batch
    received: np.ndarray[Any, np.dtype[np.int64]] = batch.commands["received_ms"][batch.charges["command"]]
    return received


def _texts_of(numbers: np.ndarray[Any, np.dtype[np.int32]], texts: Sequence[str]) -> list[str]:
    return [texts[each] if 0 <= each < len(texts) else "" for each in numbers.tolist()]


def _traffic_columns(charges: Rows, texts: Sequence[str]) -> dict[str, list[str]]:
    parts = [[*text.split(SEPARATOR), "", "", "", "", ""][: len(_TRAFFIC)] for text in texts]
    nothing = [""] * len(_TRAFFIC)
    found = [parts[each] if each != NOT_SAID else nothing for each in charges["traffic"].tolist()]
    return {name: [each[place] for each in found] for place, name in enumerate(_TRAFFIC)}


def _plan_columns(charges: Rows, texts: Sequence[str]) -> dict[str, list[str]]:
    plans = [
        texts[each].partition(SEPARATOR) if each != NOT_SAID else ("", "", "") for each in charges["plan"].tolist()
    ]
    pairs = [(release, tariff) for release, (tariff, _, _) in zip(charges["release"].tolist(), plans, strict=True)]
    currency_of = {pair: _currency(*pair) for pair in set(pairs)}
    return {
        "tariff": [tariff for tariff, _, _ in plans],
        "segment": [segment for _, _, segment in plans],
        "currency": [currency_of[pair] for pair in pairs],
    }


def _currency(release: int, tariff: str) -> str:
    found = catalogue_of(release).tariffs.get(tariff) if release >= 0 else None
    return found.currency if found is not None else ""


def _digits(key: int, count: int) -> str:
    """The number that a key holds, or its first fifteen digits."""
    if count <= 0:
        return ""
    short, value = ("short:", key - SHORT_CODES) if key >= SHORT_CODES else ("", key)
    return short + str(value).rjust(KEY_DIGITS, "0")[:count]
