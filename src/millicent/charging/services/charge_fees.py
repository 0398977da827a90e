"""What plans cost, taken from the balances of who pays in advance: when it is due, once, or when the money comes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from millicent.billing.live import (
    Charge,
    NoReleaseInForce,
    Releases,
    cycle_containing,
    fees_due,
    issued_charges,
    payment_at,
    released_catalogues,
    revenue_account,
    written_charge,
)
from millicent.billing.sources import StoredFacts
from millicent.billing.types import AccountGroupFacts
from millicent.catalog.types import Payment
from millicent.charging.balance_facts import stored_facts
from millicent.charging.models.people import BalanceOrder
from millicent.charging.models.plans import BalanceFee, FeePosition, FeeStanding
from millicent.charging.orders import Wanted, carry_out, keep_orders
from millicent.charging.people import OrderState, OrderVerb, PeopleNotice
from millicent.charging.ports import BalancePort
from millicent.charging.provisioning.changes import accounts_affected
from millicent.charging.services.declare_services import declared_charging
from millicent.charging.services.notify_people import notify_of_order
from millicent.customers.live import lock_account
from millicent.customers.selectors import billing_accounts
from millicent.kit.bulk import read_rows
from millicent.kit.clock import MS_PER_SECOND, local_date, to_ms
from millicent.kit.lake import Lake
from millicent.kit.tenancy import tenant_scope
from millicent.subscriptions.types import SubscriptionFacts, SubscriptionStatus

_HOLDING = (SubscriptionStatus.ACTIVE, SubscriptionStatus.SUSPENDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Due:
    """What one subscription is to pay now; nothing: its cycle is paid."""

    payer_id: int
    subscription_id: int
    code: str
    cycle_from_ms: int
    held: bool
    charges: tuple[Charge, ...]

    @property
    def amount_nanos(self) -> int:
        return sum(charge.amount_nanos for charge in self.charges)


def charge_fees(*, tenant_id: UUID, port: BalancePort, lake: Lake, now: datetime, shard: int = 0) -> int:
    """Take what is due of whoever changed, turned or got money since the last time; returns how many orders.

    Killed at any point it may be called again: an order that was kept is carried out under its own key, and what it is
    for counts as charged from then on. Raises HistoryBehind and Outage.
    """
    _finish(tenant_id=tenant_id, port=port, now=now, shard=shard)
    with tenant_scope(tenant_id):
        try:
            released = released_catalogues()
        except NoReleaseInForce:
            return 0
        payers = _payers(now_ms=to_ms(now), shard=shard)
    facts, count = stored_facts(lake), 0
    for payer_id in payers:
        with tenant_scope(tenant_id):
            lock_account(payer_id)
            orders = _decide(payer_id, facts=facts, released=released, now=now)
        carry_out(orders, tenant_id=tenant_id, port=port, now=now)
        _stand(orders, tenant_id=tenant_id, now=now, shard=shard)
        count += len(orders)
    with tenant_scope(tenant_id):
        FeePosition.objects.update_or_create(shard=shard, defaults={"known_at_ms": to_ms(now)})
    return count


def _finish(*, tenant_id: UUID, port: BalancePort, now: datetime, shard: int) -> None:
    """Orders whose end nobody wrote down, and those that others finished meanwhile."""
    with tenant_scope(tenant_id):
        waiting = list(BalanceOrder.objects.filter(verb=OrderVerb.FEE.value, state=OrderState.ASKED.value))
    if waiting:
        carry_out(waiting, tenant_id=tenant_id, port=port, now=now, repeated=True)
        _stand(waiting, tenant_id=tenant_id, now=now, shard=shard)


def _payers(*, now_ms: int, shard: int) -> list[int]:
    """Who may have to pay something now."""
    position = FeePosition.objects.filter(shard=shard).values_list("known_at_ms", flat=True).first()
    accounts = None if position is None else accounts_affected(then_ms=position, now_ms=now_ms)
    retry_ms = declared_charging().prepaid.retry_seconds * MS_PER_SECOND
    waiting = read_rows(
        "SELECT DISTINCT payer_id FROM charging_fee_standing standing WHERE NOT paid AND (tried_at_ms <= %s OR EXISTS "
        "(SELECT 1 FROM charging_balance_order filled WHERE filled.billing_account_id = standing.payer_id "
        "AND filled.state = 'done' AND filled.amount_nanos > 0 AND filled.settled_at_ms >= standing.tried_at_ms))",
        [now_ms - retry_ms],
    )
    found = billing_accounts() if accounts is None else billing_accounts(ids=accounts)
    return sorted({*(each.payer_id for each in found), *(payer for (payer,) in waiting)})


def _decide(payer_id: int, *, facts: StoredFacts, released: Releases, now: datetime) -> list[BalanceOrder]:
    """Orders for what one payer is to pay, and the standing of those who owe nothing. In a tenant's scope."""
    at_ms = to_ms(now)
    orders = []
    for group in facts.groups([payer_id], at_ms=at_ms, known_until_ms=at_ms + 1):
        agreements = facts.balances.agreements([payer_id], known_until_ms=at_ms + 1).get(payer_id, ())
        if payment_at(group, releases=released, agreements=agreements, at_ms=at_ms) is not Payment.PREPAID:
            continue
        for due in _due(group, facts=facts, released=released, at_ms=at_ms):
            if due.amount_nanos and _is_worth_trying(due, at_ms=at_ms):
                orders.append(_kept(due, group=group, released=released, now=now))
            elif due.held and not due.amount_nanos:
                _write_standing(due.subscription_id, due.cycle_from_ms, payer_id=payer_id, wanted=0, at_ms=at_ms)
    return orders


