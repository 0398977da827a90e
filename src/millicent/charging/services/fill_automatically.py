"""Auto top-up: when a customer's money falls below their threshold, take it from the payment method they left."""

from datetime import datetime
from uuid import UUID

import structlog
from django.db.models import Q

from millicent.charging.errors import AmountRefused
from millicent.charging.models.people import AutoTopUp, BalanceOrder
from millicent.charging.people import OrderState
from millicent.charging.ports import BalancePort, PaymentGateway
from millicent.charging.selectors import money_left
from millicent.charging.services.find_account import currency_of
from millicent.charging.services.top_up import top_up
from millicent.kit.clock import from_ms, to_ms
from millicent.kit.errors import BadInput
from millicent.kit.tenancy import tenant_scope

CHANNEL = "automatic"


def declare_auto_top_up(
    *,
    account_id: int,
    below_nanos: int,
    amount_nanos: int,
    method: str,
    most_per_month: int,
    who: str,
    now: datetime,
    active: bool = True,
) -> None:
    """Keep a customer's rule, in place of an earlier one. `method` is the gateway's reference, never a card number."""
    currency_of(account_id)
    if amount_nanos <= 0 or below_nanos < 0 or most_per_month < 1:
        raise AmountRefused("an automatic top-up adds something, at least once a month", amount_nanos=amount_nanos)
    if not method or (method.isdigit() and len(method) >= _CARD_DIGITS):
        raise BadInput("is no reference of a gateway", where="method", cure="Keep cards with the gateway, not here.")
    kept: dict[str, object] = {
        "below_nanos": below_nanos,
        "amount_nanos": amount_nanos,
        "method": method,
        "most_per_month": most_per_month,
        "active": active,
        "declared_at_ms": to_ms(now),
        "who": who,
    }
    AutoTopUp.objects.update_or_create(billing_account_id=account_id, defaults=kept)


_CARD_DIGITS = 12
_SEEN_AFTER_MS = 60_000  # by then the screens' balance has the last one in it


def fill_automatically(*, tenant_id: UUID, port: BalancePort, gateway: PaymentGateway, now: datetime) -> int:
    """Collect and top up where a balance is below its owner's threshold; returns how many were filled.

    The n-th of a month has one key for gateway and balance: whoever dies in between, money is taken once and arrives.
    One that waits for the shard is finished before the next is collected.
    """
    filled = 0
    with tenant_scope(tenant_id):
        rules = list(AutoTopUp.objects.filter(active=True).order_by("id"))
        due = [(rule, key) for rule in rules if (key := _due_key(rule, now=now))]
        currencies = {rule.pk: currency_of(rule.billing_account_id) for rule, _ in due}
    for rule, key in due:
        taken = gateway.collect(
            method=rule.method, amount_nanos=rule.amount_nanos, currency=currencies[rule.pk], key=key
        )
        if taken.fault:
            structlog.get_logger("millicent.charging").warning("auto top-up not collected", key=key, fault=taken.fault)
            continue
        top_up(
            tenant_id=tenant_id, port=port, key=key, account_id=rule.billing_account_id,
            amount_nanos=rule.amount_nanos, channel=CHANNEL, who="rule of the customer", why=taken.reference, now=now,
        )  # fmt: skip
        filled += 1
    return filled


def _due_key(rule: AutoTopUp, *, now: datetime) -> str:
    """The key of the top-up that is due; "" when none is, or as many were made this month as the customer allows."""
    month = from_ms(to_ms(now)).strftime("%Y-%m")
    prefix = f"auto:{rule.billing_account_id}:{month}:"
    made = BalanceOrder.objects.filter(key__startswith=prefix).exclude(key__contains="#")
    waits = made.filter(Q(state=OrderState.ASKED.value) | Q(settled_at_ms__gt=to_ms(now) - _SEEN_AFTER_MS)).exists()
    count = made.count()
    enough = money_left(rule.billing_account_id) >= rule.below_nanos
    return "" if waits or enough or count >= rule.most_per_month else f"{prefix}{count + 1}"
