"""How much each tax comes to, and what of it lies on each line.

One rounding for each tax: per line, or once over all lines of one rate. Taxes on a tax see the rounded amount of that
tax, so a reader who recomputes from the printed figures finds the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from millicent.billing.rules.charges import Charge
from millicent.billing.rules.rounding import minor_step, spread, to_minor_units
from millicent.billing.types import BillTax
from millicent.catalog.types import ChargeKind, Tax


@dataclass(frozen=True, slots=True, kw_only=True)
class Levy:
    """One tax on some lines, by their places on the bill. `note` says why it is zero; "" when it is charged."""

    tax: Tax
    note: str
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taxation:
    """Net amount of each line, in order, and the taxes over them."""

    net_nanos: tuple[int, ...]
    taxes: tuple[BillTax, ...]


def levy_all(charges: Sequence[Charge], *, levies: Sequence[Levy], currency: str) -> Taxation:
    """Compute levies in the order given: inclusive ones are taken out of the prices, the others come on top.

    What a tax comes to on each line is only asked where another tax stands on it.
    """
    net = [charge.amount_nanos for charge in charges]
    on_line: dict[tuple[str, int], int] = {}
    _take_out([levy for levy in levies if levy.tax.inclusive], net=net, on_line=on_line, currency=currency)
    stood_on = {code for levy in levies for code in levy.tax.on_top_of}
    taxes = []
    for levy in levies:
        code = levy.tax.code
        bases = [net[place] for place in levy.places]
        if levy.tax.on_top_of:
            bases = [
                base + _below(levy.tax, place=place, on_line=on_line)
                for base, place in zip(bases, levy.places, strict=True)
            ]
        if levy.tax.inclusive:
            total_nanos = sum(on_line.get((code, place), 0) for place in levy.places)
        elif levy.tax.per_line or code in stood_on:
            amounts = _on_top(levy, bases=bases, charges=charges, currency=currency)
            on_line.update({(code, place): each for place, each in zip(levy.places, amounts, strict=True)})
            total_nanos = sum(amounts)
        else:
            total_nanos = _whole_on_top(levy, base_nanos=sum(bases), charges=charges, currency=currency)
        taxes.append(_bill_tax(levy, base_nanos=sum(bases), amount_nanos=total_nanos))
    return Taxation(net_nanos=tuple(net), taxes=tuple(taxes))


def _bill_tax(levy: Levy, *, base_nanos: int, amount_nanos: int) -> BillTax:
    return BillTax(
        tax=levy.tax.code,
        texts=levy.tax.names,
        jurisdiction=levy.tax.jurisdiction,
        rate=levy.tax.rate,
        base_nanos=base_nanos,
        amount_nanos=amount_nanos,
        inclusive=levy.tax.inclusive,
        note=levy.note,
    )


def _below(tax: Tax, *, place: int, on_line: Mapping[tuple[str, int], int]) -> int:
    """What the taxes that this one stands on put on a line."""
    return sum(on_line.get((code, place), 0) for code in tax.on_top_of)


def _on_top(levy: Levy, *, bases: Sequence[int], charges: Sequence[Charge], currency: str) -> list[int]:
    """The amounts of an exclusive tax, line by line; where it is rounded once, nanos of it are spread exactly."""
    tax = levy.tax
    if tax.per_line and not levy.note and tax.fixed_nanos is None:
        return [_rounded(tax.rate.numerator * base, tax.rate.denominator, tax=tax, currency=currency) for base in bases]
    return spread(_whole_on_top(levy, base_nanos=sum(bases), charges=charges, currency=currency), over=bases)


def _whole_on_top(levy: Levy, *, base_nanos: int, charges: Sequence[Charge], currency: str) -> int:
    """What an exclusive tax comes to where it is rounded once, over all its lines."""
    tax = levy.tax
    if levy.note:
        return 0
    if tax.fixed_nanos is not None:
        return tax.fixed_nanos * _services(charges, places=levy.places)
    return _rounded(tax.rate.numerator * base_nanos, tax.rate.denominator, tax=tax, currency=currency)


def _rounded(numerator: int, denominator: int, *, tax: Tax, currency: str) -> int:
    return to_minor_units(numerator, denominator, currency, tax.rounding)


def _services(charges: Sequence[Charge], *, places: Sequence[int]) -> int:
    """How many services a fixed tax counts: subscriptions with a recurring charge on this bill.

    A credit takes none back, and an adjustment adds none to a cycle whose tax was paid.
    """
    counted = {
        charges[place].key.subscription_id
        for place in places
        if charges[place].key.kind is ChargeKind.RECURRING
        and charges[place].amount_nanos > 0
        and not charges[place].revision
    }
    return len(counted)


def _take_out(levies: Sequence[Levy], *, net: list[int], on_line: dict[tuple[str, int], int], currency: str) -> None:
    """Take inclusive taxes out of the prices, together for all lines that bear the same ones.

    gross = net x (1 + sum of factors). The taxes are rounded, and the net is what is left: nothing is lost. A tax
    that is lifted (exemption, reverse charge) leaves the price too, and is not charged.
    """
    on_place: dict[int, list[Levy]] = {}
    for levy in levies:
        for place in levy.places:
            on_place.setdefault(place, []).append(levy)
    alike: dict[tuple[tuple[str, str], ...], list[int]] = {}
    for place, bearing in on_place.items():
        alike.setdefault(tuple((levy.tax.code, levy.note) for levy in bearing), []).append(place)
    for places in alike.values():
        bearing = on_place[places[0]]
        alone = any(levy.tax.per_line for levy in bearing)
        for group in [[place] for place in places] if alone else [places]:
            _take_out_of_group(bearing, places=group, net=net, on_line=on_line, currency=currency)


def _take_out_of_group(
    levies: Sequence[Levy],
    *,
    places: Sequence[int],
    net: list[int],
    on_line: dict[tuple[str, int], int],
    currency: str,
) -> None:
    gross = [net[place] for place in places]
    factors: dict[str, Fraction] = {}
    for levy in levies:
        below = sum((factors.get(code, Fraction(0)) for code in levy.tax.on_top_of), Fraction(0))
        factors[levy.tax.code] = levy.tax.rate * (1 + below)
    whole = 1 + sum(factors.values(), Fraction(0))
    net_nanos = sum(gross)
    for levy in levies:
        exact = sum(gross) * factors[levy.tax.code] / whole
        amount = _rounded(exact.numerator, exact.denominator, tax=levy.tax, currency=currency)
        net_nanos -= amount
        shares = spread(0 if levy.note else amount, over=gross)
        on_line.update({(levy.tax.code, place): share for place, share in zip(places, shares, strict=True)})
    for place, share in zip(places, spread(net_nanos, over=gross, step=minor_step(currency)), strict=True):
        net[place] = share
