"""Programs as the shard's loop reads them, and what a traffic under a plan is to each: resolved once, then a table."""

import json
from dataclasses import dataclass, field

import numpy as np

from millicent.catalog.types import AllowanceKind, Measure
from millicent.charging.kernel.layout import (
    COMBINATION_COLUMNS,
    COMBINATION_CURRENCY,
    COMBINATION_INCOMING,
    COMBINATION_PICK,
    COMBINATION_REASON,
    COMBINATION_SERVICE,
    COMBINATION_UNIT,
    FACT_ENDLESS,
    FACT_MONEY,
    FACT_PER_MEMBER,
    FACT_RANK,
    FACT_SPECIFICITY,
    FACTS,
    UNRESOLVED,
    Program,
)
from millicent.charging.keys import SEPARATOR
from millicent.charging.names import Names
from millicent.charging.types import NOT_SAID, NameKind
from millicent.charging.types_map import UNIT_OF
from millicent.kit.kernels import Int32s, Int64s
from millicent.rating.compile.selection import UsageClass
from millicent.rating.kernel.arrays import CASE_RULE, CASE_ZONE, NOTHING
from millicent.rating.program import TariffProgram
from millicent.rating.services.run_kernel import plain
from millicent.rating.types import Reason

_ROOM = 16


@dataclass(slots=True)
class LoadedProgram:
    """One release: its program, and the combinations of plan and traffic that came by."""

    effective_from_ms: int
    release: int
    program: TariffProgram
    names: Names
    combination_of: Int32s = field(init=False)  # [epochs, plans, traffics, origins]
    combination: Int32s = field(init=False)  # [room, COMBINATION_COLUMNS]
    boundary_ms: Int64s = field(init=False)
    _count: int = 0
    _arrays: Program | None = None
    _selection: object = None
    _said: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.boundary_ms = np.array(self.program.boundaries_ms, np.int64)
        origins = len(self.program.selector.zones.places) if self.program.asks_origin else 1
        self.combination_of = np.full((len(self.boundary_ms) + 1, _ROOM, _ROOM, origins), UNRESOLVED, np.int32)
        self.combination = np.zeros((_ROOM, COMBINATION_COLUMNS), np.int32)

    def arrays(self) -> Program:
        """The program's tables, as they are after what was resolved."""
        selection = self.program.selector.arrays()
        if self._arrays is None or self._selection is not selection:
            self._selection = selection
            self._arrays = Program(
                prefixes=plain(self.program.prefixes),
                calendars=plain(self.program.calendars),
                prices=plain(self.program.prices),
                selection=plain(selection),
            )
        return self._arrays

    def rule_and_zone(self, *, case: int, zone_set: int) -> tuple[int, int]:
        """Names of the rule and of the zone by which a usage was priced, NOT_SAID where there is none.

        Numbers of cases are the program's own; names mean the same for ever.
        """
        known = self._said.get((case, zone_set))
        if known is None:
            known = self._said[case, zone_set] = self._rule_and_zone(case, zone_set)
        return known

    def _rule_and_zone(self, case: int, zone_set: int) -> tuple[int, int]:
        cases = self.program.selector.arrays().case
        if not 0 <= case < len(cases):
            return NOT_SAID, NOT_SAID
        rule, zone = int(cases[case, CASE_RULE]), int(cases[case, CASE_ZONE])
        if zone_set >= 0:
            zone = self.program.zone_of(rule=rule, zone_set=zone_set)
        return (
            self.names.number_of(NameKind.RULE, self.program.rule_names[rule]) if rule >= 0 else NOT_SAID,
            self.names.number_of(NameKind.ZONE, self.program.zone_names[zone]) if zone >= 0 else NOT_SAID,
        )

    def resolve(self, *, plan: int, traffic: int, epoch: int, origin: int) -> None:
        """Find out what a traffic is under a plan, and write it into the tables that the loop reads.

        `origin` is the place where the calling number lies, 0 where no rule looks at it.
        """
        row = self._combination(plan=plan, traffic=traffic, epoch=epoch, origin=origin)
        if self._count == len(self.combination):
            self.combination = np.concatenate([self.combination, np.zeros_like(self.combination)])
        self.combination[self._count] = row
        self._make_room(plan=plan, traffic=traffic)
        self.combination_of[epoch, plan, traffic, origin] = self._count
        self._count += 1

    def _make_room(self, *, plan: int, traffic: int) -> None:
        epochs, plans, traffics, origins = self.combination_of.shape
        wanted = (_power_of_two(max(plans, plan + 1)), _power_of_two(max(traffics, traffic + 1)))
        if wanted != (plans, traffics):
            grown = np.full((epochs, *wanted, origins), UNRESOLVED, np.int32)
            grown[:, :plans, :traffics] = self.combination_of
            self.combination_of = grown

    def _combination(self, *, plan: int, traffic: int, epoch: int, origin: int) -> Int32s:
        row = np.full(COMBINATION_COLUMNS, NOTHING, np.int32)
        tariff_code, _, segment = self.names.text_of(NameKind.PLAN, plan).partition(SEPARATOR)
        said = [*self.names.text_of(NameKind.TRAFFIC, traffic).split(SEPARATOR), "", "", "", "", ""]
        service, direction, call_type, visited, attributes = said[:5]
        specification = self.program.specifications.get(service)
        tariff = self.program.tariff_numbers.get(tariff_code)
        row[COMBINATION_REASON] = Reason.PRICED
        row[COMBINATION_INCOMING] = direction == "terminating"
        if specification is None or tariff is None:
            row[COMBINATION_REASON] = Reason.UNKNOWN_SERVICE if specification is None else Reason.NO_TARIFF
            return row
        selector = self.program.selector
        usage_class = selector.class_number(
            UsageClass(
                service=service,
                direction=direction or "originating",
                call_type=call_type,
                origin_place=origin,
                visited_network=visited,
                segment=segment,
                attributes=_attributes(attributes, selector.attribute_names),
            )
        )
        row[0] = usage_class
        row[COMBINATION_PICK] = selector.pick_number(tariff, usage_class, epoch)
        row[COMBINATION_UNIT] = UNIT_OF[Measure(specification.measure)]
        row[COMBINATION_SERVICE] = self.names.number_of(NameKind.SERVICE, service)
        row[COMBINATION_CURRENCY] = self.names.number_of(NameKind.CURRENCY, self.program.currencies[tariff])
        return row


