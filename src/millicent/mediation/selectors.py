"""What others may ask mediation."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import polars as pl
from django.db.models import Count

from millicent.kit.clock import from_ms
from millicent.kit.lake import Lake
from millicent.mediation.facts import ACCOUNT_BUCKETS, BUCKET_COLUMN, MONTH_COLUMN, USAGE_SCHEMA, USAGE_TABLE
from millicent.mediation.models import (
    LakeCommit,
    SequenceGap,
    SuspendedRecord,
    SuspenseAction,
    UsageBatch,
    UsageSource,
)
from millicent.mediation.states import WAITING, BatchState
from millicent.mediation.suspense_filter import SuspenseFilter, chosen_records
from millicent.mediation.types import SuspenseReason
from millicent.rating.types import Reason

FOREVER_MS = 253_402_300_799_999  # the end of the year 9999


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


def usage_by_key(
    lake: Lake, *, key_prefix: str, from_ms: int = 0, until_ms: int = FOREVER_MS, limit: int = 2
) -> pl.DataFrame:
    """Usage whose event key, written as 32 hexadecimal digits, begins with `key_prefix`; the first `limit` by key.

    Keys say nothing about time, so only a narrower [from_ms, until_ms) keeps the whole table from being looked through.
    """
    first, last = (int(key_prefix.ljust(32, filler), 16) for filler in "0f")
    high, low = pl.col("event_key_high"), pl.col("event_key_low")
    (first_high, first_low), (last_high, last_low) = divmod(first, 2**64), divmod(last, 2**64)
    found = usage_of(lake, from_ms=from_ms, until_ms=until_ms).filter(
        (high >= first_high)
        & (high <= last_high)
        & ((high > first_high) | (low >= first_low))
        & ((high < last_high) | (low <= last_low))
    )
    return found.sort("event_key_high", "event_key_low").head(limit).collect()


def _month(instant_ms: int) -> str:
    instant: datetime = from_ms(instant_ms)
    return instant.strftime("%Y-%m")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchTotals:
    """Control totals of one batch: records_in = accepted + suspended + rejected + duplicate, always."""

    batch_id: int
    source: str
    name: str
    state: str
    received_at_ms: int
    records_in: int
    accepted: int
    suspended: int
    rejected: int
    duplicate: int
    usages: int
    joined: int
    written_off: int
    repeats: str
    note: str


def batch_totals(*, source: str = "", state: str = "", limit: int | None = None) -> list[BatchTotals]:
    """Batches in the order they came, the last `limit` of them, inside a tenant's scope."""
    found = UsageBatch.objects.select_related("source", "repeats").order_by("-id")
    if source:
        found = found.filter(source__name=source)
    if state:
        found = found.filter(state=state)
    return [
        BatchTotals(
            batch_id=row.pk,
            source=row.source.name,
            name=row.name,
            state=row.state,
            received_at_ms=row.received_at_ms,
            records_in=row.records_in,
            accepted=row.accepted,
            suspended=row.suspended,
            rejected=row.rejected,
            duplicate=row.duplicate,
            usages=row.usages,
            joined=row.joined,
            written_off=row.written_off,
            repeats=row.repeats.name if row.repeats is not None else "",
            note=row.note,
        )
        for row in reversed(found[:limit])
    ]


def source_names(*, active_only: bool = False, watched_only: bool = False) -> list[str]:
    """Declared sources by name; a watched one has a url."""
    found = UsageSource.objects.order_by("name")
    if active_only:
        found = found.filter(is_active=True)
    if watched_only:
        found = found.exclude(url="")
    return list(found.values_list("name", flat=True))


def push_token_sha256(name: str) -> str:
    """Digest of the token that may push usage to an active source; "" for one that nobody may push to."""
    return (
        UsageSource.objects.filter(name=name, is_active=True).values_list("push_token_sha256", flat=True).first() or ""
    )


def declared_sources() -> list[UsageSource]:
    """Declarations as they are kept, by name."""
    return list(UsageSource.objects.order_by("name"))


def suspended_records(chosen: SuspenseFilter, *, limit: int) -> list[SuspendedRecord]:
    """Suspended records that fit, oldest first."""
    return list(chosen_records(chosen).select_related("batch__source")[:limit])


def suspense_history(record_id: int) -> list[SuspenseAction]:
    """Who did what to one record, in order."""
    return list(SuspenseAction.objects.filter(record_id=record_id).order_by("id"))


def record_gaps(*, source: str = "") -> list[tuple[str, int, int]]:
    """Running numbers that a switch skipped within a file: (file, first missing, last missing)."""
    found = SequenceGap.objects.order_by("id")
    if source:
        found = found.filter(batch__source__name=source)
    return list(found.values_list("batch__name", "first_missing", "last_missing"))


def missing_files(*, source: str) -> list[tuple[int, int]]:
    """Running numbers of files that have not come, between the lowest and the highest that have: (first, last)."""
    found = UsageBatch.objects.filter(source__name=source).values_list("file_sequence", flat=True)
    numbers = sorted({number for number in found if number is not None})
    return [(before + 1, after - 1) for before, after in pairwise(numbers) if after > before + 1]


def unfinished_batches() -> int:
    """How many batches are not read to the end: usage may be missing from the lake while this is not 0."""
    open_states = (BatchState.COLLECTING.value, BatchState.DAMAGED.value)
    unsettled = LakeCommit.objects.filter(is_settled=False).count()
    return UsageBatch.objects.filter(state__in=open_states).count() + unsettled


def suspended_by_reason() -> list[tuple[str, int, int]]:
    """What waits in suspense: (stage, reason, how many)."""
    found = SuspendedRecord.objects.filter(state__in=WAITING).values_list("stage", "reason")
    return list(found.annotate(count=Count("id")).order_by("stage", "reason"))


def reason_name(reason: int) -> str:
    """The word for a reason of mediation or of rating."""
    names: dict[int, str] = {int(each): each.name for each in (*SuspenseReason, *Reason) if int(each)}
    return names.get(reason, str(reason))
