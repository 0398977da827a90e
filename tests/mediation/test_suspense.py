"""Suspense: nothing that stopped is lost, and what goes on moves the control totals."""

import pytest
from tests.mediation.builders import (
    ALICE,
    FOREVER_MS,
    NOON_MS,
    NOW,
    a_call,
    a_part,
    a_source,
    collect,
    identifiers,
    lake_usage,
    totals,
    write_events,
)

from millicent.kit.errors import BadInput
from millicent.kit.tenancy import tenant_scope
from millicent.mediation import road
from millicent.mediation.errors import SuspenseSettled, UnknownSuspense
from millicent.mediation.models import SuspendedRecord, SuspenseAction, UsageBatch
from millicent.mediation.selectors import suspended_by_reason
from millicent.mediation.services.collect_file import report_of
from millicent.mediation.services.correct_suspense import correct_suspense
from millicent.mediation.services.retry_suspense import RetryReport, retry_suspense
from millicent.mediation.services.suspend_usage import suspend_usage
from millicent.mediation.services.write_off_suspense import write_off_suspense
from millicent.mediation.suspense_filter import SuspenseFilter
from millicent.mediation.types import SuspenseReason

ALL = SuspenseFilter(everything=True)
BY = {"who": "eve", "why": "the switch was misconfigured", "now": NOW}


@pytest.fixture
def suspended(tenant_id, stores, tmp_path):
    """A batch of two: one accepted, one of a stranger."""
    a_source(tenant_id)
    return collect(tenant_id, stores, write_events(tmp_path / "a.jsonl", [a_call("1"), a_call("2", who="carol")]))


def retry(tenant_id, stores, chosen=ALL):
    return retry_suspense(chosen, tenant_id=tenant_id, stores=stores, **BY)


def now_totals(tenant_id, report):
    return totals(report_of(report.batch_id, tenant_id=tenant_id))


def correct(tenant_id, *changes, chosen=ALL):
    with tenant_scope(tenant_id):
        return correct_suspense(chosen, patch=changes, **BY)


def replace(path, value):
    return {"op": "replace", "path": path, "value": value}


def test_a_suspended_record_keeps_its_bytes_and_says_why(tenant_id, suspended):
    with tenant_scope(tenant_id):
        record = SuspendedRecord.objects.get()

    assert bytes(record.raw).startswith(b'{"event_id": "2"')
    assert (record.record_number, record.reason) == (2, SuspenseReason.NOBODY)
    assert record.detail == "nobody held sip_user carol then"
    assert record.fields["other_party"] == "+34911234567"


def test_a_retry_with_nothing_mended_changes_nothing_but_the_history(tenant_id, stores, suspended):
    report = retry(tenant_id, stores)

    assert report == RetryReport(tried=1, suspended=1)
    assert now_totals(tenant_id, suspended) == (2, 1, 1, 0, 0)
    assert lake_usage(stores).height == 1


def test_a_retry_after_the_subscriber_was_entered_moves_suspended_to_accepted(
    tenant_id, stores, suspended, monkeypatch
):
    frame = identifiers(("sip_user", "carol", 0, FOREVER_MS, 3, 50))
    monkeypatch.setattr(road, "identifier_frame", lambda: frame)

    report = retry(tenant_id, stores)

    assert report == RetryReport(tried=1, accepted=1)
    assert now_totals(tenant_id, suspended) == (2, 2, 0, 0, 0)
    usage = lake_usage(stores).filter(record_number=2)
    assert usage.select("batch_id", "subscription_id", "billing_account_id").rows() == [(suspended.batch_id, 3, 50)]


def test_a_corrected_record_goes_on_with_what_was_mended(tenant_id, stores, suspended):
    assert correct(tenant_id, replace("/identifier", ALICE)) == 1

    assert retry(tenant_id, stores) == RetryReport(tried=1, accepted=1)
    assert lake_usage(stores)["identifier"].to_list() == [ALICE, ALICE]
    with tenant_scope(tenant_id):
        actions = list(SuspenseAction.objects.order_by("id").values_list("action", "outcome", "who", "why"))
    assert actions == [
        ("correct", "corrected", "eve", "the switch was misconfigured"),
        ("retry", "retried", "eve", "the switch was misconfigured"),
    ]


def test_a_record_corrected_into_one_that_was_counted_is_a_duplicate(tenant_id, stores, suspended):
    correct(tenant_id, replace("/identifier", ALICE), replace("/event_id", "1"))

    assert retry(tenant_id, stores) == RetryReport(tried=1, duplicate=1)
    assert now_totals(tenant_id, suspended) == (2, 1, 0, 0, 1)
    assert lake_usage(stores).height == 1


def test_a_retried_record_that_comes_again_in_a_file_is_a_duplicate(tenant_id, stores, suspended, tmp_path):
    correct(tenant_id, replace("/identifier", ALICE))
    retry(tenant_id, stores)

    again = collect(tenant_id, stores, write_events(tmp_path / "b.jsonl", [a_call("2", duration_ms=9)]))

    assert totals(again) == (1, 0, 0, 0, 1)


