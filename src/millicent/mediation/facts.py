"""The lake tables that mediation writes, and how rows of them are laid out so that a bill reads little.

Decision 0030: one folder for each UTC month; inside a file, rows are sorted by account bucket, so that a reader of
one bucket skips fifteen of sixteen row groups. Sixteen folders for each month would mean sixteen files for each
commit, and most files would be tiny.
"""

import polars as pl

from millicent.rating.types import RATED_COLUMNS, USAGE_COLUMNS

USAGE_TABLE = "usage"
RATED_TABLE = "rated"
MONTH_COLUMN = "usage_month"  # "2026-10", UTC
BUCKET_COLUMN = "account_bucket"
ACCOUNT_BUCKETS = 16

USAGE_SCHEMA = pl.Schema({name: getattr(pl, kind) for name, kind in USAGE_COLUMNS.items()})
RATED_SCHEMA = pl.Schema({name: getattr(pl, kind) for name, kind in RATED_COLUMNS.items()})


def with_bucket(rows: pl.DataFrame) -> pl.DataFrame:
    """Add the bucket and sort by it; the lake knows no unsigned integers, and no half of a key needs its top bit."""
    return rows.with_columns(
        (pl.col("billing_account_id") % ACCOUNT_BUCKETS).cast(pl.Int8).alias(BUCKET_COLUMN),
        pl.col("event_key_high", "event_key_low").cast(pl.Int64),
    ).sort(BUCKET_COLUMN, maintain_order=True)


def months_of(rows: pl.DataFrame) -> list[tuple[str, pl.DataFrame]]:
    """Split rows by the UTC month in which they began."""
    if rows.is_empty():
        return []
    instant = rows["occurred_at_ms"].cast(pl.Datetime("ms"))
    first, last = instant.min(), instant.max()
    month = "%Y-%m"
    if first.strftime(month) == last.strftime(month):  # type: ignore[union-attr]
        return [(first.strftime(month), rows)]  # type: ignore[union-attr]
    parts = rows.with_columns(instant.dt.strftime(month).alias(MONTH_COLUMN)).partition_by(
        MONTH_COLUMN, as_dict=True, include_key=False
    )
    return [(str(name), part) for (name,), part in sorted(parts.items())]
