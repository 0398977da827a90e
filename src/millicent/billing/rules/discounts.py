"""Discounts and coupons: what they give in one service cycle, spread over the charges they lower."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from millicent.billing.rules.charges import OPEN_END_MS, Charge, ChargeKey
from millicent.billing.rules.context import BillContext, HeldSubscription
from millicent.billing.rules.cycles import CycleSpan, cycle_index
from millicent.billing.rules.rounding import minor_step, spread, to_minor_units
from millicent.billing.rules.scopes import in_scope
from millicent.catalog.types import ChargeKind, Discount

_LOWERED = frozenset({ChargeKind.RECURRING, ChargeKind.ONE_TIME, ChargeKind.USAGE})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """A discount as one subscription holds it."""

    discount: Discount
    offering: str
    since_ms: int


@dataclass(slots=True, kw_only=True)
class _Open:
    """A charge and what earlier discounts left of it. Lives within one computation."""

    charge: Charge
    left_nanos: int


def discount_charges(
    context: BillContext, *, service_cycle: CycleSpan, charges: Iterable[Charge]
) -> dict[ChargeKey, Charge]:
    """Every discount of one service cycle on the charges given, by priority; each works on what the earlier left."""
    given: dict[ChargeKey, Charge] = {}
    by_subscription: dict[int, list[Charge]] = {}
    for charge in charges:
        if charge.key.kind in _LOWERED:
            by_subscription.setdefault(charge.key.subscription_id, []).append(charge)
    for held in context.subscriptions:
        lowered = by_subscription.get(held.facts.subscription_id, ())
        taken = list(_held_discounts(held, context=context, service_cycle=service_cycle)) if lowered else []
        if not taken:
            continue
        opened = [
            _Open(charge=charge, left_nanos=charge.amount_nanos)
            for charge in sorted(lowered, key=lambda charge: charge.key)
        ]
        for each in sorted(taken, key=lambda each: (each.discount.priority, each.discount.code)):
            for charge in _give(each, held=held, service_cycle=service_cycle, opened=opened):
                given[charge.key] = charge
    return given


def _held_discounts(held: HeldSubscription, *, context: BillContext, service_cycle: CycleSpan) -> Iterator[_Held]:
    """The offering's own discounts and the coupons of the versions in force in this cycle, each code once."""
    seen: set[str] = set()
    for run in held.runs:
        start_ms = max(run.from_ms, service_cycle.from_ms)
        if start_ms >= min(run.until_ms, service_cycle.until_ms):
            continue
        view = context.releases.at(start_ms)
        for discount in view.offering(run.offering, currency=held.account.currency).discounts:
            if discount.code not in seen and _runs(discount, since_ms=run.from_ms, at=service_cycle, context=context):
                seen.add(discount.code)
                yield _Held(discount=discount, offering=run.offering, since_ms=run.from_ms)
    for code, since_ms in _coupons_within(held, service_cycle=service_cycle).items():
        coupon = context.releases.at(max(since_ms, service_cycle.from_ms)).catalogue.discounts.get(code)
        if coupon and code not in seen and _runs(coupon, since_ms=since_ms, at=service_cycle, context=context):
            yield _Held(discount=coupon, offering="", since_ms=since_ms)


def _coupons_within(held: HeldSubscription, *, service_cycle: CycleSpan) -> dict[str, int]:
    """Coupons held at some time of the cycle, and since when each was held without a break."""
    since: dict[str, int] = {}
    found: dict[str, int] = {}
    for version in held.facts.versions:
        since = {code: since.get(code, version.effective_from_ms) for code in version.coupons}
        until_ms = OPEN_END_MS if version.effective_until_ms is None else version.effective_until_ms
        if version.effective_from_ms < service_cycle.until_ms and until_ms > service_cycle.from_ms:
            found.update(since)
    return found


def _runs(discount: Discount, *, since_ms: int, at: CycleSpan, context: BillContext) -> bool:
    """Whether a discount taken at `since_ms` was valid then and still lasts in this service cycle."""
    taken_in_time = (discount.valid_from_ms is None or since_ms >= discount.valid_from_ms) and (
        discount.valid_until_ms is None or since_ms < discount.valid_until_ms
    )
    if not taken_in_time or discount.duration_cycles is None:
        return taken_in_time
    payer = context.group.payer
    first = cycle_index(cycle=payer.cycle, zone=payer.zone, instant_ms=since_ms)
    this = cycle_index(cycle=payer.cycle, zone=payer.zone, instant_ms=at.from_ms)
    return this - first < discount.duration_cycles


