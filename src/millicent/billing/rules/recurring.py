"""Recurring charges: for each period of a price, what the time that the service was held is worth."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from millicent.billing.rules.charges import OPEN_END_MS, Charge, ChargeKey, Part
from millicent.billing.rules.context import BillContext, HeldSubscription, fee_key
from millicent.billing.rules.cycles import CycleSpan, cycle_index, cycle_span, months_in
from millicent.billing.rules.holdings import HeldRun
from millicent.billing.rules.proration import covered, length_of
from millicent.billing.rules.rounding import to_minor_units
from millicent.catalog.types import ChargeKind, Proration, RecurringPrice
from millicent.customers.types import BillCycle
from millicent.kit.clock import local_date


class _Stay(NamedTuple):
    """A run's share in one period of one price. `full` is the period as the price is meant: longer than `period`
    where a new bill day cut it short."""

    price: RecurringPrice
    period: CycleSpan
    full: CycleSpan
    run: HeldRun


def recurring_charges(context: BillContext) -> dict[ChargeKey, Charge]:
    """Every recurring charge due by this bill whose price period reaches into the replayed time or beyond."""
    charges: dict[ChargeKey, Charge] = {}
    for held in context.subscriptions:
        stays: dict[tuple[str, str, int], list[_Stay]] = {}
        for run in held.runs:
            for stay in _stays(run, context=context, held=held):
                stays.setdefault((run.offering, stay.price.code, stay.period.from_ms), []).append(stay)
        for together in stays.values():
            charge = _charge(together, context=context, held=held)
            if charge is not None:
                charges[charge.key] = charge
    return charges


def _stays(run: HeldRun, *, context: BillContext, held: HeldSubscription) -> Iterator[_Stay]:
    """The periods of each price that this run touches, at the release in force when the period (or the run) began."""
    horizon_ms = min(context.upcoming.until_ms, run.until_ms)
    for view, from_ms, until_ms in context.releases.within(from_ms=run.from_ms, until_ms=horizon_ms):
        for price in view.offering(run.offering, currency=held.account.currency).recurring:
            start_ms = max(from_ms, context.replay_from_ms)
            for period, full in _periods(price, run=run, start_ms=start_ms, until_ms=until_ms, context=context):
                begins_ms = max(period.from_ms, run.from_ms)
                if from_ms <= begins_ms and _is_due(price, run=run, period=period, context=context):
                    yield _Stay(price, period, full, run)


def _periods(
    price: RecurringPrice, *, run: HeldRun, start_ms: int, until_ms: int, context: BillContext
) -> Iterator[tuple[CycleSpan, CycleSpan]]:
    """The price's periods within [start, until), each with the full one that it is a part of.

    A price with the cycle's own period turns with the bills; any other counts from the day the run began.
    """
    zone, payer = context.zone, context.group.payer
    if price.period == payer.cycle.period:
        while start_ms < until_ms:
            period = context.service_cycle(start_ms)
            yield period, context.full_cycle(period)
            start_ms = period.until_ms
        return
    grid = BillCycle(day=local_date(run.from_ms, zone).day, period=price.period, anchor_ms=run.from_ms)
    index = cycle_index(cycle=grid, zone=zone, instant_ms=start_ms)
    while (period := cycle_span(cycle=grid, zone=zone, index=index)).from_ms < until_ms:
        yield period, period
        index += 1


def _is_due(price: RecurringPrice, *, run: HeldRun, period: CycleSpan, context: BillContext) -> bool:
    if price.in_advance:
        return period.from_ms < context.upcoming.until_ms
    return min(period.until_ms, run.until_ms) <= context.cycle.until_ms


def _charge(stays: list[_Stay], *, context: BillContext, held: HeldSubscription) -> Charge | None:
    """One charge for one price and period, whatever happened within it: exact parts, then one rounding."""
    price, period, full, run = stays[-1]
    held_parts = [each for stay in stays for each in _parts(stay)]
    if not held_parts:
        return None
    parts, last_days = zip(*held_parts, strict=True)
    worth = _worth(price, period=period, full=full, zone=context.zone, parts=parts, last_days=last_days)
    begins_ms = max(period.from_ms, stays[0].run.from_ms)
    home_ms = begins_ms if price.in_advance else min(period.until_ms, run.until_ms) - 1
    service_cycle = context.service_cycle(home_ms)
    return Charge(
        key=fee_key(
            price,
            kind=ChargeKind.RECURRING,
            held=held,
            run=run,
            service_cycle_from_ms=service_cycle.from_ms,
            period_from_ms=period.from_ms,
            in_advance=price.in_advance,
        ),
        service_cycle_until_ms=service_cycle.until_ms,
        period_from_ms=parts[0].from_ms,
        period_until_ms=parts[-1].until_ms,
        covers_until_ms=period.until_ms,
        amount_nanos=worth.amount_nanos,
        texts=price.names,
        parts=parts,
        explanation=worth.explanation,
    )


def _parts(stay: _Stay) -> Iterator[tuple[Part, bool]]:
    """The pieces of the run within the period that are charged, and whether each ends with the subscription."""
    price, period, run = stay.price, stay.period, stay.run
    for piece in run.pieces:
        start, end = max(piece.from_ms, period.from_ms), min(piece.until_ms, period.until_ms)
        if start >= end or (piece.suspended and not price.charged_while_suspended):
            continue
        amount = piece.price_overrides.get(price.code, price.amount_nanos)
        quantity = piece.quantity if price.per_quantity else 1
        ends_there = run.terminated and piece.until_ms == run.until_ms != OPEN_END_MS and end == run.until_ms
        yield Part(from_ms=start, until_ms=end, quantity=quantity, amount_nanos=amount), ends_there


class _Worth(NamedTuple):
    """What parts of a period come to, and why. The price is kept, so that its id stays its own."""

    price: RecurringPrice
    amount_nanos: int
    explanation: Mapping[str, object]


_KEPT_WORTHS = 16_384
_worths: dict[tuple[object, ...], _Worth] = {}


def _worth(
    price: RecurringPrice,
    *,
    period: CycleSpan,
    full: CycleSpan,
    zone: str,
    parts: tuple[Part, ...],
    last_days: tuple[bool, ...],
) -> _Worth:
    """Exact parts, then one rounding. Most customers hold a price for the same whole period: they share the answer."""
    key = (id(price), zone, period.from_ms, period.until_ms, full.from_ms, full.until_ms, parts, last_days)
    found = _worths.get(key)
    if found is None:
        if len(_worths) >= _KEPT_WORTHS:
            _worths.clear()
        found = _worths[key] = _worked_out(price, period=period, full=full, zone=zone, parts=parts, last_days=last_days)
    return found


def _worked_out(
    price: RecurringPrice,
    *,
    period: CycleSpan,
    full: CycleSpan,
    zone: str,
    parts: tuple[Part, ...],
    last_days: tuple[bool, ...],
) -> _Worth:
    months = months_in(price.period)
    whole = length_of(period=full, proration=price.proration, zone=zone, months=months)
    weighted = [
        part.quantity
        * part.amount_nanos
        * covered(
            from_ms=part.from_ms,
            until_ms=part.until_ms,
            period=full,
            proration=price.proration,
            zone=zone,
            months=months,
            last_day=last_day and price.bill_termination_day,
        )
        for part, last_day in zip(parts, last_days, strict=True)
    ]
    total = max(weighted) if price.proration is Proration.NONE else sum(weighted)
    return _Worth(
        price=price,
        amount_nanos=to_minor_units(total, whole, price.currency),
        explanation=_explained(price, period=period, whole=whole, weighted=weighted, parts=parts),
    )


def _explained(
    price: RecurringPrice, *, period: CycleSpan, whole: int, weighted: list[int], parts: tuple[Part, ...]
) -> dict[str, object]:
    """The inputs of the amount: price and length of the period, and what each part counts of it."""
    return {
        "proration": price.proration.value,
        "price_nanos": price.amount_nanos,
        "price_period_from_ms": period.from_ms,
        "price_period_until_ms": period.until_ms,
        "price_period_length": whole,
        "shares": [
            weight // (part.quantity * part.amount_nanos) if part.quantity * part.amount_nanos else 0
            for weight, part in zip(weighted, parts, strict=True)
        ],
    }
