"""The 128-bit key of an event: the same event reported twice has the same key, whatever file brings it.

A whole with an id of its source: the id. Without one: its normalised content. A part: its session, which part it is,
and its counters, so that a retransmission is a duplicate and the next interim is not.
"""

import polars as pl

from millicent.kit.clock import from_ms
from millicent.kit.kernels import UInt64s
from millicent.mediation.texts import hashes
from millicent.mediation.types import Part

_CONTENT = (
    "occurred_at_ms",
    "service",
    "direction",
    "call_type",
    "answered",
    "identifier_kind",
    "identifier",
    "other_party",
    "origin_number",
    "visited_network",
    "duration_ms",
    "uplink_bytes",
    "downlink_bytes",
    "events",
    "content_nanos",
    "attributes",
    "supplier",
)
_PART = ("correlation_key", "part", "event_id", "occurred_at_ms", "duration_ms", "uplink_bytes", "downlink_bytes")
NO_MONTH = "0000-00"
LATEST_MS = 4_102_444_800_000  # the year 2100
_SEPARATOR = "\x1f"


def event_keys(usage: pl.DataFrame, *, family: str) -> tuple[UInt64s, UInt64s]:
    """Both halves for every decoded record, each below 2^63."""
    names = [f"id:{family}", f"content:{family}", f"part:{family}"]
    whole = usage["part"] == Part.WHOLE.value
    if bool(whole.all()) and bool((usage["event_id"] != "").all()):
        return hashes(usage["event_id"], names=names[:1])
    kind = pl.when(~whole).then(2).when(pl.col("event_id") == "").then(1).otherwise(0).cast(pl.Int8)
    asked = usage.select(
        kind.alias("kind"),
        pl.when(kind == 0)
        .then(pl.col("event_id"))
        .when(kind == 1)
        .then(_joined(_CONTENT))
        .otherwise(_joined(_PART))
        .alias("text"),
    )
    return hashes(asked["text"], names=names, kind=asked["kind"].to_numpy())


def month_of(occurred_at_ms: int) -> str:
    """The UTC month under which an event's key is kept; times that are no times have one of their own."""
    if not 0 <= occurred_at_ms <= LATEST_MS:
        return NO_MONTH
    return from_ms(occurred_at_ms).strftime("%Y-%m")


def _joined(columns: tuple[str, ...]) -> pl.Expr:
    return pl.concat_str([pl.col(name).cast(pl.String).fill_null("") for name in columns], separator=_SEPARATOR)
