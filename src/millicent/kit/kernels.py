"""The one way a numba loop is declared: compiled, cached on disk, without the interpreter lock, never fastmath.

`NUMBA_DISABLE_JIT=1` runs the same loops as plain Python; the test suite does that once to see that they agree.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import blake2b
from pathlib import Path
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
    with _own_cache(function):
        compiled: Any = numba.njit(cache=True, nogil=True, boundscheck=False)(function)
    return cast(Callable[Parameters, Answer], compiled)


def inlined(function: Callable[Parameters, Answer]) -> Callable[Parameters, Answer]:
    """A leaf of a kernel: pure, small, compiled into its caller by LLVM."""
    with _own_cache(function):
        compiled: Any = numba.njit(cache=True, nogil=True, boundscheck=False)(function)
    return cast(Callable[Parameters, Answer], compiled)


@contextmanager
def _own_cache(function: Callable[..., Any]) -> Iterator[None]:
    """Cache the function in a folder named by the content of everything that is compiled into it.

    numba looks at a function's own file only. After a change in a leaf or a layout of arrays in another file it would
    run the old machine code on the new arrays, which ends in a segmentation fault at best.
    """
    settings: Any = numba.config
    chosen = settings.CACHE_DIR
    if chosen:
        settings.CACHE_DIR = str(Path(chosen) / sources_digest(Path(inspect.getfile(function)).parent))
    try:
        yield
    finally:
        settings.CACHE_DIR = chosen


@cache
def sources_digest(folder: Path) -> str:
    """What a kernel folder's machine code depends on: its files, its stage's types, and the kit's part in it."""
    kit = Path(__file__).parent
    files = [*sorted(folder.glob("*.py")), folder.parent / "types.py", kit / "kernels.py", kit / "rounding.py"]
    digest = blake2b(digest_size=8)
    for file in files:
        if file.exists():
            digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


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
