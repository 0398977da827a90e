"""Correct a balance, with a reason; above the declared amount a second person decides."""

from datetime import datetime
from uuid import UUID

from millicent.charging.errors import AmountRefused, OrderNotWaiting, SecondPersonNeeded
from millicent.charging.models.people import BalanceOrder
from millicent.charging.orders import Wanted, as_order, carry_out, keep_orders, move, refuse_unless_done
from millicent.charging.people import Order, OrderState, OrderVerb
from millicent.charging.ports import BalancePort
from millicent.charging.services.declare_services import declared_charging
from millicent.charging.services.find_account import currency_of
from millicent.kit.clock import to_ms
from millicent.kit.errors import BadInput
from millicent.kit.tenancy import tenant_scope

GOODWILL, CORRECTION = "goodwill", "correction"


def adjust_balance(
    *,
    tenant_id: UUID,
    port: BalancePort,
    key: str,
    account_id: int,
    amount_nanos: int,
    who: str,
    why: str,
    now: datetime,
) -> Order:
    """Add to the main balance, or take from it; never below zero. A large one waits for `approve_adjustment`.

    Raises BadInput without a reason, AmountRefused, BalanceRefused; and Outage, after which `settle_orders` goes on.
    """
    if not why.strip():
        raise BadInput("an adjustment needs a reason", where="why", cure="Say why: it stands in the statement.")
    if amount_nanos == 0:
        raise AmountRefused("an adjustment of nothing", amount_nanos=0)
    with tenant_scope(tenant_id):
        currency = currency_of(account_id)
        alone_nanos = declared_charging().alone.get(currency, 0)
        known = BalanceOrder.objects.filter(key=key).exists()
        wanted = Wanted(
            key=key,
            verb=OrderVerb.ADJUST,
            billing_account_id=account_id,
            currency=currency,
            amount_nanos=amount_nanos,
            cause=GOODWILL if amount_nanos > 0 else CORRECTION,
            who=who,
            why=why,
            state=OrderState.ASKED if abs(amount_nanos) <= alone_nanos else OrderState.WAITING,
        )
        orders = keep_orders([wanted], now=now)
    (order,) = carry_out(orders, tenant_id=tenant_id, port=port, now=now, repeated=known)
    return refuse_unless_done(order)


def approve_adjustment(*, tenant_id: UUID, port: BalancePort, key: str, who: str, now: datetime) -> Order:
    """A second person agrees: the adjustment is made. Once approved it may take what usage has reserved, no more."""
    with tenant_scope(tenant_id):
        order = _waiting(key)
        if order.who == who:
            raise SecondPersonNeeded(f"{who} cannot approve what {who} asked for", key=key)
        move(order, OrderState.ASKED, approved_by=who)
    (done,) = carry_out([order], tenant_id=tenant_id, port=port, now=now)
    return refuse_unless_done(done)


def refuse_adjustment(*, tenant_id: UUID, key: str, who: str, now: datetime) -> Order:
    """Somebody says no to an adjustment that waits; whoever asked may take it back."""
    with tenant_scope(tenant_id):
        order = _waiting(key)
        move(order, OrderState.REFUSED, refusal=f"by {who}", settled_at_ms=to_ms(now))
        return as_order(order)


def _waiting(key: str) -> BalanceOrder:
    order = BalanceOrder.objects.select_for_update().filter(key=key, verb=OrderVerb.ADJUST.value).first()
    if order is None or order.state != OrderState.WAITING:
        raise OrderNotWaiting(f"no adjustment {key!r} waits for approval", key=key)
    return order
