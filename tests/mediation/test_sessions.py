"""Parts of one usage become that usage once, in whatever order and file they come."""

from datetime import timedelta
from itertools import permutations

import pytest
from tests.mediation.builders import (
    NOON_MS,
    NOW,
    a_part,
    a_source,
    collect,
    lake_usage,
    totals,
    write_events,
)

from millicent.kit.tenancy import tenant_scope
from millicent.mediation.models import SuspendedRecord
from millicent.mediation.services.close_lost_sessions import close_lost_sessions
from millicent.mediation.types import SuspenseReason

MINUTE_MS = 60_000
SHAPE = ["occurred_at_ms", "duration_ms", "uplink_bytes", "downlink_bytes"]
START = a_part("start")
INTERIM = a_part("interim", at_ms=NOON_MS + MINUTE_MS, duration_ms=MINUTE_MS, uplink_bytes=10, downlink_bytes=100)
STOP = a_part("stop", at_ms=NOON_MS + 2 * MINUTE_MS, duration_ms=2 * MINUTE_MS, uplink_bytes=30, downlink_bytes=500)
WHOLE = (NOON_MS, 2 * MINUTE_MS, 30, 500)


def collect_each(tenant_id, stores, folder, *parts):
    """Every part in a file of its own."""
    return [
        collect(tenant_id, stores, write_events(folder / f"{place}.jsonl", [part])) for place, part in enumerate(parts)
    ]


def lost(tenant_id, stores, *, days=3):
    return close_lost_sessions(tenant_id=tenant_id, stores=stores, source="switch", now=NOW + timedelta(days=days))


@pytest.mark.parametrize("parts", list(permutations([START, INTERIM, STOP])))
def test_parts_in_any_order_and_file_make_one_usage(tenant_id, stores, tmp_path, parts):
    a_source(tenant_id)

    reports = collect_each(tenant_id, stores, tmp_path, *parts)

    usage = lake_usage(stores)
    assert usage.select("duration_ms", "uplink_bytes", "downlink_bytes").rows() == [WHOLE[1:]]
    assert [totals(each) for each in reports] == [(1, 1, 0, 0, 0)] * 3
    assert sum(each.joined for each in reports) == 2
    assert lost(tenant_id, stores) == []


def test_parts_in_one_file_make_one_usage(tenant_id, stores, tmp_path):
    a_source(tenant_id)

    report = collect(tenant_id, stores, write_events(tmp_path / "a.jsonl", [START, INTERIM, STOP]))

    assert lake_usage(stores).select(SHAPE).rows() == [WHOLE]
    assert (report.accepted, report.usages, report.joined) == (3, 1, 2)


def test_a_retransmitted_stop_is_a_duplicate(tenant_id, stores, tmp_path):
    a_source(tenant_id)

    report = collect(tenant_id, stores, write_events(tmp_path / "a.jsonl", [START, STOP, STOP]))

    assert totals(report) == (3, 2, 0, 0, 1)
    assert lake_usage(stores).height == 1


def test_a_bye_that_comes_before_its_invite_waits_for_it(tenant_id, stores, tmp_path):
    a_source(tenant_id)
    bye = a_part("stop", at_ms=NOON_MS + 90_000, service="voice")

    collect_each(tenant_id, stores, tmp_path, bye)
    assert lake_usage(stores).is_empty()
    collect(tenant_id, stores, write_events(tmp_path / "z.jsonl", [a_part("start", service="voice")]))

    assert lake_usage(stores).select(SHAPE).rows() == [(NOON_MS, 90_000, 0, 0)]


def test_a_counter_that_goes_back_is_suspended_and_the_session_goes_on(tenant_id, stores, tmp_path):
    a_source(tenant_id)
    back = {**INTERIM, "occurred_at_ms": NOON_MS + MINUTE_MS + 1, "uplink_bytes": 9}

    report = collect(tenant_id, stores, write_events(tmp_path / "a.jsonl", [START, INTERIM, back, STOP]))

    assert totals(report) == (4, 3, 1, 0, 0)
    with tenant_scope(tenant_id):
        assert SuspendedRecord.objects.get().reason == SuspenseReason.COUNTER_WENT_BACK
    assert lake_usage(stores).select(SHAPE).rows() == [WHOLE]