def _power_of_two(size: int) -> int:
    return 1 << (size - 1).bit_length()


def _attributes(document: str, asked: tuple[str, ...]) -> tuple[str, ...]:
    """The values a catalogue asks for as text, "" where the usage does not carry one, as rating reads them."""
    said = json.loads(document) if document else {}
    values = (said.get(name) for name in asked)
    return tuple(
        "" if value is None else value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
        for value in values
    )


def allowance_rows(programs: list[LoadedProgram], names: Names) -> tuple[Int32s, Int64s]:
    """[programs, names] row of each allowance in each program; [names, FACTS] what the newest that knows it says."""
    texts = names.texts(NameKind.ALLOWANCE)
    size = _power_of_two(max(len(texts), _ROOM))
    rows = np.full((len(programs), size), NOTHING, np.int32)
    facts = np.zeros((size, FACTS), np.int64)
    for loaded in sorted(programs, key=lambda each: each.release):
        at = programs.index(loaded)
        known = loaded.program.allowance_numbers
        for name, text in enumerate(texts):
            row = known.get(text)
            if row is None:
                continue
            compiled = loaded.program.allowances[row]
            rows[at, name] = row
            facts[name, FACT_SPECIFICITY], facts[name, FACT_RANK] = compiled.rank
            facts[name, FACT_MONEY] = compiled.allowance.kind is AllowanceKind.MONEY
            facts[name, FACT_PER_MEMBER] = compiled.allowance.member_cap is not None
            facts[name, FACT_ENDLESS] = compiled.allowance.unlimited
    return rows, facts
