"""TS 32.298 charging records, proven on the PGW part by pycrate, an ASN.1 compiler that shares no code with us."""

import json
from typing import Any

import pytest
from tests.network.builders import NOON_MS, a_rating_group, a_session, decoded, faults, one

from millicent.config.demo.records import ber
from millicent.config.demo.records.charging import (
    charging_file,
    chf_message_record,
    chf_record,
    pgw_record,
    sgw_record,
)
from millicent.kit.errors import BadInput
from millicent.mediation.types import SuspenseReason
from millicent.network.files.charging_file import write_header
from millicent.network.files.charging_records import ChargingRecords


@pytest.fixture(scope="module")
def gprs_record() -> Any:
    from pycrate_asn1dir.CDR import GPRSChargingDataTypes

    return GPRSChargingDataTypes.GPRSRecord


def test_pycrate_reads_in_our_pgw_record_what_we_wrote(gprs_record: Any) -> None:
    gprs_record.from_ber(pgw_record(a_session(usage=[a_rating_group(10), a_rating_group(20, uplink=5)])))

    kind, record = gprs_record.get_val()

    assert kind == "pGWRecord"
    assert record["servedIMSI"] == bytes.fromhex("02081132547698f0")
    assert record["accessPointNameNI"] == "internet"
    assert record["duration"] == 600
    first, second = record["listOfServiceData"]
    assert (first["ratingGroup"], first["datavolumeFBCUplink"], first["datavolumeFBCDownlink"]) == (10, 1_000, 9_000)
    assert (second["ratingGroup"], second["datavolumeFBCUplink"]) == (20, 5)
    assert first["qoSInformationNeg"]["qCI"] == 9


def test_we_read_in_pycrates_pgw_record_what_pycrate_wrote(gprs_record: Any) -> None:
    gprs_record.from_ber(pgw_record(a_session(usage=[a_rating_group(10)])))
    kind, record = gprs_record.get_val()
    record["servedMSISDN"] = b"\x91" + bytes.fromhex("3316325476f8")
    record["listOfServiceData"][0]["datavolumeFBCDownlink"] = 2**40
    gprs_record.set_val((kind, record))

    usage = one(ChargingRecords(), gprs_record.to_ber())

    assert usage["identifier"] == "33612345678"
    assert (usage["uplink_bytes"], usage["downlink_bytes"]) == (1_000, 2**40)


def test_pycrate_reads_our_sgw_record(gprs_record: Any) -> None:
    gprs_record.from_ber(sgw_record(a_session(usage=[a_rating_group(uplink=3, downlink=4)])))

    kind, record = gprs_record.get_val()

    assert kind == "sGWRecord"
    (volume,) = record["listOfTrafficVolumes"]
    assert (volume["dataVolumeGPRSUplink"], volume["dataVolumeGPRSDownlink"]) == (3, 4)


def test_a_pgw_record_gives_one_usage_for_each_rating_group() -> None:
    session = a_session(usage=[a_rating_group(10), a_rating_group(20, uplink=1, downlink=2), a_rating_group(10)])

    (chunk,) = decoded(ChargingRecords(), pgw_record(session))

    rows = chunk.usage.select("record_number", "uplink_bytes", "downlink_bytes", "duration_ms", "occurred_at_ms").rows()
    assert rows == [(1, 2_000, 18_000, 600_000, NOON_MS + 60_000), (2, 1, 2, 300_000, NOON_MS + 60_000)]
    assert chunk.records_in == 2
    assert json.loads(chunk.usage["attributes"][0]) == {
        "apn": "internet",
        "rating_group": "10",
        "rat": "EUTRAN",
        "qci": "9",
        "charging_id": "77",
        "cause": "0",
    }
    assert chunk.usage["event_id"].n_unique() == 2


def test_split_by_record_adds_the_rating_groups_up() -> None:
    session = a_session(usage=[a_rating_group(10), a_rating_group(20, uplink=1, downlink=2)])

    usage = one(ChargingRecords(), pgw_record(session), split="record")

    assert (usage["uplink_bytes"], usage["downlink_bytes"]) == (1_001, 9_002)


def test_a_chf_record_says_its_slice_its_5qi_and_who_it_was() -> None:
    session = a_session(usage=[a_rating_group(30)], slice_type=1, slice_part=0xABCDEF, network="310410")

    usage = one(ChargingRecords(), chf_record(session), home_networks="20801")

    assert (usage["identifier_kind"], usage["identifier"]) == ("msisdn", "33612345678")
    assert usage["visited_network"] == "310410"
    assert (usage["uplink_bytes"], usage["downlink_bytes"], usage["sequence_number"]) == (1_000, 9_000, 5)
    assert json.loads(usage["attributes"]) == {
        "apn": "internet",
        "rating_group": "30",
        "rat": "NR",
        "qos_5qi": "9",
        "s_nssai": "1-abcdef",
        "charging_id": "77",
        "cause": "0",
    }


