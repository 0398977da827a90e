"""Put usage that cannot be priced into suspense, where people look for what did not go on."""

from datetime import datetime

import polars as pl
from django.db import connection

from millicent.kit.bulk import insert_frame
from millicent.kit.clock import to_ms


def suspend_usage(usage: pl.DataFrame, *, now: datetime) -> int:
    """Suspend usage by its event key; returns how many were not waiting already. Runs inside a tenant's scope.

    Columns: event_key_high, event_key_low, occurred_at_ms, reason (rating.types.Reason), detail; and if known
    batch_id and record_number. The usage itself stays in the lake: released from here, the next replay prices it.
    """
    if usage.is_empty():
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT event_key_high, event_key_low FROM mediation_suspended_record "
            "WHERE stage = 'rating' AND state = 'suspended'"
        )
        waiting = pl.DataFrame(
            cursor.fetchall(), schema={"event_key_high": pl.Int64, "event_key_low": pl.Int64}, orient="row"
        )
    keys = ["event_key_high", "event_key_low"]
    signed = usage.with_columns(pl.col(keys).cast(pl.Int64)).unique(keys, keep="first", maintain_order=True)
    fresh = signed.join(waiting, on=keys, how="anti")
    known = [name for name in ("batch_id",) if name in fresh.columns]
    return insert_frame(
        fresh.select(
            *keys,
            *known,
            "occurred_at_ms",
            pl.col("record_number") if "record_number" in fresh.columns else pl.lit(0, pl.Int64).alias("record_number"),
            pl.col("reason").cast(pl.Int32),
            "detail",
            pl.lit("").alias("raw"),
            pl.lit("whole").alias("part"),
            pl.lit("rating").alias("stage"),
            pl.lit("suspended").alias("state"),
            pl.lit(to_ms(now), pl.Int64).alias("suspended_at_ms"),
        ),
        table="mediation_suspended_record",
    )
