"""One-time charges: what an activation, a change of plan, a purchase or a termination costs."""

from collections.abc import Iterator

from millicent.billing.rules.charges import OPEN_END_MS, Charge, ChargeKey
from millicent.billing.rules.context import BillContext, HeldSubscription, fee_key
from millicent.billing.rules.holdings import HeldRun
from millicent.billing.rules.rounding import to_minor_units
from millicent.catalog.types import ChargeKind, OneTimePrice, OneTimeTrigger
from millicent.kit.clock import MS_PER_DAY


def one_time_charges(context: BillContext) -> dict[ChargeKey, Charge]:
    """Every one-time charge of the service cycles that are computed, each cycle's of one price together."""
    charges: dict[ChargeKey, Charge] = {}
    for held in context.subscriptions:
        for run in held.runs:
            for trigger, instant_ms in _moments(run):
                if context.replay_from_ms <= instant_ms < context.cycle.until_ms:
                    for price in _prices(run, trigger=trigger, instant_ms=instant_ms, held=held, context=context):
                        _add(charges, price=price, run=run, instant_ms=instant_ms, held=held, context=context)
    return charges


def _moments(run: HeldRun) -> Iterator[tuple[OneTimeTrigger, int]]:
    """What happened at the ends of a run. A plan that follows a plan is a change; an add-on is bought."""
    if run.add_on:
        yield OneTimeTrigger.PURCHASE, run.from_ms
        yield OneTimeTrigger.ACTIVATION, run.from_ms
    else:
        yield OneTimeTrigger.ACTIVATION if run.first else OneTimeTrigger.PLAN_CHANGE, run.from_ms
    if run.terminated and run.until_ms != OPEN_END_MS:
        yield OneTimeTrigger.TERMINATION, run.until_ms


def _prices(
    run: HeldRun, *, trigger: OneTimeTrigger, instant_ms: int, held: HeldSubscription, context: BillContext
) -> Iterator[OneTimePrice]:
    began_ms = run.from_ms if run.add_on else min(each.from_ms for each in held.runs if not each.add_on)
    view = context.releases.at(instant_ms)
    for price in view.offering(run.offering, currency=held.account.currency).one_time:
        soon_enough = price.within_days is None or instant_ms - began_ms < price.within_days * MS_PER_DAY
        if price.trigger is trigger and soon_enough:
            yield price


def _add(
    charges: dict[ChargeKey, Charge],
    *,
    price: OneTimePrice,
    run: HeldRun,
    instant_ms: int,
    held: HeldSubscription,
    context: BillContext,
) -> None:
    """Keyed by its service cycle, so a change whose hour is corrected within the cycle stays the same charge."""
    cycle = context.service_cycle(instant_ms)
    key = fee_key(
        price,
        kind=ChargeKind.ONE_TIME,
        held=held,
        run=run,
        service_cycle_from_ms=cycle.from_ms,
        period_from_ms=cycle.from_ms,
        in_advance=False,
    )
    before = charges.get(key)
    amount_nanos = to_minor_units(price.amount_nanos, 1, price.currency)
    charges[key] = Charge(
        key=key,
        service_cycle_until_ms=cycle.until_ms,
        period_from_ms=before.period_from_ms if before else instant_ms,
        period_until_ms=instant_ms,
        covers_until_ms=cycle.until_ms,
        amount_nanos=amount_nanos + (before.amount_nanos if before else 0),
        texts=price.names,
        explanation={"trigger": price.trigger.value, "occurred_at_ms": instant_ms},
    )
