"""Which grants may roll over, and what of them was left when they ended: from GRANT commands and movements."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from django.db.models import F

from millicent.catalog.types import Catalogue
from millicent.charging.history.movements import EXPIRED, names_of
from millicent.charging.journal.read import JournalledBatch
from millicent.charging.models.people import RollingBucket
from millicent.charging.types import BucketKind, NameKind, Result, Verb


def rolling_allowances(catalogue: Catalogue) -> frozenset[str]:
    """Codes of allowances whose rest moves to the next cycle."""
    return frozenset(
        f"{code}/{allowance.code}"
        for code, offering in catalogue.offerings.items()
        for allowance in offering.allowances
        if allowance.rollover is not None
    )


def keep_rolling(
    batches: Sequence[JournalledBatch], moved: pl.DataFrame, *, shard: int, rolling: frozenset[str]
) -> None:
    """Remember grants that may roll over, and what was lost of those that ended. In the reader's transaction."""
    RollingBucket.objects.bulk_create(_granted(batches, shard=shard, rolling=rolling), ignore_conflicts=True)
    ended = moved.filter((pl.col("cause") == EXPIRED) & (pl.col("kind") < int(BucketKind.MONEY)))
    for bucket_id, left in ended.group_by("bucket_id").agg(-pl.col("change").sum()).sort("bucket_id").iter_rows():
        RollingBucket.objects.filter(shard=shard, bucket_id=bucket_id, settled=False).update(
            left_units=F("left_units") + left
        )


def _granted(batches: Sequence[JournalledBatch], *, shard: int, rolling: frozenset[str]) -> list[RollingBucket]:
    done = [
        each.batch.commands[
            (each.batch.commands["verb"] == Verb.GRANT)
            & (each.batch.answers["result"] == Result.DONE)
            & (each.batch.answers["stored"] == 0)
        ]
        for each in batches
    ]
    rows = np.concatenate(done)
    if not len(rows):
        return []
    allowances = names_of(NameKind.ALLOWANCE, pl.Series(rows["name"]), shard=shard)
    pools = names_of(NameKind.POOL, pl.Series(rows["other_name"]), shard=shard)
    return [
        RollingBucket(
            shard=shard,
            bucket_id=int(row["bucket_id"]),
            allowance=allowances[int(row["name"])],
            scope=int(row["scope"]),
            pool=pools.get(int(row["other_name"]), ""),
            billing_account_id=int(row["account_id"]),
            subscription_id=int(row["subscription_id"]),
            granted_at_ms=int(row["instant_ms"]),
            valid_until_ms=int(row["until_ms"]),
        )
        for row in rows
        if allowances.get(int(row["name"]), "") in rolling
    ]
