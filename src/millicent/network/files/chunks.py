"""Makes DecodedChunks: the columns a format knows, empty values for the rest, and a fault for each other record."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import polars as pl

from millicent.kit.kernels import Int64s, UInt8s
from millicent.mediation.types import DECODED_EXTRA_COLUMNS, DecodedChunk, SuspenseReason
from millicent.rating.types import USAGE_COLUMNS

COLUMNS: Final = {**USAGE_COLUMNS, **DECODED_EXTRA_COLUMNS}
_EMPTY: Final[dict[str, Any]] = {"String": "", "Boolean": False, "Int64": 0, "UInt64": 0}
_NONE_YET = frozenset({"subscription_id", "billing_account_id", "sequence_number"})
_FORWARD: Final = {name: getattr(pl, kind)() for name, kind in COLUMNS.items()}
FAULT_SCHEMA: Final = {
    "record_number": pl.Int64(),
    "byte_offset": pl.Int64(),
    "byte_length": pl.Int64(),
    "reason": pl.Int16(),
    "detail": pl.String(),
    "raw": pl.Binary(),
}
RAW_LIMIT = 65_536


def usage_frame(known: Mapping[str, pl.Series], *, height: int) -> pl.DataFrame:
    """All decoded columns in their declared order; a column that the format does not know has its empty value."""
    columns = []
    for name, kind in _FORWARD.items():
        series = known.get(name)
        if series is None:
            empty = -1 if name in _NONE_YET else _EMPTY[COLUMNS[name]]
            columns.append(pl.repeat(empty, height, dtype=kind, eager=True).alias(name))
        else:
            columns.append(series.cast(kind).alias(name))
    return pl.DataFrame(columns)


class Faults:
    """Collects the records that stop, with their raw bytes and why, in file order."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, int, int, int, str, bytes]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, *, number: int, offset: int, raw: bytes, length: int, reason: SuspenseReason, detail: str) -> None:
        self._rows.append((number, offset, length, int(reason), detail, raw[:RAW_LIMIT]))

    def only_damaged(self) -> bool:
        return all(row[3] == SuspenseReason.DAMAGED for row in self._rows)

    @property
    def first_offset(self) -> int:
        return self._rows[0][1]

    def frame(self) -> pl.DataFrame:
        return pl.DataFrame(sorted(self._rows), schema=FAULT_SCHEMA, orient="row")


def make_chunk(usage: pl.DataFrame, faults: Faults, *, records_in: int, next_offset: int) -> DecodedChunk:
    assert records_in == usage.height + len(faults), "a record was lost between the bytes and the chunk"
    return DecodedChunk(usage=usage, faults=faults.frame(), records_in=records_in, next_offset=next_offset)


def first_reason(*reasons: UInt8s) -> UInt8s:
    """For each record the first reason that is not ACCEPTED, in the order given."""
    answer = np.zeros(reasons[0].shape[0], np.uint8)
    for reason in reasons:
        np.copyto(answer, reason, where=answer == 0)
    return answer


def whole_numbers(values: Int64s) -> pl.Series:
    return pl.Series("", values, dtype=pl.Int64)
