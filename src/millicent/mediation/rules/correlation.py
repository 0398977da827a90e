"""Parts of one usage become that usage: RADIUS Start, Interim, Stop; SIP INVITE and BYE; 3GPP partial records.

The order in which parts arrive does not matter. Counters of interims and stops are cumulative. A closed session is
remembered, so that what comes late is not taken for a new one; what a lost Stop says in the end beyond what was
already counted becomes a usage of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from millicent.mediation.types import Part

COUNTERS = ("duration_ms", "uplink_bytes", "downlink_bytes")
TEXT_FIELDS = (
    "service",
    "direction",
    "call_type",
    "identifier_kind",
    "identifier",
    "other_party",
    "origin_number",
    "visited_network",
    "attributes",
    "supplier",
)
SESSION_COLUMNS: Mapping[str, type[pl.DataType]] = {
    "correlation_key": pl.String,
    "is_open": pl.Boolean,
    "has_start": pl.Boolean,
    "has_stop": pl.Boolean,
    "started_at_ms": pl.Int64,
    "last_part_at_ms": pl.Int64,
    **dict.fromkeys(COUNTERS, pl.Int64),
    **{f"settled_{name}": pl.Int64 for name in COUNTERS},
    "events": pl.Int64,
    "content_nanos": pl.Int64,
    "answered": pl.Boolean,
    **dict.fromkeys(TEXT_FIELDS, pl.String),
}
_MEMORY = "memory"  # the session as it was known before
_RANKS = {Part.START.value: 0, _MEMORY: 1, Part.INTERIM.value: 2, Part.PARTIAL.value: 2, Part.STOP.value: 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedParts:
    """What a chunk's parts led to.

    `complete` has the columns of the session and `record_number`, the record that made it complete. `joined` counts
    the other parts. `went_back` are record numbers whose counters are below an earlier report.
    """

    sessions: pl.DataFrame
    complete: pl.DataFrame
    joined: int
    went_back: list[int]


def join_parts(parts: pl.DataFrame, *, sessions: pl.DataFrame) -> JoinedParts:
    """Bring the parts of a chunk to the sessions they belong to (those of `sessions` are known already)."""
    rows = _with_memory(parts, sessions)
    back = _went_back(rows)
    kept = rows.filter(~back)
    known = sessions.select(
        "correlation_key",
        *(f"settled_{name}" for name in COUNTERS),
        finished=pl.col("has_stop") & ~pl.col("is_open"),
    )
    merged = (
        kept.sort("rank", "occurred_at_ms", maintain_order=True)
        .group_by("correlation_key", maintain_order=True)
        .agg(_aggregates())
        .join(known, on="correlation_key", how="left")
        .with_columns(pl.col("finished").fill_null(False), pl.col("^settled_.*$").fill_null(0))
        .with_columns(_started().alias("started_at_ms"))
        .with_columns(_lasted().alias("duration_ms"))
    )
    closes = (
        pl.col("has_stop")
        & (~pl.col("finished") | pl.col("fresh_stop"))
        & (pl.col("has_start") | (pl.col("duration_ms") > 0))
    )
    more = pl.any_horizontal(pl.col(name) > pl.col(f"settled_{name}") for name in COUNTERS)
    never_settled = pl.sum_horizontal(pl.col(f"settled_{name}") for name in COUNTERS) == 0
    touched = merged.filter(pl.col("part_count") > 0)
    complete = touched.filter(closes & (more | (never_settled & ~pl.col("finished"))))
    settled = closes | pl.col("finished")
    after = touched.with_columns(
        (~settled).alias("is_open"),
        *(
            pl.when(closes).then(pl.col(name)).otherwise(pl.col(f"settled_{name}")).alias(f"settled_{name}")
            for name in COUNTERS
        ),
    )
    return JoinedParts(
        sessions=after.select(pl.col(name).cast(kind) for name, kind in SESSION_COLUMNS.items()),
        complete=complete,
        joined=parts.height - int(back.sum()) - complete.height,
        went_back=rows.filter(back)["record_number"].to_list(),
    )


def usage_of_sessions(complete: pl.DataFrame) -> pl.DataFrame:
    """One usage for each session: what it used beyond what was counted before, from where that ended."""
    return complete.with_columns(
        (pl.col("started_at_ms") + pl.col("settled_duration_ms")).alias("occurred_at_ms"),
        *((pl.col(name) - pl.col(f"settled_{name}")).alias(name) for name in COUNTERS),
        pl.lit(Part.WHOLE.value).alias("part"),
    )


def closing_records(parts: pl.DataFrame, *, joined: JoinedParts) -> pl.DataFrame:
    """The records that made a session complete, carrying the whole session's usage under their own key."""
    usage = usage_of_sessions(joined.complete)
    closing = parts.join(usage, on="record_number", how="inner", suffix="_of_session", maintain_order="left")
    replaced = [name for name in closing.columns if name.endswith("_of_session")]
    return closing.with_columns(pl.col(name).alias(name.removesuffix("_of_session")) for name in replaced).select(
        parts.columns
    )


