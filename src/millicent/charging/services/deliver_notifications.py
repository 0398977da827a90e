"""The outbox: hand what waits to whoever brings it to people."""

from datetime import datetime
from uuid import UUID

from millicent.charging.models.people import Notification
from millicent.charging.people import NotificationState, notice_word
from millicent.charging.ports import Message, Notifier
from millicent.kit.clock import MS_PER_SECOND, to_ms
from millicent.kit.errors import Outage
from millicent.kit.tenancy import tenant_scope

_AT_ONCE = 100
_MOST_TRIES = 12
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 10, 3600


def deliver_notifications(*, tenant_id: UUID, notifier: Notifier, now: datetime) -> int:
    """Deliver what waits, oldest first; returns how many were delivered.

    At least once: when we are killed after a delivery it is delivered again under the same key. What cannot be
    delivered is tried again after longer and longer pauses, and given up in the end.
    """
    delivered = 0
    with tenant_scope(tenant_id):
        waiting = list(
            Notification.objects.select_for_update(skip_locked=True)
            .filter(state=NotificationState.WAITING.value, next_try_ms__lte=to_ms(now))
            .order_by("happened_at_ms", "sequence", "place")[:_AT_ONCE]
        )
        for each in waiting:
            fault = _delivered(each, notifier=notifier)
            Notification.objects.filter(pk=each.pk).update(**_after(each, fault=fault, now_ms=to_ms(now)))
            delivered += fault == ""
    return delivered


def _delivered(each: Notification, *, notifier: Notifier) -> str:
    """ "" when it was handed over, else why not."""
    message = Message(
        key=f"{each.tenant_id}:{each.shard}:{each.sequence}:{each.place}",
        kind=notice_word(each.kind),
        language=each.language,
        text=each.text,
        reach=each.reach,
        facts=each.facts,
    )
    try:
        notifier.deliver(message)
    except Outage as silence:
        return silence.message
    return ""


def _after(each: Notification, *, fault: str, now_ms: int) -> dict[str, object]:
    tries = each.tries + 1
    if not fault:
        return {"state": NotificationState.DELIVERED.value, "delivered_at_ms": now_ms, "tries": tries, "fault": ""}
    if tries >= _MOST_TRIES:
        return {"state": NotificationState.GIVEN_UP.value, "tries": tries, "fault": fault}
    pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2**each.tries)
    return {"tries": tries, "fault": fault, "next_try_ms": now_ms + pause * MS_PER_SECOND}
