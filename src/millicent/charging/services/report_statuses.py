"""Read the journal for policy functions: whose counters changed, what is so now, and tell whoever watches."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

from django.db.models import F

from millicent.charging.journal.read import JournalledBatch, read_once
from millicent.charging.models.status import StatusWatch
from millicent.charging.ports import BalancePort, StatusListener, StatusReport
from millicent.charging.services.declare_services import declared_charging
from millicent.charging.services.watch_spending import statuses_of
from millicent.charging.types import NOT_SAID, NoticeKind
from millicent.kit.clock import MS_PER_SECOND, to_ms
from millicent.kit.errors import Outage
from millicent.kit.tenancy import tenant_scope

READER = "spending status"
_AT_ONCE = 500
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1, 300


def keep_statuses(*, tenant_id: UUID, port: BalancePort, now: datetime, shard: int = 0) -> int:
    """Take the next batches of the journal; returns how many. New statuses and the position are one commit.

    The shard is asked what is so now, so that a report never tells what is over. Raises Outage when it does not answer.
    """
    with tenant_scope(tenant_id):
        return read_once(reader=READER, shard=shard, take=partial(_take, port=port, shard=shard, now=now))


def _take(batches: Sequence[JournalledBatch], *, port: BalancePort, shard: int, now: datetime) -> None:
    changed = {
        int(row["subscription_id"])
        for journalled in batches
        for row in journalled.batch.notices
        if row["kind"] == NoticeKind.STATUS
    }
    if not changed:
        return
    watches = StatusWatch.objects.filter(shard=shard, final=False)
    if NOT_SAID not in changed:  # else so many changed at once that nobody is named
        watches = watches.filter(subscription_id__in=changed)
    declared = declared_charging().policy_counters
    concerned = list(watches.select_for_update().order_by("reference"))
    for first in range(0, len(concerned), _AT_ONCE):
        some = concerned[first : first + _AT_ONCE]
        for watch, statuses in zip(some, statuses_of(port, some, declared=declared, now=now), strict=True):
            if statuses != watch.statuses:
                _change(watch, statuses)


def _change(watch: StatusWatch, statuses: dict[str, str] | None) -> None:
    """A subscription that is gone has no statuses any more: its watchers hear of it once."""
    StatusWatch.objects.filter(reference=watch.reference).update(
        statuses=statuses or {}, final=statuses is None, number=F("number") + 1, tries=0, next_try_ms=0
    )


def report_statuses(*, tenant_id: UUID, listeners: Mapping[str, StatusListener], now: datetime) -> int:
    """Tell what watchers have not been told; returns how many were. At least once, under the same number.

    Of several changes that wait for a watcher who does not answer, the last is told. A final report ends the watch.
    """
    told = 0
    with tenant_scope(tenant_id):
        waiting = list(
            StatusWatch.objects.select_for_update(skip_locked=True)
            .filter(told_number__lt=F("number"), next_try_ms__lte=to_ms(now), listener__in=list(listeners))
            .order_by("reference")[:_AT_ONCE]
        )
        for watch in waiting:
            told += _tell(watch, listeners[watch.listener], now_ms=to_ms(now))
    return told


def _tell(watch: StatusWatch, listener: StatusListener, *, now_ms: int) -> bool:
    kept = StatusWatch.objects.filter(reference=watch.reference)
    try:
        listener.tell(
            StatusReport(
                reference=watch.reference,
                subscription_id=watch.subscription_id,
                number=watch.number,
                statuses=watch.statuses,
                final=watch.final,
            )
        )
    except Outage as silence:
        pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** min(watch.tries, 20))
        kept.update(tries=watch.tries + 1, next_try_ms=now_ms + pause * MS_PER_SECOND, fault=silence.message)
        return False
    if watch.final:
        kept.delete()
    else:
        kept.update(told_number=watch.number, tries=0, fault="")
    return True
