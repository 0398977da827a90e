"""kill -9 on a process that collects: no handler runs, and nothing is counted twice or lost."""

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.mediation.builders import a_source, collect, lake_usage, stores_in, totals, write_events
from tests.mediation.test_resume import a_month, small_chunks  # noqa: F401 - a fixture

from millicent.kit.tenancy import tenant_scope
from millicent.mediation.models import EventKeyRun, SuspendedRecord

ROOT = Path(__file__).parents[2]
WHOLE = (120, 104, 9, 0, 7)
SHAPE = ["record_number", "occurred_at_ms", "duration_ms", "uplink_bytes", "subscription_id"]


def a_collector(tenant_id, folder, file, *, step="", time=0):
    command = [sys.executable, "-m", "tests.mediation.collect_and_die"]
    arguments = [str(tenant_id), str(folder), str(file), "killed", step, str(time)]
    return subprocess.Popen(command + arguments, cwd=ROOT, stdout=subprocess.PIPE)


def what_is_kept(tenant_id, stores, source):
    """Everything that a collection leaves behind, but for keys, which hold the source's name."""
    with tenant_scope(tenant_id):
        suspended = SuspendedRecord.objects.filter(batch__source__name=source).order_by("record_number")
        rows = [(each.record_number, each.reason, bytes(each.raw)) for each in suspended]
        keys = sum(EventKeyRun.objects.filter(family=source).values_list("key_count", flat=True))
    return lake_usage(stores).select(SHAPE).rows(), rows, keys


@pytest.fixture
def month(tenant_id, tmp_path, small_chunks):  # noqa: F811 - that fixture
    """A file, and what a collection that nobody killed makes of it."""
    file = write_events(tmp_path / "month.jsonl", a_month())
    a_source(tenant_id, name="unkilled")
    a_source(tenant_id, name="killed")
    stores = stores_in(tmp_path / "unkilled")
    assert totals(collect(tenant_id, stores, file, source="unkilled")) == WHOLE
    return file, what_is_kept(tenant_id, stores, "unkilled")


def finish_and_compare(tenant_id, folder, month):
    file, expected = month
    stores = stores_in(folder)
    report = collect(tenant_id, stores, file, source="killed")
    assert totals(report) == WHOLE
    assert what_is_kept(tenant_id, stores, "killed") == expected


@pytest.mark.parametrize(
    ("step", "time"), [("refined", 2), ("staged", 1), ("keys written", 3), ("about to commit", 2), ("committed", 2)]
)
def test_a_process_killed_at_a_step_leaves_what_an_unkilled_one_leaves(tenant_id, tmp_path, month, step, time):
    collector = a_collector(tenant_id, tmp_path / "killed", month[0], step=step, time=time)
    collector.communicate()

    assert collector.returncode == -signal.SIGKILL
    finish_and_compare(tenant_id, tmp_path / "killed", month)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_a_process_killed_at_any_moment_leaves_what_an_unkilled_one_leaves(tenant_id, tmp_path, month, seed):
    chance = random.Random(seed)
    for _ in range(3):
        collector = a_collector(tenant_id, tmp_path / "killed", month[0])
        assert collector.stdout is not None
        collector.stdout.readline()  # it has begun
        try:
            collector.wait(timeout=chance.random() / 4)
        except subprocess.TimeoutExpired:
            collector.kill()
        collector.communicate()

    finish_and_compare(tenant_id, tmp_path / "killed", month)