def _with_memory(parts: pl.DataFrame, sessions: pl.DataFrame) -> pl.DataFrame:
    memory = sessions.select(
        "correlation_key",
        pl.lit(_MEMORY).alias("part"),
        pl.col("last_part_at_ms").alias("occurred_at_ms"),
        pl.lit(-1, pl.Int64).alias("record_number"),
        *COUNTERS,
        "events",
        "content_nanos",
        "answered",
        *TEXT_FIELDS,
        *(pl.col(name).alias(f"was_{name}") for name in ("has_start", "has_stop", "started_at_ms")),
    )
    started = pl.col("part") == Part.START.value
    fresh = parts.select(
        "correlation_key",
        "part",
        "occurred_at_ms",
        "record_number",
        *(pl.when(started).then(0).otherwise(pl.col(name)).alias(name) for name in COUNTERS),
        "events",
        "content_nanos",
        "answered",
        *TEXT_FIELDS,
    )
    together = pl.concat([memory, fresh], how="diagonal")
    return together.with_columns(pl.col("part").replace_strict(_RANKS, return_dtype=pl.Int8).alias("rank"))


def _went_back(rows: pl.DataFrame) -> pl.Series:
    """True where a cumulative counter is below one that was reported earlier, by the network's own clock."""
    reports = pl.col("part").is_in([Part.INTERIM.value, Part.STOP.value])
    ordered = rows.with_row_index("place").sort("correlation_key", "occurred_at_ms", "rank", maintain_order=True)
    below = [
        pl.col(name) < pl.col(name).cum_max().shift(1).over("correlation_key").fill_null(0) for name in COUNTERS[1:]
    ]
    flagged = ordered.select("place", back=reports & pl.any_horizontal(below)).sort("place")
    return flagged["back"]


def _aggregates() -> list[pl.Expr]:
    part, fresh = pl.col("part"), pl.col("part") != _MEMORY
    partial = part == Part.PARTIAL.value
    started = part == Part.START.value
    was = {name: pl.col(f"was_{name}").drop_nulls().first() for name in ("has_start", "has_stop", "started_at_ms")}
    begun = pl.col("occurred_at_ms") - pl.when(started | partial).then(0).otherwise(pl.col("duration_ms"))
    return [
        fresh.sum().cast(pl.Int64).alias("part_count"),
        (part == Part.STOP.value).any().alias("fresh_stop"),
        pl.col("record_number").max().alias("record_number"),
        (started.any() | was["has_start"].fill_null(False)).alias("has_start"),
        ((part == Part.STOP.value).any() | was["has_stop"].fill_null(False)).alias("has_stop"),
        pl.col("occurred_at_ms").filter(started).min().alias("start_said_ms"),
        begun.filter(fresh & ~started).min().alias("reports_began_ms"),
        was["started_at_ms"].alias("was_started_at_ms"),
        was["has_start"].fill_null(False).alias("was_has_start"),
        pl.col("occurred_at_ms").filter(part == Part.STOP.value).max().alias("stop_said_ms"),
        pl.col("occurred_at_ms").max().alias("last_part_at_ms"),
        *(
            (pl.col(name).filter(~partial).max().fill_null(0) + pl.col(name).filter(partial).sum()).alias(name)
            for name in COUNTERS
        ),
        pl.col("events").max(),
        pl.col("content_nanos").max(),
        pl.col("answered").any(),
        *(pl.col(name).filter(pl.col(name) != "").first().fill_null("").alias(name) for name in TEXT_FIELDS),
    ]


def _started() -> pl.Expr:
    """What a start says is believed; else the earliest that the reports allow."""
    remembered = pl.when(pl.col("was_has_start")).then(pl.col("was_started_at_ms"))
    return pl.coalesce(
        pl.min_horizontal(pl.col("start_said_ms"), remembered),
        pl.min_horizontal(pl.col("was_started_at_ms"), pl.col("reports_began_ms")),
    )


def _lasted() -> pl.Expr:
    """A stop without a duration of its own lasted from the start to the stop, whichever came first."""
    said = pl.coalesce(pl.col("stop_said_ms"), pl.col("last_part_at_ms"))
    spans = pl.col("has_start") & pl.col("has_stop") & (pl.col("duration_ms") == 0)
    return pl.when(spans).then(pl.max_horizontal(said - pl.col("started_at_ms"), 0)).otherwise(pl.col("duration_ms"))
