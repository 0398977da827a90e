"""The lake: every commit once, whatever is killed, whoever else writes; nothing is cast or lost in silence."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest
from deltalake.exceptions import CommitFailedError

from millicent.kit import lake as lake_module
from millicent.kit import lake_staging
from millicent.kit.lake import Lake, LakeBusy, LakeSchemaDrift, LakeSilent, SequenceGoesBack
from millicent.kit.lake_staging import publish, stage

WRITE_AND_DIE = """
import os, sys
import polars as pl
from millicent.kit.lake import Lake
if sys.argv[2] == "before":
    import millicent.kit.lake
    millicent.kit.lake.write_deltalake = lambda *_, **__: os._exit(9)
if sys.argv[2] == "after":
    Lake.force_to_disk = lambda *_, **__: os._exit(9)
Lake(root=sys.argv[1]).append("usage", pl.DataFrame({"n": [1, 2]}), writer="batch-1", sequence=0)
"""


@pytest.fixture
def lake(tmp_path):
    return Lake(root=str(tmp_path / "lake"))


def some_rows(*numbers: int, day: str = "2026-01-01") -> pl.DataFrame:
    return pl.DataFrame({"day": [day] * len(numbers), "n": numbers}, schema={"day": pl.String, "n": pl.Int64})


def numbers_in(lake: Lake) -> list[int]:
    rows = lake.scan("usage")
    return [] if rows is None else sorted(rows.collect()["n"].to_list())


def test_the_same_commit_again_writes_nothing(lake):
    assert lake.append("usage", some_rows(1, 2), writer="a", sequence=0) is True
    assert lake.append("usage", some_rows(1, 2), writer="a", sequence=0) is False
    assert lake.append("usage", some_rows(3), writer="a", sequence=1) is True
    assert lake.append("usage", some_rows(3), writer="b", sequence=1) is True

    assert numbers_in(lake) == [1, 2, 3, 3]
    assert lake.committed_sequence("usage", writer="a") == 1
    assert lake.committed_sequence("usage", writer="c") is None


def test_a_table_that_was_never_written_to_has_no_rows_and_no_sequence(lake):
    assert lake.scan("usage") is None
    assert lake.committed_sequence("usage", writer="a") is None


def test_a_writer_that_goes_back_is_a_defect_and_writes_nothing(lake):
    lake.append("usage", some_rows(1), writer="a", sequence=5)

    with pytest.raises(SequenceGoesBack):
        lake.append("usage", some_rows(2), writer="a", sequence=4)

    assert numbers_in(lake) == [1]


@pytest.mark.parametrize(("moment", "was_committed"), [("before", False), ("after", True)])
def test_a_writer_killed_at_its_commit_may_simply_write_again(lake, moment, was_committed):
    killed = subprocess.run([sys.executable, "-c", WRITE_AND_DIE, lake.root, moment], check=False)
    assert killed.returncode == 9

    assert lake.append("usage", pl.DataFrame({"n": [1, 2]}), writer="batch-1", sequence=0) is not was_committed

    assert numbers_in(lake) == [1, 2]


def test_writers_at_the_same_time_lose_nothing_and_double_nothing(lake):
    def write(writer: int) -> None:
        for sequence in range(4):
            rows = some_rows(writer * 100 + sequence)
            lake.append("usage", rows, writer=f"w{writer}", sequence=sequence)
            lake.append("usage", rows, writer=f"w{writer}", sequence=sequence)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))

    assert numbers_in(lake) == sorted(writer * 100 + sequence for writer in range(4) for sequence in range(4))


def test_one_commit_brought_twice_at_the_same_time_is_written_once(lake):
    lake.append("usage", some_rows(0), writer="other", sequence=0)

    with ThreadPoolExecutor(4) as pool:
        written = list(pool.map(lambda _: lake.append("usage", some_rows(7), writer="w", sequence=0), range(4)))

    assert sorted(written) == [False, False, False, True]
    assert numbers_in(lake) == [0, 7]


def test_races_that_are_always_lost_end_in_an_outage(lake, monkeypatch):
    lost = []

    def lose(*_, **__):
        lost.append(1)
        raise CommitFailedError("somebody was quicker")

    monkeypatch.setattr(lake_module, "write_deltalake", lose)

    with pytest.raises(LakeBusy):
        lake.append("usage", some_rows(1), writer="a", sequence=0)

    assert len(lost) == lake_module.ATTEMPTS


def test_rows_with_other_columns_are_refused_by_name(lake):
    lake.append("usage", some_rows(1), writer="a", sequence=0)

    for rows, said in (
        (some_rows(2).drop("n"), "usage: missing columns ['n'], unknown columns [], other types []"),
        (some_rows(2).with_columns(x=1), "usage: missing columns [], unknown columns ['x'], other types []"),
        (some_rows(2).cast({"n": pl.Int32}), "usage: missing columns [], unknown columns [], other types ['n']"),
    ):
        with pytest.raises(LakeSchemaDrift) as drift:
            lake.append("usage", rows, writer="a", sequence=1)
        assert str(drift.value) == said

    assert numbers_in(lake) == [1]


def test_unsigned_integers_are_refused_rather_than_wrapped(lake):
    with pytest.raises(LakeSchemaDrift, match="no unsigned integers: key"):
        lake.append("usage", pl.DataFrame({"key": [2**63]}, schema={"key": pl.UInt64}), writer="a", sequence=0)


def test_the_order_of_columns_does_not_matter(lake):
    lake.append("usage", some_rows(1), writer="a", sequence=0)
    lake.append("usage", some_rows(2, day="2026-01-02").select("n", "day"), writer="a", sequence=1)

    assert lake.scan("usage").sort("n").collect().rows() == [("2026-01-01", 1), ("2026-01-02", 2)]


def test_a_filter_on_the_partition_opens_only_its_files(lake):
    for day in range(1, 6):
        rows = some_rows(day, day=f"2026-01-0{day}")
        lake.append("usage", rows, writer="a", sequence=day, partition_by=["day"])

    chosen = lake.scan("usage").filter(pl.col("day") == "2026-01-03")

    assert chosen.collect().rows() == [("2026-01-03", 3)]
    assert {path.name for path in (Path(lake.root) / "usage").glob("day=*")} == {
        f"day=2026-01-0{d}" for d in range(1, 6)
    }
    plan = chosen.explain()
    assert "day=2026-01-03" in plan
    assert "day=2026-01-02" not in plan


def test_tidying_keeps_every_row_and_every_sequence(lake):
    for sequence in range(6):
        lake.append("usage", some_rows(sequence), writer="a", sequence=sequence, partition_by=["day"])

    tidied = lake.tidy("usage", keep_hours=0)

    assert (tidied.files_before, tidied.files_after, tidied.files_deleted) == (6, 1, 6)
    assert numbers_in(lake) == [0, 1, 2, 3, 4, 5]
    assert lake.append("usage", some_rows(5), writer="a", sequence=5) is False
    assert len(list((Path(lake.root) / "usage").rglob("*.parquet"))) == 2  # the joined file and the log's checkpoint


def test_tidying_keeps_what_a_reader_of_last_week_may_still_need(lake):
    for sequence in range(3):
        lake.append("usage", some_rows(sequence), writer="a", sequence=sequence)

    assert lake.tidy("usage").files_deleted == 0


def test_a_file_url_is_the_same_lake_as_its_folder(lake):
    by_url = Lake(root=f"file://{lake.root}")
    lake.append("usage", some_rows(1), writer="a", sequence=0)

    assert by_url.append("usage", some_rows(1), writer="a", sequence=0) is False
    assert by_url.append("usage", some_rows(2), writer="a", sequence=1) is True
    assert numbers_in(lake) == [1, 2]


def test_every_file_of_a_commit_is_forced_to_the_disk_before_it_counts(lake, monkeypatch):
    forced = []
    monkeypatch.setattr(lake_module, "_fsync", forced.append)
    lake.append("usage", some_rows(1), writer="a", sequence=0, partition_by=["day"])

    table = Path(lake.root) / "usage"
    written = {path for path in table.rglob("*") if path.is_file()}
    assert written <= set(forced)
    assert {table, table / "_delta_log", table / "day=2026-01-01"} <= set(forced)


def test_a_lake_that_cannot_be_written_is_an_outage(tmp_path):
    (tmp_path / "lake").write_text("a file where a folder should be")

    with pytest.raises(LakeSilent):
        Lake(root=str(tmp_path / "lake")).append("usage", some_rows(1), writer="a", sequence=0)


def test_credentials_are_not_shown(tmp_path):
    assert "hunter2" not in repr(Lake(root="s3://b", storage_options={"AWS_SECRET_ACCESS_KEY": "hunter2"}))


def test_a_file_staged_in_an_object_store_is_recorded_with_its_true_size(lake, tmp_path, monkeypatch):
    monkeypatch.setattr(lake_staging, "local_folder", lambda url: None)  # as if the folder were a store
    (tmp_path / "lake/usage").mkdir(parents=True)
    store = Lake(root=f"file://{tmp_path}/lake")

    staged = stage(store, "usage", some_rows(1, 2, 3).drop("day"), name="a", partition={"day": "2026-01-01"})

    assert staged.size_bytes == (tmp_path / "lake/usage/day=2026-01-01/a.parquet").stat().st_size > 0
    assert publish(store, "usage", [staged], writer="w", sequence=0)
    assert numbers_in(lake) == [1, 2, 3]
