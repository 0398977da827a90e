"""The lake in a bucket: commits are exactly once, by the store's conditional put and nothing else."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest
from tests.mediation.builders import a_call, a_source, collect, lake_usage, totals, write_events

from millicent.kit.lake import LakeSilent, SequenceGoesBack
from millicent.mediation import road
from millicent.mediation.stores import MediationStores

ROWS = pl.DataFrame({"month": ["2026-10", "2026-11"], "units": [1, 2]})


def test_the_same_commit_again_is_no_commit(bucket):
    lake = bucket.lake()

    assert lake.append("usage", ROWS, writer="w", sequence=1, partition_by=("month",))
    assert not lake.append("usage", ROWS, writer="w", sequence=1)
    assert lake.append("usage", ROWS, writer="w", sequence=2)

    assert lake.scan("usage").collect()["units"].sum() == 6
    assert lake.committed_sequence("usage", writer="w") == 2
    with pytest.raises(SequenceGoesBack):
        lake.append("usage", ROWS, writer="w", sequence=1)


def test_writers_that_race_lose_nothing_and_double_nothing(bucket):
    lake = bucket.lake()
    lake.append("usage", ROWS, writer="first", sequence=0)

    def write(number: int) -> list[bool]:
        return [
            lake.append(
                "usage", ROWS.with_columns(units=pl.lit(number, pl.Int64)), writer=f"w{number}", sequence=sequence
            )
            for sequence in (1, 1, 2)
        ]

    with ThreadPoolExecutor(4) as writers:
        told = list(writers.map(write, range(4)))

    assert told == [[True, False, True]] * 4
    counts = lake.scan("usage").collect().group_by("units").len()
    assert sorted(counts.rows()) == [(0, 4), (1, 5), (2, 5), (3, 4)]


WRITER = """
import json, sys
import polars as pl
from millicent.kit.lake import Lake
root, options, writer = sys.argv[1:]
lake = Lake(root=root, storage_options=json.loads(options))
rows = pl.DataFrame({"month": ["2026-10"], "units": [1]})
print(sum(lake.append("usage", rows, writer=writer, sequence=number) for number in range(10)))
"""


def test_processes_that_write_as_the_same_writer_commit_each_sequence_once(bucket):
    lake = bucket.lake()
    command = [sys.executable, "-c", WRITER, lake.root, json.dumps(bucket.lake_options)]

    racing = [
        subprocess.Popen([*command, writer], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ))
        for writer in ("a", "b", "c")
    ]
    answers = [each.communicate(timeout=300) for each in racing]

    assert [(each.returncode, out.strip()) for each, (out, _) in zip(racing, answers, strict=True)] == [(0, b"10")] * 3
    assert lake.scan("usage").collect().height == 30


def test_small_files_are_joined_and_the_rows_stay(bucket):
    lake = bucket.lake()
    for number in range(5):
        lake.append("usage", ROWS, writer="w", sequence=number)

    tidied = lake.tidy("usage", keep_hours=0)

    assert (tidied.files_before, tidied.files_after) == (5, 1)
    assert lake.scan("usage").collect().height == 10


def test_files_are_collected_into_the_bucket_and_a_second_time_they_are_duplicates(
    bucket, tenant_id, tmp_path, monkeypatch
):
    from tests.mediation.builders import ALICE, FOREVER_MS, identifiers

    monkeypatch.setattr(road, "identifier_frame", lambda: identifiers(("sip_user", ALICE, 0, FOREVER_MS, 1, 17)))
    stores = MediationStores(lake=bucket.lake(), folder=tmp_path / "mediation")
    a_source(tenant_id)
    first = write_events(tmp_path / "a.jsonl", (a_call(str(number)) for number in range(50)))
    again = write_events(tmp_path / "b.jsonl", (a_call(str(number)) for number in range(40, 60)))

    reports = [collect(tenant_id, stores, path) for path in (first, again)]

    assert [totals(each) for each in reports] == [(50, 50, 0, 0, 0), (20, 10, 0, 0, 10)]
    assert lake_usage(stores).height == 60


def test_a_bucket_that_refuses_is_an_outage(bucket):
    from dataclasses import replace

    gone = replace(bucket, name="no-such-bucket-here")

    with pytest.raises(LakeSilent):
        gone.lake().append("usage", ROWS, writer="w", sequence=1)
