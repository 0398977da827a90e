"""Which suspended records a person means: one by its number, or many by what they have in common."""

from dataclasses import dataclass

from django.db.models import QuerySet

from millicent.kit.errors import BadInput
from millicent.mediation.models import SuspendedRecord
from millicent.mediation.states import WAITING


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspenseFilter:
    """All conditions that are given must hold. All that waits must be asked for with `everything`."""

    record_ids: tuple[int, ...] = ()
    source: str = ""
    batch_id: int | None = None
    reason: int | None = None
    stage: str = ""
    state: str = ""  # "" for all that wait
    suspended_before_ms: int | None = None
    everything: bool = False

    def check(self) -> None:
        """Refuse to mean everything by accident."""
        conditions = (self.record_ids, self.source, self.batch_id is not None, self.reason is not None)
        more = (self.stage, self.state, self.suspended_before_ms is not None, self.everything)
        if not any(conditions) and not any(more):
            raise BadInput(
                "no record is named and no filter is given", where="suspense", cure="Name records, a filter, or all."
            )


def chosen_records(chosen: SuspenseFilter) -> QuerySet[SuspendedRecord]:
    """The records meant, oldest first, inside a tenant's scope."""
    found = SuspendedRecord.objects.order_by("id")
    found = found.filter(state=chosen.state) if chosen.state else found.filter(state__in=WAITING)
    if chosen.record_ids:
        found = found.filter(pk__in=chosen.record_ids)
    if chosen.source:
        found = found.filter(batch__source__name=chosen.source)
    if chosen.batch_id is not None:
        found = found.filter(batch_id=chosen.batch_id)
    if chosen.reason is not None:
        found = found.filter(reason=chosen.reason)
    if chosen.stage:
        found = found.filter(stage=chosen.stage)
    if chosen.suspended_before_ms is not None:
        found = found.filter(suspended_at_ms__lt=chosen.suspended_before_ms)
    return found
