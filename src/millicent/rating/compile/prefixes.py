"""Prefix sets: the zones of the catalogue together with the decks of a tariff. Same decks, same set."""

from dataclasses import dataclass, field

import numpy as np

from millicent.kit.kernels import Int8s, Int32s, Int64s
from millicent.rating.compile.places import ZoneTables, find_places
from millicent.rating.kernel.arrays import (
    ENTRY_COLUMNS,
    NODE_COLUMNS,
    NODE_DECK_COUNT,
    NODE_DECK_FIRST,
    NODE_LENGTH,
    NODE_PARENT,
    NODE_PLACE,
    NODE_ZONE_SET,
    NOTHING,
    SHORT_CODES,
    Prefixes,
)
from millicent.rating.kernel.prefix import NARROW_CELL, WIDE_CELL, find_nodes, flatten_prefixes

WIDE_FROM_PREFIXES = 200_000  # from so many on, a cell for each first five digits pays


@dataclass(frozen=True, slots=True, kw_only=True)
class DeckRows:
    """The rows of one deck as the kernel wants them."""

    key: Int64s
    digits: Int8s
    entry: Int64s  # [n, ENTRY_COLUMNS]


@dataclass(slots=True)
class PrefixTables:
    """Prefix sets of a program while it is compiled. Set 0 holds the zones alone."""

    zones: ZoneTables
    maps: int
    index_first: list[int] = field(default_factory=list)
    wide: list[int] = field(default_factory=list)
    index: list[Int32s] = field(default_factory=list)
    range_start: list[Int64s] = field(default_factory=list)
    range_node: list[Int64s] = field(default_factory=list)
    node: list[Int32s] = field(default_factory=list)
    entry: list[Int64s] = field(default_factory=list)
    known: dict[tuple[str, ...], int] = field(default_factory=dict)

    def add(self, codes: tuple[str, ...], decks: list[DeckRows]) -> int:
        """The number of the set of these decks; the deck named first answers first."""
        if codes not in self.known:
            self.known[codes] = self._build(decks)
        return self.known[codes]

    def arrays(self) -> Prefixes:
        return Prefixes(
            set_index_first=np.array(self.index_first, np.int64),
            set_wide=np.array(self.wide, np.int8),
            cells=np.concatenate(self.index),
            range=np.ascontiguousarray(
                np.stack([np.concatenate(self.range_start), np.concatenate(self.range_node)], 1)
            ),
            node=np.ascontiguousarray(np.concatenate(self.node)),
            deck_entry=np.ascontiguousarray(np.concatenate(self.entry)),
        )

    def _build(self, decks: list[DeckRows]) -> int:
        zone_codes = self.zones.prefix_key * 16 + self.zones.prefix_digits
        deck_codes = [deck.key * 16 + deck.digits for deck in decks]
        codes = np.unique(np.concatenate([zone_codes, *deck_codes]))
        node = np.zeros((len(codes), NODE_COLUMNS), np.int32)
        node[:, NODE_LENGTH] = codes % 16
        node[:, NODE_ZONE_SET] = NOTHING
        node[np.searchsorted(codes, zone_codes), NODE_ZONE_SET] = self.zones.prefix_zone_set
        self._add_entries(node, codes, deck_codes, decks)
        self._add_ranges(node, codes // 16)
        return len(self.index_first) - 1

    def _add_entries(self, node: Int32s, codes: Int64s, deck_codes: list[Int64s], decks: list[DeckRows]) -> None:
        first = sum(map(len, self.entry))
        if not decks:
            self.entry.append(np.zeros((0, ENTRY_COLUMNS), np.int64))
            return
        all_codes = np.concatenate(deck_codes)
        order = np.argsort(all_codes, kind="stable")
        holders = np.searchsorted(codes, all_codes[order])
        counts = np.bincount(holders, minlength=len(codes))
        node[:, NODE_DECK_COUNT] = counts
        node[:, NODE_DECK_FIRST] = first + np.cumsum(counts) - counts
        self.entry.append(np.concatenate([deck.entry for deck in decks])[order])

    def _add_ranges(self, node: Int32s, key: Int64s) -> None:
        count = len(node)
        parent = np.empty(count, np.int32)
        start, holder = np.empty(2 * count + 1, np.int64), np.empty(2 * count + 1, np.int32)
        length = np.ascontiguousarray(node[:, NODE_LENGTH])
        ranges = flatten_prefixes(key, length, parent, start, holder)
        start, holder = start[:ranges], holder[:ranges]
        node[:, NODE_PLACE] = self._places(node, parent, key, length)
        first_node, first_range = sum(map(len, self.node)), sum(map(len, self.range_start))
        node[:, NODE_PARENT] = np.where(parent >= 0, parent + first_node, NOTHING)
        wide = count >= WIDE_FROM_PREFIXES
        cell = WIDE_CELL if wide else NARROW_CELL
        edges = np.arange(2 * SHORT_CODES // cell + 1, dtype=np.int64) * cell
        index = np.searchsorted(start, edges, side="right") - 1 + first_range
        self.index_first.append(sum(map(len, self.index)))
        self.wide.append(int(wide))
        self.index.append(index.astype(np.int32))
        self.range_start.append(start)
        self.range_node.append(np.where(holder >= 0, holder + first_node, NOTHING).astype(np.int64))
        self.node.append(node)

    def _places(self, node: Int32s, parent: Int32s, key: Int64s, length: Int32s) -> Int32s:
        """Where each prefix lies: set 0 finds the places, the others look them up there."""
        if not self.index_first:
            return find_places(self.zones, parent, np.ascontiguousarray(node[:, NODE_ZONE_SET]), self.maps)
        found = np.empty(len(node), np.int32)
        bare = self.arrays()
        find_nodes(bare, 0, key, length.astype(np.int8), found)
        return np.where(found >= 0, bare.node[found, NODE_PLACE] if len(bare.node) else 0, 0).astype(np.int32)
