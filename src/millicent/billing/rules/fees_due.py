"""Fees that are due at an instant, for whoever pays them from a balance: by the rules of a bill, without a bill."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from millicent.billing.rules.charges import Charge, ChargeKey
from millicent.billing.rules.context import BillContext, bill_context
from millicent.billing.rules.cycles import CycleSpan, cycle_containing
from millicent.billing.rules.differences import charged_before, differences
from millicent.billing.rules.discounts import discount_charges
from millicent.billing.rules.one_time import one_time_charges
from millicent.billing.rules.recurring import recurring_charges
from millicent.billing.rules.releases import Releases
from millicent.billing.types import AccountGroupFacts
from millicent.catalog.types import ChargeKind

_FEES = (ChargeKind.RECURRING, ChargeKind.ONE_TIME, ChargeKind.DISCOUNT)


def fees_due(
    group: AccountGroupFacts,
    *,
    releases: Releases,
    at_ms: int,
    renewed: frozenset[int],
    before: Sequence[Charge],
) -> list[Charge]:
    """What is to be paid now of the running cycle, less what was charged before under the same keys.

    Of the cycle before only for subscriptions in `renewed`: a plan that was not paid was not given. What begins later
    is not due; a cycle in arrears is due when it has ended.
    """
    payer = group.payer
    current = cycle_containing(cycle=payer.cycle, zone=payer.zone, instant_ms=at_ms)
    previous = cycle_containing(cycle=payer.cycle, zone=payer.zone, instant_ms=current.from_ms - 1)
    known = _as_of(group, at_ms=at_ms)
    ended = bill_context(group=known, releases=releases, cycle=previous)
    running = bill_context(group=known, releases=releases, cycle=current)
    begun = {key: each for key, each in one_time_charges(running).items() if each.period_until_ms <= at_ms}
    due = {**recurring_charges(ended), **one_time_charges(ended), **begun}

    def is_asked(key: ChargeKey) -> bool:
        of_renewed = key.service_cycle_from_ms == previous.from_ms and key.subscription_id in renewed
        own = key.currency == payer.currency and key.kind in _FEES
        return own and (of_renewed or key.service_cycle_from_ms == current.from_ms)

    should = {key: charge for key, charge in due.items() if is_asked(key)}
    for span in (previous, current):
        should |= {key: each for key, each in _discounts(running, span=span, should=should).items() if is_asked(key)}
    charged = {key: charge for key, charge in charged_before(before).items() if is_asked(key)}
    return differences(should=should, before=charged)


def _discounts(
    context: BillContext, *, span: CycleSpan, should: Mapping[ChargeKey, Charge]
) -> Mapping[ChargeKey, Charge]:
    charges = [each for key, each in should.items() if key.service_cycle_from_ms == span.from_ms]
    return discount_charges(context, service_cycle=span, charges=charges)


def _as_of(group: AccountGroupFacts, *, at_ms: int) -> AccountGroupFacts:
    """Without what will only begin later; an end that is known already counts."""
    held = tuple(
        replace(each, versions=tuple(one for one in each.versions if one.effective_from_ms <= at_ms))
        for each in group.subscriptions
    )
    return replace(group, subscriptions=tuple(each for each in held if each.versions))
