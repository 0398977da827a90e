"""What billing says about the running cycle, for live balances: cycles, grants, plans. Beside `selectors`, and as open.

The same rules as at bill time: charging never has a rule of its own for what is granted, when, or how much.
"""

from collections.abc import Sequence

from millicent.billing.carrying import carried_into
from millicent.billing.history import issued_charges
from millicent.billing.rules.allowances import Bucket, granted
from millicent.billing.rules.charges import Charge
from millicent.billing.rules.context import BillContext, bill_context
from millicent.billing.rules.cycles import CycleSpan, cycle_containing
from millicent.billing.rules.fees_due import fees_due
from millicent.billing.rules.payments import paid_in_advance, payment_at
from millicent.billing.rules.postings import revenue_account
from millicent.billing.rules.releases import NoReleaseInForce, Releases
from millicent.billing.rules.taxes import TaxRules
from millicent.billing.rules.taxes_within import split_gross, taxes_within
from millicent.billing.rules.writing import charge_written, written_charge
from millicent.billing.types import AccountGroupFacts, ReleasedCatalogue
from millicent.catalog.selectors import catalogue_of, releases

__all__ = [
    "Bucket",
    "Charge",
    "CycleSpan",
    "NoReleaseInForce",
    "Releases",
    "TaxRules",
    "allowance_grants",
    "carried_grants",
    "charge_written",
    "cycle_containing",
    "fees_due",
    "issued_charges",
    "paid_in_advance",
    "payment_at",
    "released_catalogues",
    "revenue_account",
    "split_gross",
    "taxes_within",
    "written_charge",
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
