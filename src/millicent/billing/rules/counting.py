"""Which charges count for which commitment: no part of one for two minimums, or for two maximums.

What its offering brought counts; what has no commitment of its own and is no plan's counts for the plan held when it
began. A scope chooses among these; one that names offerings or prices chooses among all charges of the subscription.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from millicent.billing.rules.charges import Charge
from millicent.billing.rules.context import HeldSubscription
from millicent.billing.rules.holdings import HeldRun
from millicent.billing.rules.scopes import in_scope
from millicent.catalog.types import ChargeKind, ChargeScope, Commitment


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One commitment of one offering in one service cycle, over all stays there, and the part of its bounds."""

    commitment: Commitment
    runs: tuple[HeldRun, ...]
    tariff: str
    least_nanos: int | None
    most_nanos: int | None

    @property
    def offering(self) -> str:
        return self.runs[0].offering

    @property
    def bound_nanos(self) -> int:
        """Where it has enough, and the next one that may count the same has the rest."""
        bound = self.most_nanos if self.least_nanos is None else self.least_nanos
        assert bound is not None, "a commitment has a minimum or a maximum"
        return bound


def spent_for(claims: Sequence[Claim], *, held: HeldSubscription, charges: Collection[Charge]) -> list[int]:
    """What was spent for each claim, in their order."""
    own = [each for each in charges if each.key.subscription_id == held.facts.subscription_id]
    spent = [0] * len(claims)
    for sort in (True, False):
        places = [place for place, claim in enumerate(claims) if (claim.least_nanos is not None) is sort]
        places.sort(key=lambda place: not _names(claims[place].commitment.scope))
        for charge in own:
            _count(charge, claims=claims, places=places, held=held, spent=spent)
    return spent


def _count(
    charge: Charge, *, claims: Sequence[Claim], places: Sequence[int], held: HeldSubscription, spent: list[int]
) -> None:
    """Give a charge to its claim; one that several may count, to the first as far as it lacks, then to the next."""
    if charge.key.kind is ChargeKind.COMMITMENT:
        return
    takers = [place for place in places if _may_count(charge, claim=claims[place], claims=claims, held=held)]
    if not takers:
        return
    left = charge.amount_nanos
    for place in takers[:-1]:
        taken = min(left, max(claims[place].bound_nanos - spent[place], 0))
        spent[place] += taken
        left -= taken
    spent[takers[-1]] += left


def _may_count(charge: Charge, *, claim: Claim, claims: Sequence[Claim], held: HeldSubscription) -> bool:
    key, commitment = charge.key, claim.commitment
    if key.currency != commitment.currency or not in_scope(key, commitment.scope):
        return False
    return _names(commitment.scope) or claim.offering in _brought_by(charge, claims=claims, held=held)


def _names(scope: ChargeScope) -> bool:
    return bool(scope.offerings or scope.price_codes)


def _brought_by(charge: Charge, *, claims: Sequence[Claim], held: HeldSubscription) -> Iterator[str]:
    """The offerings that a charge is of. A line of usage is of every committed plan with the tariff that priced it."""
    key = charge.key
    committed = any(claim.offering == key.offering for claim in claims)
    if committed or any(run.offering == key.offering and not run.add_on for run in held.runs):
        yield key.offering
    else:
        yield _plan_at(charge.period_from_ms, held=held)
    if key.kind is ChargeKind.USAGE:
        tariff = key.price_code.rpartition("/")[0]
        yield from (claim.offering for claim in claims if claim.tariff == tariff)


def _plan_at(instant_ms: int, *, held: HeldSubscription) -> str:
    """The plan held at an instant, else the first after it."""
    return next((run.offering for run in held.runs if not run.add_on and instant_ms < run.until_ms), "")
