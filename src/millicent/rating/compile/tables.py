"""Tables that grow row by row while compiling and are read as one array; and names that become numbers."""

from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Width = TypeVar("Width", bound=np.generic)
Name = TypeVar("Name", bound=Hashable)


class Names(Generic[Name]):
    """Each name gets the next number; the same name gets the same number."""

    def __init__(self) -> None:
        self.number: dict[Name, int] = {}
        self.names: list[Name] = []

    def of(self, name: Name) -> int:
        known = self.number.get(name)
        if known is None:
            known = self.number[name] = len(self.names)
            self.names.append(name)
        return known

    def __len__(self) -> int:
        return len(self.names)


class Table(Generic[Width]):
    """Rows of integers under named columns. `array` is contiguous and made again only after rows were added."""

    def __init__(self, columns: int, dtype: type[Width]) -> None:
        self._columns = columns
        self._dtype = dtype
        self._blocks: list[NDArray[Width]] = []
        self._pending: list[Sequence[int]] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, row: Sequence[int]) -> int:
        """Append one row; returns its number."""
        assert len(row) == self._columns, "a row has every column"
        self._pending.append(row)
        self._count += 1
        return self._count - 1

    def add_block(self, block: NDArray[Width]) -> int:
        """Append many rows; returns the number of the first."""
        first = self._count
        self._settle()
        self._blocks.append(np.ascontiguousarray(block, self._dtype))
        self._count += len(block)
        return first

    def array(self) -> NDArray[Width]:
        self._settle()
        if len(self._blocks) != 1:
            empty = np.zeros((0, self._columns), self._dtype)
            self._blocks = [np.ascontiguousarray(np.concatenate([empty, *self._blocks]))]
        return self._blocks[0]

    def _settle(self) -> None:
        if self._pending:
            self._blocks.append(np.array(self._pending, self._dtype).reshape(len(self._pending), self._columns))
            self._pending = []
