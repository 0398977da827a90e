"""Folders are watched without moving a file; pushes are taken once; what is missing is said."""

import os
from datetime import timedelta

import pytest
from tests.mediation.builders import NOW, a_call, a_source, collect, lake_usage, totals, write_events
from tests.network.builders import a_rating_group, a_session

from millicent.config.demo.records.charging import charging_file, pgw_record
from millicent.kit.clock import to_ms
from millicent.kit.errors import BadInput
from millicent.kit.tenancy import tenant_scope
from millicent.mediation.errors import UnknownFormat, UnknownSource
from millicent.mediation.selectors import batch_totals, missing_files, record_gaps
from millicent.mediation.services.accept_pushed_usage import accept_pushed_usage, resume_pushes
from millicent.mediation.services.collect_source import collect_source
from millicent.mediation.services.rebuild_key_index import rebuild_key_index

NOW_MS = to_ms(NOW)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "spool"
    made.mkdir()
    return made


def drop(folder, name, *events, age_seconds=3_600):
    path = write_events(folder / name, events)
    changed = NOW.timestamp() - age_seconds
    os.utime(path, (changed, changed))
    return path


def look(tenant_id, stores, **more):
    return collect_source(tenant_id=tenant_id, stores=stores, source="switch", now=NOW, **more)


def an_event(event_id, **data):
    return {
        "specversion": "1.0", "id": event_id, "source": "/pcrf/1", "type": "usage",
        "data": {name: value for name, value in a_call("").items() if name != "event_id"} | data,
    }  # fmt: skip


def test_a_folder_is_collected_once_and_its_files_stay(tenant_id, stores, folder):
    a_source(tenant_id, url=str(folder))
    drop(folder, "1.jsonl", a_call("1"))
    drop(folder, "2.jsonl", a_call("2"))
    drop(folder, ".hidden", a_call("3"))

    assert [each.name for each in look(tenant_id, stores)] == ["1.jsonl", "2.jsonl"]
    assert look(tenant_id, stores) == []
    assert sorted(path.name for path in folder.iterdir()) == [".hidden", "1.jsonl", "2.jsonl"]
    assert lake_usage(stores).height == 2


def test_a_file_that_is_still_growing_waits(tenant_id, stores, folder):
    a_source(tenant_id, url=str(folder), collected={"stable_seconds": 60})
    drop(folder, "1.jsonl", a_call("1"), age_seconds=59)

    assert look(tenant_id, stores) == []
    drop(folder, "1.jsonl", a_call("1"), age_seconds=60)
    assert len(look(tenant_id, stores)) == 1


def test_a_copy_under_another_name_is_reported_once(tenant_id, stores, folder):
    a_source(tenant_id, url=f"file://{folder}")
    drop(folder, "1.jsonl", a_call("1"))
    drop(folder, "2.jsonl", a_call("1"))

    assert [(each.state, each.repeats) for each in look(tenant_id, stores)] == [("closed", ""), ("repeated", "1.jsonl")]
    assert look(tenant_id, stores) == []


def test_a_damaged_file_stops_alone_and_says_where(tenant_id, stores, folder):
    a_source(tenant_id, url=str(folder))
    (folder / "1.jsonl").write_bytes(b"\x00\x01 not usage\n")
    os.utime(folder / "1.jsonl", (NOW.timestamp() - 99, NOW.timestamp() - 99))
    drop(folder, "2.jsonl", a_call("2"))

    first, second = look(tenant_id, stores)

    assert (first.state, first.records_in) == ("damaged", 0)
    assert first.note.startswith("offset 0: not JSON Lines of usage")
    assert totals(second) == (1, 1, 0, 0, 0)


def test_files_and_records_that_are_missing_are_named_until_they_come(tenant_id, stores, folder):
    a_source(tenant_id, url=str(folder), collected={"file_sequence": r"cdr_(\d+)"})
    drop(folder, "cdr_7.jsonl", a_call("1", sequence_number=1), a_call("2", sequence_number=5))
    drop(folder, "cdr_10.jsonl", a_call("3"))
    look(tenant_id, stores)

    with tenant_scope(tenant_id):
        assert missing_files(source="switch") == [(8, 9)]
        assert record_gaps(source="switch") == [("cdr_7.jsonl", 2, 4)]

    drop(folder, "cdr_8.jsonl", a_call("8"))
    look(tenant_id, stores)
    with tenant_scope(tenant_id):
        assert missing_files(source="switch") == [(9, 9)]


def test_what_the_header_of_a_charging_file_says_is_compared_with_what_is_in_it(tenant_id, stores, folder):
    a_source(tenant_id, format="charging_records")
    session = pgw_record(a_session(usage=[a_rating_group(10), a_rating_group(20)]))
    whole = charging_file([session], sequence_number=7, five_g=False, at_ms=NOW_MS)
    lacking = bytearray(charging_file([session, session[:-1] + b"x"], sequence_number=10, five_g=False, at_ms=NOW_MS))
    lacking[18:22], lacking[47] = (3).to_bytes(4, "big"), 5
    empty = charging_file([], sequence_number=8, five_g=False, at_ms=NOW_MS)
    reports = []
    for name, content in (("a", whole), ("b", bytes(lacking)), ("c", empty)):
        (folder / name).write_bytes(content)
        reports.append(collect(tenant_id, stores, folder / name))

    assert [(each.state, each.records_in, each.note) for each in reports] == [
        ("closed", 2, ""),
        (
            "closed",
            reports[1].records_in,
            "its header says 3 records, 2 are in it; its header says that records were lost (indicator 5)",
        ),
        ("closed", 0, ""),
    ]
    with tenant_scope(tenant_id):
        assert missing_files(source="switch") == [(9, 9)]


def test_a_pushed_event_counts_once_however_often_it_is_pushed(tenant_id, stores):
    a_source(tenant_id)
    first = [an_event("1"), an_event("2")]

    def push(*events):
        return accept_pushed_usage(events, tenant_id=tenant_id, stores=stores, source="switch", now=NOW)

    assert totals(push(*first)) == (2, 2, 0, 0, 0)
    assert push(*first) == push(*first)
    assert totals(push(an_event("2"), an_event("3"))) == (2, 1, 0, 0, 1)
    assert lake_usage(stores).height == 3
    assert resume_pushes(tenant_id=tenant_id, stores=stores, source="switch", now=NOW) == []


def test_sources_that_cannot_be_are_refused(tenant_id, stores):
    with pytest.raises(UnknownFormat):
        a_source(tenant_id, format="tape")
    with pytest.raises(BadInput, match="family"):
        a_source(tenant_id)
        a_source(tenant_id, family="other")
    with pytest.raises(UnknownSource):
        collect(tenant_id, stores, stores.folder, source="nowhere")


def test_keys_made_again_from_the_lake_find_the_same_duplicates(tenant_id, stores, folder, tmp_path):
    a_source(tenant_id)
    collect(tenant_id, stores, drop(folder, "1.jsonl", a_call("1"), a_call("2", who="carol")))
    for path in stores.keys_folder("switch").iterdir():
        path.unlink()

    assert rebuild_key_index(tenant_id=tenant_id, stores=stores, family="switch") == 2

    later = NOW + timedelta(days=1)
    report = collect(tenant_id, stores, drop(folder, "2.jsonl", a_call("2"), a_call("1"), a_call("3")), now=later)
    assert totals(report) == (3, 1, 0, 0, 2)
    with tenant_scope(tenant_id):
        assert [each.name for each in batch_totals(limit=1)] == ["2.jsonl"]
