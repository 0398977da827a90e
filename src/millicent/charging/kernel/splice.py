"""How the shard's loop is compiled: rating's leaves are spliced into it, so its cache depends on their files too.

The loop is some hundred parts, each in the next. Numba optimises every one of them with all that is inside it, and
makes machine code of it that nobody will ever call: measured, minutes for what is half a minute when only the loop is
optimised, with everything in it. So while a loop is compiled its parts are left as they are (decision 0083).
"""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numba

from millicent.kit.kernels import compiled
from millicent.rating.kernel import splice

Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")

# Nobody calls a part of the loop from Python: unwrapping a hundred arrays for it would be most of what is compiled.
_PART: dict[str, Any] = {
    "nogil": True,
    "boundscheck": False,
    "error_model": "numpy",
    "_nrt": False,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}


def spliced(function: Callable[Parameters, Answer]) -> Callable[Parameters, Answer]:
    """A part of the loop that runs with every command: compiled into its caller."""
    made: Any = numba.njit(forceinline=True, **_PART)(function)
    return cast(Callable[Parameters, Answer], made)


def called(function: Callable[Parameters, Answer]) -> Callable[Parameters, Answer]:
    """A part of the loop that runs seldom: a real call, compiled once, however often it is written."""
    made: Any = numba.njit(**_PART)(function)
    return cast(Callable[Parameters, Answer], made)


def uncounted(function: Callable[Parameters, Answer]) -> Callable[Parameters, Answer]:
    """A loop that allocates nothing: compiled and cached, without reference counting (decision 0023)."""
    return compiled(function, beside=splice, as_a_whole=True, error_model="numpy", _nrt=False)
