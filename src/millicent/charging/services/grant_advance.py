"""Emergency credit: a little money now, repaid with its fee out of the next top-up."""

from datetime import datetime
from uuid import UUID

from millicent.charging.errors import AdvanceRefused
from millicent.charging.models.people import BalanceOrder
from millicent.charging.orders import Wanted, carry_out, keep_orders, refuse_unless_done
from millicent.charging.people import Order, OrderVerb
from millicent.charging.ports import BalancePort
from millicent.charging.selectors import money_left
from millicent.charging.services.declare_services import declared_charging
from millicent.charging.services.find_account import currency_of
from millicent.charging.services.top_up import owed_advance
from millicent.customers.live import lock_account
from millicent.kit.tenancy import tenant_scope


def grant_advance(*, tenant_id: UUID, port: BalancePort, key: str, account_id: int, who: str, now: datetime) -> Order:
    """The declared emergency credit, for who has little money and owes none. The same key again finds the first.

    It is money in the main balance, and a debt beside it: so it is drawn in the usual order and shows in the
    statement. Raises AdvanceRefused, BalanceRefused; and Outage.
    """
    with tenant_scope(tenant_id):
        lock_account(account_id)  # two who ask at once get one
        known = BalanceOrder.objects.filter(key=key).exists()
        currency = currency_of(account_id)
        advance = declared_charging().advance_in(currency)
        if advance is None:
            raise AdvanceRefused(f"no emergency credit was declared in {currency}", currency=currency)
        if not known:
            _refuse(account_id, below_nanos=advance.below_nanos)
        wanted = Wanted(
            key=key,
            verb=OrderVerb.ADVANCE,
            billing_account_id=account_id,
            currency=currency,
            amount_nanos=advance.amount_nanos,
            fee_nanos=advance.fee_nanos,
            cause="emergency credit",
            who=who,
        )
        orders = keep_orders([wanted], now=now)
    (order,) = carry_out(orders, tenant_id=tenant_id, port=port, now=now, repeated=known)
    return refuse_unless_done(order)


def _refuse(account_id: int, *, below_nanos: int) -> None:
    owed_nanos = owed_advance(account_id)
    if owed_nanos > 0:
        raise AdvanceRefused("the last emergency credit is not repaid", owed_nanos=owed_nanos)
    left_nanos = money_left(account_id)
    if left_nanos >= below_nanos:
        raise AdvanceRefused("there is money enough", left_nanos=left_nanos, below_nanos=below_nanos)
