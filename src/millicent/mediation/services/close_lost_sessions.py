"""Close sessions whose end was lost: what the last interim said is what is known."""

from datetime import datetime
from uuid import UUID

import polars as pl

from millicent.kit.clock import to_ms
from millicent.kit.tenancy import tenant_scope
from millicent.mediation.facts import USAGE_SCHEMA
from millicent.mediation.family_lock import family_lock
from millicent.mediation.models import UsageBatch
from millicent.mediation.refine import DECODED_SCHEMA, Surroundings, finish_usage
from millicent.mediation.road import PrepareRoad, Road, prepare_road, source_named
from millicent.mediation.rules.correlation import COUNTERS, usage_of_sessions
from millicent.mediation.rules.declaration import MS_PER_DAY, MS_PER_MINUTE
from millicent.mediation.services.collect_file import BatchReport, report_of
from millicent.mediation.services.commit_chunk import OnStep, stage_usage
from millicent.mediation.services.settle_lake import decide_lake_commit, settle_lake
from millicent.mediation.sessions import close_sessions, forget_sessions, lost_sessions
from millicent.mediation.states import BatchState
from millicent.mediation.stores import MediationStores
from millicent.mediation.suspending import empty_value, insert_suspense, suspended_rows
from millicent.mediation.texts import hashes
from millicent.mediation.types import Part, SuspenseReason

_SESSIONS_AT_A_TIME = 50_000


def close_lost_sessions(
    *,
    tenant_id: UUID,
    stores: MediationStores,
    source: str,
    now: datetime,
    on_step: OnStep = lambda step: None,
    prepare: PrepareRoad = prepare_road,
) -> list[BatchReport]:
    """Close the sessions of a source of which nothing was heard for as long as it declares.

    Each round is a batch of its own whose records are the sessions. One that never said how much it used is
    suspended: START_WITHOUT_STOP, or STOP_WITHOUT_START. Should the lost part come later after all, only what it says
    beyond this is counted. Rounds are one commit each, so a kill between two loses nothing.
    """
    reports = []
    with tenant_scope(tenant_id):
        facts = source_named(source)
    with family_lock(tenant_id=tenant_id, family=facts.family):
        settle_lake(tenant_id=tenant_id, lake=stores.lake, family=facts.family)
        with tenant_scope(tenant_id):
            forget_sessions(
                source_id=facts.source_id, closed_before_ms=to_ms(now) - facts.rules.remember_days * MS_PER_DAY
            )
            silent_since_ms = to_ms(now) - facts.rules.session_minutes * MS_PER_MINUTE
            waiting = lost_sessions(source_id=facts.source_id, silent_since_ms=silent_since_ms, limit=1)
            road = prepare(facts, stores) if waiting.height else None
        while road is not None:
            batch_id = _close_round(
                road, tenant_id=tenant_id, stores=stores, silent_since_ms=silent_since_ms, now=now, on_step=on_step
            )
            if batch_id is None:
                break
            settle_lake(tenant_id=tenant_id, lake=stores.lake, family=facts.family)
            reports.append(report_of(batch_id, tenant_id=tenant_id))
    return reports


def _close_round(
    road: Road, *, tenant_id: UUID, stores: MediationStores, silent_since_ms: int, now: datetime, on_step: OnStep
) -> int | None:
    """One commit: a batch with its totals, its usage, its suspense; None when no session is lost."""
    source, now_ms = road.source, to_ms(now)
    with tenant_scope(tenant_id):
        lost = lost_sessions(source_id=source.source_id, silent_since_ms=silent_since_ms, limit=_SESSIONS_AT_A_TIME)
        if lost.is_empty():
            return None
        batch = UsageBatch.objects.create(
            source_id=source.source_id,
            name=f"sessions without an end, {now.isoformat(timespec='seconds')}",
            size_bytes=0,
            sha256="",
            received_at_ms=now_ms,
        )
        around = road.surroundings(batch_id=batch.pk, received_at_ms=now_ms)
        usage, suspended = _usage_of_lost(lost, around=around)
        rated = road.list_price(usage) if road.list_price is not None else None
        staged = stage_usage(usage, rated, lake=stores.lake, name=f"{batch.pk}-lost")
        decide_lake_commit(staged, family=around.family)
        insert_suspense(
            suspended_rows(suspended, read_raw=lambda offset, length: b""), batch_id=batch.pk, now_ms=now_ms
        )
        close_sessions(lost["correlation_key"].to_list(), family=around.family)
        batch.records_in, batch.suspended = lost.height, suspended.height
        batch.accepted = batch.usages = usage.height
        batch.state, batch.closed_at_ms, batch.next_chunk = BatchState.CLOSED.value, now_ms, 1
        batch.save()
        on_step("about to commit")
    on_step("committed")
    return int(batch.pk)


def _usage_of_lost(lost: pl.DataFrame, *, around: Surroundings) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Finished usage and suspense of lost sessions, numbered in their order."""
    high, low = hashes(
        lost.select(
            pl.concat_str("correlation_key", *(f"settled_{name}" for name in COUNTERS), separator="\x1f")
        ).to_series(),
        names=[f"lost:{around.family}"],
    )
    session = usage_of_sessions(lost.with_row_index("row")).with_columns(
        record_number=pl.col("row").cast(pl.Int64) + 1,
        event_key_high=pl.Series(high),
        event_key_low=pl.Series(low),
    )
    schema = {**USAGE_SCHEMA, **DECODED_SCHEMA}
    whole = session.select(
        pl.col(name).cast(kind) if name in session.columns else empty_value(kind).alias(name)
        for name, kind in schema.items()
    ).with_columns(part=pl.lit(Part.WHOLE.value))
    used = session.select(pl.sum_horizontal(COUNTERS) > 0).to_series()
    finished, nobody = finish_usage(whole.filter(used), around=around)
    reason = pl.when(session["has_start"]).then(int(SuspenseReason.START_WITHOUT_STOP)).otherwise(
        pl.when(session["has_stop"]).then(int(SuspenseReason.STOP_WITHOUT_START)).otherwise(
            int(SuspenseReason.START_WITHOUT_STOP)
        )
    )  # fmt: skip
    silent = whole.with_columns(
        reason.cast(pl.Int16).alias("reason"), pl.lit("nothing says how much was used").alias("detail")
    ).filter(~used)
    return finished, pl.concat([nobody, silent.select(nobody.columns)])
