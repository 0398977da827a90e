"""What cycles open with from the ones before them: as their bills computed it, whoever paid for an account then."""

from collections.abc import Mapping, Sequence

from millicent.billing.history import carried_buckets
from millicent.billing.rules.allowances import Bucket, carried_over, moved
from millicent.billing.rules.context import BillContext
from millicent.billing.rules.cycles import CycleSpan
from millicent.customers.selectors import payers_before
from millicent.customers.types import BillingAccountFacts
from millicent.kit.errors import MillicentError


def carried_into(openings: Sequence[tuple[BillContext, int]], *, known_at_ms: int | None = None) -> list[list[Bucket]]:
    """`carried_or_why`, raising what is wrong with the first that is broken."""
    carried: list[list[Bucket]] = []
    for found in carried_or_why(openings, known_at_ms=known_at_ms):
        if isinstance(found, MillicentError):
            raise found
        carried.append(found)
    return carried


def carried_or_why(
    openings: Sequence[tuple[BillContext, int]], *, known_at_ms: int | None = None
) -> list[list[Bucket] | MillicentError]:
    """For each payer's context, what lives on in the cycle that opens at the instant: nothing where none was billed.

    A payer that is broken has its error there, and the others have what is theirs.
    A bucket follows the subscription that brought it. Where another account paid in the cycle before, its bill has
    closed the bucket; one of the payer's own that was computed later (a replay) is believed instead.
    """
    accounts = [(account.billing_account_id, at_ms) for context, at_ms in openings for account in _accounts(context)]
    payers = payers_before(dict(accounts), known_at_ms=known_at_ms)
    asked = {(_payer(context), at_ms) for context, at_ms in openings}
    asked |= {(payers[account_id], at_ms) for account_id, at_ms in accounts if account_id in payers}
    closed = carried_buckets(sorted(asked))
    carried: list[list[Bucket] | MillicentError] = []
    for context, at_ms in openings:
        closing = _own(context, at_ms=at_ms, closed=closed, payers=payers)
        ended = CycleSpan(from_ms=at_ms - 1, until_ms=at_ms)
        try:
            carried.append(carried_over(context, closing=closing, ended=ended) if closing else [])
        except MillicentError as fault:
            carried.append(fault)
    return carried


def _own(
    context: BillContext,
    *,
    at_ms: int,
    closed: Mapping[tuple[int, int], Sequence[Bucket]],
    payers: Mapping[int, int],
) -> list[Bucket]:
    """The closed buckets that subscriptions of this payer brought."""
    payer_id = _payer(context)
    held = {each.facts.subscription_id: each for each in context.subscriptions}
    own = [bucket for bucket in closed.get((payer_id, at_ms), ()) if bucket.subscription_id in held]
    computed_here = {bucket.subscription_id for bucket in own}
    others = {payers.get(account.billing_account_id, payer_id) for account in _accounts(context)} - {payer_id}
    for other in sorted(others):
        for bucket in closed.get((other, at_ms), ()):
            by = held.get(bucket.subscription_id)
            if by is not None and bucket.subscription_id not in computed_here:
                own.append(moved(bucket, held=by))
    return own


def _accounts(context: BillContext) -> Sequence[BillingAccountFacts]:
    return context.group.accounts


def _payer(context: BillContext) -> int:
    return context.group.payer.billing_account_id
