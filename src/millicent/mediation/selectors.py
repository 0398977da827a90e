"""What others may ask mediation."""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from millicent.kit.clock import from_ms
from millicent.kit.lake import Lake
from millicent.mediation.facts import ACCOUNT_BUCKETS, BUCKET_COLUMN, MONTH_COLUMN, USAGE_SCHEMA, USAGE_TABLE


def usage_of(
    lake: Lake,
    *,
    from_ms: int,
    until_ms: int,
    account_ids: Sequence[int] | None = None,
    bucket: int | None = None,
    received_until_ms: int | None = None,
    received_from_ms: int | None = None,
) -> pl.LazyFrame:
    """Usage that began in [from_ms, until_ms), with the columns and types of `rating.types.USAGE_COLUMNS`.

    `bucket` is billing_account_id % 16: only that part of each file is read. `account_ids` narrows to those accounts.
    `received_until_ms` leaves out what was received at or after it: a bill sees the facts of its own moment.
    The rows come in no promised order.
    """
    found = lake.scan(USAGE_TABLE)
    if found is None:
        return pl.LazyFrame(schema=USAGE_SCHEMA)
    keep = (
        pl.col(MONTH_COLUMN).is_between(pl.lit(_month(from_ms)), pl.lit(_month(until_ms - 1)))
        & (pl.col("occurred_at_ms") >= from_ms)
        & (pl.col("occurred_at_ms") < until_ms)
    )
    if bucket is not None:
        keep &= pl.col(BUCKET_COLUMN) == bucket
    if account_ids is not None:
        buckets = sorted({account_id % ACCOUNT_BUCKETS for account_id in account_ids})
        keep &= pl.col(BUCKET_COLUMN).is_in(buckets) & pl.col("billing_account_id").is_in(list(account_ids))
    if received_from_ms is not None:
        keep &= pl.col("received_at_ms") >= received_from_ms
    if received_until_ms is not None:
        keep &= pl.col("received_at_ms") < received_until_ms
    return found.filter(keep).select(pl.col(name).cast(kind) for name, kind in USAGE_SCHEMA.items())


def _month(instant_ms: int) -> str:
    instant: datetime = from_ms(instant_ms)
    return instant.strftime("%Y-%m")
