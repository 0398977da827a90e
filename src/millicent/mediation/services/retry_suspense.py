"""Send suspended records down the road again."""

import secrets
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from uuid import UUID

import numpy as np
import polars as pl
from django.db.models import F

from millicent.kit.clock import to_ms
from millicent.kit.errors import BadInput
from millicent.kit.tenancy import tenant_scope
from millicent.mediation.family_lock import family_lock
from millicent.mediation.formats import format_named
from millicent.mediation.models import EventKeyRun, SuspendedRecord, UsageBatch
from millicent.mediation.refine import Surroundings, finish_usage, is_part
from millicent.mediation.road import Road, prepare_road, source_named
from millicent.mediation.rules.correlation import closing_records, join_parts
from millicent.mediation.rules.event_keys import event_keys, month_of
from millicent.mediation.rules.validation import reasons
from millicent.mediation.services.commit_chunk import OnStep, stage_usage
from millicent.mediation.services.correct_suspense import note_actions, refuse_settled, step
from millicent.mediation.services.settle_lake import decide_lake_commit, settle_lake
from millicent.mediation.sessions import keep_sessions, sessions_of
from millicent.mediation.states import WAITING, SuspenseState
from millicent.mediation.stores import MediationStores
from millicent.mediation.suspending import decoded_frame
from millicent.mediation.suspense_filter import SuspenseFilter, chosen_records
from millicent.mediation.types import FormatOptions, SuspenseReason

_RECORDS_AT_A_TIME = 5_000
_OUTCOMES = ("usages", "joined", "duplicate", "rejected")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryReport:
    """What became of the records that were tried; `suspended` are those that stopped again."""

    tried: int = 0
    accepted: int = 0
    duplicate: int = 0
    rejected: int = 0
    suspended: int = 0

    def plus(self, other: "RetryReport") -> "RetryReport":
        return RetryReport(
            tried=self.tried + other.tried,
            accepted=self.accepted + other.accepted,
            duplicate=self.duplicate + other.duplicate,
            rejected=self.rejected + other.rejected,
            suspended=self.suspended + other.suspended,
        )


@dataclass(slots=True, kw_only=True)
class _Tried:
    """Records on their second way; `record_number` in the frames is the number of the suspended record."""

    usage: pl.DataFrame
    outcome: dict[int, str]
    stopped: dict[int, tuple[int, str]]  # reason and detail of those that stop again


def retry_suspense(
    chosen: SuspenseFilter,
    *,
    tenant_id: UUID,
    stores: MediationStores,
    who: str,
    why: str,
    now: datetime,
    on_step: OnStep = lambda step: None,
) -> RetryReport:
    """Take records through validation, numbering and enrichment again, with what is declared and known now.

    What goes on is usage received now, under its own batch, whose control totals move from suspended to accepted.
    Some thousand records make one commit: killed between two, the next call goes on with the rest.
    """
    chosen.check()
    with tenant_scope(tenant_id):
        found = list(chosen_records(chosen).values_list("pk", "stage", "batch__source__name"))
        refuse_settled(chosen, found=len(found))
    groups: dict[str, list[int]] = defaultdict(list)
    for record_id, stage, source in found:
        groups["" if stage == "rating" else source].append(record_id)
    report = RetryReport()
    for source, record_ids in groups.items():
        if source == "":
            report = report.plus(_release_usage(record_ids, tenant_id=tenant_id, who=who, why=why, now=now))
            continue
        with tenant_scope(tenant_id):
            facts = source_named(source)
        with family_lock(tenant_id=tenant_id, family=facts.family):
            settle_lake(tenant_id=tenant_id, lake=stores.lake, family=facts.family)
            with tenant_scope(tenant_id):
                road = prepare_road(facts, stores)
            for first in range(0, len(record_ids), _RECORDS_AT_A_TIME):
                ids = record_ids[first : first + _RECORDS_AT_A_TIME]
                part = _retry(ids, road=road, tenant_id=tenant_id, stores=stores, who=who, why=why, now=now)
                on_step("retried")
                settle_lake(tenant_id=tenant_id, lake=stores.lake, family=facts.family)
                report = report.plus(part)
    return report


def _release_usage(record_ids: Sequence[int], *, tenant_id: UUID, who: str, why: str, now: datetime) -> RetryReport:
    """Usage that waited for its price is priced by the next replay: it only has to leave suspense."""
    with tenant_scope(tenant_id):
        records = list(SuspendedRecord.objects.select_for_update().filter(pk__in=record_ids, state__in=WAITING))
        for record in records:
            record.state, record.settled_at_ms = step(record, SuspenseState.RETRIED), to_ms(now)
        SuspendedRecord.objects.bulk_update(records, ["state", "settled_at_ms"], batch_size=1_000)
        note_actions(records, action="retry", who=who, why=why, now=now)
    return RetryReport(tried=len(records), accepted=len(records))


