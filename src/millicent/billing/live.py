"""What billing says about the running cycle, for live balances: cycles, grants, plans. Beside `selectors`, and as open.

The same rules as at bill time: charging never has a rule of its own for what is granted, when, or how much.
"""

from collections.abc import Sequence

from millicent.billing.carrying import carried_into
from millicent.billing.rules.allowances import Bucket, granted
from millicent.billing.rules.context import BillContext, bill_context
from millicent.billing.rules.cycles import CycleSpan, cycle_containing
from millicent.billing.rules.releases import NoReleaseInForce, Releases
from millicent.billing.types import AccountGroupFacts, ReleasedCatalogue
from millicent.catalog.selectors import catalogue_of, releases

__all__ = [
    "Bucket",
    "CycleSpan",
    "NoReleaseInForce",
    "Releases",
    "allowance_grants",
    "carried_grants",
    "cycle_containing",
    "released_catalogues",
]


def released_catalogues() -> Releases:
    """Every release of the tenant by the time it took effect. Raises NoReleaseInForce when there is none."""
    return Releases(
        [
            ReleasedCatalogue(
                number=each.number, effective_from_ms=each.effective_from_ms, catalogue=catalogue_of(each.number)
            )
            for each in releases()
        ]
    )


def allowance_grants(groups: Sequence[AccountGroupFacts], *, released: Releases, at_ms: int) -> list[list[Bucket]]:
    """For each group, every bucket that opens in its payer's cycle around `at_ms`: as the bill of that cycle has it."""
    return [list(granted(context, cycle=context.cycle)) for context in _contexts(groups, released, at_ms)]


def carried_grants(groups: Sequence[AccountGroupFacts], *, released: Releases, at_ms: int) -> list[list[Bucket]]:
    """For each group, what the cycle before left to this one: nothing where it was not billed yet."""
    contexts = _contexts(groups, released, at_ms)
    return carried_into([(context, context.cycle.from_ms) for context in contexts])


def _contexts(groups: Sequence[AccountGroupFacts], released: Releases, at_ms: int) -> list[BillContext]:
    return [
        bill_context(
            group=group,
            releases=released,
            cycle=cycle_containing(cycle=group.payer.cycle, zone=group.payer.zone, instant_ms=at_ms),
        )
        for group in groups
    ]
