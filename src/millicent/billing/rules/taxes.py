"""Taxes of a bill: which apply to each line, on which base, rounded per line or once per rate.

The parts always add up to the whole: an inclusive price is its net and its taxes, to the last minor unit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from millicent.billing.rules.charges import Charge
from millicent.billing.rules.tax_amounts import Levy, Taxation, levy_all
from millicent.billing.types import AccountGroupFacts
from millicent.catalog.types import Tax
from millicent.customers.types import BillingAccountFacts
from millicent.kit.errors import Refusal

REVERSE_CHARGE = "reverse_charge"
EXEMPT = "exempt:"


class TaxesTurnInACircle(Refusal):
    """Taxes name each other as base: there is no first one."""

    code = "taxes_turn_in_a_circle"


class TaxedKind(NamedTuple):
    """What decides which taxes a charge bears: whose it is, what for, at which tax point."""

    account: BillingAccountFacts
    payer: BillingAccountFacts
    tax_category: str
    tax_point_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxRules:
    """One release's taxes and where the operator is at home."""

    taxes: Mapping[str, Tax]
    home_country: str


def tax_lines(
    charges: Sequence[Charge],
    *,
    tax_points_ms: Sequence[int],
    group_at: Callable[[int], AccountGroupFacts],
    rules: TaxRules,
    currency: str,
) -> Taxation:
    """Tax every charge of one bill. Inclusive taxes are taken out of the prices, exclusive ones come on top.

    `group_at` says whom a tax point sees. A charge of an account that is not in that group is taxed as the payer's own.
    """
    alike: dict[tuple[int, str, int], list[int]] = {}
    for place, (charge, tax_point_ms) in enumerate(zip(charges, tax_points_ms, strict=True)):
        key = charge.key
        alike.setdefault((key.billing_account_id, key.tax_category, tax_point_ms), []).append(place)
    groups = {tax_point_ms: group_at(tax_point_ms) for _, _, tax_point_ms in alike}
    account_of = {
        (account.billing_account_id, tax_point_ms): account
        for tax_point_ms, group in groups.items()
        for account in group.accounts
    }
    kinds = [
        (TaxedKind(account_of.get((account_id, at_ms), groups[at_ms].payer), groups[at_ms].payer, category, at_ms), on)
        for (account_id, category, at_ms), on in alike.items()
    ]
    levies = _levies(kinds, rules=rules, currency=currency)
    return levy_all(charges, levies=levies, currency=currency)


# ---------------------------------------------------------------- which taxes apply


def _levies(kinds: Sequence[tuple[TaxedKind, Sequence[int]]], *, rules: TaxRules, currency: str) -> list[Levy]:
    """Taxes in the order they are computed, each with the lines it is on; one levy for each tax and note."""
    found: dict[tuple[str, str], list[int]] = {}
    for kind, places in kinds:
        for levy in _on_kind(kind, rules=rules, currency=currency):
            found.setdefault(levy, []).extend(places)
    order = in_order(tuple(rules.taxes[code] for code in dict.fromkeys(code for code, _ in found)))
    return [
        Levy(tax=tax, note=note, places=tuple(sorted(on)))
        for tax in order
        for (code, note), on in sorted(found.items())
        if code == tax.code
    ]


def _on_kind(kind: TaxedKind, *, rules: TaxRules, currency: str) -> list[tuple[str, str]]:
    """Codes of the taxes on charges of a kind, each with the note under which it is not charged; "" when it is."""
    jurisdiction = jurisdiction_of(kind.account, payer=kind.payer, home_country=rules.home_country)
    return [
        (tax.code, why_not(tax, kind=kind, home_country=rules.home_country))
        for tax in rules.taxes.values()
        if applies(tax, kind=kind, jurisdiction=jurisdiction, currency=currency)
    ]


def jurisdiction_of(account: BillingAccountFacts, *, payer: BillingAccountFacts, home_country: str) -> str:
    """Where a charge is taxed: the account's own place, else its payer's, else the operator's country."""
    return account.jurisdiction or account.country or payer.jurisdiction or payer.country or home_country


def applies(tax: Tax, *, kind: TaxedKind, jurisdiction: str, currency: str) -> bool:
    """A tax of a place is on everything within it, for its categories, while it is in force at the tax point."""
    at_ms = kind.tax_point_ms
    return (
        kind.tax_category in tax.categories
        and (jurisdiction == tax.jurisdiction or _lies_in(jurisdiction, tax.jurisdiction))
        and not any(_lies_in(jurisdiction, place) for place in tax.except_jurisdictions)
        and (tax.valid_from_ms is None or at_ms >= tax.valid_from_ms)
        and (tax.valid_until_ms is None or at_ms < tax.valid_until_ms)
        and (tax.fixed_nanos is None or tax.currency == currency)
    )


def _lies_in(place: str, jurisdiction: str) -> bool:
    """ "US-CA/06075" lies in "US-CA" and in "US", and each in itself."""
    return place == jurisdiction or place.startswith((f"{jurisdiction}-", f"{jurisdiction}/"))


def why_not(tax: Tax, *, kind: TaxedKind, home_country: str) -> str:
    """The note under which a tax that applies is not charged: reverse charge, or the certificate that lifts it."""
    payer = kind.payer
    if tax.reverse_charge and payer.is_business and payer.tax_number and payer.country not in ("", home_country):
        return REVERSE_CHARGE
    if tax.exemption_kinds:
        for exemption in (*kind.account.tax_exemptions, *payer.tax_exemptions):
            if (
                exemption.kind in tax.exemption_kinds
                and _lies_in(tax.jurisdiction, exemption.jurisdiction)
                and exemption.effective_from_ms <= kind.tax_point_ms
                and (exemption.effective_until_ms is None or kind.tax_point_ms < exemption.effective_until_ms)
            ):
                return EXEMPT + exemption.certificate
    return ""


@lru_cache(maxsize=1024)
def _order_of_codes(edges: tuple[tuple[str, tuple[str, ...]], ...]) -> tuple[str, ...]:
    """Bases before the taxes that stand on them (Kahn 1962), otherwise by code."""
    waiting = {code: set(bases) & {each for each, _ in edges} for code, bases in edges}
    ordered: list[str] = []
    while waiting:
        free = sorted(code for code, bases in waiting.items() if not bases)
        if not free:
            raise TaxesTurnInACircle(
                f"taxes {', '.join(sorted(waiting))} are each on top of another", taxes=sorted(waiting)
            )
        for code in free:
            del waiting[code]
        for bases in waiting.values():
            bases.difference_update(free)
        ordered.extend(free)
    return tuple(ordered)


def in_order(taxes: tuple[Tax, ...]) -> list[Tax]:
    by_code = {tax.code: tax for tax in taxes}
    return [by_code[code] for code in _order_of_codes(tuple((tax.code, tax.on_top_of) for tax in taxes))]
