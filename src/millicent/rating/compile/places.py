"""Zones, and which of them a number lies in.

A *zone set* is what stands at one very prefix: rules look there, prefix by prefix. A *place* is where a number lies in
each zone map: the zone with its longest prefix; allowances, surcharges and origin selectors ask for that.
"""

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from millicent.catalog.types import Catalogue
from millicent.kit.errors import BadInput
from millicent.kit.kernels import Int8s, Int32s, Int64s, UInt8s
from millicent.rating.compile.numbers import number_keys
from millicent.rating.compile.tables import Names


@dataclass(slots=True)
class ZoneTables:
    """Zones of all maps side by side. `prefix_*` hold each prefix once, with the zone set that stands there."""

    zones: Names[str]  # "map/zone"
    zones_of_map: dict[str, list[int]]
    zone_sets: list[tuple[int, ...]]
    zone_sets_of_zone: dict[int, list[int]]
    prefix_key: Int64s
    prefix_digits: Int8s
    prefix_zone_set: Int32s
    map_of_zone: list[int]
    places: list[tuple[int, ...]] = field(default_factory=list)  # zone of each map, or -1; place 0 is nowhere

    def expand(self, names: tuple[str, ...]) -> list[int]:
        """Zone numbers of "map/zone" and of "map" (all its zones)."""
        found: list[int] = []
        for name in names:
            if name in self.zones_of_map:
                found.extend(self.zones_of_map[name])
            elif name in self.zones.number:
                found.append(self.zones.number[name])
            else:
                raise BadInput(f"there is no zone {name!r}", where=name, cure="Name it as map/zone, or a whole map.")
        return found

    def places_within(self, names: tuple[str, ...]) -> UInt8s:
        """For each place, 1 when it lies in one of the zones; no names ask nothing."""
        if not names:
            return np.ones(len(self.places), np.uint8)
        wanted = np.isin(np.array(self.places, np.int64).reshape(len(self.places), -1), self.expand(names))
        return np.ascontiguousarray(wanted.any(axis=1), np.uint8)


def zone_tables(catalogue: Catalogue) -> ZoneTables:
    """Number the zones and gather their prefixes."""
    zones: Names[str] = Names()
    zones_of_map: dict[str, list[int]] = {}
    map_of_zone: list[int] = []
    texts: list[str] = []
    holders: list[int] = []
    for place, (code, zone_map) in enumerate(catalogue.zone_maps.items()):
        zones_of_map[code] = []
        for zone in zone_map.zones:
            number = zones.of(f"{code}/{zone.code}")
            zones_of_map[code].append(number)
            map_of_zone.append(place)
            texts.extend(zone.prefixes)
            holders.extend([number] * len(zone.prefixes))
    key, digits = checked_keys(texts, where="zone maps")
    held: dict[int, set[int]] = {}
    for code_of_prefix, holder in zip((key * 16 + digits).tolist(), holders, strict=True):
        held.setdefault(code_of_prefix, set()).add(holder)
    zone_sets: Names[tuple[int, ...]] = Names()
    codes = sorted(held)
    numbers = [zone_sets.of(tuple(sorted(held[each]))) for each in codes]
    of_zone: dict[int, list[int]] = {}
    for number, members in enumerate(zone_sets.names):
        for zone_number in members:
            of_zone.setdefault(zone_number, []).append(number)
    packed = np.array(codes, np.int64)
    return ZoneTables(
        zones=zones,
        zones_of_map=zones_of_map,
        zone_sets=zone_sets.names,
        zone_sets_of_zone=of_zone,
        prefix_key=packed // 16,
        prefix_digits=(packed % 16).astype(np.int8),
        prefix_zone_set=np.array(numbers, np.int32),
        map_of_zone=map_of_zone,
    )


def checked_keys(texts: list[str] | tuple[str, ...], *, where: str) -> tuple[Int64s, Int8s]:
    """Keys of prefixes; one that is no prefix is named."""
    key, digits = number_keys(pl.Series("prefix", texts, dtype=pl.String))
    wrong = np.flatnonzero(digits <= 0)
    if len(wrong):
        raise BadInput(f"{texts[wrong[0]]!r} is not a prefix", where=where, cure='Use digits, or "short:" and digits.')
    return key, digits


def find_places(tables: ZoneTables, parent: Int32s, zone_set: Int32s, maps: int) -> Int32s:
    """Number the places of the nodes of the set without decks; parents stand before their children."""
    places: Names[tuple[int, ...]] = Names()
    nowhere = places.of((-1,) * maps)
    place = np.empty(len(parent), np.int32)
    for node, (above, members) in enumerate(zip(parent.tolist(), zone_set.tolist(), strict=True)):
        inherited = list(places.names[place[above] if above >= 0 else nowhere])
        for zone in tables.zone_sets[members]:
            inherited[tables.map_of_zone[zone]] = zone
        place[node] = places.of(tuple(inherited))
    tables.places = places.names
    return place
