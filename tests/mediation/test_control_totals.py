"""Conservation: for any mixture of records over any files, in any order, with restarts between."""

from contextlib import suppress
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.mediation.builders import a_call, a_source, collect, lake_usage, stores_in, write_events
from tests.mediation.test_resume import Killed, kill_at

GOOD, STRANGER, NEGATIVE, BROKEN = "good", "stranger", "negative", "broken"
RECORDS = st.tuples(st.integers(0, 12), st.sampled_from([GOOD, GOOD, GOOD, STRANGER, NEGATIVE, BROKEN]))
FILES = st.lists(st.lists(RECORDS, min_size=1, max_size=8), min_size=1, max_size=4)


def written(number, kind):
    if kind == BROKEN:
        return f"{{broken {number}"
    said = {STRANGER: {"who": "carol"}, NEGATIVE: {"duration_ms": -1}}.get(kind, {})
    return a_call(f"{number}", **said)


def judged(files):
    """Totals by a judge that knows only the rules: the first report of an event counts, whatever became of it."""
    seen, contents, answers = set(), set(), []
    for file in files:
        totals = {"records_in": 0, "accepted": 0, "suspended": 0, "rejected": 0, "duplicate": 0}
        answers.append(totals)
        if tuple(file) in contents:
            continue
        contents.add(tuple(file))
        for number, kind in file:
            totals["records_in"] += 1
            if kind != BROKEN and number in seen:
                totals["duplicate"] += 1
            elif kind == GOOD:
                totals["accepted"] += 1
            else:
                totals["suspended"] += 1
            if kind != BROKEN:
                seen.add(number)
    return answers


@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(files=FILES, kill=st.sampled_from(["staged", "about to commit", "committed", None]))
def test_in_equals_accepted_suspended_rejected_and_duplicate(tenant_id, tmp_path, files, kill):
    name = uuid4().hex
    folder = tmp_path / name
    folder.mkdir()
    stores = stores_in(folder)
    a_source(tenant_id, name=name)

    reports = []
    for place, file in enumerate(files):
        path = write_events(folder / f"{place}.jsonl", [written(*record) for record in file])
        if kill is not None:
            with suppress(Killed):
                collect(tenant_id, stores, path, source=name, on_step=kill_at(kill, time=1))
        reports.append(collect(tenant_id, stores, path, source=name))

    totals = [
        {key: getattr(report, key) for key in ("records_in", "accepted", "suspended", "rejected", "duplicate")}
        for report in reports
    ]
    assert totals == judged(files)
    assert lake_usage(stores).height == sum(each["accepted"] for each in totals)
