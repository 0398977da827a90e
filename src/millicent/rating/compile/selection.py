"""What a class of usage finds in a tariff: resolved once in plain Python, then read by the kernel.

All selectors but destination and time collapse into a class, one number for each distinct combination that comes by.
A pick is a tariff seen by a class in an epoch (between two validity boundaries of its rules). So the kernel has no
selector logic, and combinations that never occur cost nothing.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from millicent.catalog.types import Match, NetworkZone, Tariff, TariffRule
from millicent.kit.kernels import Int32s, Int64s, UInt8s
from millicent.rating.compile.places import ZoneTables
from millicent.rating.compile.schedules import Candidate, ScheduleTables
from millicent.rating.compile.tables import Table
from millicent.rating.kernel.arrays import (
    CASE_COLUMNS,
    LARGEST,
    NOTHING,
    PICK_COLUMNS,
    SMALLEST,
    SURCHARGE_COLUMNS,
    Selection,
)


class UsageClass(NamedTuple):
    """Everything rules and allowances may ask of a usage, but destination and time."""

    service: str
    direction: str
    call_type: str
    origin_place: int
    visited_network: str
    segment: str
    attributes: tuple[str, ...]  # values of the attributes that the catalogue asks for, in its order


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledRule:
    """A rule with its places in the tables. `placements` are (zone set, case); `root_case` when it asks for no zone."""

    rule: TariffRule
    order: int
    placements: tuple[tuple[int, int], ...]
    root_case: int
    places_row: int  # of surcharges: row of the table of places


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledTariff:
    tariff: Tariff
    number: int
    calendar: int
    rules: tuple[CompiledRule, ...]


@dataclass(slots=True)
class Selector:
    """The growing part of a program: classes seen, picks resolved, their schedules. One thread at a time."""

    tariffs: Sequence[CompiledTariff]
    schedules: ScheduleTables
    cases: Table[np.int32]
    zones: ZoneTables
    network_zones: dict[str, NetworkZone]
    allowance_matches: Sequence[Match]
    attribute_names: tuple[str, ...]
    boundaries_ms: Int64s = field(init=False)
    pick: Table[np.int32] = field(default_factory=lambda: Table(PICK_COLUMNS, np.int32))
    above: Table[np.int32] = field(init=False)
    below: Table[np.int32] = field(init=False)
    surcharge: Table[np.int32] = field(default_factory=lambda: Table(SURCHARGE_COLUMNS, np.int32))
    class_allowance: Table[np.uint8] = field(init=False)
    classes: dict[UsageClass, int] = field(default_factory=dict)
    class_list: list[UsageClass] = field(default_factory=list)
    _picks: dict[tuple[int, int, int], int] = field(default_factory=dict)
    _arrays: Selection | None = None

    def __post_init__(self) -> None:
        self.above = Table(len(self.zones.zone_sets), np.int32)
        self.below = Table(len(self.zones.zone_sets), np.int32)
        self.class_allowance = Table(len(self.allowance_matches), np.uint8)
        edges = {
            edge
            for tariff in self.tariffs
            for compiled in tariff.rules
            for edge in (compiled.rule.valid_from_ms, compiled.rule.valid_until_ms)
            if edge is not None
        }
        self.boundaries_ms = np.array(sorted(edges), np.int64)

    def class_number(self, usage_class: UsageClass) -> int:
        """The class's number; a new class is matched against every allowance once."""
        known = self.classes.get(usage_class)
        if known is None:
            known = self.classes[usage_class] = len(self.classes)
            self.class_list.append(usage_class)
            self.class_allowance.add([int(self.matches(match, usage_class)) for match in self.allowance_matches])
            self._arrays = None
        return known

    def epoch_of(self, instant_ms: int) -> int:
        return bisect_right(self.boundaries_ms.tolist(), instant_ms)

    def pick_number(self, tariff: int, class_number: int, epoch: int) -> int:
        """The pick's row, resolved now when it is new."""
        key = (tariff, class_number, epoch)
        if key not in self._picks:
            self._picks[key] = self._resolve(self.tariffs[tariff], self.class_list[class_number], epoch)
            self._arrays = None
        return self._picks[key]

    def arrays(self) -> Selection:
        """The tables as they are now."""
        if self._arrays is None:
            segments = self.schedules.segment.array()
            self._arrays = Selection(
                schedule=self.schedules.schedule.array(),
                segment_start=np.ascontiguousarray(segments[:, 0]),
                segment_case=np.ascontiguousarray(segments[:, 1]),
                segment_last=np.ascontiguousarray(segments[:, 2].astype(np.uint8)),
                case=self.cases.array(),
                pick=self.pick.array(),
                above=self.above.array(),
                below=self.below.array(),
                surcharge=self.surcharge.array(),
                class_allowance=self.class_allowance.array(),
            )
        return self._arrays

    def matches(self, match: Match, usage: UsageClass) -> bool:
        """Whether all that is asked of a class holds."""
        asked = (
            (match.services, usage.service),
            (match.directions, usage.direction),
            (match.call_types, usage.call_type),
            (match.segments, usage.segment),
        )
        return (
            all(not wanted or value in wanted for wanted, value in asked)
            and (not match.origin_zones or self._lies_in(usage.origin_place, match.origin_zones))
            and (not match.visited_zones or self._visits(usage.visited_network, match.visited_zones))
            and all(self._attribute(usage, name) in wanted for name, wanted in match.attributes.items())
        )

    def _attribute(self, usage: UsageClass, name: str) -> str:
        return usage.attributes[self.attribute_names.index(name)]

    def _lies_in(self, place: int, zones: tuple[str, ...]) -> bool:
        return any(zone in self.zones.places[place] for zone in self.zones.expand(zones))

    def _visits(self, network: str, zones: tuple[str, ...]) -> bool:
        """Whether a network, or its country, belongs to one of the zones."""
        if not network:
            return False
        return any(network in self.network_zones[zone].networks or network[:3] in self.network_zones[zone].networks
                   for zone in zones)  # fmt: skip

    def _valid(self, rule: TariffRule, epoch: int) -> bool:
        instant = int(self.boundaries_ms[epoch - 1]) if epoch else SMALLEST
        starts = SMALLEST if rule.valid_from_ms is None else rule.valid_from_ms
        ends = LARGEST if rule.valid_until_ms is None else rule.valid_until_ms
        return starts <= instant < ends

    def _resolve(self, tariff: CompiledTariff, usage: UsageClass, epoch: int) -> int:
        rules = [
            each for each in tariff.rules if self._valid(each.rule, epoch) and self.matches(each.rule.match, usage)
        ]
        base = [each for each in rules if not each.rule.surcharge]
        above: dict[int, list[Candidate]] = {}
        below: dict[int, list[Candidate]] = {}
        root: list[Candidate] = []
        for each in base:
            for zone_set, case in each.placements:
                (above if each.rule.priority >= 0 else below).setdefault(zone_set, []).append(_candidate(each, case))
            if each.root_case >= 0:
                root.append(_candidate(each, each.root_case))
        surcharges = [each for each in rules if each.rule.surcharge]
        first_surcharge = len(self.surcharge)
        for each in surcharges:
            schedule = self.schedules.add(tariff.calendar, (_candidate(each, each.root_case),))
            self.surcharge.add((schedule, each.places_row))
        self.above.add_block(self._zone_row(tariff, above))
        self.below.add_block(self._zone_row(tariff, below))
        return self.pick.add(
            (
                tariff.number,
                self.schedules.add(tariff.calendar, tuple(root)) if root else NOTHING,
                int(bool(tariff.tariff.decks) and usage.service == tariff.tariff.deck_service),
                first_surcharge,
                len(surcharges),
                int(bool(below)),
            )
        )

    def _zone_row(self, tariff: CompiledTariff, candidates: dict[int, list[Candidate]]) -> Int32s:
        row = np.full((1, len(self.zones.zone_sets)), NOTHING, np.int32)
        for zone_set, found in candidates.items():
            row[0, zone_set] = self.schedules.add(tariff.calendar, tuple(found))
        return row


def _candidate(compiled: CompiledRule, case: int) -> Candidate:
    rule = compiled.rule
    return Candidate(priority=rule.priority, order=compiled.order, bands=rule.match.bands, case=case)


def empty_cases() -> Table[np.int32]:
    return Table(CASE_COLUMNS, np.int32)


def used_zone_sets(tariffs: Sequence[CompiledTariff], zone_sets: int) -> UInt8s:
    """[tariffs, zone sets] 1 where some base rule of the tariff asks for a zone of the set."""
    used = np.zeros((len(tariffs), max(zone_sets, 1)), np.uint8)
    for tariff in tariffs:
        for each in tariff.rules:
            for zone_set, _ in each.placements:
                used[tariff.number, zone_set] = 1
    return used
