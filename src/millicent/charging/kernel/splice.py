"""How the shard's loop is compiled: rating's leaves are spliced into it, so its cache depends on their files too.

The loop is some hundred parts, each in the next. Numba optimises every one of them with all that is inside it, and
makes machine code of it that nobody will ever call: measured, minutes for what is half a minute when only the loop is
optimised, with everything in it. So while a loop is compiled its parts are left as they are (decision 0083).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba
from numba.core import codegen
from numba.core.compiler_lock import global_compiler_lock

from millicent.kit.kernels import compiled
from millicent.rating.kernel import splice

Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")

_RATING = Path(splice.__file__).parent
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
    made: Any = compiled(function, beside=(_RATING,), error_model="numpy", _nrt=False)
    if hasattr(made, "compile"):  # a plain function when the JIT is off
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
