"""A tariff program: one release of the catalogue as flat, named arrays, and the names that go with the numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from millicent.catalog.types import ServiceSpecification
from millicent.kit.kernels import Int64s
from millicent.rating.compile.allowances import CompiledAllowance
from millicent.rating.compile.selection import Selector
from millicent.rating.kernel.arrays import Calendars, Prefixes, Prices


@dataclass(frozen=True, slots=True, kw_only=True)
class TariffProgram:
    """What the kernel needs to price usage, and what people need to read its answers.

    Everything is fixed but `selector`, which remembers what it resolved: the same usage gives the same answer whatever
    came before. A program serves one thread at a time.
    """

    prefixes: Prefixes
    calendars: Calendars
    prices: Prices
    selector: Selector
    specifications: Mapping[str, ServiceSpecification]
    tariff_numbers: Mapping[str, int]
    tariff_codes: Sequence[str]
    currencies: Sequence[str]  # of each tariff
    rule_names: Sequence[str]  # rule number -> code; "deck/<deck code>" for the rows of a deck
    rule_tariffs: Sequence[str]
    zone_names: Sequence[str]  # zone number -> "map/zone", or a deck's own name for a destination
    rule_zones: Mapping[int, Sequence[int]]  # rule number -> zones it asks for, in the order it names them
    allowances: Sequence[CompiledAllowance]
    allowance_numbers: Mapping[str, int]  # "offering/allowance" -> row
    counters: Sequence[tuple[str, str]]  # (counter, CounterScope value)
    supplier_tariffs: Mapping[str, str]
    reseller_tariffs: Mapping[str, str]
    asks_origin: bool  # some rule or allowance looks at the zone of the calling number

    def zone_of(self, *, rule: int, zone_set: int) -> int:
        """The zone by which a rule was found at a prefix: the first it names of those that stand there; -1 for none."""
        if zone_set < 0:
            return -1
        standing = self.selector.zones.zone_sets[zone_set]
        return next((zone for zone in self.rule_zones.get(rule, ()) if zone in standing), -1)

    @property
    def boundaries_ms(self) -> Int64s:
        """Instants at which a rule begins or ceases to be valid."""
        return self.selector.boundaries_ms
