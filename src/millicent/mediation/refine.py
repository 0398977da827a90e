"""The road of one decoded chunk up to what will be committed: pure but for the key index it is given.

decode -> duplicate check -> validation -> number normalisation -> who -> list price. Parts of sessions go only as far
as validation here; `services.commit_chunk` joins them, because that needs the sessions in PostgreSQL.
"""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from millicent.kit.kernels import UInt64s
from millicent.mediation.directory import SubscriberDirectory
from millicent.mediation.facts import USAGE_SCHEMA
from millicent.mediation.kernel.directory import NOT_HELD
from millicent.mediation.kernel.numbers import BAD
from millicent.mediation.key_index import KeyIndex
from millicent.mediation.rules.declaration import CollectionRules
from millicent.mediation.rules.event_keys import LATEST_MS, NO_MONTH, event_keys
from millicent.mediation.rules.numbering import DialPlan, normalised
from millicent.mediation.rules.validation import reasons, sequence_gaps
from millicent.mediation.types import DECODED_EXTRA_COLUMNS, DeclaredFile, DecodedChunk, Part, SuspenseReason

DECODED_SCHEMA = pl.Schema({name: getattr(pl, kind) for name, kind in DECODED_EXTRA_COLUMNS.items()})
ListPrice = Callable[[pl.DataFrame], pl.DataFrame]  # USAGE_COLUMNS -> RATED_COLUMNS
_ACCEPTED = int(SuspenseReason.ACCEPTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is the same for every record of a batch."""

    source: str
    family: str
    batch_id: int
    received_at_ms: int
    rules: CollectionRules
    dial_plan: DialPlan
    directory: SubscriberDirectory
    known_services: Set[str] | None = None
    list_price: ListPrice | None = None


@dataclass(slots=True, kw_only=True)
class RefinedChunk:
    """What became of the records of one chunk: every one of `records_in` is in exactly one place.

    `suspended` has all decoded columns and `reason` and `detail`; `faults` as the decoder gave them, without the
    rejected. `fresh_keys` are the new event keys by month.
    """

    records_in: int
    next_offset: int
    usage: pl.DataFrame
    parts: pl.DataFrame
    suspended: pl.DataFrame
    faults: pl.DataFrame
    rejected: int
    duplicate: int
    rated: pl.DataFrame | None = None
    fresh_keys: Mapping[str, UInt64s] = field(default_factory=dict)
    sequence_numbers: pl.Series = field(default_factory=lambda: pl.Series(dtype=pl.Int64))
    declared: DeclaredFile | None = None
    source_records: int = 0
    ended: pl.DataFrame | None = None


def refine_chunk(chunk: DecodedChunk, *, around: Surroundings, index: KeyIndex) -> RefinedChunk:
    """Take one decoded chunk as far as it goes without a database."""
    rejected = chunk.faults["reason"] == int(SuspenseReason.NOT_USAGE)
    usage, duplicate, fresh = without_duplicates(chunk.usage, family=around.family, index=index)
    reason = reasons(
        usage, rules=around.rules, received_at_ms=around.received_at_ms, known_services=around.known_services
    )
    believed, refused = _parted(usage, reason)
    partial = is_part(believed["part"], partials=around.rules.partials)
    parts = believed.filter(partial) if partial.any() else believed.clear()
    finished, stopped = finish_usage(believed.filter(~partial) if partial.any() else believed, around=around)
    refined = RefinedChunk(
        records_in=chunk.records_in,
        next_offset=chunk.next_offset,
        usage=finished,
        parts=parts,
        suspended=pl.concat([refused, stopped]),
        faults=chunk.faults.filter(~rejected) if rejected.any() else chunk.faults,
        rejected=int(rejected.sum()),
        duplicate=duplicate,
        rated=around.list_price(finished) if around.list_price is not None else None,
        fresh_keys=fresh,
        sequence_numbers=chunk.usage["sequence_number"],
        declared=chunk.declared,
        source_records=chunk.source_records,
        ended=chunk.ended,
    )
    found = finished.height + parts.height + refined.suspended.height + refined.faults.height
    assert refined.records_in == found + refined.rejected + refined.duplicate, "a record was lost in the chunk"
    return refined


def without_duplicates(
    usage: pl.DataFrame, *, family: str, index: KeyIndex
) -> tuple[pl.DataFrame, int, dict[str, UInt64s]]:
    """Drop records whose event was seen before; the others carry their key. Also the new keys, by month."""
    high, low = event_keys(usage, family=family)
    keyed = usage.with_columns(event_key_high=pl.Series(high), event_key_low=pl.Series(low))
    seen = np.zeros(usage.height, np.bool_)
    fresh = {}
    for month, rows in _rows_by_month(usage["occurred_at_ms"]):
        if rows is None:
            seen, fresh[month] = index.mark_seen(month=month, high=high, low=low)
        else:
            seen[rows], fresh[month] = index.mark_seen(month=month, high=high[rows], low=low[rows])
    duplicate = int(seen.sum())
    return (keyed.filter(pl.Series(~seen)) if duplicate else keyed), duplicate, fresh


def finish_usage(usage: pl.DataFrame, *, around: Surroundings) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Normalise the numbers and find who it was. Returns finished usage and what has to be suspended."""
    if usage.is_empty():
        return pl.DataFrame(schema=USAGE_SCHEMA), _with_reason(usage, SuspenseReason.ACCEPTED)
    numbered, bad = _normalise(usage, plan=around.dial_plan)
    occurred = numbered["occurred_at_ms"].to_numpy()
    kinds, identifiers = numbered["identifier_kind"], numbered["identifier"]
    holder = around.directory.find(kinds=kinds, identifiers=identifiers, occurred_at_ms=occurred)
    subscription, account = around.directory.subscriptions(holder)
    stop = (holder == NOT_HELD) | bad
    columns: dict[str, pl.Series | pl.Expr] = {
        "subscription_id": pl.Series(subscription),
        "billing_account_id": pl.Series(account),
        "batch_id": pl.lit(around.batch_id, pl.Int64),
        "source": pl.lit(around.source),
        "received_at_ms": pl.lit(around.received_at_ms, pl.Int64),
    }
    if around.rules.on_net:
        columns["call_type"] = _on_net(numbered, around.directory)
    found = numbered.with_columns(**columns)
    if not stop.any():
        return found.select(USAGE_SCHEMA.names()), _with_reason(usage.clear(), SuspenseReason.ACCEPTED)
    missing = (identifiers == "").to_numpy()
    reason = np.where(
        missing,
        int(SuspenseReason.MISSING_FIELD),
        np.where(bad, int(SuspenseReason.BAD_NUMBER), int(SuspenseReason.NOBODY)),
    )
    mask = pl.Series(stop)
    stopped = usage.with_columns(pl.Series("reason", reason, pl.Int16)).filter(mask)
    return found.filter(~mask).select(USAGE_SCHEMA.names()), _detailed(stopped)


def gaps_of(refined: RefinedChunk, *, after: int | None) -> tuple[list[tuple[int, int]], int | None]:
    """Running numbers that the switch skipped in this chunk, and the last one it wrote."""
    return sequence_gaps(refined.sequence_numbers, after=after)


def _normalise(
    usage: pl.DataFrame, *, plan: DialPlan
) -> tuple[pl.DataFrame, "np.ndarray[tuple[int], np.dtype[np.bool_]]"]:
    bad = np.zeros(usage.height, np.bool_)
    columns = []
    for name in ("other_party", "origin_number"):
        if bool((usage[name] == "").all()):
            continue
        numbers, verdict = normalised(usage[name], plan)
        columns.append(numbers)
        if name == "other_party":  # a caller may well be anonymous
            bad |= verdict == BAD
    is_number = usage["identifier_kind"] == "msisdn"
    if is_number.any():
        numbers, verdict = normalised(usage["identifier"], plan)
        columns.append(
            pl.select(pl.when(is_number).then(numbers).otherwise(usage["identifier"]).alias("identifier")).to_series()
        )
        bad |= (verdict == BAD) & is_number.to_numpy()
    return usage.with_columns(columns), bad


def _on_net(usage: pl.DataFrame, directory: SubscriberDirectory) -> pl.Expr:
    """Where nothing else is known about a call, say that it stays with us."""
    kinds = pl.repeat("msisdn", usage.height, dtype=pl.String, eager=True)
    holder = directory.find(
        kinds=kinds, identifiers=usage["other_party"], occurred_at_ms=usage["occurred_at_ms"].to_numpy()
    )
    ours = pl.Series(holder != NOT_HELD)
    return pl.when(ours & (usage["call_type"] == "")).then(pl.lit("onnet")).otherwise(usage["call_type"])


def _rows_by_month(occurred_at_ms: pl.Series) -> "list[tuple[str, np.ndarray[tuple[int], np.dtype[np.int64]] | None]]":
    """Rows of each UTC month; None for all rows where there is but one month."""
    if occurred_at_ms.is_empty():
        return []
    in_range = occurred_at_ms.is_between(0, LATEST_MS)
    instant = occurred_at_ms.cast(pl.Datetime("ms"))
    if bool(in_range.all()):
        first, last = instant.min(), instant.max()
        if first.strftime("%Y-%m") == last.strftime("%Y-%m"):  # type: ignore[union-attr]
            return [(first.strftime("%Y-%m"), None)]  # type: ignore[union-attr]
    month = pl.select(pl.when(in_range).then(instant).dt.strftime("%Y-%m").fill_null(NO_MONTH).alias("month"))
    groups = month.with_row_index("row").group_by("month").agg("row").sort("month")
    return [(name, np.asarray(rows, np.int64)) for name, rows in groups.iter_rows()]


def is_part(part: pl.Series, *, partials: str) -> pl.Series:
    """True for records that have to be joined; partial ones only where the source adds them up."""
    whole = part == Part.WHOLE.value
    return ~(whole | (part == Part.PARTIAL.value)) if partials == "own" else ~whole


def _parted(usage: pl.DataFrame, reason: pl.Series) -> tuple[pl.DataFrame, pl.DataFrame]:
    good = reason == _ACCEPTED
    if bool(good.all()):
        return usage, _with_reason(usage.clear(), SuspenseReason.ACCEPTED)
    return usage.filter(good), _detailed(usage.with_columns(reason.alias("reason")).filter(~good))


def _with_reason(rows: pl.DataFrame, reason: SuspenseReason) -> pl.DataFrame:
    return _detailed(rows.with_columns(pl.lit(int(reason), pl.Int16).alias("reason")))


def _detailed(rows: pl.DataFrame) -> pl.DataFrame:
    """Say in a few words which value was the trouble."""
    who = pl.format("{} {}", "identifier_kind", "identifier")
    words = {
        SuspenseReason.NOBODY: pl.format("nobody held {} then", who),
        SuspenseReason.BAD_NUMBER: pl.format("other party {}, {}", "other_party", who),
        SuspenseReason.UNKNOWN_SERVICE: pl.format("service {}", "service"),
        SuspenseReason.MISSING_FIELD: pl.lit("no identifier or no service"),
        SuspenseReason.BAD_QUANTITY: pl.lit("a quantity is below zero"),
    }
    detail = pl.format("began at {} ms", "occurred_at_ms")
    for reason, text in words.items():
        detail = pl.when(pl.col("reason") == int(reason)).then(text).otherwise(detail)
    return rows.with_columns(detail.alias("detail"))
