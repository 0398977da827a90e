"""One chunk into the stores: lake files first, then everything in one PostgreSQL commit, then visibility."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import polars as pl

from millicent.kit.lake import Lake
from millicent.kit.lake_staging import StagedFile, stage
from millicent.kit.metrics import count_records
from millicent.kit.tenancy import tenant_scope
from millicent.mediation.facts import MONTH_COLUMN, RATED_TABLE, USAGE_TABLE, months_of, with_bucket
from millicent.mediation.key_index import KeyIndex, KeyRun
from millicent.mediation.models import EventKeyRun, SequenceGap, UsageBatch
from millicent.mediation.refine import RefinedChunk, Surroundings, finish_usage, gaps_of
from millicent.mediation.rules.correlation import JoinedParts, closing_records, join_parts
from millicent.mediation.services.settle_lake import decide_lake_commit, settle_lake
from millicent.mediation.sessions import give_up_sessions, keep_sessions, sessions_of
from millicent.mediation.stores import MediationStores
from millicent.mediation.suspending import ReadRaw, fault_rows, insert_suspense, suspended_rows
from millicent.mediation.types import DeclaredFile, SuspenseReason

OnStep = Callable[[str], None]
_RANGED = ("occurred_at_ms", "received_at_ms")
_GAPS_KEPT = 1_000  # of one chunk: a file of random numbers must not fill the table


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkPlace:
    """Which chunk of which batch is committed, and what the batch knew before."""

    tenant_id: UUID
    batch_id: int
    source_id: int
    number: int
    now_ms: int
    last_sequence_number: int | None


def commit_chunk(
    refined: RefinedChunk,
    *,
    place: ChunkPlace,
    around: Surroundings,
    stores: MediationStores,
    index: KeyIndex,
    read_raw: ReadRaw,
    on_step: OnStep,
) -> int | None:
    """Commit a chunk exactly once; returns the last running number that the switch wrote.

    Killed before the PostgreSQL commit, nothing of it counts and the chunk is read again. Killed after, the next
    collection first publishes what was decided.
    """
    joined = _join(refined, place=place, around=around)
    staged = stage_usage(refined.usage, refined.rated, lake=stores.lake, name=f"{place.batch_id}-{place.number:06}")
    on_step("staged")
    runs = {month: index.write_run(month=month, keys=keys) for month, keys in refined.fresh_keys.items() if len(keys)}
    gaps, last = gaps_of(refined, after=place.last_sequence_number)
    on_step("keys written")
    with tenant_scope(place.tenant_id):
        _record(refined, joined=joined, place=place, around=around, read_raw=read_raw)
        decide_lake_commit(staged, family=around.family)
        _record_runs(runs, family=around.family)
        _record_gaps(gaps, batch_id=place.batch_id)
        UsageBatch.objects.filter(pk=place.batch_id).update(last_sequence_number=last)
        on_step("about to commit")
    count_records(
        "mediation",
        accepted=refined.usage.height + (joined.joined if joined is not None else 0),
        suspended=refined.suspended.height + refined.faults.height,
        rejected=refined.rejected,
        duplicate=refined.duplicate,
    )
    on_step("committed")
    for month, run in runs.items():
        index.adopt(run, keys=refined.fresh_keys[month])
    settle_lake(tenant_id=place.tenant_id, lake=stores.lake, family=around.family)
    on_step("settled")
    return last


def stage_usage(
    usage: pl.DataFrame, rated: pl.DataFrame | None, *, lake: Lake, name: str
) -> Mapping[str, Sequence[StagedFile]]:
    """Write lake files of usage and its list price, seen by nobody yet."""
    tables = {USAGE_TABLE: usage}
    if rated is not None:
        tables[RATED_TABLE] = rated
    return {
        table: [
            stage(
                lake,
                table,
                part,
                name=name,
                partition={MONTH_COLUMN: month},
                ranged=[column for column in _RANGED if column in part.columns],
            )
            for month, part in months_of(with_bucket(rows))
        ]
        for table, rows in tables.items()
    }


def _join(refined: RefinedChunk, *, place: ChunkPlace, around: Surroundings) -> JoinedParts | None:
    """Bring parts to their sessions; sessions that became complete go on as usage of this chunk."""
    if refined.parts.is_empty():
        return None
    keys = refined.parts["correlation_key"].unique(maintain_order=True).to_list()
    with tenant_scope(place.tenant_id):
        known = sessions_of(keys, family=around.family)
    joined = join_parts(refined.parts, sessions=known)
    finished, stopped = finish_usage(closing_records(refined.parts, joined=joined), around=around)
    refined.usage = pl.concat([refined.usage, finished])
    if around.list_price is not None:
        refined.rated = around.list_price(refined.usage)
    back = refined.parts.filter(pl.col("record_number").is_in(joined.went_back)).with_columns(
        pl.lit(int(SuspenseReason.COUNTER_WENT_BACK), pl.Int16).alias("reason"),
        pl.lit("a counter is below what was reported before").alias("detail"),
    )
    refined.suspended = pl.concat([refined.suspended, stopped, back])
    return joined


def _record(
    refined: RefinedChunk, *, joined: JoinedParts | None, place: ChunkPlace, around: Surroundings, read_raw: ReadRaw
) -> None:
    """Control totals, suspense and sessions, in the running transaction."""
    batch = UsageBatch.objects.select_for_update().get(pk=place.batch_id)
    assert batch.next_chunk == place.number, "another process committed to this batch"
    joined_count = joined.joined if joined is not None else 0
    suspended = refined.suspended.height + refined.faults.height
    batch.records_in += refined.records_in
    batch.usages += refined.usage.height
    batch.joined += joined_count
    batch.accepted += refined.usage.height + joined_count
    batch.suspended += suspended
    batch.rejected += refined.rejected
    batch.duplicate += refined.duplicate
    batch.source_records += refined.source_records
    _take_declaration(refined.declared, batch=batch)
    batch.next_offset, batch.next_chunk = refined.next_offset, place.number + 1
    batch.save()
    insert_suspense(suspended_rows(refined.suspended, read_raw=read_raw), batch_id=batch.pk, now_ms=place.now_ms)
    insert_suspense(fault_rows(refined.faults), batch_id=batch.pk, now_ms=place.now_ms)
    if joined is not None:
        keep_sessions(joined.sessions, family=around.family, source_id=place.source_id)
    if refined.ended is not None:
        give_up_sessions(refined.ended, family=around.family)


def _take_declaration(declared: DeclaredFile | None, *, batch: UsageBatch) -> None:
    """What the file's header says; a running number in its name, as the source declares it, comes before."""
    if declared is None:
        return
    batch.declared = {"records": declared.records, "lost_records": declared.lost_records}
    if batch.file_sequence is None:
        batch.file_sequence = declared.sequence_number


def _record_runs(runs: Mapping[str, KeyRun], *, family: str) -> None:
    EventKeyRun.objects.bulk_create(
        EventKeyRun(family=family, month=run.month, file=run.file, key_count=run.key_count) for run in runs.values()
    )


def _record_gaps(gaps: Sequence[tuple[int, int]], *, batch_id: int) -> None:
    SequenceGap.objects.bulk_create(
        SequenceGap(batch_id=batch_id, first_missing=first, last_missing=last) for first, last in gaps[:_GAPS_KEPT]
    )