def test_the_imsi_identifies_when_the_source_says_so() -> None:
    usage = one(ChargingRecords(), chf_record(a_session(usage=[a_rating_group()])), identifier="imsi")

    assert (usage["identifier_kind"], usage["identifier"]) == ("imsi", "208011234567890")


def test_the_home_network_is_not_a_visited_one() -> None:
    record = pgw_record(a_session(usage=[a_rating_group()], network="20801"))

    assert one(ChargingRecords(), record, home_networks="20801,20810")["visited_network"] == ""
    assert one(ChargingRecords(), record)["visited_network"] == "20801"


def test_a_message_is_one_event_and_no_data() -> None:
    record = chf_message_record(
        imsi="208011234567890", sender="33612345678", recipient="447700900123", at_ms=NOON_MS, local_sequence=9,
        network="20801",
    )  # fmt: skip

    usage = one(ChargingRecords(), record)

    assert (usage["service"], usage["events"], usage["duration_ms"], usage["occurred_at_ms"]) == ("sms", 1, 0, NOON_MS)
    assert (usage["identifier"], usage["other_party"]) == ("33612345678", "447700900123")


def test_a_partial_record_is_a_part_with_a_key_that_joins() -> None:
    first, second = (
        one(ChargingRecords(), chf_record(a_session(usage=[a_rating_group()], record_sequence=number)))
        for number in (1, 2)
    )

    assert (first["part"], second["part"]) == ("partial", "partial")
    assert first["correlation_key"] == second["correlation_key"] != ""
    assert first["event_id"] != second["event_id"]


def test_an_indefinite_length_reads_the_same() -> None:
    definite = sgw_record(a_session(usage=[a_rating_group()]))
    inner = definite[3 + (definite[2] > 127) :]

    chunk = decoded(ChargingRecords(), ber.endless(78, inner))[0]

    assert chunk.usage.drop("byte_length").equals(decoded(ChargingRecords(), definite)[0].usage.drop("byte_length"))


def test_a_file_with_headers_counts_every_record() -> None:
    records = [pgw_record(a_session(usage=[a_rating_group()], local_sequence=number)) for number in range(50)]
    content = charging_file(records, sequence_number=3, five_g=False, at_ms=NOON_MS)

    (chunk,) = decoded(ChargingRecords(), content)

    assert chunk.usage["sequence_number"].to_list() == list(range(50))
    assert chunk.next_offset == len(content)


def test_a_damaged_record_stops_alone_with_its_bytes() -> None:
    records = [bytearray(pgw_record(a_session(usage=[a_rating_group()], local_sequence=n))) for n in range(3)]
    records[1][8] = 0xFF  # the length of the IMSI
    content = charging_file([bytes(each) for each in records], sequence_number=1, five_g=False, at_ms=NOON_MS)

    (chunk,) = decoded(ChargingRecords(), content)

    assert chunk.usage["sequence_number"].to_list() == [0, 2]
    (fault,) = chunk.faults.rows(named=True)
    assert (fault["record_number"], fault["reason"]) == (2, SuspenseReason.DAMAGED)
    assert fault["raw"][5:] == bytes(records[1])


def test_a_lost_frame_costs_one_record_and_no_more() -> None:
    records = [pgw_record(a_session(usage=[a_rating_group()], local_sequence=number)) for number in range(4)]
    content = bytearray(charging_file(records, sequence_number=1, five_g=False, at_ms=NOON_MS))
    second = content.index(records[1]) - 5
    content[second : second + 2] = b"\xff\xff"

    (chunk,) = decoded(ChargingRecords(), bytes(content))

    assert chunk.usage["sequence_number"].to_list() == [0, 2, 3]
    assert chunk.faults["record_number"].to_list() == [2]


def test_a_record_of_another_type_waits_in_suspense() -> None:
    stranger = ber.group(20, ber.integer(0, 18), ber.value(3, ber.digits("208011234567890")))

    assert faults(ChargingRecords(), stranger + pgw_record(a_session(usage=[a_rating_group()]))) == [
        (1, SuspenseReason.UNKNOWN_SERVICE, "a type of record that is not read: only SGW, PGW and CHF are")
    ]


def test_a_file_of_text_is_refused_with_its_offset() -> None:
    with pytest.raises(BadInput) as refusal:
        decoded(ChargingRecords(), b"this is not a charging record file, whatever its name says\n" * 4)

    assert refusal.value.facts["offset"] == 4


def test_a_file_cut_within_its_header_is_refused_and_one_with_only_a_header_has_no_record() -> None:
    header = write_header(records=0, body_octets=0, sequence_number=41, opened=0, closed=0)

    with pytest.raises(BadInput, match="it ends within its header of 54 octets") as refusal:
        decoded(ChargingRecords(), header[:52], framing="file")
    assert refusal.value.where == "byte 52"

    (only,) = decoded(ChargingRecords(), header, framing="file")
    assert only.declared is not None
    assert (only.records_in, only.next_offset, only.declared.sequence_number) == (0, 54, 41)
