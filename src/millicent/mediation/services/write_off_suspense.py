"""Give up suspended records."""

from collections import Counter
from datetime import datetime

from django.db.models import F

from millicent.kit.clock import to_ms
from millicent.mediation.models import SuspendedRecord, UsageBatch
from millicent.mediation.services.correct_suspense import note_actions, refuse_settled, step
from millicent.mediation.states import SuspenseState
from millicent.mediation.suspense_filter import SuspenseFilter, chosen_records


def write_off_suspense(chosen: SuspenseFilter, *, who: str, why: str, now: datetime) -> int:
    """Records that nobody will be charged for: suspended becomes rejected in their batches. Returns how many.

    Runs inside a tenant's scope, all or none. Usage that waits for its price (stage "rating") has no batch total: it
    stays in the lake and is not charged.
    """
    chosen.check()
    records = list(chosen_records(chosen).select_for_update())
    refuse_settled(chosen, found=len(records))
    for record in records:
        record.state = step(record, SuspenseState.WRITTEN_OFF)
        record.settled_at_ms = to_ms(now)
    SuspendedRecord.objects.bulk_update(records, ["state", "settled_at_ms"], batch_size=1_000)
    for batch_id, count in Counter(
        each.batch_id for each in records if each.batch_id is not None and each.stage == "mediation"
    ).items():
        UsageBatch.objects.filter(pk=batch_id).update(
            suspended=F("suspended") - count, rejected=F("rejected") + count, written_off=F("written_off") + count
        )
    note_actions(records, action="write_off", who=who, why=why, now=now)
    return len(records)