def test_a_lost_stop_is_closed_from_the_last_interim(tenant_id, stores, tmp_path):
    a_source(tenant_id)
    collect(tenant_id, stores, write_events(tmp_path / "a.jsonl", [START, INTERIM]))
    assert lost(tenant_id, stores, days=-1) == []

    (sweep,) = lost(tenant_id, stores)

    assert totals(sweep) == (1, 1, 0, 0, 0)
    assert lake_usage(stores).select(SHAPE).rows() == [(NOON_MS, MINUTE_MS, 10, 100)]
    assert lost(tenant_id, stores) == []


def test_a_stop_found_after_all_counts_only_what_was_not_counted(tenant_id, stores, tmp_path):
    a_source(tenant_id)
    collect(tenant_id, stores, write_events(tmp_path / "a.jsonl", [START, INTERIM]))
    lost(tenant_id, stores)

    late = collect(tenant_id, stores, write_events(tmp_path / "b.jsonl", [STOP]))

    assert totals(late) == (1, 1, 0, 0, 0)
    assert lake_usage(stores).select(SHAPE).rows() == [
        (NOON_MS, MINUTE_MS, 10, 100),
        (NOON_MS + MINUTE_MS, MINUTE_MS, 20, 400),
    ]


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (START, SuspenseReason.START_WITHOUT_STOP),
        (a_part("stop", service="voice"), SuspenseReason.STOP_WITHOUT_START),
    ],
)
def test_a_session_that_never_says_how_much_is_suspended(tenant_id, stores, tmp_path, part, reason):
    a_source(tenant_id)
    collect(tenant_id, stores, write_events(tmp_path / "a.jsonl", [part]))

    (sweep,) = lost(tenant_id, stores)

    assert totals(sweep) == (1, 0, 1, 0, 0)
    with tenant_scope(tenant_id):
        assert SuspendedRecord.objects.get().reason == reason


@pytest.mark.parametrize(("partials", "usages"), [("own", 2), ("add", 1)])
def test_partial_records_pass_or_add_up_as_the_source_declares(tenant_id, stores, tmp_path, partials, usages):
    a_source(tenant_id, collected={"partials": partials})
    pieces = [
        a_part("partial", event_id="p1", duration_ms=1_000, downlink_bytes=5),
        a_part("partial", event_id="p2", at_ms=NOON_MS + 1_000, duration_ms=2_000, downlink_bytes=6),
    ]
    collect(tenant_id, stores, write_events(tmp_path / "a.jsonl", pieces))

    lost(tenant_id, stores)

    usage = lake_usage(stores)
    assert usage.height == usages
    assert (usage["duration_ms"].sum(), usage["downlink_bytes"].sum()) == (3_000, 11)
    assert usage["occurred_at_ms"][0] == NOON_MS


def test_a_nas_that_begins_anew_has_lost_its_sessions_from_before(tenant_id, stores, tmp_path):
    a_source(tenant_id, format="radius_detail", options={"identifier_kind": "sip_user"})

    def record(at, status, session, nas="10.0.0.1", **said):
        named = {
            "User-Name": '"alice"', "Acct-Status-Type": status, "Acct-Session-Id": f'"{session}"',
            "NAS-IP-Address": nas, "Event-Timestamp": f'"Nov  3 2026 {at} UTC"', **said,
        }  # fmt: skip
        lines = "".join(f"\t{name.replace('_', '-')} = {value}\n" for name, value in named.items())
        return f"Tue Nov  3 {at} 2026\n{lines}\n"

    file = tmp_path / "detail"
    file.write_text(
        record("12:00:00", "Start", "s1")
        + record("12:00:00", "Start", "other", nas="10.0.0.2")
        + record("12:01:00", "Interim-Update", "s1", Acct_Session_Time=60, Acct_Input_Octets=10)
        + record("12:01:00", "Interim-Update", "other", nas="10.0.0.2", Acct_Session_Time=60, Acct_Input_Octets=7)
        + record("12:05:00", "Accounting-On", "boot")
        + record("12:06:00", "Start", "s2")
    )
    assert totals(collect(tenant_id, stores, file)) == (6, 5, 0, 1, 0)

    (sweep,) = lost(tenant_id, stores, days=-1)

    assert totals(sweep) == (1, 1, 0, 0, 0)
    assert lake_usage(stores).select(SHAPE).rows() == [(NOON_MS, MINUTE_MS, 10, 0)]
    assert lost(tenant_id, stores, days=-1) == []
