"""Rows of suspense, made in bulk from what a chunk could not take along."""

from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

from millicent.kit.bulk import insert_frame
from millicent.mediation.facts import USAGE_SCHEMA
from millicent.mediation.usage_events import EVENT_DEFAULTS, EVENT_SCHEMA

RAW_LIMIT = 65_536
_FIELDS = [
    name
    for name in (*USAGE_SCHEMA.names(), "event_id", "part", "correlation_key", "sequence_number")
    if name not in ("event_key_high", "event_key_low", "batch_id", "record_number", "source", "received_at_ms")
    and name not in ("subscription_id", "billing_account_id")
]
ReadRaw = Callable[[int, int], bytes]  # offset, length -> the bytes of a record


def suspended_rows(suspended: pl.DataFrame, *, read_raw: ReadRaw) -> pl.DataFrame:
    """Records that were decoded and then stopped."""
    fields = pl.struct(_FIELDS).struct.json_encode().str.replace_all("\\u0000", "\\ufffd", literal=True)
    raw = [
        read_raw(offset, min(length, RAW_LIMIT))
        for offset, length in suspended.select("byte_offset", "byte_length").iter_rows()
    ]
    return suspended.select(
        "record_number",
        "reason",
        pl.col("detail").str.replace_all("\x00", "\ufffd", literal=True),
        fields.alias("fields"),
        "part",
        pl.col("event_key_high", "event_key_low").cast(pl.Int64),
        "occurred_at_ms",
        pl.Series("raw", raw, dtype=pl.Binary),
    )


def fault_rows(faults: pl.DataFrame) -> pl.DataFrame:
    """Records that could not be decoded."""
    return faults.select(
        "record_number",
        pl.col("reason").cast(pl.Int16),
        pl.col("detail").str.replace_all("\x00", "\ufffd", literal=True),
        pl.lit(None, pl.String).alias("fields"),
        pl.lit("whole").alias("part"),
        pl.lit(None, pl.Int64).alias("event_key_high"),
        pl.lit(None, pl.Int64).alias("event_key_low"),
        pl.lit(None, pl.Int64).alias("occurred_at_ms"),
        "raw",
    )


def insert_suspense(rows: pl.DataFrame, *, batch_id: int, now_ms: int) -> None:
    """Write suspense rows in the running transaction."""
    if rows.is_empty():
        return
    insert_frame(
        rows.with_columns(
            pl.lit(batch_id, pl.Int64).alias("batch_id"),
            pl.lit("mediation").alias("stage"),
            pl.lit("suspended").alias("state"),
            pl.lit(now_ms, pl.Int64).alias("suspended_at_ms"),
            pl.concat_str(pl.lit("\\x"), pl.col("raw").bin.encode("hex")).alias("raw"),
        ),
        table="mediation_suspended_record",
    )


def empty_value(kind: pl.DataType) -> pl.Expr:
    """What a column holds where nothing is known."""
    empty: str | bool | int = "" if kind == pl.String else False if kind == pl.Boolean else 0
    return pl.lit(empty, kind)


def decoded_frame(fields: Mapping[str, Any], *, record_number: int) -> pl.DataFrame:
    """One record from its stored fields, as a decoder would have given it."""
    values = {**EVENT_DEFAULTS, **fields, "record_number": record_number}
    return pl.DataFrame({name: [values[name]] for name in EVENT_SCHEMA}, schema=EVENT_SCHEMA)
