"""The loops agree with published vectors, and with themselves uncompiled."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from millicent.mediation.kernel.hashing import hash_texts

_ASK = """
import json
import numpy as np
import polars as pl
from millicent.mediation.directory import build_directory
from millicent.mediation.key_index import KeyIndex
from millicent.mediation.rules.numbering import dial_plan_from, normalised
from millicent.mediation.texts import hashes
from pathlib import Path

texts = pl.Series(["", "a", "0034911234567", "911234567", "112", "*72", "alice", "sip:+491511@h", "x" * 50] * 3)
numbers, verdict = normalised(texts, dial_plan_from({"region": "ES", "pass_through": ["9"]}))
high, low = hashes(texts, names=["judge"])
seen, fresh = KeyIndex(folder=Path("."), runs=[]).mark_seen(month="2026-11", high=high, low=low)
print(json.dumps([numbers.to_list(), verdict.tolist(), [str(each) for each in high], seen.tolist(), len(fresh)]))
"""


def answer(*, jit: bool) -> object:
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "0" if jit else "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _ASK], env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_the_kernels_answer_the_same_without_a_compiler():
    compiled = answer(jit=True)

    assert compiled == answer(jit=False)


@pytest.mark.parametrize(
    ("text", "high", "low"),
    [
        (b"", 0, 0),
        (b"hello", 0xCBD8A7B341BD9B02, 0x5B1E906A48AE1D19),
        (b"The quick brown fox jumps over the lazy dog", 0xE34BBC7BBC071B6C, 0x7A433CA9C49A9347),
    ],
)
def test_the_hash_is_murmur3_without_its_top_bits(text, high, low):
    answer_high, answer_low = np.empty(1, np.uint64), np.empty(1, np.uint64)

    hash_texts(
        np.frombuffer(text, np.uint8), np.array([0, len(text)]), np.zeros(0, np.int8), np.zeros(2, np.uint64),
        answer_high, answer_low,
    )  # fmt: skip

    assert (int(answer_high[0]), int(answer_low[0])) == (high & (2**63 - 1), low & (2**63 - 1))
