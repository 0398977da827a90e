"""The one way a numba loop is declared: compiled, cached on disk, without the interpreter lock, never fastmath.

`NUMBA_DISABLE_JIT=1` runs the same loops as plain Python; the test suite does that once to see that they agree.
"""

import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, flock
from functools import cache
from hashlib import blake2b
from pathlib import Path
from types import ModuleType
from typing import Any, ParamSpec, TypeVar, cast

import numba
import numpy as np
from numba.core import codegen, event
from numba.core.compiler_lock import global_compiler_lock
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
    return compiled(function)


def inlined(function: Callable[Parameters, Answer]) -> Callable[Parameters, Answer]:
    """A leaf of a kernel: pure, small, compiled into its caller by LLVM."""
    return compiled(function)


def compiled(
    function: Callable[Parameters, Answer],
    *,
    beside: ModuleType | None = None,
    as_a_whole: bool = False,
    **options: Any,
) -> Callable[Parameters, Answer]:
    """Compile and keep on disk, with further options of numba for a loop that says why it needs them.

    `beside` is a module of another kernel folder whose leaves are spliced into it. `as_a_whole`: its parts are not
    optimised one by one (decision 0083).
    """
    folders = () if beside is None else (Path(inspect.getfile(beside)).parent,)
    with _own_cache(function, folders) as folder:
        made: Any = numba.njit(cache=folder is not None, nogil=True, boundscheck=False, **options)(function)
    if folder is not None and hasattr(made, "compile"):  # a plain function when the JIT is off
        made.compile = _one_process_compiles(made.compile, folder / f"{function.__module__}.{function.__name__}.lock")
    if as_a_whole and hasattr(made, "compile"):
        made.compile = _as_a_whole(made.compile, function.__qualname__)
    return cast(Callable[Parameters, Answer], made)


def _as_a_whole(compile_here: Callable[[Any], Any], name: str) -> Callable[[Any], Any]:
    def compile_whole(signature: Any) -> Any:
        with global_compiler_lock, _only_optimised(name):
            return compile_here(signature)

    return compile_whole


@contextmanager
def _only_optimised(name: str) -> Iterator[None]:
    """Optimise, and turn into machine code, one function's library only. Private parts of numba: see decision 0083."""
    library: Any = codegen.CPUCodeLibrary
    optimise, finish = library._optimize_final_module, library._finalize_final_module
    engine: Any = codegen.JITCPUCodegen
    set_env = engine.set_env

    def optimise_whole(self: Any) -> None:
        if self.name == name:
            optimise(self)

    def finish_whole(self: Any) -> None:
        if self.name == name:
            finish(self)
        else:
            self._finalize_dynamic_globals()
            self._finalized = True

    def set_env_where_there_is_one(self: Any, env_name: str, env: Any) -> None:
        if self._engine.is_symbol_defined(env_name):
            set_env(self, env_name, env)

    library._optimize_final_module, library._finalize_final_module = optimise_whole, finish_whole
    engine.set_env = set_env_where_there_is_one
    try:
        yield
    finally:
        library._optimize_final_module, library._finalize_final_module = optimise, finish
        engine.set_env = set_env


def _one_process_compiles(compile_here: Callable[[Any], Any], lock_path: Path) -> Callable[[Any], Any]:
    """Let one process compile a signature while the others wait and read what it kept.

    A pool of workers that starts on an empty cache would otherwise compile the same loops side by side, a minute each.
    A loop waits only for leaves of its own, so processes never wait in a circle; numba's own lock comes first, so
    neither do the threads of one process.
    """

    def compile_once(signature: Any) -> Any:
        with global_compiler_lock, lock_path.open("a") as lock:
            flock(lock, LOCK_EX)
            return compile_here(signature)

    return compile_once


@contextmanager
def _own_cache(function: Callable[..., Any], beside: tuple[Path, ...]) -> Iterator[Path | None]:
    """Cache the function in a folder named by the content of everything that is compiled into it.

    numba looks at a function's own file only. After a change in a leaf or a layout of arrays in another file it would
    run the old machine code on the new arrays, which ends in a segmentation fault at best. None when nothing can be
    written there; without a chosen folder it stands beside the byte code.
    """
    settings: Any = numba.config
    chosen = settings.CACHE_DIR
    sources = Path(inspect.getfile(function)).parent
    folder = Path(chosen or sources / "__pycache__") / "-".join(map(sources_digest, (sources, *beside)))
    settings.CACHE_DIR = str(folder)
    try:
        yield folder if _writable(folder) else None
    finally:
        settings.CACHE_DIR = chosen


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


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
