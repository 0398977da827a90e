"""The one way a numba loop is declared: compiled, cached on disk, without the interpreter lock, never fastmath.

`NUMBA_DISABLE_JIT=1` runs the same loops as plain Python; the test suite does that once to see that they agree.
"""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numba
import numpy as np
from numba.core import event
from numpy.typing import NDArray

from millicent.kit import notices

Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")

Int64s = NDArray[np.int64]
Int32s = NDArray[np.int32]
Int16s = NDArray[np.int16]
Int8s = NDArray[np.int8]
UInt64s = NDArray[np.uint64]
UInt8s = NDArray[np.uint8]
Bools = NDArray[np.bool_]


def kernel(function: Callable[Parameters, Answer]) -> Callable[Parameters, Answer]:
    """Compile a loop over arrays. Money is ordered: no reassociation, no fastmath, no parallel reduction."""
    compiled: Any = numba.njit(cache=True, nogil=True, boundscheck=False)(function)
    return cast(Callable[Parameters, Answer], compiled)


def inlined(function: Callable[Parameters, Answer]) -> Callable[Parameters, Answer]:
    """A leaf of a kernel: pure, small, compiled into its caller by LLVM."""
    compiled: Any = numba.njit(cache=True, nogil=True, boundscheck=False)(function)
    return cast(Callable[Parameters, Answer], compiled)


class _CompilationListener(event.Listener):
    """Tells `notices` about a kernel being compiled; what it compiles on the way is part of it."""

    def __init__(self) -> None:
        self.depth = 0

    def on_start(self, event: Any) -> None:
        self.depth += 1
        if self.depth == 1:
            for tell in notices.on_kernel_compiling:
                tell(event.data["dispatcher"].py_func.__name__)

    def on_end(self, event: Any) -> None:
        self.depth -= 1


event.register("numba:compile", _CompilationListener())  # type: ignore[no-untyped-call]