def _is_worth_trying(due: _Due, *, at_ms: int) -> bool:
    """Not again what was refused a moment ago, unless the amount is another or money came since."""
    standing = FeeStanding.objects.filter(
        subscription_id=due.subscription_id, cycle_from_ms=due.cycle_from_ms, paid=False
    ).first()
    if standing is None or standing.wanted_nanos != due.amount_nanos:
        return True
    retry_ms = declared_charging().prepaid.retry_seconds * MS_PER_SECOND
    filled = BalanceOrder.objects.filter(
        billing_account_id=due.payer_id, state=OrderState.DONE.value, amount_nanos__gt=0,
        settled_at_ms__gte=standing.tried_at_ms,
    )  # fmt: skip
    return standing.tried_at_ms <= at_ms - retry_ms or filled.exists()


def _due(group: AccountGroupFacts, *, facts: StoredFacts, released: Releases, at_ms: int) -> Iterable[_Due]:
    payer = group.payer
    current = cycle_containing(cycle=payer.cycle, zone=payer.zone, instant_ms=at_ms)
    previous = cycle_containing(cycle=payer.cycle, zone=payer.zone, instant_ms=current.from_ms - 1)
    ids = [each.subscription_id for each in group.subscriptions]
    renewed = FeeStanding.objects.filter(subscription_id__in=ids, cycle_from_ms=previous.from_ms, paid=True)
    since = {account.billing_account_id: previous.from_ms for account in group.accounts}
    billed, taken = issued_charges(since), facts.balances.fees(since)
    charges = fees_due(
        group,
        releases=released,
        at_ms=at_ms,
        renewed=frozenset(renewed.values_list("subscription_id", flat=True)),
        before=[each for account in since for each in (*billed.get(account, ()), *taken.get(account, ()))],
    )
    for each in group.subscriptions:
        yield _Due(
            payer_id=payer.billing_account_id,
            subscription_id=each.subscription_id,
            code=each.code,
            cycle_from_ms=current.from_ms,
            held=_is_held(each, at_ms=at_ms),
            charges=tuple(one for one in charges if one.key.subscription_id == each.subscription_id),
        )


def _is_held(subscription: SubscriptionFacts, *, at_ms: int) -> bool:
    return any(
        one.status in _HOLDING
        and one.effective_from_ms <= at_ms
        and (one.effective_until_ms is None or one.effective_until_ms > at_ms)
        for one in subscription.versions
    )


