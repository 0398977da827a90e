"""What the call formats make of their records, value by value."""

import json
from pathlib import Path

import polars as pl
import pytest
from tests.network.builders import decoded, faults, one

from millicent.kit.errors import BadInput
from millicent.mediation.types import SuspenseReason
from millicent.network.files.asterisk_csv import AsteriskCsv
from millicent.network.files.freeswitch_csv import FreeSwitchCsv
from millicent.network.files.freeswitch_json import FreeSwitchJson
from millicent.network.files.kamailio import KamailioAcc, KamailioCdrs

SAMPLES = Path(__file__).parents[2] / "samples"
CALL = (
    b'"Ana","1001","0034912","default","2026-07-05 09:12:01","2026-07-05 09:12:07","2026-07-05 09:14:19","138","132",'
    b'"NORMAL_CLEARING","u1","","acc7","PCMA","PCMU"\n'
)


def test_a_freeswitch_call_begins_when_it_was_answered_in_the_switchs_zone() -> None:
    usage = one(FreeSwitchCsv(), CALL, zone="Europe/Madrid")

    assert usage["occurred_at_ms"] == 1_783_235_527_000  # 2026-07-05 07:12:07 UTC
    assert (usage["duration_ms"], usage["answered"]) == (132_000, True)
    assert (usage["identifier_kind"], usage["identifier"], usage["origin_number"]) == ("sip_user", "acc7", "1001")
    assert (usage["other_party"], usage["event_id"], usage["part"]) == ("0034912", "u1", "whole")
    assert json.loads(usage["attributes"]) == {
        "read_codec": "PCMA",
        "write_codec": "PCMU",
        "hangup_cause": "NORMAL_CLEARING",
        "context": "default",
    }


def test_a_call_that_nobody_answered_begins_when_it_was_tried_and_lasts_nothing() -> None:
    unanswered = CALL.replace(b'"2026-07-05 09:12:07"', b'""').replace(b'"132"', b'"0"')

    usage = one(FreeSwitchCsv(), unanswered)

    assert (usage["occurred_at_ms"], usage["duration_ms"], usage["answered"]) == (1_783_242_721_000, 0, False)


@pytest.mark.parametrize(
    ("zone", "written", "instant_ms"),
    [
        ("Europe/Madrid", "2026-10-25 02:30:00", 1_792_888_200_000),  # twice: the first, in summer time, 00:30 UTC
        ("Europe/Madrid", "2026-10-25 03:00:00", 1_792_893_600_000),  # 02:00 UTC
        ("Europe/Madrid", "2026-03-29 02:30:00", 1_774_747_800_000),  # never: read as winter time, 01:30 UTC
        ("America/New_York", "2026-11-01 00:59:59", 1_793_509_199_000),
        ("UTC", "2028-02-29 23:59:59", 1_835_481_599_000),
    ],
)
def test_local_times_are_right_at_both_changes_of_the_clock(zone: str, written: str, instant_ms: int) -> None:
    content = CALL.replace(b"2026-07-05 09:12:07", written.encode())

    assert one(FreeSwitchCsv(), content, zone=zone)["occurred_at_ms"] == instant_ms


def test_a_template_of_the_operators_own_gives_milliseconds_gateway_and_direction() -> None:
    template = '"${uuid}","${direction}","${answer_uepoch}","${billmsec}","${accountcode}","${destination_number}",' + (
        '"${sip_gateway_name}"'
    )
    content = b'"u1","outbound","1790856000123456","2507","1001","112","carrier-a"\n'

    usage = one(FreeSwitchCsv(), content, template=template, supplier="sip_gateway_name")

    assert (usage["occurred_at_ms"], usage["duration_ms"]) == (1_790_856_000_123, 2_507)
    assert (usage["direction"], usage["supplier"]) == ("terminating", "carrier-a")


def test_a_mark_carriage_returns_and_latin_letters_are_read() -> None:
    content = (
        b"\xef\xbb\xbf"
        + CALL.replace(b"\n", b"\r\n")
        + CALL.replace(b"acc7", b"Jos\xe9")
        + CALL.replace(b"acc7", "José".encode())
    )

    (chunk,) = decoded(FreeSwitchCsv(), content)

    assert chunk.usage["identifier"].to_list() == ["acc7", "José", "José"]
    assert chunk.usage["byte_offset"][0] == 3


def test_a_quote_inside_a_field_does_not_end_it() -> None:
    usage = one(FreeSwitchCsv(), CALL.replace(b"acc7", b'a""b,c'))

    assert usage["identifier"] == 'a"b,c'


