"""Fill a balance: by an agent, a voucher, a card; with the bonus that was declared for it."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import Sum

from millicent.charging.declared import MS_PER_DAY, DeclaredCharging, best_bonus
from millicent.charging.errors import AmountRefused
from millicent.charging.models.people import BalanceOrder, LostBalance
from millicent.charging.orders import Wanted, carry_out, keep_orders, refuse_unless_done
from millicent.charging.people import Order, OrderState, OrderVerb
from millicent.charging.ports import BalancePort
from millicent.charging.provisioning.numbers import bucket_number
from millicent.charging.services.declare_services import declared_charging
from millicent.charging.services.find_account import currency_of
from millicent.kit.clock import to_ms
from millicent.kit.money import format_plain, minor_digits, nano_digits
from millicent.kit.tenancy import tenant_scope

REPAID = "advance repaid"


def top_up(
    *,
    tenant_id: UUID,
    port: BalancePort,
    key: str,
    account_id: int,
    amount_nanos: int,
    channel: str,
    who: str,
    why: str = "",
    now: datetime,
) -> Order:
    """Add money to an account's main balance and keep it alive as declared. The same key again finds the first.

    What expired within its grace comes back with it, a bonus may come on top, and an emergency credit that is owed is
    repaid out of it. Opens its own tenant scopes. Raises AmountRefused, BalanceRefused; and Outage, after which the
    top-up is finished by `settle_orders`.
    """
    with tenant_scope(tenant_id):
        known = BalanceOrder.objects.filter(key=key).exists()
        declared = declared_charging()
        currency = currency_of(account_id)
        if not known:
            refuse_amount(declared, amount_nanos=amount_nanos, currency=currency)
        orders = keep_top_up(
            key=key, account_id=account_id, amount_nanos=amount_nanos, currency=currency, channel=channel, who=who,
            why=why, declared=declared, now=now,
        )  # fmt: skip
    first, *_ = carry_out(orders, tenant_id=tenant_id, port=port, now=now, repeated=known)
    return refuse_unless_done(first)


def keep_top_up(
    *,
    key: str,
    account_id: int,
    amount_nanos: int,
    currency: str,
    channel: str,
    who: str,
    why: str,
    declared: DeclaredCharging,
    now: datetime,
    valid_days: int | None = None,
    cause: str = "",
) -> list[BalanceOrder]:
    """The top-up and all that follows from it, kept in the caller's transaction; the top-up itself comes first."""
    found = list(BalanceOrder.objects.filter(key__startswith=f"{key}#").order_by("id"))
    days = declared.top_ups.valid_days if valid_days is None else valid_days
    base = Wanted(
        key=key,
        verb=OrderVerb.TOP_UP,
        billing_account_id=account_id,
        currency=currency,
        amount_nanos=amount_nanos,
        cause=cause or f"top-up: {channel}",
        who=who,
        why=why,
        channel=channel,
        valid_until_ms=None if days is None else to_ms(now) + days * MS_PER_DAY,
    )
    known = BalanceOrder.objects.filter(key=key).exists()
    first = keep_orders([base], now=now)
    if known:  # what followed from it was decided then
        return [*first, *found]
    followers = [
        *_restored(base, now_ms=to_ms(now)),
        *_bonus(base, declared=declared, now_ms=to_ms(now)),
        *_repayment(base),
    ]
    return [*first, *keep_orders(followers, now=now)]


def refuse_amount(declared: DeclaredCharging, *, amount_nanos: int, currency: str) -> None:
    least = max(1, declared.top_ups.least.get(currency, 1))
    most = declared.top_ups.most.get(currency)
    if amount_nanos < least or (most is not None and amount_nanos > most):
        bounds = f"from {format_plain(least, currency)}" + (f" to {format_plain(most, currency)}" if most else "")
        raise AmountRefused(
            f"a top-up is {bounds} {currency}, not {format_plain(amount_nanos, currency)}",
            amount_nanos=amount_nanos,
            least_nanos=least,
            most_nanos=most,
        )


def owed_advance(account_id: int) -> int:
    """Emergency credit with its fee that was not repaid yet, in nanos."""
    alive = BalanceOrder.objects.filter(billing_account_id=account_id).exclude(state=OrderState.REFUSED.value)
    given = alive.filter(verb=OrderVerb.ADVANCE.value).aggregate(money=Sum("amount_nanos"), fee=Sum("fee_nanos"))
    repaid = alive.filter(cause=REPAID).aggregate(money=Sum("amount_nanos"))
    return (given["money"] or 0) + (given["fee"] or 0) + (repaid["money"] or 0)


def _restored(base: Wanted, *, now_ms: int) -> Sequence[Wanted]:
    """Balances that expired and whose grace has not."""
    lost = LostBalance.objects.select_for_update().filter(
        billing_account_id=base.billing_account_id, grace_until_ms__gt=now_ms, restored_by=""
    )
    wanted = []
    for number, each in enumerate(lost):
        order = _following(
            base, f"restored-{number}", OrderVerb.RESTORE, each.amount_nanos, "restored within the grace"
        )
        LostBalance.objects.filter(pk=each.pk).update(restored_by=order.key)
        wanted.append(order)
    return wanted


def _bonus(base: Wanted, *, declared: DeclaredCharging, now_ms: int) -> Sequence[Wanted]:
    step = 10 ** (nano_digits(base.currency) - minor_digits(base.currency))
    found = best_bonus(
        declared.top_ups.bonuses, amount_nanos=base.amount_nanos, currency=base.currency, channel=base.channel,
        at_ms=now_ms, step_nanos=step,
    )  # fmt: skip
    if found is None:
        return []
    bonus, given = found
    ends = bonus.valid_days is not None
    place = f"bonus of {base.key}" if ends else f"bonus {bonus.code}"
    return [
        _following(
            base, "bonus", OrderVerb.BONUS, given, f"bonus: {bonus.code}",
            bucket_id=bucket_number(place, base.billing_account_id), priority=bonus.priority,
            valid_until_ms=now_ms + (bonus.valid_days or 0) * MS_PER_DAY if ends else None,
        )
    ]  # fmt: skip


def _repayment(base: Wanted) -> Sequence[Wanted]:
    owed = min(owed_advance(base.billing_account_id), base.amount_nanos)
    return [_following(base, "advance", OrderVerb.ADJUST, -owed, REPAID, valid_until_ms=None)] if owed > 0 else []


def _following(
    base: Wanted, part: str, verb: OrderVerb, amount_nanos: int, cause: str, **changed: int | None
) -> Wanted:
    values: dict[str, object] = {"valid_until_ms": base.valid_until_ms, **changed}
    return Wanted(
        key=f"{base.key}#{part}",
        verb=verb,
        billing_account_id=base.billing_account_id,
        currency=base.currency,
        amount_nanos=amount_nanos,
        cause=cause,
        who=base.who,
        why=base.why,
        channel=base.channel,
        **values,  # type: ignore[arg-type]
    )
