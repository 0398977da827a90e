"""Commitments: a minimum spend is trued up, a maximum is given back, once the service cycle is over.

What counts for which is decided in `rules/counting.py`.
"""

from collections.abc import Collection, Iterator, Sequence

from millicent.billing.rules.charges import Charge, ChargeKey
from millicent.billing.rules.context import BillContext, HeldSubscription
from millicent.billing.rules.counting import Claim, spent_for
from millicent.billing.rules.cycles import CycleSpan
from millicent.billing.rules.holdings import HeldRun
from millicent.billing.rules.proration import covered, length_of
from millicent.billing.rules.rounding import to_minor_units
from millicent.catalog.types import ChargeKind, Commitment, Proration


def commitment_charges(
    context: BillContext, *, service_cycle: CycleSpan, charges: Collection[Charge]
) -> dict[ChargeKey, Charge]:
    """True-ups and caps of one finished service cycle, discounts already in `charges`.

    A commitment that was held for a part of the cycle counts for that part, by days.
    """
    given: dict[ChargeKey, Charge] = {}
    for held in context.subscriptions:
        claims = _claims(held, context=context, service_cycle=service_cycle)
        if not claims:
            continue
        spent = spent_for(claims, held=held, charges=charges)
        for claim, spent_nanos in zip(claims, spent, strict=True):
            for charge in _true_up(claim, spent_nanos=spent_nanos, held=held, service_cycle=service_cycle):
                given[charge.key] = charge
    return given


def _claims(held: HeldSubscription, *, context: BillContext, service_cycle: CycleSpan) -> list[Claim]:
    """The commitments of everything that was held, each with its part of its bounds, in the order they began."""
    claims = []
    whole = length_of(period=service_cycle, proration=Proration.BY_DAY, zone=context.zone, months=0)
    for runs in _by_offering(held, service_cycle=service_cycle):
        start_ms = max(runs[0].from_ms, service_cycle.from_ms)
        view = context.releases.at(start_ms).offering(runs[0].offering, currency=held.account.currency)
        share = min(sum(_share(run, service_cycle=service_cycle, zone=context.zone) for run in runs), whole)
        for commitment in view.commitments:
            least, most = commitment.minimum_nanos, commitment.maximum_nanos
            claims.append(
                Claim(
                    commitment=commitment,
                    runs=tuple(runs),
                    tariff=view.tariff,
                    least_nanos=None if least is None else _part(least, share, whole, commitment),
                    most_nanos=None if most is None else _part(most, share, whole, commitment),
                )
            )
    return claims


def _by_offering(held: HeldSubscription, *, service_cycle: CycleSpan) -> list[list[HeldRun]]:
    """Runs that the cycle sees, those of one offering together: who leaves a plan and comes back is committed once."""
    found: dict[str, list[HeldRun]] = {}
    for run in held.runs:
        if max(run.from_ms, service_cycle.from_ms) < min(run.until_ms, service_cycle.until_ms):
            found.setdefault(run.offering, []).append(run)
    return list(found.values())


def _true_up(claim: Claim, *, spent_nanos: int, held: HeldSubscription, service_cycle: CycleSpan) -> Iterator[Charge]:
    least, most = claim.least_nanos, claim.most_nanos
    amount_nanos = 0
    if least is not None and spent_nanos < least:
        amount_nanos = least - spent_nanos
    elif most is not None and spent_nanos > most:
        amount_nanos = most - spent_nanos
    if amount_nanos:
        yield _charge(
            claim.commitment,
            amount_nanos=amount_nanos,
            runs=claim.runs,
            held=held,
            service_cycle=service_cycle,
            explanation={"spent_nanos": spent_nanos, "minimum_nanos": least, "maximum_nanos": most},
        )


def _share(run: HeldRun, *, service_cycle: CycleSpan, zone: str) -> int:
    return covered(
        from_ms=run.from_ms,
        until_ms=run.until_ms,
        period=service_cycle,
        proration=Proration.BY_DAY,
        zone=zone,
        months=0,
        last_day=run.terminated,
    )


def _part(amount_nanos: int, share: int, whole: int, commitment: Commitment) -> int:
    return to_minor_units(amount_nanos * share, whole, commitment.currency)


def _charge(
    commitment: Commitment,
    *,
    amount_nanos: int,
    runs: Sequence[HeldRun],
    held: HeldSubscription,
    service_cycle: CycleSpan,
    explanation: dict[str, object],
) -> Charge:
    return Charge(
        key=ChargeKey(
            service_cycle_from_ms=service_cycle.from_ms,
            kind=ChargeKind.COMMITMENT,
            currency=commitment.currency,
            billing_account_id=held.account.billing_account_id,
            subscription_id=held.facts.subscription_id,
            offering=runs[0].offering,
            price_code=commitment.code,
            service="",
            zone="",
            period_from_ms=service_cycle.from_ms,
            tax_category=commitment.tax_category,
            ledger_code=commitment.ledger_code,
            in_advance=False,
        ),
        service_cycle_until_ms=service_cycle.until_ms,
        period_from_ms=max(runs[0].from_ms, service_cycle.from_ms),
        period_until_ms=min(runs[-1].until_ms, service_cycle.until_ms),
        covers_until_ms=service_cycle.until_ms,
        amount_nanos=amount_nanos,
        texts=commitment.names,
        explanation=explanation,
    )
