"""Find usage that arrived after the bill of its cycle."""

from millicent.billing.history import BilledSpan
from millicent.billing.ports import BillingFacts
from millicent.billing.runs import BatchOrder
from millicent.billing.types import AccountGroupFacts
from millicent.kit.clock import MS_PER_DAY

LATE_USAGE_DAYS = 400  # how far back it is looked for


def find_late_usage(
    order: BatchOrder,
    *,
    groups: dict[int, AccountGroupFacts],
    billed: dict[int, list[BilledSpan]],
    facts: BillingFacts,
) -> dict[int, int]:
    """For each payer the earliest usage of a billed cycle that arrived after that cycle's bill."""
    known = {payer_id: spans[-1].known_until_ms for payer_id, spans in billed.items() if payer_id in groups}
    payer_of = {account.billing_account_id: payer_id for payer_id in known for account in groups[payer_id].accounts}
    if not known:
        return {}
    starts = {due.payer_id: due.cycle.from_ms for due in order.due}
    latest_ms = max(starts.values())
    rows = facts.usage(
        sorted(payer_of),
        from_ms=min(starts.values()) - LATE_USAGE_DAYS * MS_PER_DAY,
        until_ms=latest_ms,
        received_from_ms=min(known.values()),
        received_until_ms=order.known_until_ms,
    ).select("billing_account_id", "occurred_at_ms", "received_at_ms")
    earliest: dict[int, int] = {}
    for account_id, occurred_ms, received_ms in rows.iter_rows():
        payer_id = payer_of[account_id]
        if received_ms >= known[payer_id] and occurred_ms < starts[payer_id]:
            earliest[payer_id] = min(occurred_ms, earliest.get(payer_id, occurred_ms))
    return earliest
