"""Keys seen before are found again, whatever runs they went to, and no other key ever is."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.mediation.builders import a_call, a_part

from millicent.mediation import key_index
from millicent.mediation.key_index import KeyIndex, KeyRun, KeyRunMissing
from millicent.mediation.rules.event_keys import event_keys
from millicent.mediation.suspending import decoded_frame

KEYS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3)), max_size=30)
MONTH = "2026-11"


def arrays(keys):
    high = np.array([key[0] for key in keys], np.uint64)
    low = np.array([key[1] for key in keys], np.uint64)
    return high * np.uint64(1 << 60), low


def keep(index: KeyIndex, keys) -> list[bool]:
    """Mark, write and adopt, as a committed chunk does."""
    high, low = arrays(keys)
    seen, fresh = index.mark_seen(month=MONTH, high=high, low=low)
    if len(fresh):
        index.adopt(index.write_run(month=MONTH, keys=fresh), keys=fresh)
    return seen.tolist()


def judged(chunks):
    """What a set says."""
    known, answers = set(), []
    for chunk in chunks:
        answers.append([])
        for key in chunk:
            answers[-1].append(key in known)
            known.add(key)
    return answers


@pytest.mark.parametrize("worth_a_filter", [0, 10**9])
@settings(deadline=None, max_examples=60)
@given(chunks=st.lists(KEYS, max_size=6))
def test_every_repeat_is_marked_and_nothing_else(tmp_path_factory, worth_a_filter, chunks):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(key_index, "_KEYS_WORTH_A_FILTER", worth_a_filter)
        index = KeyIndex(folder=tmp_path_factory.mktemp("keys"), runs=[])

        answers = [keep(index, chunk) for chunk in chunks]

    assert answers == judged(chunks)


def test_many_keys_are_found_after_runs_were_merged_and_the_process_began_anew(tmp_path: Path):
    chance = np.random.default_rng(5)
    chunks = [chance.integers(0, 2**63, (500, 2), dtype=np.int64).astype(np.uint64) for _ in range(20)]
    index, runs = KeyIndex(folder=tmp_path, runs=[]), []
    for chunk in chunks:
        _, fresh = index.mark_seen(month=MONTH, high=chunk[:, 0].copy(), low=chunk[:, 1].copy())
        runs.append(index.write_run(month=MONTH, keys=fresh))
        index.adopt(runs[-1], keys=fresh)
    for group in index.runs_to_merge():
        merged = index.merge(group)
        index.replace(group, merged=merged)
        runs = [run for run in runs if run not in group] + [merged]

    reopened = KeyIndex(folder=tmp_path, runs=runs)

    assert len(runs) == 20 - 2 * 8 + 2 == len(list(tmp_path.iterdir()))
    for chunk in chunks:
        seen, fresh = reopened.mark_seen(month=MONTH, high=chunk[:, 0].copy(), low=chunk[:, 1].copy())
        assert seen.all()
        assert len(fresh) == 0


def test_a_run_that_no_row_names_counts_nothing_and_is_deleted(tmp_path: Path):
    killed = KeyIndex(folder=tmp_path, runs=[])
    high, low = arrays([(1, 1)])
    _, fresh = killed.mark_seen(month=MONTH, high=high, low=low)
    killed.write_run(month=MONTH, keys=fresh)

    index = KeyIndex(folder=tmp_path, runs=[])

    assert index.delete_strays() == 1
    assert keep(index, [(1, 1)]) == [False]


def test_a_lost_file_of_keys_is_an_outage_not_a_second_charge(tmp_path: Path):
    index = KeyIndex(folder=tmp_path, runs=[KeyRun(month=MONTH, file="gone.keys", key_count=3)])

    with pytest.raises(KeyRunMissing):
        keep(index, [(1, 1)])


def key_of(said, *, family="core"):
    fields = {name: value for name, value in said.items() if name != "occurred_at"}
    high, low = event_keys(pl.concat([decoded_frame(fields, record_number=1)]), family=family)
    return int(high[0]), int(low[0])


def test_a_key_is_the_same_for_ever():
    assert key_of(a_call("7866825d-f38c-449e-a562-95250032e426")) == (4538011777390957745, 2145547884220921607)


def test_a_whole_is_known_by_its_id_alone_within_its_family():
    assert key_of(a_call("1")) == key_of(a_call("1", duration_ms=5))
    assert key_of(a_call("1")) != key_of(a_call("2"))
    assert key_of(a_call("1")) != key_of(a_call("1"), family="edge")


def test_the_next_interim_has_another_key_and_its_retransmission_the_same():
    first = a_part("interim", duration_ms=60_000)
    assert key_of(first) == key_of(dict(first))
    assert key_of(first) != key_of({**first, "duration_ms": 120_000})
    assert key_of(first) != key_of({**first, "part": "stop"})
