"""Fields of a block of records as columns: text, numbers, instants, JSON. No Python object is made for a record."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl
import pyarrow as pa

from millicent.kit.clock import zone_transitions
from millicent.kit.errors import BadInput
from millicent.kit.kernels import Int32s, Int64s, UInt8s
from millicent.network.kernel import text, values

# strptime letters -> steps of the kernel.
_LETTERS = {
    "Y": (values.YEAR,),
    "y": (values.YEAR_SHORT,),
    "m": (values.MONTH,),
    "b": (values.MONTH_NAME,),
    "a": (values.DAY_NAME,),
    "d": (values.DAY,),
    "e": (values.DAY,),
    "H": (values.HOUR,),
    "I": (values.HOUR_12,),
    "p": (values.HALF,),
    "M": (values.MINUTE,),
    "S": (values.SECOND,),
    "f": (values.FRACTION,),
    "z": (values.OFFSET,),
    "Z": (values.WORD,),
    "F": (values.YEAR, 45, values.MONTH, 45, values.DAY),
    "T": (values.HOUR, 58, values.MINUTE, 58, values.SECOND),
}
ISO_PATTERN = "%FT%T%f%z"
EPOCHS = {"epoch": (1_000, 1), "epoch_ms": (1, 1), "epoch_us": (1, 1_000), "epoch_ns": (1, 1_000_000)}
# unit -> (multiply, divide) to whole milliseconds
DURATION_UNITS = {
    "ms": (1, 1),
    "s": (1_000, 1),
    "us": (1, 1_000),
    "min": (60_000, 1),
    "h": (3_600_000, 1),
    "ds": (100, 1),
}
# unit -> (multiply, divide) to whole bytes
VOLUME_UNITS = {
    "B": (1, 1),
    "kB": (1_000, 1),
    "KiB": (1_024, 1),
    "MB": (1_000_000, 1),
    "MiB": (1_048_576, 1),
    "GB": (1_000_000_000, 1),
    "GiB": (1_073_741_824, 1),
    "bit": (1, 8),
}


@dataclass(frozen=True, slots=True)
class Read:
    """A column of numbers with the kernel's status for each: READ, EMPTY or WRONG."""

    value: Int64s
    status: UInt8s


@lru_cache(maxsize=256)
def time_steps(pattern: str) -> Int32s:
    """Compile a strptime-like pattern, for example "%d/%m/%Y %H:%M". A letter we do not know is refused."""
    steps: list[int] = []
    letters = iter(pattern)
    for letter in letters:
        if letter != "%":
            steps.extend(letter.encode())
            continue
        code = next(letters, "")
        if code not in _LETTERS:
            raise BadInput(f"%{code} is not known in the time pattern {pattern!r}", where="time", cure="See the guide.")
        if code == "f" and steps and steps[-1] in (46, 44):
            steps.pop()  # the step of a fraction reads its point or comma itself
        steps.extend(_LETTERS[code])
    return np.array(steps, np.int32)