def _kept(due: _Due, *, group: AccountGroupFacts, released: Releases, now: datetime) -> BalanceOrder:
    """One order for all that a subscription pays now, with the charges that it is for."""
    prefix = f"fee:{due.subscription_id}:{due.cycle_from_ms}:"
    tries = BalanceOrder.objects.filter(key__startswith=prefix).count()
    wanted = Wanted(
        key=f"{prefix}{tries + 1}",
        verb=OrderVerb.FEE,
        billing_account_id=due.payer_id,
        currency=group.payer.currency,
        amount_nanos=-due.amount_nanos,
        cause="plan" if due.amount_nanos > 0 else "plan: given back",
        who=due.code,
        why=_words(due.charges, zone=group.payer.zone),
    )
    (order,) = keep_orders([wanted], now=now)
    codes = released.at(to_ms(now)).catalogue.ledger_codes
    BalanceFee.objects.bulk_create(
        BalanceFee(
            order=order,
            payer_id=due.payer_id,
            billing_account_id=charge.key.billing_account_id,
            subscription_id=due.subscription_id,
            service_cycle_from_ms=charge.key.service_cycle_from_ms,
            amount_nanos=charge.amount_nanos,
            charge=written_charge(charge),
            tax_category=charge.key.tax_category,
            ledger_account=revenue_account(charge.key.ledger_code, kind=charge.key.kind, ledger_codes=codes),
        )
        for charge in due.charges
        if charge.amount_nanos
    )
    return order


def _words(charges: Sequence[Charge], *, zone: str) -> str:
    """Which plan, which part of its price, for which days."""
    said = []
    for charge in charges:
        key = charge.key
        first, last = local_date(charge.period_from_ms, zone), local_date(max(charge.period_until_ms - 1, 0), zone)
        days = f"{first} to {last}" if last > first else str(first)
        said.append(f"{key.offering or 'coupon'}: {charge.texts.get('en', key.price_code)}, {days}")
    return "; ".join(said)


def _stand(orders: Sequence[BalanceOrder], *, tenant_id: UUID, now: datetime, shard: int) -> None:
    """What came of orders: the cycle is paid, or waits for money and its customer is told so once."""
    for order in orders:
        _, subscription_id, cycle_from_ms, _ = order.key.split(":")
        wanted = -order.amount_nanos if order.state == OrderState.REFUSED else 0
        with tenant_scope(tenant_id):
            went_unpaid = _write_standing(
                int(subscription_id), int(cycle_from_ms), payer_id=order.billing_account_id, wanted=wanted,
                at_ms=to_ms(now),
            )  # fmt: skip
            if went_unpaid:
                notify_of_order(order, kind=PeopleNotice.FEE_UNPAID, amount_nanos=wanted, at_ms=to_ms(now), shard=shard)


def _write_standing(subscription_id: int, cycle_from_ms: int, *, payer_id: int, wanted: int, at_ms: int) -> bool:
    """Keep how a cycle stands; whether it has just become one that is not paid."""
    paid = wanted <= 0
    before = FeeStanding.objects.filter(subscription_id=subscription_id, cycle_from_ms=cycle_from_ms).first()
    changed = before is None or before.paid != paid
    since_ms = before.unpaid_since_ms if before is not None else None  # stays: what was told of it may be asked for
    if changed and not paid:
        since_ms = at_ms
    values: Mapping[str, object] = {
        "payer_id": payer_id,
        "paid": paid,
        "wanted_nanos": max(wanted, 0),
        "unpaid_since_ms": since_ms,
        "tried_at_ms": at_ms,
        "changed_at_ms": at_ms if changed or before is None else before.changed_at_ms,
    }
    if before is None:
        FeeStanding.objects.create(subscription_id=subscription_id, cycle_from_ms=cycle_from_ms, **values)
    else:
        FeeStanding.objects.filter(pk=before.pk).update(**values)
    return changed and not paid
