"""Columns of numbers to columns of keys, through the text's own buffers: no Python object for a number."""

import numpy as np
import polars as pl
import pyarrow as pa

from millicent.kit.kernels import Int8s, Int64s
from millicent.rating.kernel.number import parse_numbers


def number_keys(numbers: pl.Series) -> tuple[Int64s, Int8s]:
    """Keys and digit counts of a String column without nulls. See `kernel.number`."""
    text = numbers.to_arrow().cast(pa.large_string())
    if isinstance(text, pa.ChunkedArray):
        text = text.combine_chunks()
    rows = len(text)
    _, offsets, letters = text.buffers()
    end = np.frombuffer(offsets, np.int64)[text.offset : text.offset + rows + 1] if rows else np.zeros(1, np.int64)
    content = np.frombuffer(letters, np.uint8) if letters is not None and letters.size else np.zeros(1, np.uint8)
    key, digits = np.empty(rows, np.int64), np.empty(rows, np.int8)
    parse_numbers(content, end, key, digits)
    return key, digits
