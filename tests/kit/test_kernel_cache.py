"""Machine code is found again only when nothing that was compiled into it has changed."""

import os
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

from millicent.kit.kernels import sources_digest


def a_stage(folder, *, leaf="1", types="2"):
    kernels = folder / "kernel"
    kernels.mkdir(parents=True)
    (kernels / "loop.py").write_text("from stage.kernel.leaf import leaf")
    (kernels / "leaf.py").write_text(leaf)
    (folder / "types.py").write_text(types)
    return kernels


def test_the_same_sources_share_a_cache(tmp_path):
    assert sources_digest(a_stage(tmp_path / "a")) == sources_digest(a_stage(tmp_path / "b"))


def test_a_change_in_a_leaf_or_in_the_types_starts_another_cache(tmp_path):
    digests = {
        sources_digest(a_stage(tmp_path / "a")),
        sources_digest(a_stage(tmp_path / "b", leaf="other")),
        sources_digest(a_stage(tmp_path / "c", types="other")),
    }

    assert len(digests) == 3


def test_processes_that_start_together_compile_a_loop_once(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "NUMBA_DISABLE_JIT": "0"}
    program = Path(__file__).with_name("kernel_work.py")
    together = [
        subprocess.Popen([sys.executable, program], env=environment, stdin=PIPE, stdout=PIPE, text=True)
        for _ in range(3)
    ]

    printed = [process.communicate("begin\n")[0].split() for process in together]

    assert sorted(printed, key=len) == [["10"], ["10"], ["compiling", "total", "10"]]


def test_a_cache_that_cannot_be_written_to_is_done_without(tmp_path):
    (tmp_path / "cache").write_text("a file where the folder would be")
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "NUMBA_DISABLE_JIT": "0"}

    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("kernel_work.py")],
        env=environment, input="begin\n", capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stdout.split() == ["compiling", "total", "10"]
