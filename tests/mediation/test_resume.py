"""Killed anywhere and run again, a collection ends as if it had never been killed."""

import pytest
from tests.mediation.builders import a_call, a_part, a_source, collect, lake_usage, stores_in, totals, write_events

from millicent.kit.tenancy import tenant_scope
from millicent.mediation import usage_events
from millicent.mediation.models import SuspendedRecord

STEPS = ["refined", "staged", "keys written", "about to commit", "committed", "settled"]
COMPARED = ["record_number", "occurred_at_ms", "event_key_high", "event_key_low", "duration_ms", "subscription_id"]


class Killed(BaseException):
    """Stands for the end of the process: nothing after it runs."""


def kill_at(step: str, *, time: int):
    """An observer that kills at the n-th occurrence of a step."""
    seen = []

    def on_step(name: str) -> None:
        seen.append(name)
        if seen.count(step) == time and name == step:
            raise Killed

    return on_step


def a_month():
    """Good, dirty and duplicate records, and sessions whose parts lie far apart."""
    events = []
    for number in range(40):
        events.append(a_call(f"c{number % 33}", who="stranger" if number % 7 == 3 else "alice"))
        events.append(a_part("start", session=f"s{number}"))
        if number % 10 == 9:
            events.append("{broken")
            events.extend(
                a_part("stop", session=f"s{done}", duration_ms=5_000, uplink_bytes=done, at_ms=1_793_707_300_000)
                for done in range(number - 9, number)
            )
    return events


@pytest.fixture
def small_chunks(monkeypatch):
    """A few lines a chunk, so that a small file has several commits."""
    monkeypatch.setattr(usage_events, "_LINES_AT_A_TIME", 45)


@pytest.mark.parametrize("time", [1, 2, 4])
@pytest.mark.parametrize("step", STEPS)
def test_a_run_killed_at_any_step_and_resumed_equals_one_never_killed(tenant_id, tmp_path, small_chunks, step, time):
    unkilled, killed = stores_in(tmp_path / "unkilled"), stores_in(tmp_path / "killed")
    a_source(tenant_id, name="unkilled")
    a_source(tenant_id, name="killed")
    file = write_events(tmp_path / "month.jsonl", a_month())
    expected = collect(tenant_id, unkilled, file, source="unkilled")

    with pytest.raises(Killed):
        collect(tenant_id, killed, file, source="killed", on_step=kill_at(step, time=time))
    report = collect(tenant_id, killed, file, source="killed")

    assert totals(report) == totals(expected) == (120, 104, 9, 0, 7)
    assert (report.usages, report.joined) == (expected.usages, expected.joined)
    family_blind = [name for name in COMPARED if not name.startswith("event_key")]
    assert lake_usage(killed).select(family_blind).equals(lake_usage(unkilled).select(family_blind))
    with tenant_scope(tenant_id):
        suspended = [
            list(
                SuspendedRecord.objects.filter(batch_id=batch_id)
                .order_by("record_number")
                .values_list("record_number", "reason", "raw")
            )
            for batch_id in (report.batch_id, expected.batch_id)
        ]
    assert [tuple(map(bytes_of, row)) for row in suspended[0]] == [tuple(map(bytes_of, row)) for row in suspended[1]]


def bytes_of(value):
    return bytes(value) if isinstance(value, memoryview) else value
