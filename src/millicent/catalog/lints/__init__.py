"""What a catalogue means, beyond its shape: one function for each lint, each tested with a good and a bad case."""

from collections.abc import Callable, Iterator

from millicent.catalog.errors import Fault
from millicent.catalog.lints import margins, offers, rules
from millicent.catalog.types import Catalogue

Lint = Callable[[Catalogue], Iterator[Fault]]

LINTS: tuple[Lint, ...] = (
    rules.unreachable_prices,
    rules.overlapping_rules,
    rules.zones_without_price,
    rules.band_gaps,
    margins.prices_below_cost,
    margins.prices_below_supplier,
    offers.unusable_allowances,
    offers.offerings_without_tariff,
    offers.bundle_cycles,
    offers.tax_cycles,
    offers.untaxed_categories,
    offers.unknown_ledger_codes,
    offers.mixed_counters,
)


def lint_catalogue(catalogue: Catalogue) -> list[Fault]:
    """Everything that the lints have to say about a catalogue whose every reference was found."""
    return [fault for lint in LINTS for fault in lint(catalogue)]
