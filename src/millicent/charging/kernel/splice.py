"""How the shard's loop is compiled: rating's leaves are spliced into it, so its cache depends on their files too."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba

from millicent.kit.kernels import compiled
from millicent.rating.kernel import splice

Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")

_RATING = Path(splice.__file__).parent
spliced = splice.spliced


def called(function: Callable[Parameters, Answer]) -> Callable[Parameters, Answer]:
    """A part of the loop that runs seldom: a real call, compiled once, however often it is written."""
    made: Any = numba.njit(nogil=True, boundscheck=False, error_model="numpy", _nrt=False)(function)
    return cast(Callable[Parameters, Answer], made)


def uncounted(function: Callable[Parameters, Answer]) -> Callable[Parameters, Answer]:
    """A loop that allocates nothing: compiled and cached, without reference counting (decision 0023)."""
    return compiled(function, beside=(_RATING,), error_model="numpy", _nrt=False)
