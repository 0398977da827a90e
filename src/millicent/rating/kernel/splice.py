"""How the pricing loop is compiled: its leaves are spliced in, and no references are counted.

The tables travel as named tuples. A real call would copy the whole tuple and count a reference to every array in it,
and so would every look into one: measured, the counting alone cost six times the pricing. Nothing in the loop
allocates, so nothing in it needs counting. LLVM splices the leaves: numba's own splicing gave the same speed and took
four times as long to compile.
"""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numba

from millicent.kit.kernels import compiled

Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")

_UNCOUNTED: dict[str, Any] = {"error_model": "numpy", "_nrt": False}


def spliced(function: Callable[Parameters, Answer]) -> Callable[Parameters, Answer]:
    """A leaf of a kernel that takes tables. With NUMBA_DISABLE_JIT=1 it is a plain function."""
    leaf: Any = numba.njit(nogil=True, boundscheck=False, forceinline=True, **_UNCOUNTED)(function)
    return cast(Callable[Parameters, Answer], leaf)


def uncounted(function: Callable[Parameters, Answer]) -> Callable[Parameters, Answer]:
    """A kernel that allocates nothing: compiled and cached as `kit.kernels.kernel`, without reference counting."""
    return compiled(function, **_UNCOUNTED)
