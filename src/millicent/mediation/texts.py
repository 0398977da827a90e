"""Columns of text as two flat arrays, which is how kernels read and write them."""

from hashlib import blake2b

import numpy as np
import polars as pl
import pyarrow as pa

from millicent.kit.kernels import Int8s, Int64s, UInt8s, UInt64s
from millicent.mediation.kernel.hashing import hash_texts

_NO_KIND: Int8s = np.zeros(0, np.int8)


def flat(column: pl.Series) -> tuple[UInt8s, Int64s]:
    """All bytes behind each other, and where each string begins; one more offset than rows. Null reads as ""."""
    array = column.fill_null("").to_arrow(compat_level=pl.CompatLevel.oldest())
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    array = array.cast(pa.large_string())
    _, offsets, text = array.buffers()
    start = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1] if len(array) else _EMPTY
    return np.frombuffer(text or b"", np.uint8), start


_EMPTY: Int64s = np.zeros(1, np.int64)


def from_flat(text: UInt8s, offsets: Int64s, *, name: str) -> pl.Series:
    """The inverse of `flat`: bytes must be UTF-8."""
    array = pa.LargeStringArray.from_buffers(
        len(offsets) - 1, pa.py_buffer(np.ascontiguousarray(offsets)), pa.py_buffer(np.ascontiguousarray(text))
    )
    return pl.Series(name, pl.from_arrow(array), dtype=pl.String)


def seed_of(name: str) -> tuple[int, int]:
    """Two words that keep the hashes of one name space apart from those of another."""
    digest = blake2b(name.encode(), digest_size=16).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")


def hashes(column: pl.Series, *, names: list[str], kind: Int8s = _NO_KIND) -> tuple[UInt64s, UInt64s]:
    """128-bit hashes of a text column; row i is hashed in the name space `names[kind[i]]`, or all in the only one."""
    text, offsets = flat(column)
    high, low = np.empty(len(column), np.uint64), np.empty(len(column), np.uint64)
    seeds = np.array([word for name in names for word in seed_of(name)], np.uint64)
    with np.errstate(over="ignore"):  # multiplication wraps on purpose; only uncompiled runs would warn
        hash_texts(text, offsets, kind, seeds, high, low)
    return high, low
