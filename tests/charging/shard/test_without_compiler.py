"""The shard's loop as plain Python does what the compiled one does: the same tests once more."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

WITHOUT = os.environ.get("NUMBA_DISABLE_JIT") == "1"
FILES = (
    "test_slices.py",
    "test_sessions.py",
    "test_events.py",
    "test_whole.py",
    "test_bounds.py",
    "test_places.py",
    "test_origins.py",
    "test_moves.py",
    "test_told.py",
)


@pytest.mark.skipif(WITHOUT, reason="this is the run it starts")
def test_the_shard_does_the_same_without_the_compiler():
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "MILLICENT_JUDGE_REDUCED": "1"}

    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--noconftest", "-p", "no:cacheprovider", "-m", "not slow",
         *(str(Path(__file__).with_name(name)) for name in FILES)],
        env=environment, capture_output=True, text=True, cwd=Path(__file__).parents[3], check=False,
    )  # fmt: skip

    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-2000:]
