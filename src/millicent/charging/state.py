"""The tables of a shard in memory: room for more rows before a batch needs them, images out and in."""

from collections.abc import Iterable, Mapping

import numpy as np

from millicent.charging.kernel.layout import TABLES, Books
from millicent.charging.types import NO_LIMIT, RowImages, Rows
from millicent.kit.kernels import Int64s
from millicent.rating.kernel.arrays import NEVER

SMALLEST_ROOM = 64
# rows that a table never has more of; commands that would need them end with Result.FULL
BOUNDS: Mapping[str, int] = {"stored": 1 << 20, "lasting": 1 << 20, "deed": 1 << 18}
BOUND = 1 << 28
_RINGS = ("next_answer", "next_lasting", "next_deed")


class Tables:
    """Named structured arrays, each with room for some rows more than are used."""

    def __init__(self, bounds: Mapping[str, int] | None = None) -> None:
        self._bounds = {**{name: BOUND for name, _, _ in TABLES}, **BOUNDS, **(bounds or {})}
        self._arrays = {name: np.zeros(1 if name == "meta" else SMALLEST_ROOM, dtype) for name, dtype, _ in TABLES}
        self._counts = {name: count for name, _, count in TABLES}
        self._begin_counts()
        meta = self._arrays["meta"][0]
        meta["next_deadline_ms"] = meta["next_expiry_ms"] = NEVER
        self._arrays["subscriber"][0]["spend_limit"] = NO_LIMIT
        self.generation = 0  # rises whenever an array was replaced
        self.room = np.zeros(len(TABLES) + 1, np.int64)
        self._lay_out()

    def _begin_counts(self) -> None:
        """Row 0 of every table is in use, also of one that an older journal does not know."""
        meta = self._arrays["meta"][0]
        for field in (*self._counts.values(), *_RINGS):
            if field:
                meta[field] = max(1, int(meta[field]))

    def __getitem__(self, name: str) -> Rows:
        return self._arrays[name]

    def books(self) -> Books:
        return Books(**self._arrays)

    def count(self, name: str) -> int:
        """Rows in use, row 0 included."""
        return int(self._arrays["meta"][0][self._counts[name]]) if name != "meta" else 1

    def used(self) -> dict[str, Rows]:
        """Every table as far as it is used; views, not copies."""
        return {name: array[: self.count(name)] for name, array in self._arrays.items()}

    def make_room(self, name: str, rows: int) -> bool:
        """Have room for so many rows in all, by doubling, as far as the bound allows. Whether anything moved."""
        array = self._arrays[name]
        bound = self._bounds[name]
        if rows <= len(array) or len(array) >= bound:
            return False
        size = len(array)
        while size < rows:
            size *= 2
        grown = np.zeros(min(size, bound), array.dtype)
        grown[: len(array)] = array
        self._arrays[name] = grown
        self.generation += 1
        self._lay_out()
        return True

    def _lay_out(self) -> None:
        sizes = [len(self._arrays[name]) for name, _, _ in TABLES]
        self.room = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])

    def images(self, touched: Int64s) -> list[RowImages]:
        """Copies of the rows touched; they are numbered across all tables."""
        rows = np.sort(touched)
        edges = np.searchsorted(rows, self.room)
        return [
            self._image(name, rows[edges[number] : edges[number + 1]] - self.room[number])
            for number, (name, _, _) in enumerate(TABLES)
            if edges[number + 1] > edges[number]
        ]

    def _image(self, name: str, rows: Int64s) -> RowImages:
        """Copied as words: numpy copies structured rows field by field."""
        array = self._arrays[name]
        words = np.take(array.view(np.int64).reshape(len(array), -1), rows, axis=0)
        return RowImages(table=name, rows=rows, images=words.view(array.dtype).reshape(len(rows)))

    def put(self, images: Iterable[RowImages]) -> None:
        """Put rows where they belong."""
        for each in images:
            if len(each.rows):
                self.make_room(each.table, int(each.rows[-1]) + 1)
                self._arrays[each.table][each.rows] = each.images
                if each.table == "meta":
                    self._begin_counts()


def exact_copy(rows: Rows) -> Rows:
    """A copy to the last byte: of structured rows numpy leaves what stands between fields as the memory was."""
    copied: Rows = rows.view(f"V{rows.dtype.itemsize}").copy().view(rows.dtype)
    return copied
