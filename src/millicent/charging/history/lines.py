"""Statement lines from movements: what one session took of one bucket in one reading is one line."""

import json

import polars as pl

from millicent.charging.history.movements import session_words, traffic_words
from millicent.charging.types import NOT_SAID

_ONE_LINE = ("bucket_id", "cause", "order_key", "key_high", "key_low", "group", "allowance")


def line_frame(moved: pl.DataFrame, *, shard: int) -> pl.DataFrame:
    """Rows of charging_balance_line. Movements that undo each other within a reading leave no line."""
    usage = pl.col("cause") == ""
    lines = (
        moved.with_columns(
            alone=pl.when(usage).then(0).otherwise(pl.int_range(1, pl.len() + 1)),
        )
        .group_by(*_ONE_LINE, "alone", maintain_order=True)
        .agg(
            pl.col("change", "quantity").sum(),
            pl.col(
                "sequence", "place", "happened_at_ms", "billing_account_id", "subscription_id", "kind", "currency",
                "remaining", "traffic", "other_party", "unit",
            ).last(),
        )
        .filter(pl.col("change") != 0)
    )  # fmt: skip
    return lines.select(
        pl.lit(shard, pl.Int32).alias("shard"),
        "sequence",
        "place",
        "happened_at_ms",
        "billing_account_id",
        pl.when(pl.col("subscription_id") == NOT_SAID).then(None).otherwise("subscription_id").alias("subscription_id"),
        "bucket_id",
        "kind",
        "currency",
        "change",
        "remaining",
        "cause",
        "order_key",
        pl.Series("facts", _facts(lines), dtype=pl.String),
    )


def _facts(lines: pl.DataFrame) -> list[str]:
    sessions = session_words(lines.select("key_high", "key_low").iter_rows())
    rows = lines.select("cause", "traffic", "other_party", "unit", "quantity", "allowance").iter_rows()
    return [
        json.dumps(
            _usage(traffic, other_party, unit, quantity) | {"session": session}
            if cause == ""
            else ({"allowance": allowance} if allowance else {}),
            ensure_ascii=False,
        )
        for session, (cause, traffic, other_party, unit, quantity, allowance) in zip(sessions, rows, strict=True)
    ]


def _usage(traffic: str, other_party: str, unit: str, quantity: int) -> dict[str, str]:
    said = traffic_words(traffic)
    if other_party:
        said["other_party"] = other_party
    if quantity > 0:
        said |= {"unit": unit, "quantity": str(quantity)}
    return said
