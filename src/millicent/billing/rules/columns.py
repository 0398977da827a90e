"""Named tuples as columns: how values that were computed one by one become a frame."""

from collections.abc import Sequence
from typing import Any


def columns_of(rows: Sequence[tuple[Any, ...]], *, fields: Sequence[str]) -> dict[str, Sequence[Any]]:
    """Rows turned on their side: each field's values by its name. No rows give empty columns."""
    return dict(zip(fields, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(fields, ())