def _retry(
    record_ids: Sequence[int],
    *,
    road: Road,
    tenant_id: UUID,
    stores: MediationStores,
    who: str,
    why: str,
    now: datetime,
) -> RetryReport:
    """One commit's worth, in one transaction."""
    around = road.surroundings(batch_id=0, received_at_ms=to_ms(now))
    with tenant_scope(tenant_id):
        records = list(
            SuspendedRecord.objects.select_for_update().filter(pk__in=record_ids, state__in=WAITING).order_by("pk")
        )
        if not records:
            return RetryReport()
        tried = _try(records, road=road, around=around)
        places = pl.DataFrame(
            {"pk": [each.pk for each in records], "batch": [each.batch_id for each in records],
             "number": [each.record_number for each in records]},
            schema={"pk": pl.Int64, "batch": pl.Int64, "number": pl.Int64},
        )  # fmt: skip
        usage = (
            tried.usage.join(places, left_on="record_number", right_on="pk", how="left", maintain_order="left")
            .with_columns(batch_id=pl.col("batch"), record_number=pl.col("number"))
            .select(tried.usage.columns)
        )
        rated = road.list_price(usage) if road.list_price is not None else None
        staged = stage_usage(usage, rated, lake=stores.lake, name=f"retry-{secrets.token_hex(8)}")
        decide_lake_commit(staged, family=around.family)
        _settle(records, tried=tried, now=now)
        note_actions(records, action="retry", who=who, why=why, now=now)
    counted = Counter(tried.outcome.values())
    return RetryReport(
        tried=len(records),
        accepted=counted["usages"] + counted["joined"],
        duplicate=counted["duplicate"],
        rejected=counted["rejected"],
        suspended=len(tried.stopped),
    )


def _try(records: Sequence[SuspendedRecord], *, road: Road, around: Surroundings) -> _Tried:
    """Decide what becomes of each record; writes sessions and event keys in the running transaction."""
    tried = _Tried(usage=pl.DataFrame(), outcome={}, stopped={})
    decoded = _decode(records, road=road, tried=tried)
    fresh = _without_known(decoded, records=records, road=road, tried=tried)
    reason = reasons(
        fresh, rules=around.rules, received_at_ms=around.received_at_ms, known_services=around.known_services
    )
    _stop(fresh.with_columns(reason.alias("reason")).filter(reason != 0), "not believed", tried=tried)
    believed = fresh.filter(reason == 0)
    parts = is_part(believed["part"], partials=around.rules.partials)
    whole = pl.concat([believed.filter(~parts), _rejoin(believed.filter(parts), around=around, road=road, tried=tried)])
    tried.usage, stopped = finish_usage(whole, around=around)
    _stop(stopped, "", tried=tried)
    tried.outcome.update(dict.fromkeys(tried.usage["record_number"].to_list(), "usages"))
    return tried


def _decode(records: Sequence[SuspendedRecord], *, road: Road, tried: _Tried) -> pl.DataFrame:
    """Each record as a row: from its fields, or from its bytes by the source's format of today."""
    rows = []
    for record in records:
        if record.fields is not None:
            rows.append(decoded_frame(record.fields, record_number=record.pk))
            continue
        row, reason, detail = _decode_bytes(bytes(record.raw), road=road)
        if row is not None:
            rows.append(row.with_columns(record_number=pl.lit(record.pk, pl.Int64)).select(_EMPTY.columns))
        elif reason == SuspenseReason.NOT_USAGE:
            tried.outcome[record.pk] = "rejected"
        else:
            tried.stopped[record.pk] = (int(reason), detail)
    return pl.concat([_EMPTY, *rows])


_EMPTY = decoded_frame({}, record_number=0).clear()


def _decode_bytes(raw: bytes, *, road: Road) -> tuple[pl.DataFrame | None, int, str]:
    options = FormatOptions(zone=road.source.zone, options=road.source.options)
    try:
        chunks = list(format_named(road.source.format).decode(BytesIO(raw), options=options, start_offset=0))
    except BadInput as damage:
        return None, int(SuspenseReason.DAMAGED), str(damage)
    usage = [chunk.usage for chunk in chunks if chunk.usage.height]
    if len(usage) == 1 and usage[0].height == 1 and all(chunk.faults.is_empty() for chunk in chunks):
        return usage[0], 0, ""
    faults = [chunk.faults for chunk in chunks if chunk.faults.height]
    if faults:
        return None, int(faults[0]["reason"][0]), str(faults[0]["detail"][0])
    return None, int(SuspenseReason.DAMAGED), "the bytes are not one record"


