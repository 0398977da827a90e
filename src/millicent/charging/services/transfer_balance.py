"""Move money from one customer's balance to another's."""

from datetime import datetime
from uuid import UUID

from millicent.charging.declared import MS_PER_DAY, DeclaredCharging
from millicent.charging.errors import TransferRefused
from millicent.charging.models.people import BalanceOrder
from millicent.charging.orders import Wanted, carry_out, keep_orders, refuse_unless_done
from millicent.charging.people import Order, OrderVerb
from millicent.charging.ports import BalancePort
from millicent.charging.services.declare_services import declared_charging
from millicent.charging.services.find_account import currency_of
from millicent.charging.services.top_up import owed_advance
from millicent.kit.clock import to_ms
from millicent.kit.money import format_plain
from millicent.kit.tenancy import tenant_scope


def transfer_balance(
    *,
    tenant_id: UUID,
    port: BalancePort,
    key: str,
    from_account_id: int,
    to_account_id: int,
    amount_nanos: int,
    who: str,
    why: str = "",
    now: datetime,
) -> Order:
    """All of the amount or nothing, of money that is nobody's credit. The same key again finds the first.

    Raises TransferRefused where rules or currencies forbid it, BalanceRefused where money is missing; and Outage.
    """
    with tenant_scope(tenant_id):
        known = BalanceOrder.objects.filter(key=key).exists()
        declared = declared_charging()
        currency = currency_of(from_account_id)
        if not known:
            _refuse(declared, giver=from_account_id, taker=to_account_id, amount_nanos=amount_nanos, currency=currency)
        days = declared.top_ups.valid_days
        wanted = Wanted(
            key=key,
            verb=OrderVerb.TRANSFER,
            billing_account_id=from_account_id,
            other_account_id=to_account_id,
            currency=currency,
            amount_nanos=amount_nanos,
            cause="transfer",
            who=who,
            why=why,
            valid_until_ms=None if days is None else to_ms(now) + days * MS_PER_DAY,
        )
        orders = keep_orders([wanted], now=now)
    (order,) = carry_out(orders, tenant_id=tenant_id, port=port, now=now, repeated=known)
    return refuse_unless_done(order)


def _refuse(declared: DeclaredCharging, *, giver: int, taker: int, amount_nanos: int, currency: str) -> None:
    rules = declared.transfers
    if not rules.allowed:
        raise TransferRefused("transfers are not allowed")
    if giver == taker:
        raise TransferRefused("a transfer goes from one account to another")
    if currency_of(taker) != currency:
        raise TransferRefused("the accounts have different currencies", currency=currency)
    least, most = max(1, rules.least.get(currency, 1)), rules.most.get(currency)
    if amount_nanos < least or (most is not None and amount_nanos > most):
        bounds = f"from {format_plain(least, currency)}" + (f" to {format_plain(most, currency)}" if most else "")
        raise TransferRefused(f"a transfer is {bounds} {currency}", amount_nanos=amount_nanos)
    if owed_advance(giver) > 0:
        raise TransferRefused("an emergency credit is to be repaid first", owed_nanos=owed_advance(giver))
