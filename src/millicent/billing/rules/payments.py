"""When a payer pays in advance: what is used then is paid from a balance and stands on no bill.

Of the plans that a payer pays for, the most careful way of payment counts; an agreement overrules them. Where nothing
is held, it is as it was before.
"""

from collections.abc import Sequence

from millicent.billing.rules.charges import OPEN_END_MS
from millicent.billing.rules.cycles import CycleSpan
from millicent.billing.rules.holdings import HeldRun, held_runs
from millicent.billing.rules.releases import Releases
from millicent.billing.types import AccountGroupFacts, PaymentAgreement
from millicent.catalog.types import Payment

_CAREFUL = tuple(Payment)  # the most careful first
_BEGINNING_MS = -(2**62)


def payment_at(
    group: AccountGroupFacts, *, releases: Releases, agreements: Sequence[PaymentAgreement], at_ms: int
) -> Payment:
    """How a payer pays at an instant."""
    return next(
        payment
        for span, payment in payment_spans(group, releases=releases, agreements=agreements)
        if span.from_ms <= at_ms < span.until_ms
    )


def paid_in_advance(
    group: AccountGroupFacts, *, releases: Releases, agreements: Sequence[PaymentAgreement]
) -> tuple[CycleSpan, ...]:
    """The times in which a payer pays in advance, in order."""
    if not agreements and not sells_prepaid(releases):
        return ()
    spans = payment_spans(group, releases=releases, agreements=agreements)
    return tuple(span for span, payment in spans if payment is Payment.PREPAID)


def sells_prepaid(releases: Releases) -> bool:
    """Whether any plan of any release is paid in advance: without one, nobody needs to be looked at."""
    return any(
        offering.payment is Payment.PREPAID for view in releases.views for offering in view.catalogue.offerings.values()
    )


def payment_spans(
    group: AccountGroupFacts, *, releases: Releases, agreements: Sequence[PaymentAgreement]
) -> list[tuple[CycleSpan, Payment]]:
    """How a payer pays, from the beginning of time to its end; neighbours differ."""
    plans = [run for each in group.subscriptions for run in held_runs(each) if not run.add_on]
    agreed = sorted(agreements, key=lambda each: each.from_ms)
    cuts = {_BEGINNING_MS, *(view.effective_from_ms for view in releases.views), *(each.from_ms for each in agreed)}
    cuts |= {edge for run in plans for edge in (run.from_ms, run.until_ms) if edge != OPEN_END_MS}
    said = [(cut, _said(cut, plans=plans, agreed=agreed, releases=releases)) for cut in sorted(cuts)]
    before = next((payment for _, payment in said if payment is not None), Payment.POSTPAID)
    spans: list[tuple[int, Payment]] = []
    for cut, payment in said:
        before = before if payment is None else payment
        if not spans or spans[-1][1] is not before:
            spans.append((cut, before))
    ends = [*(cut for cut, _ in spans[1:]), OPEN_END_MS]
    return [(CycleSpan(from_ms=cut, until_ms=end), how) for (cut, how), end in zip(spans, ends, strict=True)]


def _said(
    at_ms: int, *, plans: Sequence[HeldRun], agreed: Sequence[PaymentAgreement], releases: Releases
) -> Payment | None:
    """What an agreement or the plans held say; None where nothing is held. An unknown plan is paid in advance."""
    last = next((each for each in reversed(agreed) if each.from_ms <= at_ms), None)
    if last is not None and last.payment is not None:
        return last.payment
    offerings = releases.at(at_ms).catalogue.offerings
    held = [
        offerings[run.offering].payment if run.offering in offerings else Payment.PREPAID
        for run in plans
        if run.from_ms <= at_ms < run.until_ms
    ]
    return min(held, key=_CAREFUL.index, default=None)
