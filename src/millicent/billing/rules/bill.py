"""The bill of one payer: every part of it computed from facts, nothing stored.

The sum is always the same. For each service cycle: what should have been charged by now, less what was charged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from millicent.billing.rules.canonical import bill_digest, explanation_written
from millicent.billing.rules.charges import Charge, ChargeKey
from millicent.billing.rules.commitments import commitment_charges
from millicent.billing.rules.computed import ComputedBill, ComputedLine
from millicent.billing.rules.context import BillContext
from millicent.billing.rules.cycles import CycleSpan
from millicent.billing.rules.differences import charged_before, differences, is_adjustment
from millicent.billing.rules.discounts import discount_charges
from millicent.billing.rules.one_time import one_time_charges
from millicent.billing.rules.recurring import recurring_charges
from millicent.billing.rules.taxes import TaxRules, tax_lines
from millicent.billing.rules.words import CORRECTION, CREDIT, prefixed
from millicent.catalog.types import ChargeKind, LocalizedText
from millicent.kit.clock import MS_PER_DAY
from millicent.kit.errors import Refusal

_ORDER = {
    ChargeKind.RECURRING: 0,
    ChargeKind.ONE_TIME: 1,
    ChargeKind.USAGE: 2,
    ChargeKind.DISCOUNT: 3,
    ChargeKind.COMMITMENT: 4,
    ChargeKind.ADJUSTMENT: 5,
}
MOST_LINES = 20_000


class RunawayBill(Refusal):
    """An account came to more lines than any real bill has: it is parked for a person to look at."""

    code = "runaway_bill"


def compute_bills(
    context: BillContext,
    *,
    usage: Mapping[ChargeKey, Charge],
    replayed: Sequence[CycleSpan],
    issued: Sequence[Charge],
    issued_at_ms: int,
    most_lines: int = MOST_LINES,
    with_fees: bool = True,
) -> tuple[ComputedBill, ...]:
    """The bills of one payer for one cycle, one for each currency, in the order of their codes.

    `usage` holds the usage charges of every cycle in `replayed` (the current one and those computed again);
    `issued` what earlier bills charged, oldest first, for every service cycle that may still change. Of a payer that
    pays in advance when the cycle ends, a balance pays the fees: `with_fees` False, only usage of before is billed.
    """
    charges = (
        bill_charges(context, usage=usage, replayed=replayed, issued=issued)
        if with_fees
        else usage_charges_of(context, usage=usage, replayed=replayed, issued=issued)
    )
    if len(charges) > most_lines:
        raise RunawayBill(
            f"{len(charges)} lines for {context.group.payer.code}: more than {most_lines}", lines=len(charges)
        )
    by_currency: dict[str, list[Charge]] = {}
    for charge in charges:
        by_currency.setdefault(charge.key.currency, []).append(charge)
    return tuple(
        _bill(by_currency[currency], currency=currency, context=context, issued_at_ms=issued_at_ms)
        for currency in sorted(by_currency)
    )


def bill_charges(
    context: BillContext,
    *,
    usage: Mapping[ChargeKey, Charge],
    replayed: Sequence[CycleSpan],
    issued: Sequence[Charge],
) -> list[Charge]:
    """What this bill charges, before tax."""
    before = charged_before(issued)
    should = {**recurring_charges(context), **one_time_charges(context), **usage}
    spoken_for = {
        key: charge for key, charge in before.items() if _speaks_for(charge, context=context, replayed=replayed)
    }
    first = differences(should=should, before=spoken_for)
    touched = {span.from_ms: span.until_ms for span in (*replayed, context.cycle)}
    touched.update({charge.key.service_cycle_from_ms: charge.service_cycle_until_ms for charge in first})
    second = _dependent(context, should=should, before=before, spoken_for=spoken_for, touched=touched)
    return [*first, *second]


def usage_charges_of(
    context: BillContext,
    *,
    usage: Mapping[ChargeKey, Charge],
    replayed: Sequence[CycleSpan],
    issued: Sequence[Charge],
) -> list[Charge]:
    """What this bill charges for usage alone. Fees that were billed earlier stay as they are."""
    before = {
        key: charge
        for key, charge in charged_before(issued).items()
        if key.kind is ChargeKind.USAGE and _speaks_for(charge, context=context, replayed=replayed)
    }
    return differences(should=usage, before=before)


def _speaks_for(charge: Charge, *, context: BillContext, replayed: Sequence[CycleSpan]) -> bool:
    """Whether the charges computed now would hold this key if it were still right."""
    key = charge.key
    if key.kind is ChargeKind.RECURRING:
        return charge.covers_until_ms > context.replay_from_ms
    if key.kind is ChargeKind.USAGE:
        return any(key.service_cycle_from_ms == span.from_ms for span in replayed)
    return key.kind is ChargeKind.ONE_TIME and key.service_cycle_from_ms >= context.replay_from_ms


def _dependent(
    context: BillContext,
    *,
    should: Mapping[ChargeKey, Charge],
    before: Mapping[ChargeKey, Charge],
    spoken_for: Mapping[ChargeKey, Charge],
    touched: Mapping[int, int],
) -> list[Charge]:
    """Discounts and commitments, which look at the other charges of a service cycle: computed again for every cycle
    that is replayed or has a new or changed charge, over all of its charges, old and new."""
    now = {key: charge for key, charge in before.items() if key not in spoken_for and not _depends(key)} | dict(should)
    by_cycle: dict[int, list[Charge]] = {}
    for charge in now.values():
        by_cycle.setdefault(charge.key.service_cycle_from_ms, []).append(charge)
    found = []
    for from_ms, until_ms in sorted(touched.items()):
        span, charges = CycleSpan(from_ms=from_ms, until_ms=until_ms), by_cycle.get(from_ms, [])
        dependent = discount_charges(context, service_cycle=span, charges=charges)
        if until_ms <= context.cycle.until_ms:
            dependent |= commitment_charges(context, service_cycle=span, charges=[*charges, *dependent.values()])
        old = {key: each for key, each in before.items() if _depends(key) and key.service_cycle_from_ms == from_ms}
        found += differences(should=dependent, before=old)
    return found


def _depends(key: ChargeKey) -> bool:
    return key.kind in (ChargeKind.DISCOUNT, ChargeKind.COMMITMENT)


# ---------------------------------------------------------------- from charges to a bill


def _bill(charges: Sequence[Charge], *, currency: str, context: BillContext, issued_at_ms: int) -> ComputedBill:
    cycle, group = context.cycle, context.group
    ordered = sorted(charges, key=lambda each: _place(each, context=context))
    catalogue = context.releases.at(cycle.until_ms - 1).catalogue
    taxation = tax_lines(
        ordered,
        tax_points_ms=[_tax_point(charge, cycle=cycle) for charge in ordered],
        group_at=lambda tax_point_ms: context.group_then(tax_point_ms + 1),
        rules=TaxRules(taxes=catalogue.taxes, home_country=catalogue.operator.country),
        currency=currency,
    )
    bill = ComputedBill(
        operator=catalogue.operator,
        accounts=group.accounts,
        currency=currency,
        cycle=cycle,
        issued_at_ms=issued_at_ms,
        due_at_ms=issued_at_ms + catalogue.operator.due_days * MS_PER_DAY,
        lines=_lines(ordered, net_nanos=taxation.net_nanos, context=context),
        taxes=taxation.taxes,
        net_nanos=sum(taxation.net_nanos),
        tax_nanos=sum(tax.amount_nanos for tax in taxation.taxes),
    )
    return replace(bill, digest=bill_digest(bill))


def line_kind(charge: Charge, *, cycle: CycleSpan) -> ChargeKind:
    """Its own kind, or ADJUSTMENT when an earlier bill had closed the time it is for."""
    return ChargeKind.ADJUSTMENT if is_adjustment(charge, cycle_from_ms=cycle.from_ms) else charge.key.kind


def _place(charge: Charge, *, context: BillContext) -> tuple[object, ...]:
    """Payer's own charges first, then account by account, subscription by subscription, kind by kind."""
    key = charge.key
    others = key.billing_account_id != context.group.payer.billing_account_id
    kind = _ORDER[line_kind(charge, cycle=context.cycle)]
    return (others, key.billing_account_id, key.subscription_id, kind, key[5:], key)


