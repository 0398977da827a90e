"""Taxes within an amount that was paid with them: which they are, and how much of it each of them is."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import lcm

from millicent.billing.rules.rounding import spread
from millicent.billing.rules.taxes import TaxedKind, TaxRules, applies, in_order, jurisdiction_of, why_not
from millicent.catalog.types import Tax
from millicent.customers.types import BillingAccountFacts


def taxes_within(
    account: BillingAccountFacts,
    *,
    payer: BillingAccountFacts,
    tax_category: str,
    at_ms: int,
    rules: TaxRules,
) -> tuple[str, ...]:
    """Codes of the taxes that are in what this account paid, in the order in which they are computed.

    What is lifted (exemption, reverse charge) is not in it: the whole amount is the operator's. A fixed tax counts
    services on a bill; no single payment holds it.
    """
    kind = TaxedKind(account, payer, tax_category, at_ms)
    place = jurisdiction_of(account, payer=payer, home_country=rules.home_country)
    found = tuple(
        tax
        for tax in rules.taxes.values()
        if tax.fixed_nanos is None
        and applies(tax, kind=kind, jurisdiction=place, currency=payer.currency)
        and not why_not(tax, kind=kind, home_country=rules.home_country)
    )
    return tuple(tax.code for tax in in_order(found))


def split_gross(gross_nanos: int, *, codes: Sequence[str], taxes: Mapping[str, Tax]) -> dict[str, int]:
    """What each tax is of an amount that holds them all, and under "" what is left: they add up to the amount.

    gross = net x (1 + sum of factors), shared out by largest remainder, to the nano. A tax that the catalogue does not
    know any more takes nothing.
    """
    factors: dict[str, Fraction] = {}
    for code in codes:
        if code in taxes:
            below = sum((factors.get(base, Fraction(0)) for base in taxes[code].on_top_of), Fraction(0))
            factors[code] = taxes[code].rate * (1 + below)
    shares = {"": Fraction(1), **factors}
    whole = lcm(*(share.denominator for share in shares.values()))
    weights = [int(share * whole) for share in shares.values()]
    return dict(zip(shares, spread(gross_nanos, over=weights), strict=True))