@lru_cache(maxsize=64)
def local_switches(zone: str) -> tuple[Int64s, Int64s]:
    """The local times from which each offset of a zone holds: an hour that comes twice has the earlier."""
    transitions = zone_transitions(zone)
    offset = transitions.offset_ms
    switch = transitions.instant_ms.copy()
    switch[1:] += np.maximum(offset[1:], offset[:-1])
    return switch, offset


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """Positions of every field of a block of records in its bytes."""

    buffer: UInt8s  # [b]
    start: Int32s  # [n, f] -1: absent
    end: Int32s  # [n, f]
    style: UInt8s  # [n, f]
    foreign: UInt8s  # [n] 1: the record is not UTF-8

    @property
    def height(self) -> int:
        return int(self.start.shape[0])

    def rows(self, wanted: Int64s) -> "Fields":
        return Fields(
            buffer=self.buffer,
            start=self.start[wanted],
            end=self.end[wanted],
            style=self.style[wanted],
            foreign=self.foreign[wanted],
        )

    def columns(self, places: Sequence[int]) -> "Fields":
        return Fields(
            buffer=self.buffer,
            start=np.ascontiguousarray(self.start[:, places]),
            end=np.ascontiguousarray(self.end[:, places]),
            style=np.ascontiguousarray(self.style[:, places]),
            foreign=self.foreign,
        )

    def _positions(self, column: int) -> tuple[Int32s, Int32s]:
        return np.ascontiguousarray(self.start[:, column]), np.ascontiguousarray(self.end[:, column])

    def text(self, column: int) -> pl.Series:
        start, end = self._positions(column)
        style: UInt8s = np.ascontiguousarray(self.style[:, column])
        room = text.measure_text(start, end, self.foreign)
        out, offsets = np.empty(room, np.uint8), np.empty(self.height + 1, np.int64)
        written = text.gather_text(self.buffer, start, end, style, self.foreign, out, offsets)
        return text_series(out[:written], offsets)

    def scaled(self, column: int, *, multiply: int = 1, divide: int = 1) -> Read:
        start, end = self._positions(column)
        value, status = np.empty(self.height, np.int64), np.empty(self.height, np.uint8)
        values.read_scaled(self.buffer, start, end, multiply, divide, value, status)
        return Read(value, status)

    def instants(self, column: int, *, pattern: str, zone: str) -> Read:
        """UTC milliseconds by a pattern, or by one of the EPOCHS."""
        if pattern in EPOCHS:
            multiply, divide = EPOCHS[pattern]
            return self.scaled(column, multiply=multiply, divide=divide)
        start, end = self._positions(column)
        value, status = np.empty(self.height, np.int64), np.empty(self.height, np.uint8)
        switch, offset = local_switches(zone)
        values.read_instants(self.buffer, start, end, time_steps(pattern), switch, offset, value, status)
        return Read(value, status)

    def json(self, columns: Sequence[tuple[str, int]]) -> pl.Series:
        """One JSON object of the named columns for each record, without those that are empty."""
        if not columns:
            return pl.repeat("", self.height, dtype=pl.String, eager=True)
        places = [column for _, column in columns]
        names = tuple(name for name, _ in columns)
        chosen = self.columns(places)
        group, leader = np.empty(self.height, np.int32), np.empty(_MOST_GROUPS, np.int64)
        groups = text.group_rows(self.buffer, chosen.start, chosen.end, self.foreign, group, leader)
        if groups < 0:
            return chosen._write_json(names)
        return chosen.rows(leader[:groups])._write_json(names).gather(pl.Series(group))

    def _write_json(self, names: tuple[str, ...]) -> pl.Series:
        joined, name_offsets = _json_names(names)
        out = np.empty(text.measure_json(self.start, self.end, joined.size), np.uint8)
        offsets = np.empty(self.height + 1, np.int64)
        written = text.gather_json(
            self.buffer, self.start, self.end, self.style, self.foreign, joined, name_offsets, out, offsets
        )
        return text_series(out[:written], offsets)


_MOST_GROUPS = 16_384


@lru_cache(maxsize=64)
def _json_names(names: tuple[str, ...]) -> tuple[UInt8s, Int64s]:
    written = [json.dumps(name).encode() + b":" for name in names]
    return np.frombuffer(b"".join(written), np.uint8), np.cumsum([0, *map(len, written)], dtype=np.int64)


def text_series(content: UInt8s, offsets: Int64s) -> pl.Series:
    """Bytes that are known to be UTF-8 become a text column without a copy on our side."""
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(content)]
    array = pa.LargeStringArray.from_buffers(offsets.size - 1, buffers[1], buffers[2])
    series = pl.from_arrow(array)
    assert isinstance(series, pl.Series)
    return series


def first_filled(columns: Sequence[pl.Series]) -> pl.Series:
    """For each record the first of the columns that is not empty, else ""."""
    filled = columns[0]
    for column in columns[1:]:
        empty = filled == ""
        if not empty.any():
            return filled
        filled = filled.zip_with(~empty, column)
    return filled