def _tax_point(charge: Charge, *, cycle: CycleSpan) -> int:
    """A bill is taxed as of its cycle's end; what corrects an earlier cycle is taxed as that cycle was."""
    if is_adjustment(charge, cycle_from_ms=cycle.from_ms):
        return charge.service_cycle_until_ms - 1
    return cycle.until_ms - 1


def _lines(charges: Sequence[Charge], *, net_nanos: Sequence[int], context: BillContext) -> tuple[ComputedLine, ...]:
    codes = {held.facts.subscription_id: held.facts.code for held in context.subscriptions}
    lines = []
    for number, (charge, net) in enumerate(zip(charges, net_nanos, strict=True), start=1):
        kind = line_kind(charge, cycle=context.cycle)
        code = codes.get(charge.key.subscription_id, "")
        texts = _texts(charge, kind=kind)
        lines.append(ComputedLine(number, kind, charge, code, texts, net, explanation_written(charge)))
    return tuple(lines)


def _texts(charge: Charge, *, kind: ChargeKind) -> LocalizedText:
    """The catalogue's name; what corrects or gives back says so first, and a discount that is taken back."""
    if kind is ChargeKind.ADJUSTMENT or (kind is ChargeKind.DISCOUNT and charge.amount_nanos > 0):
        return prefixed(CORRECTION, charge.texts)
    if charge.amount_nanos < 0 and kind in (ChargeKind.RECURRING, ChargeKind.ONE_TIME, ChargeKind.USAGE):
        return prefixed(CREDIT, charge.texts)
    return charge.texts