def _without_known(
    decoded: pl.DataFrame, *, records: Sequence[SuspendedRecord], road: Road, tried: _Tried
) -> pl.DataFrame:
    """A record keeps the key it was counted under. One that was mended or first read now may be known already.

    The key that a record is counted under now is noted with it: should it stop again, its next try is no duplicate.
    """
    kept = {
        record.pk: (record.event_key_high, record.event_key_low)
        for record in records
        if record.state == SuspenseState.SUSPENDED
        and record.event_key_high is not None
        and record.event_key_low is not None
    }
    earlier = {record.pk: (record.event_key_high, record.event_key_low) for record in records}
    high, low = event_keys(decoded, family=road.source.family)
    seen = np.zeros(decoded.height, np.bool_)
    numbers, instants = decoded["record_number"].to_list(), decoded["occurred_at_ms"].to_list()
    for row, (number, instant) in enumerate(zip(numbers, instants, strict=True)):
        if number in kept:
            high[row], low[row] = kept[number]
        elif earlier[number] != (int(high[row]), int(low[row])):
            one = slice(row, row + 1)
            month = month_of(instant)
            known, fresh = road.index.mark_seen(month=month, high=high[one], low=low[one])
            seen[row] = known[0]
            if len(fresh):
                run = road.index.write_run(month=month, keys=fresh)
                EventKeyRun.objects.create(
                    family=road.source.family, month=month, file=run.file, key_count=run.key_count
                )
                road.index.adopt(run, keys=fresh)
    _note_keys(records, keys=dict(zip(numbers, zip(high.tolist(), low.tolist(), instants, strict=True), strict=True)))
    tried.outcome.update({number: "duplicate" for number, known in zip(numbers, seen, strict=True) if known})
    keyed = decoded.with_columns(event_key_high=pl.Series(high), event_key_low=pl.Series(low))
    return keyed.filter(pl.Series(seen, dtype=pl.Boolean).not_())


def _note_keys(records: Sequence[SuspendedRecord], *, keys: Mapping[int, tuple[int, int, int]]) -> None:
    for record in records:
        if record.pk in keys:
            record.event_key_high, record.event_key_low, record.occurred_at_ms = keys[record.pk]


def _rejoin(parts: pl.DataFrame, *, around: Surroundings, road: Road, tried: _Tried) -> pl.DataFrame:
    """Bring parts to their sessions; returns the usage of those that became complete."""
    if parts.is_empty():
        return parts
    known = sessions_of(parts["correlation_key"].unique().to_list(), family=around.family)
    joined = join_parts(parts, sessions=known)
    keep_sessions(joined.sessions, family=around.family, source_id=road.source.source_id)
    back = parts.filter(pl.col("record_number").is_in(joined.went_back))
    _stop(
        back.with_columns(pl.lit(int(SuspenseReason.COUNTER_WENT_BACK), pl.Int16).alias("reason")),
        "a counter is below what was reported before",
        tried=tried,
    )
    others = parts.filter(~pl.col("record_number").is_in(joined.went_back))["record_number"].to_list()
    tried.outcome.update(dict.fromkeys(others, "joined"))
    closing = closing_records(parts, joined=joined)
    for number in closing["record_number"].to_list():
        del tried.outcome[number]
    return closing


def _stop(rows: pl.DataFrame, detail: str, *, tried: _Tried) -> None:
    details = rows["detail"].to_list() if "detail" in rows.columns else [detail] * rows.height
    for number, reason, text in zip(rows["record_number"], rows["reason"], details, strict=True):
        tried.stopped[number] = (reason, text)


def _settle(records: Sequence[SuspendedRecord], *, tried: _Tried, now: datetime) -> None:
    """Move records and the control totals of their batches, in the running transaction."""
    moved: dict[int, Counter[str]] = defaultdict(Counter)
    for record in records:
        outcome = tried.outcome.get(record.pk)
        if outcome is None:
            record.reason, record.detail = tried.stopped[record.pk]
            record.state = SuspenseState.SUSPENDED.value
            continue
        record.state, record.settled_at_ms = step(record, SuspenseState.RETRIED), to_ms(now)
        assert record.batch_id is not None, "only usage that waits for its price has no batch"
        moved[record.batch_id][outcome] += 1
    changed = ["state", "reason", "detail", "settled_at_ms", "event_key_high", "event_key_low", "occurred_at_ms"]
    SuspendedRecord.objects.bulk_update(records, changed, batch_size=1_000)
    for batch_id, counted in moved.items():
        accepted = counted["usages"] + counted["joined"]
        UsageBatch.objects.filter(pk=batch_id).update(
            suspended=F("suspended") - counted.total(),
            accepted=F("accepted") + accepted,
            **{name: F(name) + counted[name] for name in _OUTCOMES},
        )
