"""Make the files of event keys again from the lake and from suspense, when the home folder was lost."""

from uuid import UUID

import numpy as np
import polars as pl

from millicent.kit.kernels import UInt64s
from millicent.kit.tenancy import tenant_scope
from millicent.mediation.errors import UnknownSource
from millicent.mediation.facts import USAGE_TABLE
from millicent.mediation.family_lock import family_lock
from millicent.mediation.key_index import KeyIndex
from millicent.mediation.models import EventKeyRun, SuspendedRecord, UsageSource
from millicent.mediation.rules.event_keys import month_of
from millicent.mediation.services.settle_lake import settle_lake
from millicent.mediation.stores import MediationStores

_KEYS = ["event_key_high", "event_key_low"]


def rebuild_key_index(*, tenant_id: UUID, stores: MediationStores, family: str) -> int:
    """Write new key runs for a family and name them instead of the old; returns how many keys.

    Keys of parts are not in the lake: a part that is retransmitted meets its session, as long as that is remembered.
    """
    with tenant_scope(tenant_id):
        families = sorted(set(UsageSource.objects.values_list("family", flat=True)))
    if family not in families:
        raise UnknownSource(f"no source is of family {family!r}; there are {', '.join(families) or 'none'}")
    with family_lock(tenant_id=tenant_id, family=family):
        settle_lake(tenant_id=tenant_id, lake=stores.lake, family=family)  # what was decided has its keys too
        index = KeyIndex(folder=stores.keys_folder(family), runs=[])
        with tenant_scope(tenant_id):
            keys = _known_keys(stores, family=family)
            runs = [
                index.write_run(month=month, keys=_sorted(part))
                for (month,), part in sorted(keys.partition_by("month", as_dict=True).items())
            ]
            EventKeyRun.objects.filter(family=family).delete()
            EventKeyRun.objects.bulk_create(
                EventKeyRun(family=family, month=run.month, file=run.file, key_count=run.key_count) for run in runs
            )
        KeyIndex(folder=stores.keys_folder(family), runs=runs).delete_strays()
        return keys.height


def _known_keys(stores: MediationStores, *, family: str) -> pl.DataFrame:
    sources = list(UsageSource.objects.filter(family=family).values_list("name", flat=True))
    schema = {"event_key_high": pl.Int64, "event_key_low": pl.Int64, "occurred_at_ms": pl.Int64}
    waiting = pl.DataFrame(
        list(
            SuspendedRecord.objects.filter(
                batch__source__family=family, stage="mediation", event_key_high__isnull=False
            ).values_list("event_key_high", "event_key_low", "occurred_at_ms")
        ),
        schema=schema,
        orient="row",
    )
    found = stores.lake.scan(USAGE_TABLE)
    kept = found.filter(pl.col("source").is_in(sources)).select(*schema).collect() if found is not None else None
    both = waiting if kept is None else pl.concat([kept, waiting])
    month = pl.col("occurred_at_ms").map_elements(month_of, return_dtype=pl.String)
    return both.unique(_KEYS).with_columns(month.alias("month"))


def _sorted(keys: pl.DataFrame) -> UInt64s:
    ordered = keys.select(_KEYS).cast(pl.UInt64).sort(_KEYS)
    return np.ascontiguousarray(ordered.to_numpy()).reshape(-1)