def _give(
    taken: _Held, *, held: HeldSubscription, service_cycle: CycleSpan, opened: Sequence[_Open]
) -> Iterator[Charge]:
    """One discount's charges: negative, one for each kind of charge it lowers, so that tax follows the charge."""
    discount = taken.discount
    lowered = [each for each in opened if in_scope(each.charge.key, discount.scope)]
    currencies = {each.charge.key.currency for each in lowered}
    if discount.currency is not None and discount.fixed_nanos is not None:
        currencies &= {discount.currency}
    for currency in sorted(currencies):
        same = [each for each in lowered if each.charge.key.currency == currency]
        base_nanos = sum(each.left_nanos for each in same)
        amount_nanos = discount_amount(discount, base_nanos=base_nanos, currency=currency)
        if amount_nanos:
            shares = _shares(same, amount_nanos=amount_nanos, currency=currency)
            yield from _charges(taken, held=held, service_cycle=service_cycle, shares=shares, base_nanos=base_nanos)


def discount_amount(discount: Discount, *, base_nanos: int, currency: str) -> int:
    """What the discount takes off a base, in whole minor units. Never more than a positive base; a base below zero
    (more was credited than charged) gives the fraction back."""
    if discount.minimum_spend_nanos is not None and base_nanos < discount.minimum_spend_nanos:
        return 0
    if discount.fraction is not None:
        part = discount.fraction * base_nanos
        amount_nanos = to_minor_units(part.numerator, part.denominator, currency)
    else:
        amount_nanos = min(discount.fixed_nanos or 0, max(base_nanos, 0))
    if discount.cap_nanos is not None:
        amount_nanos = min(amount_nanos, discount.cap_nanos)
    return min(amount_nanos, base_nanos) if base_nanos > 0 else amount_nanos


def _shares(opened: Sequence[_Open], *, amount_nanos: int, currency: str) -> list[tuple[Charge, int]]:
    """Split over the charges in proportion to what is left of each, and take it from there."""
    sign = 1 if amount_nanos > 0 else -1
    weights = [max(sign * each.left_nanos, 0) for each in opened]
    shares = spread(amount_nanos, over=weights, step=minor_step(currency))
    for each, share in zip(opened, shares, strict=True):
        each.left_nanos -= share
    return [(each.charge, share) for each, share in zip(opened, shares, strict=True) if share]


def _charges(
    taken: _Held,
    *,
    held: HeldSubscription,
    service_cycle: CycleSpan,
    shares: Sequence[tuple[Charge, int]],
    base_nanos: int,
) -> Iterator[Charge]:
    groups: dict[tuple[str, str, bool], list[tuple[Charge, int]]] = {}
    for charge, share in shares:
        key = charge.key
        groups.setdefault((key.tax_category, key.ledger_code, key.in_advance), []).append((charge, share))
    for (tax_category, ledger_code, in_advance), members in groups.items():
        first = members[0][0].key
        yield Charge(
            key=ChargeKey(
                service_cycle_from_ms=service_cycle.from_ms,
                kind=ChargeKind.DISCOUNT,
                currency=first.currency,
                billing_account_id=held.account.billing_account_id,
                subscription_id=held.facts.subscription_id,
                offering=taken.offering,
                price_code=taken.discount.code,
                service="",
                zone="",
                period_from_ms=service_cycle.from_ms,
                tax_category=tax_category,
                ledger_code=ledger_code,
                in_advance=in_advance,
            ),
            service_cycle_until_ms=service_cycle.until_ms,
            period_from_ms=min(charge.period_from_ms for charge, _ in members),
            period_until_ms=max(charge.period_until_ms for charge, _ in members),
            covers_until_ms=service_cycle.until_ms,
            amount_nanos=-sum(share for _, share in members),
            texts=taken.discount.names,
            explanation={"base_nanos": base_nanos, "since_ms": taken.since_ms}
            | ({"fraction": str(taken.discount.fraction)} if taken.discount.fraction is not None else {}),
        )
