"""The bill of one payer: every part of it computed from facts, nothing stored.

The sum is always the same. For each service cycle: what should have been charged by now, less what was charged.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from millicent.billing.rules.charges import Charge, ChargeKey
from millicent.billing.rules.commitments import commitment_charges
from millicent.billing.rules.context import BillContext
from millicent.billing.rules.cycles import CycleSpan
from millicent.billing.rules.differences import charged_before, differences, is_adjustment
from millicent.billing.rules.discounts import discount_charges
from millicent.billing.rules.one_time import one_time_charges
from millicent.billing.rules.recurring import recurring_charges
from millicent.billing.rules.taxes import TaxedLine, TaxRules, tax_lines
from millicent.billing.rules.words import CORRECTION, CREDIT, prefixed
from millicent.billing.types import Bill, BillLine, BillState
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputedBill:
    """A bill and, line by line, the charge behind each."""

    bill: Bill
    charges: tuple[Charge, ...]


def compute_bills(
    context: BillContext,
    *,
    usage: Mapping[ChargeKey, Charge],
    replayed: Sequence[CycleSpan],
    issued: Sequence[Charge],
    issued_at_ms: int,
    most_lines: int = MOST_LINES,
) -> tuple[ComputedBill, ...]:
    """The bills of one payer for one cycle, one for each currency, in the order of their codes.

    `usage` holds the usage charges of every cycle in `replayed` (the current one and those computed again);
    `issued` what earlier bills charged, oldest first, for every service cycle that may still change.
    """
    charges = bill_charges(context, usage=usage, replayed=replayed, issued=issued)
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
    payer = context.group.payer
    accounts = {account.billing_account_id: account for account in context.group.accounts}
    codes = {held.facts.subscription_id: held.facts.code for held in context.subscriptions}
    ordered = sorted(charges, key=lambda each: _place(each, context=context))
    catalogue = context.releases.at(context.cycle.until_ms - 1).catalogue
    taxation = tax_lines(
        [
            TaxedLine(
                charge=charge,
                account=accounts.get(charge.key.billing_account_id, payer),
                tax_point_ms=_tax_point(charge, context=context),
            )
            for charge in ordered
        ],
        rules=TaxRules(taxes=catalogue.taxes, home_country=catalogue.operator.country),
        payer=payer,
        currency=currency,
    )
    lines = tuple(
        _line(each, number=number, net_nanos=net_nanos, codes=codes, context=context)
        for number, (each, net_nanos) in enumerate(zip(ordered, taxation.net_nanos, strict=True), start=1)
    )
    net_total, tax_total = sum(taxation.net_nanos), sum(tax.amount_nanos for tax in taxation.taxes)
    bill = Bill(
        number="",
        state=BillState.REHEARSED,
        operator=catalogue.operator,
        payer=payer,
        currency=currency,
        cycle_from_ms=context.cycle.from_ms,
        cycle_until_ms=context.cycle.until_ms,
        issued_at_ms=issued_at_ms,
        due_at_ms=issued_at_ms + catalogue.operator.due_days * MS_PER_DAY,
        lines=lines,
        taxes=taxation.taxes,
        net_nanos=net_total,
        tax_nanos=tax_total,
        total_nanos=net_total + tax_total,
        accounts=context.group.accounts,
    )
    return ComputedBill(bill=replace(bill, digest=bill_digest(bill)), charges=tuple(ordered))


def line_kind(charge: Charge, *, context: BillContext) -> ChargeKind:
    """Its own kind, or ADJUSTMENT when an earlier bill had closed the time it is for."""
    late = is_adjustment(charge, cycle_from_ms=context.cycle.from_ms)
    return ChargeKind.ADJUSTMENT if late else charge.key.kind


def _texts(charge: Charge, *, context: BillContext) -> LocalizedText:
    """The catalogue's name; what corrects or gives back says so first."""
    if is_adjustment(charge, cycle_from_ms=context.cycle.from_ms):
        return prefixed(CORRECTION, charge.texts)
    if charge.amount_nanos < 0 and charge.key.kind in (ChargeKind.RECURRING, ChargeKind.ONE_TIME, ChargeKind.USAGE):
        return prefixed(CREDIT, charge.texts)
    return charge.texts


def _place(charge: Charge, *, context: BillContext) -> tuple[object, ...]:
    """Payer's own charges first, then account by account, subscription by subscription, kind by kind."""
    key = charge.key
    own = key.billing_account_id != context.group.payer.billing_account_id
    return (own, key.billing_account_id, key.subscription_id, _ORDER[line_kind(charge, context=context)], *key[3:], key)


def _tax_point(charge: Charge, *, context: BillContext) -> int:
    """A bill is taxed as of its cycle's end; what corrects an earlier cycle is taxed as that cycle was."""
    if is_adjustment(charge, cycle_from_ms=context.cycle.from_ms):
        return charge.service_cycle_until_ms - 1
    return context.cycle.until_ms - 1


def _line(charge: Charge, *, number: int, net_nanos: int, codes: Mapping[int, str], context: BillContext) -> BillLine:
    key = charge.key
    explanation = dict(charge.explanation)
    if charge.parts:
        explanation["parts"] = [list(part) for part in charge.parts]
    return BillLine(
        line_number=number,
        kind=line_kind(charge, context=context),
        billing_account_id=key.billing_account_id,
        subscription_id=key.subscription_id or None,
        subscription_code=codes.get(key.subscription_id, ""),
        texts=_texts(charge, context=context),
        offering=key.offering,
        price_code=key.price_code,
        service=key.service,
        zone=key.zone,
        period_from_ms=charge.period_from_ms,
        period_until_ms=charge.period_until_ms,
        event_count=charge.event_count,
        charged_units=charge.charged_units,
        bucket_units=charge.bucket_units,
        unit=charge.unit,
        net_nanos=net_nanos,
        tax_category=key.tax_category,
        ledger_code=key.ledger_code,
        in_advance=key.in_advance,
        explanation=explanation,
    )


def bill_digest(bill: Bill) -> str:
    """SHA-256 of all that the facts decide: the same facts give the same digest, whatever number it is issued under."""
    content = {
        "payer": bill.payer.code,
        "currency": bill.currency,
        "cycle": [bill.cycle_from_ms, bill.cycle_until_ms],
        "issued_at_ms": bill.issued_at_ms,
        "due_at_ms": bill.due_at_ms,
        "lines": [_canonical_line(line) for line in bill.lines],
        "taxes": [
            [tax.tax, tax.jurisdiction, str(tax.rate), tax.base_nanos, tax.amount_nanos, tax.inclusive, tax.note]
            for tax in bill.taxes
        ],
        "totals": [bill.net_nanos, bill.tax_nanos, bill.total_nanos],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _canonical_line(line: BillLine) -> list[object]:
    return [
        line.line_number,
        line.kind,
        line.billing_account_id,
        line.subscription_code,
        line.texts,
        line.offering,
        line.price_code,
        line.service,
        line.zone,
        line.period_from_ms,
        line.period_until_ms,
        line.event_count,
        line.charged_units,
        line.bucket_units,
        line.unit,
        line.net_nanos,
        line.tax_category,
        line.ledger_code,
        line.in_advance,
        line.explanation,
    ]
