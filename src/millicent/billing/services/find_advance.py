"""Find when payers paid in advance."""

from collections.abc import Mapping, Sequence

from millicent.billing.ports import BillingFacts
from millicent.billing.rules.context import BillContext
from millicent.billing.rules.cycles import CycleSpan
from millicent.billing.rules.payments import paid_in_advance


def find_advance(
    contexts: Sequence[BillContext], *, facts: BillingFacts, known_until_ms: int
) -> Mapping[int, tuple[CycleSpan, ...]]:
    """For each payer the times in which it paid in advance, by its plans and by what was agreed before an instant."""
    payers = [context.group.payer.billing_account_id for context in contexts]
    agreements = facts.balances.agreements(payers, known_until_ms=known_until_ms)
    return {
        payer: paid_in_advance(context.group, releases=context.releases, agreements=agreements.get(payer, ()))
        for payer, context in zip(payers, contexts, strict=True)
    }
