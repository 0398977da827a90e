"""Who comes into the shard comes with what they used before: noted first, told before any door finds them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import polars as pl

from millicent.billing.live import Releases
from millicent.charging.models.plans import ShardEntry
from millicent.charging.provisioning.telling import Telling
from millicent.charging.services.record_usage import opening_usage, tell_usage
from millicent.charging.types import Rows, Status, stacked
from millicent.kit.clock import to_ms
from millicent.kit.lake import Lake
from millicent.kit.tenancy import tenant_scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    tenant_id: UUID
    lake: Lake | None
    released: Releases
    now: datetime
    shard: int

    def welcome(self, come: pl.DataFrame, *, telling: Telling, blocks: Sequence[Rows]) -> None:
        """Tell the shard `blocks`, of which identifiers are the last, and before them what who `come` used already.

        Killed in between and called again, an entry keeps its first instant: what was used until then was not charged
        live, and `record_usage` tells of it later.
        """
        ids = come.filter(pl.col("status") != int(Status.GONE))["subscription_id"]
        with tenant_scope(self.tenant_id):
            self._enter(come.filter(pl.col("status") != int(Status.GONE)))
        telling.tell(stacked(blocks[:-1]))
        if self.lake is not None and len(ids):
            with tenant_scope(self.tenant_id):
                usage = opening_usage(ids, lake=self.lake, released=self.released, now=self.now, shard=self.shard)
            tell_usage(usage, tenant_id=self.tenant_id, port=telling.port, released=self.released, now=self.now)
        telling.tell(blocks[-1])

    def _enter(self, come: pl.DataFrame) -> None:
        ShardEntry.objects.bulk_create(
            (
                ShardEntry(
                    shard=self.shard,
                    subscription_id=subscription_id,
                    entered_at_ms=to_ms(self.now),
                    since_ms=min(since_ms, to_ms(self.now)),
                )
                for subscription_id, since_ms in come.select("subscription_id", "cycle_from_ms").iter_rows()
            ),
            ignore_conflicts=True,
            batch_size=10_000,
        )
