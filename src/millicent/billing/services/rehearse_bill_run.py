"""Rehearse a run: compute every bill as a release would, compare it with the last one, change nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from millicent.billing import selectors
from millicent.billing.ports import BillingFacts
from millicent.billing.rules.bill import MOST_LINES
from millicent.billing.rules.comparison import Outlier, missing, outliers
from millicent.billing.rules.computed import bill_of
from millicent.billing.runs import BatchOrder, ComputedBatch, Parked
from millicent.billing.services.compute_batch import compute_batch
from millicent.billing.services.plan_bill_run import BATCH_SIZE, batches_of, due_payers
from millicent.billing.services.price_retail import pricing_of
from millicent.billing.types import Bill, reason_word
from millicent.kit.clock import to_ms


@dataclass(slots=True, kw_only=True)
class Rehearsal:
    """What a release would issue. Filled batch by batch; bills themselves are kept only when asked for."""

    through_ms: int
    payers: int
    bills: int = 0
    lines: int = 0
    usage_in: int = 0
    usage_billed: int = 0
    usage_unpriced: int = 0
    usage_parked: int = 0
    totals: dict[str, int] = field(default_factory=dict)  # currency -> total_nanos
    unpriced_by_reason: dict[str, int] = field(default_factory=dict)
    outliers: list[Outlier] = field(default_factory=list)
    parked: list[Parked] = field(default_factory=list)
    kept_bills: list[Bill] = field(default_factory=list)


def rehearse_bill_run(
    *,
    tenant_id: UUID,
    facts: BillingFacts,
    through: datetime,
    now: datetime,
    batch_size: int = BATCH_SIZE,
    most_lines: int = MOST_LINES,
    keep_bills: bool = False,
    first_bills: bool = False,
    advance: Callable[[int], object] = lambda count: None,
) -> Rehearsal:
    """Every bill that a release through this instant would issue, and which of them stand out.

    Runs in the caller's tenant transaction and writes nothing. `first_bills` lists payers without an earlier bill too.
    """
    now_ms = to_ms(now)
    due = due_payers(facts, through_ms=to_ms(through), known_until_ms=now_ms)
    rehearsal = Rehearsal(through_ms=to_ms(through), payers=len(due))
    if not due:
        return rehearsal
    pricing = pricing_of(facts, known_until_ms=now_ms)
    for batch, members in enumerate(batches_of(due, batch_size=batch_size)):
        order = BatchOrder(
            tenant_id=tenant_id, run_number=0, batch=batch, due=members, known_until_ms=now_ms, issued_at_ms=now_ms
        )
        computed = compute_batch(order, facts=facts, pricing=pricing, most_lines=most_lines)
        _take(rehearsal, computed=computed, keep_bills=keep_bills, first_bills=first_bills)
        advance(len(members))
    return rehearsal


def _take(rehearsal: Rehearsal, *, computed: ComputedBatch, keep_bills: bool, first_bills: bool) -> None:
    bills = [bill_of(each) for result in computed.results for each in result.bills]
    rehearsal.bills += len(bills)
    rehearsal.lines += sum(len(bill.lines) for bill in bills)
    for result in computed.results:
        rehearsal.usage_in += result.usage_in
        rehearsal.usage_billed += result.usage_billed
        rehearsal.usage_unpriced += result.usage_unpriced
        for each in result.unpriced:
            name = reason_word(each.reason)
            rehearsal.unpriced_by_reason[name] = rehearsal.unpriced_by_reason.get(name, 0) + each.event_count
    for bill in bills:
        rehearsal.totals[bill.currency] = rehearsal.totals.get(bill.currency, 0) + bill.total_nanos
    parked_usage = sum(each.usage_count for each in computed.parked)
    rehearsal.usage_in += parked_usage
    rehearsal.usage_parked += parked_usage
    rehearsal.parked += computed.parked
    rehearsal.outliers += _stand_out(computed, bills=bills, first_bills=first_bills)
    if keep_bills:
        rehearsal.kept_bills += bills


def _stand_out(computed: ComputedBatch, *, bills: list[Bill], first_bills: bool) -> list[Outlier]:
    previous = selectors.previous_bills(due.payer_id for due in computed.order.due)
    codes = {result.payer_id: result.payer_code for result in computed.results}
    billed = [(bill.payer.billing_account_id, bill.currency) for bill in bills]
    return [
        *outliers(bills, previous=previous, first_bills=first_bills),
        *missing(previous, billed=billed, codes=codes),
    ]
