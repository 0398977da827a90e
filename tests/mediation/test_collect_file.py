"""One file: every record is counted once, whatever it is and however often the run was killed."""

from tests.mediation.builders import (
    NOON_MS,
    a_call,
    a_source,
    collect,
    lake_usage,
    totals,
    write_events,
)


def test_every_record_is_accepted_suspended_rejected_or_duplicate(tenant_id, stores, tmp_path):
    a_source(tenant_id)
    file = write_events(
        tmp_path / "one.jsonl",
        [a_call("1"), a_call("2"), a_call("1"), a_call("3", who="stranger"), "{not json", a_call("4", duration_ms=-1)],
    )

    report = collect(tenant_id, stores, file)

    assert totals(report) == (6, 2, 3, 0, 1)
    assert report.state == "closed"
    usage = lake_usage(stores)
    assert usage["record_number"].to_list() == [1, 2]
    assert usage["other_party"].to_list() == ["34911234567", "34911234567"]
    assert usage["subscription_id"].to_list() == [1, 1]
    assert usage["billing_account_id"].to_list() == [17, 17]
    assert usage["batch_id"].to_list() == [report.batch_id] * 2


def test_the_same_content_again_counts_nothing(tenant_id, stores, tmp_path):
    a_source(tenant_id)
    first = collect(tenant_id, stores, write_events(tmp_path / "one.jsonl", [a_call("1")]))

    again = collect(tenant_id, stores, write_events(tmp_path / "copy.jsonl", [a_call("1")]))

    assert totals(again) == (0, 0, 0, 0, 0)
    assert (again.state, again.repeats) == ("repeated", "one.jsonl")
    assert collect(tenant_id, stores, tmp_path / "one.jsonl") == first
    assert lake_usage(stores).height == 1


def test_an_event_reported_by_another_file_is_a_duplicate(tenant_id, stores, tmp_path):
    a_source(tenant_id)
    collect(tenant_id, stores, write_events(tmp_path / "one.jsonl", [a_call("1"), a_call("2")]))

    report = collect(tenant_id, stores, write_events(tmp_path / "two.jsonl", [a_call("2"), a_call("3")]))

    assert totals(report) == (2, 1, 0, 0, 1)
    assert lake_usage(stores).height == 3


def test_two_sources_of_one_family_see_each_others_events(tenant_id, stores, tmp_path):
    a_source(tenant_id, name="east", family="core")
    a_source(tenant_id, name="west", family="core")
    collect(tenant_id, stores, write_events(tmp_path / "one.jsonl", [a_call("1")]), source="east")

    report = collect(tenant_id, stores, write_events(tmp_path / "two.jsonl", [a_call("1"), a_call("2")]), source="west")

    assert totals(report) == (2, 1, 0, 0, 1)


def test_events_without_an_id_are_told_apart_by_their_content(tenant_id, stores, tmp_path):
    a_source(tenant_id)
    same, other = a_call(""), a_call("", occurred_at_ms=NOON_MS + 1)

    report = collect(tenant_id, stores, write_events(tmp_path / "one.jsonl", [same, other, same]))

    assert totals(report) == (3, 2, 0, 0, 1)
