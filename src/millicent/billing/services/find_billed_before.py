"""Find what earlier bills of payers have billed."""

from collections.abc import Mapping

from millicent.billing import history
from millicent.billing.history import BilledSpan, UnpricedBefore
from millicent.billing.ports import BillingFacts
from millicent.billing.runs import BatchOrder
from millicent.billing.types import AccountGroupFacts

Billed = tuple[dict[int, list[BilledSpan]], Mapping[int, UnpricedBefore]]


def find_billed_before(order: BatchOrder, *, groups: Mapping[int, AccountGroupFacts], facts: BillingFacts) -> Billed:
    """Billed cycles of each payer, oldest first, and its usage that had no price then.

    The cycles in which another account paid for it count as its own: what is learned of them later is on its own bill.
    """
    payer_ids = [due.payer_id for due in order.due]
    others = facts.paid_by_others(
        payer_ids, at_ms=max(due.cycle.until_ms for due in order.due) - 1, known_until_ms=order.known_until_ms
    )
    asked = sorted({*payer_ids, *(each.payer_id for spans in others.values() for each in spans)})
    billed, unpriced = history.billed_spans(asked), dict(history.unpriced_before(asked))
    found = {payer_id: list(billed.get(payer_id, ())) for payer_id in payer_ids}
    for payer_id, spans in others.items():
        held = {each.subscription_id for each in groups[payer_id].subscriptions} if payer_id in groups else set()
        counts = dict(unpriced[payer_id].counts) if payer_id in unpriced else {}
        own = {each.span for each in found[payer_id]}
        for by in spans:
            for each in billed.get(by.payer_id, ()):
                if by.from_ms < each.span.until_ms <= by.until_ms and each.span not in own:
                    found[payer_id].append(each)
            noted = unpriced.get(by.payer_id, UnpricedBefore()).counts
            counts |= {key: count for key, count in noted.items() if key[1] in held}
        found[payer_id].sort(key=lambda each: each.span)
        unpriced[payer_id] = UnpricedBefore(counts=counts)
    return {payer_id: spans for payer_id, spans in found.items() if spans}, unpriced
