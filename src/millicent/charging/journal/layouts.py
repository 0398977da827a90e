"""How rows lie in memory, written down: what was journalled under one layout is read under any later one.

A layout is known by a digest of its description. Rows of an old layout become rows of the present one field by field,
by name: a field that is new holds zero, one that is gone is left out.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np

from millicent.charging.types import Rows

Description = Mapping[str, Any]  # what json gives back: names, formats, offsets, itemsize


@lru_cache(maxsize=256)
def description_text(dtype: np.dtype[Any]) -> str:
    """One line of JSON for a structured type, the same for equal types."""
    fields = [_field(dtype, name) for name in dtype.names or ()]
    return json.dumps(
        {
            "names": [name for name, _, _ in fields],
            "formats": [kind for _, kind, _ in fields],
            "offsets": [offset for _, _, offset in fields],
            "itemsize": dtype.itemsize,
        },
        separators=(",", ":"),
    )


def _field(dtype: np.dtype[Any], name: str) -> tuple[str, list[Any], int]:
    assert dtype.fields is not None, "only rows with named fields are journalled"
    kind, offset = dtype.fields[name][:2]
    base, shape = kind.subdtype or (kind, ())
    return name, [base.str, list(shape)], int(offset)


def layout_of(description: Description) -> np.dtype[Any]:
    """The type that a description tells of."""
    formats = [(base, tuple(shape)) if shape else base for base, shape in description["formats"]]
    return np.dtype(
        {
            "names": list(description["names"]),
            "formats": formats,
            "offsets": list(description["offsets"]),
            "itemsize": description["itemsize"],
        }
    )


@lru_cache(maxsize=256)
def layout_digest(dtype: np.dtype[Any]) -> int:
    """63 bits that tell one layout from all others."""
    return text_digest(description_text(dtype))


def text_digest(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def in_layout(rows: Rows, dtype: np.dtype[Any]) -> Rows:
    """The same rows under another layout; the rows themselves where nothing differs.

    A field of another length in the old layout keeps what fits.
    """
    if rows.dtype == dtype:
        return rows
    moved = np.zeros(len(rows), dtype)
    for name in set(rows.dtype.names or ()) & set(dtype.names or ()):
        source, target = rows[name], moved[name]
        if source.ndim == 2 and source.shape[1] != target.shape[1]:
            shared = min(source.shape[1], target.shape[1])
            target[:, :shared] = source[:, :shared]
        else:
            target[...] = source
    return moved
