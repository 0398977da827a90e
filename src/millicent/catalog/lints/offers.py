"""Lints on offerings, ladders, taxes and ledger codes."""

from collections.abc import Iterator, Mapping, Sequence

from millicent.catalog.errors import Fault, Severity
from millicent.catalog.lints.places import remark
from millicent.catalog.types import (
    Allowance,
    AllowanceKind,
    Catalogue,
    Commitment,
    CounterScope,
    Offering,
    OneTimePrice,
    RecurringPrice,
)


def unusable_allowances(catalogue: Catalogue) -> Iterator[Fault]:
    """An allowance of services that the offering does not have, of nothing, or for times that never come together."""
    for offering in catalogue.offerings.values():
        for allowance in offering.allowances:
            why = _why_unusable(allowance, offering=offering, catalogue=catalogue)
            if why:
                yield remark(
                    "unusable_allowance",
                    allowance.where,
                    f"nobody can use allowance {allowance.code!r} of offering {offering.code!r}: {why}",
                    "Mend its `when:`, or remove it.",
                )


def _why_unusable(allowance: Allowance, *, offering: Offering, catalogue: Catalogue) -> str:
    match = allowance.match
    services = set(services_of(offering, catalogue=catalogue))
    if not offering.add_on and match.services and not services & set(match.services):
        return f"the offering has no {' or '.join(match.services)}"
    if allowance.kind is AllowanceKind.UNITS and not allowance.unlimited and allowance.amount == 0:
        return "it holds nothing"
    if match.bands and allowance.window and not set(match.bands) & set(allowance.window):
        return "its bands and its window do not meet"
    segments = set(offering.eligibility.segments)
    if segments and match.segments and not segments & set(match.segments):
        return "its segments may not hold the offering"
    return ""


def services_of(offering: Offering, *, catalogue: Catalogue) -> list[str]:
    """Services of an offering and of all that it bundles."""
    found, waiting, seen = list(offering.services), list(offering.children), {offering.code}
    while waiting:
        code = waiting.pop()
        if code not in seen and code in catalogue.offerings:
            seen.add(code)
            found.extend(catalogue.offerings[code].services)
            waiting.extend(catalogue.offerings[code].children)
    return found


def offerings_without_tariff(catalogue: Catalogue) -> Iterator[Fault]:
    """Services whose usage nothing can price."""
    for offering in catalogue.offerings.values():
        if offering.services and offering.tariff is None and not offering.add_on:
            yield remark(
                "offering_without_tariff",
                offering.where,
                f"offering {offering.code!r} has {', '.join(offering.services)} but no tariff",
                "Name its `tariff:`; one with `price: 0` rules when usage is free.",
            )


def bundle_cycles(catalogue: Catalogue) -> Iterator[Fault]:
    """A bundle that holds itself, at any depth."""
    children = {offering.code: offering.children for offering in catalogue.offerings.values()}
    for code in _in_cycles(children):
        yield remark(
            "bundle_cycle",
            catalogue.offerings[code].where,
            f"bundle {code!r} holds itself",
            "Break the circle of `children:`.",
            severity=Severity.FAULT,
        )


def tax_cycles(catalogue: Catalogue) -> Iterator[Fault]:
    """Taxes on top of each other without a first one."""
    for code in _in_cycles({tax.code: tax.on_top_of for tax in catalogue.taxes.values()}):
        yield remark(
            "tax_cycle",
            catalogue.taxes[code].where,
            f"tax {code!r} is on top of itself",
            "Break the circle of `on_top_of:`.",
            severity=Severity.FAULT,
        )


def _in_cycles(edges: Mapping[str, Sequence[str]]) -> list[str]:
    """Those that can be reached from themselves."""
    found = []
    for start in edges:
        waiting, seen = list(edges[start]), set[str]()
        while waiting:
            code = waiting.pop()
            if code not in seen:
                seen.add(code)
                waiting.extend(edges.get(code, ()))
        if start in seen:
            found.append(start)
    return found


def untaxed_categories(catalogue: Catalogue) -> Iterator[Fault]:
    """A tax category of some charge for which the operator's own country has no tax."""
    home = catalogue.operator.country
    taxed = {
        category
        for tax in catalogue.taxes.values()
        if tax.jurisdiction.split("/")[0].split("-")[0] == home
        for category in tax.categories
    }
    for category, where in _categories(catalogue).items():
        if category not in taxed:
            yield remark(
                "untaxed_category",
                where,
                f"no tax of {home} is for category {category!r}",
                "Add it to a tax's `categories:`; a tax of 0% says that it is exempt.",
            )


def _categories(catalogue: Catalogue) -> dict[str, str]:
    """Each tax category in use, with the first place that uses it."""
    found: dict[str, str] = {}
    for offering in catalogue.offerings.values():
        used = [each.tax_category for each in charges_of(offering)]
        if offering.services:
            used.append(offering.usage_tax_category)
        for category in used:
            found.setdefault(category, offering.where)
    return found


def charges_of(offering: Offering) -> list[RecurringPrice | OneTimePrice | Commitment]:
    return [*offering.recurring, *offering.one_time, *offering.commitments]


def unknown_ledger_codes(catalogue: Catalogue) -> Iterator[Fault]:
    """A ledger code, given or by default, that ledger.yaml does not have."""
    used: dict[str, str] = {}
    for offering in catalogue.offerings.values():
        codes = [each.ledger_code for each in charges_of(offering)]
        codes += [offering.usage_ledger_code] if offering.services else []
        for code in codes:
            used.setdefault(code, offering.where)
    for code, where in used.items():
        if code not in catalogue.ledger_codes:
            yield remark(
                "unknown_ledger_code",
                where,
                f"ledger.yaml has no code {code!r}",
                f'Add a line such as "{code}: revenue:{code}".',
                severity=Severity.FAULT,
            )


def mixed_counters(catalogue: Catalogue) -> Iterator[Fault]:
    """Ladders that name the same counter but count for different owners."""
    scopes: dict[str, tuple[CounterScope, str]] = {}
    for tariff in catalogue.tariffs.values():
        for rule in tariff.rules:
            ladder = rule.card.ladder
            if ladder is None:
                continue
            scope, where = scopes.setdefault(ladder.counter, (ladder.scope, rule.where))
            if scope is not ladder.scope:
                yield remark(
                    "mixed_counter",
                    rule.where,
                    f"counter {ladder.counter!r} is of each {ladder.scope} here, of each {scope} at {where}",
                    "Give the ladders different counters, or one scope.",
                    severity=Severity.FAULT,
                )
