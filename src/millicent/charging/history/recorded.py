"""Which usage of files was charged: event keys, kept for good, so that none is charged again when it comes again."""

from collections.abc import Sequence

import numpy as np

from millicent.charging.journal.read import JournalledBatch
from millicent.charging.models.plans import RecordedUsage
from millicent.charging.provisioning.file_usage import FILES_GROUP
from millicent.charging.types import Result, Verb

_CHARGED = (int(Result.DONE), int(Result.NOT_PRICED))


def keep_recorded(batches: Sequence[JournalledBatch], *, shard: int) -> None:
    """Remember what these batches recorded. In the reader's transaction."""
    kept = []
    for each in batches:
        commands, answers = each.batch.commands, each.batch.answers
        done = (
            (commands["verb"] == Verb.RECORD)
            & (commands["group"] == FILES_GROUP)
            & np.isin(answers["result"], _CHARGED)
        )
        kept += [
            RecordedUsage(
                event_key_high=int(row["key_high"]),
                event_key_low=int(row["key_low"]),
                shard=shard,
                subscription_id=int(row["subscription_id"]),
                occurred_at_ms=int(row["instant_ms"]),
            )
            for row in commands[done]
        ]
    RecordedUsage.objects.bulk_create(kept, ignore_conflicts=True, batch_size=5_000)
