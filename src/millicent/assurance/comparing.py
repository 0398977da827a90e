"""Charges made live against charges of the bills' replay, usage by usage. Pure arithmetic on two frames."""

import polars as pl

from millicent.assurance.types import LiveDifference, LiveReason, LiveTotal

PATIENCE_MS = 2_000  # two reports of one usage, by gateway and by file, may differ by so much in when it began
_KEY = ("event_key_high", "event_key_low")
_SIDES = ("nanos", "units", "tariff", "release", "rule", "zone")
_BITS = 2**63 - 1  # halves of a key in the lake of usage have no top bit


def paired(live: pl.DataFrame, replayed: pl.DataFrame) -> pl.DataFrame:
    """One row for each usage, with `live_...` and `bill_...` of nanos, units, tariff, release, rule and zone.

    Null where a side is missing; rule and zone are "" where nobody said. Both sides: event key, payer_id,
    subscription_id, service, occurred_at_ms, currency, nanos, units, tariff, release, rule, zone; `replayed` also
    received_at_ms and cycle_until_ms. A usage is known by its event key, else by whose, what and when.
    """
    ours, theirs = _side(live, "live"), _side(replayed, "bill")
    both = ours.join(theirs, on=_KEY, suffix="_bill")
    ours, theirs = ours.join(both, on=_KEY, how="anti"), theirs.join(both, on=_KEY, how="anti")
    near = _near(ours, theirs)
    ours = ours.join(near, on="live_row", how="anti")
    theirs = theirs.join(near, on="bill_row", how="anti")
    return pl.concat([both, near, ours, theirs], how="diagonal_relaxed")


def _side(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    keys = [pl.col(each).cast(pl.Int64) & _BITS for each in _KEY]
    return rows.with_columns(*keys).rename({each: f"{name}_{each}" for each in _SIDES}).with_row_index(f"{name}_row")


def _near(ours: pl.DataFrame, theirs: pl.DataFrame) -> pl.DataFrame:
    """Pairs of one subscription and service that began within PATIENCE_MS; nobody is paired twice."""
    found = (
        ours.join(theirs, on=("subscription_id", "service"), suffix="_bill")
        .with_columns(apart=(pl.col("occurred_at_ms") - pl.col("occurred_at_ms_bill")).abs())
        .filter(pl.col("apart") <= PATIENCE_MS)
        .sort("apart", "live_row", "bill_row")
    )
    once = found.unique("live_row", keep="first", maintain_order=True)
    return once.unique("bill_row", keep="first", maintain_order=True).drop("apart")


def totals_of(pairs: pl.DataFrame) -> tuple[LiveTotal, ...]:
    """Sums of both sides by currency."""
    sums = pairs.group_by("currency").agg(pl.col("live_nanos").sum(), pl.col("bill_nanos").sum()).sort("currency")
    return tuple(LiveTotal(currency=each, live_nanos=live, bill_nanos=bill) for each, live, bill in sums.iter_rows())


def differences_of(pairs: pl.DataFrame) -> tuple[LiveDifference, ...]:
    """Every usage that the two sides do not price alike, with the first reason that explains it."""
    missing_live, missing_bill = pl.col("live_nanos").is_null(), pl.col("bill_nanos").is_null()
    late = pl.col("received_at_ms") >= pl.col("cycle_until_ms")
    other_price = (pl.col("live_tariff") != pl.col("bill_tariff")) | (pl.col("live_release") != pl.col("bill_release"))
    reason = (
        pl.when(missing_live & late)
        .then(pl.lit(LiveReason.LATE.value))
        .when(missing_live)
        .then(pl.lit(LiveReason.ONLY_FILE.value))
        .when(missing_bill)
        .then(pl.lit(LiveReason.ONLY_ONLINE.value))
        .when(pl.col("live_units") != pl.col("bill_units"))
        .then(pl.lit(LiveReason.CORRECTED.value))
        .when(other_price)
        .then(pl.lit(LiveReason.RE_RATED.value))
        .when(_said("rule") | _said("zone"))
        .then(pl.lit(LiveReason.OTHER_RULE.value))
        .otherwise(pl.lit(LiveReason.OTHER_ORDER.value))
    )
    numbers = ("live_nanos", "bill_nanos", "live_units", "bill_units")
    rows = (
        pairs.filter(missing_live | missing_bill | (pl.col("live_nanos") != pl.col("bill_nanos")))
        .with_columns(reason.alias("reason"), *(pl.col(name).fill_null(0) for name in numbers))
        .with_columns(_price("live"), _price("bill"))
        .sort("payer_id", "occurred_at_ms", "subscription_id")
    )
    named = (
        "payer_id",
        "subscription_id",
        "service",
        "occurred_at_ms",
        "currency",
        *numbers,
        "live_price",
        "bill_price",
    )
    return tuple(
        LiveDifference(reason=LiveReason(row["reason"]), **{name: row[name] for name in named})
        for row in rows.iter_rows(named=True)
    )


def _said(name: str) -> pl.Expr:
    """Both sides say it, and not the same."""
    ours, theirs = pl.col(f"live_{name}"), pl.col(f"bill_{name}")
    return (ours != "") & (theirs != "") & (ours != theirs)


def _price(side: str) -> pl.Expr:
    """By which rule and in which zone a side priced a usage, in words."""
    rule, zone = pl.col(f"{side}_rule").fill_null(""), pl.col(f"{side}_zone").fill_null("")
    return pl.when(zone == "").then(rule).otherwise(pl.concat_str(rule, zone, separator=", ")).alias(f"{side}_price")
