"""Finish orders that were kept and whose end nobody wrote down: the shard was silent, or we were killed."""

from datetime import datetime, timedelta
from uuid import UUID

from millicent.charging.models.people import BalanceOrder
from millicent.charging.orders import carry_out
from millicent.charging.people import OrderState
from millicent.charging.ports import BalancePort
from millicent.kit.clock import to_ms
from millicent.kit.tenancy import tenant_scope

_PATIENCE = timedelta(seconds=30)  # whoever asked is still at it
_AT_ONCE = 100


def settle_orders(*, tenant_id: UUID, port: BalancePort, now: datetime) -> int:
    """Carry out what waits, oldest first; returns how many were finished. Safe to call at any time, by anybody.

    An order that a balance's history already names was done: it is not sent again, however long ago that was. Raises
    HistoryBehind where the history is too far behind to say so, and Outage.
    """
    with tenant_scope(tenant_id):
        waiting = list(
            BalanceOrder.objects.filter(state=OrderState.ASKED.value, asked_at_ms__lt=to_ms(now - _PATIENCE)).order_by(
                "asked_at_ms", "id"
            )[:_AT_ONCE]
        )
    carry_out(waiting, tenant_id=tenant_id, port=port, now=now, repeated=True)
    return len(waiting)