def test_a_field_without_end_is_bounded_and_its_followers_are_read() -> None:
    endless = b'"' + b"x" * 5_000 + b"\n"

    (chunk,) = decoded(FreeSwitchCsv(), CALL + endless + CALL, record_limit_bytes="1000")

    assert chunk.usage.height == 2
    assert chunk.faults["byte_length"].to_list() == [2_000, 2_000, 1_001]
    assert set(chunk.faults["detail"]) == {"longer than record_limit_bytes"}


def test_records_are_rejected_by_the_rule_that_the_source_declares() -> None:
    internal = CALL.replace(b'"default"', b'"internal"')

    assert faults(FreeSwitchCsv(), CALL + internal, not_usage="context=internal|test") == [
        (2, SuspenseReason.NOT_USAGE, "context is one of internal, test")
    ]


def test_each_fault_of_the_freeswitch_sample_has_its_reason() -> None:
    assert faults(FreeSwitchCsv(), (SAMPLES / "freeswitch/cdr.csv").read_bytes()) == [
        (4, SuspenseReason.DAMAGED, "a quote is never closed"),
        (5, SuspenseReason.BAD_TIME, "answer_stamp is not a time"),
        (6, SuspenseReason.BAD_QUANTITY, "billsec is not a duration"),
    ]


def test_an_identifier_column_that_the_template_does_not_have_is_refused() -> None:
    with pytest.raises(BadInput, match="the layout has no column 'imsi'"):
        decoded(FreeSwitchCsv(), CALL, identifier="imsi")


def test_json_calls_are_read_alone_in_arrays_and_run_together() -> None:
    (chunk,) = decoded(FreeSwitchJson(), (SAMPLES / "freeswitch/cdr.json").read_bytes())

    rows = chunk.usage.select("record_number", "identifier", "duration_ms", "answered", "other_party").rows()
    assert rows == [
        (1, "1002", 60_250, True, "0033140000000"),
        (2, "1001", 60_250, True, "0033140000000"),
        (4, "1002", 60_250, True, "0033140000000"),
        (5, "1001", 60_250, True, "0033140000000"),
        (6, "1003", 0, False, "112"),
    ]


def test_an_asterisk_call_without_uniqueid_has_no_identity_of_its_own() -> None:
    (chunk,) = decoded(AsteriskCsv(), (SAMPLES / "asterisk/Master.csv").read_bytes(), supplier="dstchannel")

    rows = chunk.usage.select("identifier", "answered", "duration_ms", "supplier").rows()
    assert rows == [("2001", True, 60_000, "carrier1"), ("sales", False, 0, "carrier1"), ("2003", True, 9_000, "")]
    assert (chunk.usage["event_id"] == "").to_list() == [False, False, True]


def test_kamailio_starts_and_stops_share_a_key_whoever_hangs_up() -> None:
    (chunk,) = decoded(KamailioAcc(), (SAMPLES / "kamailio/acc.log").read_bytes())

    rows = chunk.usage.select("part", "correlation_key", "answered").rows()
    assert rows == [
        ("start", "call-1@sbc/a1b2/c3d4", True),
        ("stop", "call-1@sbc/a1b2/c3d4", True),
        ("whole", "", False),
        ("start", "call-3@sbc/a1b4/c3d6", True),
        ("stop", "call-3@sbc/a1b4/c3d6", True),
    ]
    assert chunk.faults.select("record_number", "reason").rows() == [
        (6, SuspenseReason.DAMAGED),
        (7, SuspenseReason.NOT_USAGE),
        (8, SuspenseReason.BAD_TIME),
        (9, SuspenseReason.MISSING_FIELD),
    ]


def test_two_dialogs_that_look_the_same_are_two_calls() -> None:
    (chunk,) = decoded(KamailioCdrs(), (SAMPLES / "kamailio/cdrs.log").read_bytes())

    assert chunk.usage["duration_ms"].to_list() == [60_250, 60_250, 2_507]
    assert chunk.usage["event_id"].n_unique() == 3


def test_a_dialog_with_a_call_id_is_the_same_wherever_it_stands() -> None:
    line = b"1791190000|1791190060|60.250000|3001|112|call-9@sbc\n"
    columns = "start_time,end_time,duration,caller,callee,callid"

    (chunk,) = decoded(KamailioCdrs(), line + line, columns=columns)

    assert chunk.usage["event_id"].n_unique() == 1


def test_a_duration_is_rounded_once_half_up_to_the_millisecond() -> None:
    lines = b"".join(
        f"1791190000|1791190060|{text}|3001|112\n".encode() for text in ("0.0005", "0.00049", "1.9995", "86400")
    )

    (chunk,) = decoded(KamailioCdrs(), lines)

    assert chunk.usage["duration_ms"].to_list() == [1, 0, 2_000, 86_400_000]
    assert chunk.usage["duration_ms"].dtype == pl.Int64
