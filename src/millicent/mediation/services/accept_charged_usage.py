"""Usage that was charged live and of which no file will ever tell: it becomes usage like any other, once."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import polars as pl

from millicent.kit.clock import to_ms
from millicent.kit.tenancy import tenant_scope
from millicent.mediation.facts import USAGE_SCHEMA
from millicent.mediation.family_lock import family_lock
from millicent.mediation.models import UsageBatch
from millicent.mediation.pricing import list_price_in_force
from millicent.mediation.services.collect_file import BatchReport, report_of
from millicent.mediation.services.commit_chunk import stage_usage
from millicent.mediation.services.declare_source import declare_source
from millicent.mediation.services.settle_lake import decide_lake_commit, settle_lake
from millicent.mediation.states import BatchState
from millicent.mediation.stores import MediationStores
from millicent.mediation.usage_events import UsageEvents

ONLINE_SOURCE = "online"
_OURS = ("batch_id", "record_number", "source", "received_at_ms")
CHARGED_USAGE_SCHEMA = pl.Schema({name: kind for name, kind in USAGE_SCHEMA.items() if name not in _OURS})


def accept_charged_usage(
    take: Callable[[], pl.DataFrame], *, tenant_id: UUID, stores: MediationStores, name: str, now: datetime
) -> BatchReport | None:
    """Put what `take` returns (CHARGED_USAGE_SCHEMA) into the table of usage as one batch; None when it is nothing.

    `take` is called inside the transaction that keeps the batch: what it marks as taken is taken exactly when the usage
    counts. Whose usage it is was found when it was charged, and its event key is that of the charge. Killed at any
    point it may be called again.
    """
    with family_lock(tenant_id=tenant_id, family=ONLINE_SOURCE):
        settle_lake(tenant_id=tenant_id, lake=stores.lake, family=ONLINE_SOURCE)
        batch_id = _keep(take, tenant_id=tenant_id, stores=stores, name=name, now=now)
        if batch_id is None:
            return None
        settle_lake(tenant_id=tenant_id, lake=stores.lake, family=ONLINE_SOURCE)
    return report_of(batch_id, tenant_id=tenant_id)


def _keep(
    take: Callable[[], pl.DataFrame], *, tenant_id: UUID, stores: MediationStores, name: str, now: datetime
) -> int | None:
    with tenant_scope(tenant_id):
        taken = take()
        if taken.is_empty():
            return None
        source = declare_source({"name": ONLINE_SOURCE, "format": UsageEvents.code}, now=now)
        batch = UsageBatch.objects.create(
            source_id=source.source_id,
            name=name,
            size_bytes=0,
            sha256="",
            received_at_ms=to_ms(now),
            records_in=taken.height,
            accepted=taken.height,
            usages=taken.height,
            state=BatchState.CLOSED.value,
            closed_at_ms=to_ms(now),
            next_chunk=1,
        )
        usage = taken.with_columns(
            batch_id=pl.lit(batch.pk, pl.Int64),
            record_number=pl.int_range(1, pl.len() + 1, dtype=pl.Int64),
            source=pl.lit(ONLINE_SOURCE),
            received_at_ms=pl.lit(to_ms(now), pl.Int64),
        ).select(pl.col(column).cast(kind) for column, kind in USAGE_SCHEMA.items())
        list_price = list_price_in_force()
        rated = list_price(usage) if list_price is not None else None
        decide_lake_commit(stage_usage(usage, rated, lake=stores.lake, name=f"{batch.pk}-online"), family=ONLINE_SOURCE)
        return int(batch.pk)