def test_a_written_off_record_is_rejected_and_can_never_go_on(tenant_id, stores, suspended):
    with tenant_scope(tenant_id):
        assert write_off_suspense(ALL, **BY) == 1
        record_id = SuspendedRecord.objects.get().pk
        batch = UsageBatch.objects.get()

    assert now_totals(tenant_id, suspended) == (2, 1, 0, 1, 0)
    assert batch.written_off == 1
    with pytest.raises(SuspenseSettled):
        retry(tenant_id, stores, SuspenseFilter(record_ids=(record_id,)))
    assert lake_usage(stores).height == 1


def test_damaged_bytes_can_be_given_all_their_fields_by_hand(tenant_id, stores, tmp_path):
    a_source(tenant_id)
    report = collect(tenant_id, stores, write_events(tmp_path / "a.jsonl", [a_call("1"), '{"cut":']))
    fields = a_call("lost")

    correct(tenant_id, *({"op": "add", "path": f"/{name}", "value": value} for name, value in fields.items()))

    assert retry(tenant_id, stores) == RetryReport(tried=1, accepted=1)
    assert now_totals(tenant_id, report) == (2, 2, 0, 0, 0)


def test_a_session_of_nobody_is_suspended_whole_and_retried_whole(tenant_id, stores, tmp_path, monkeypatch):
    a_source(tenant_id)
    parts = [
        a_part("start", identifier="carol"),
        a_part("stop", identifier="carol", at_ms=NOON_MS + 9_000, duration_ms=9_000, uplink_bytes=7),
    ]
    report = collect(tenant_id, stores, write_events(tmp_path / "a.jsonl", parts))
    assert totals(report) == (2, 1, 1, 0, 0)
    frame = identifiers(("sip_user", "carol", 0, FOREVER_MS, 3, 50))
    monkeypatch.setattr(road, "identifier_frame", lambda: frame)

    assert retry(tenant_id, stores) == RetryReport(tried=1, accepted=1)
    usage = lake_usage(stores)
    assert usage.select("occurred_at_ms", "duration_ms", "uplink_bytes").rows() == [(NOON_MS, 9_000, 7)]
    assert now_totals(tenant_id, report) == (2, 2, 0, 0, 0)


def test_a_patch_that_no_record_takes_is_refused_and_changes_nothing(tenant_id, suspended):
    with pytest.raises(BadInput, match="is no change that a record takes"):
        correct(tenant_id, replace("/billing_account_id", 5))
    with pytest.raises(BadInput, match="duration_ms cannot be 'long'"):
        correct(tenant_id, replace("/identifier", ALICE), replace("/duration_ms", "long"))

    with tenant_scope(tenant_id):
        assert SuspendedRecord.objects.get().fields["identifier"] == "carol"
        assert not SuspenseAction.objects.exists()


def test_a_record_that_does_not_exist_is_refused(tenant_id, stores, suspended):
    with pytest.raises(UnknownSuspense):
        retry(tenant_id, stores, SuspenseFilter(record_ids=(999_999_999,)))


def test_everything_must_be_meant(tenant_id, stores, suspended):
    with pytest.raises(BadInput, match="no record is named"):
        retry(tenant_id, stores, SuspenseFilter())


def test_usage_without_a_price_waits_in_suspense_once_and_can_be_released(tenant_id, stores, suspended):
    usage = lake_usage(stores).with_columns(reason=3, detail=identifier_text())
    with tenant_scope(tenant_id):
        assert suspend_usage(usage, now=NOW) == 1
        assert suspend_usage(usage, now=NOW) == 0
        assert suspended_by_reason() == [("mediation", 108, 1), ("rating", 3, 1)]

    assert retry(tenant_id, stores, SuspenseFilter(stage="rating")) == RetryReport(tried=1, accepted=1)
    assert now_totals(tenant_id, suspended) == (2, 1, 1, 0, 0)


def identifier_text():
    import polars as pl

    return pl.lit("no rule for voice")


def test_a_record_that_stops_again_and_again_is_never_its_own_duplicate(tenant_id, stores, tmp_path):
    a_source(tenant_id)
    unread = a_call("9", who="carol")
    del unread["occurred_at_ms"]
    batch = collect(tenant_id, stores, write_events(tmp_path / "a.jsonl", [unread, a_call("1")]))
    correct(tenant_id, *(replace(f"/{name}", value) for name, value in a_call("9", who="carol").items()))

    assert [retry(tenant_id, stores) for _ in range(2)] == [RetryReport(tried=1, suspended=1)] * 2

    correct(tenant_id, replace("/identifier", ALICE))
    assert retry(tenant_id, stores) == RetryReport(tried=1, accepted=1)
    assert now_totals(tenant_id, batch) == (2, 2, 0, 0, 0)
    later = collect(tenant_id, stores, write_events(tmp_path / "b.jsonl", [a_call("9")]))
    assert totals(later) == (1, 0, 0, 0, 1)
