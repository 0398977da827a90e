"""What requests become: who, which traffic, how much. And no bytes that crash the decoder."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from diameter.message import Message as OracleMessage
from hypothesis import example, given
from hypothesis import strategies as st
from tests.network.diameter.builders import (
    INITIAL,
    UPDATE,
    FakeShard,
    a_message,
    a_peer,
    a_request,
    a_server,
    an_mscc,
    base_fields,
)

from millicent.charging.keys import identifier_key
from millicent.charging.types import Flag, NameKind, Verb
from millicent.network.diameter.codec import as_bytes, decode, frame
from millicent.network.diameter.load import LoadPlan, _Template
from millicent.rating.compile.numbers import number_keys
from millicent.subscriptions.types import IdentifierKind

NOTHING = as_bytes(b"")
RANKS = np.array([5, 4, 3, 2, 1], np.int64)
REALM, HOST = as_bytes(b"example.net"), as_bytes(b"ocs.example.net")


def told(*requests: bytes) -> FakeShard:
    async def scene():
        shard = FakeShard()
        async with a_server(shard) as server, a_peer(server) as client:
            for request in requests:
                await client.ask(request)
        return shard

    return asyncio.run(scene())


def identified(*fields) -> int:
    request = a_message([*base_fields(INITIAL, 0), ("Multiple-Services-Indicator", 1), *fields])
    return int(told(request).rows()["subscriber_key"][0])


def an_id(kind: int, text: str):
    return "Subscription-Id", [("Subscription-Id-Type", kind), ("Subscription-Id-Data", text)]


@pytest.mark.parametrize(
    ("fields", "kind", "identifier"),
    [
        ([an_id(0, "34600000001")], IdentifierKind.MSISDN, "34600000001"),
        ([an_id(0, "+34600000001")], IdentifierKind.MSISDN, "34600000001"),
        ([an_id(0, "0034 600-000-001")], IdentifierKind.MSISDN, "34600000001"),
        ([an_id(1, "214070000000001"), an_id(0, "34600000001")], IdentifierKind.MSISDN, "34600000001"),
        ([an_id(1, "214070000000001")], IdentifierKind.IMSI, "214070000000001"),
        ([an_id(2, "sip:Alice@Example.net")], IdentifierKind.SIP_USER, "alice@example.net"),
        ([an_id(3, "anna@isp.example")], IdentifierKind.RADIUS_USER, "anna@isp.example"),
        ([("User-Name", "anna@isp.example")], IdentifierKind.RADIUS_USER, "anna@isp.example"),
    ],
)
def test_a_subscriber_is_found_by_the_identifier_that_is_preferred(fields, kind, identifier):
    assert identified(*fields) == identifier_key(kind, identifier)


def test_what_is_nobody_stays_nobody():
    assert identified(an_id(1, "not an imsi")) == 0


def traffic_of(shard: FakeShard) -> list[tuple[str, ...]]:
    return [tuple(text.split("\x1f")) for kind, text in shard.names if kind == NameKind.TRAFFIC.value]


def test_packet_traffic_is_what_charging_records_say_of_it():
    bearer = [("Called-Station-Id", "internet"), ("3GPP-SGSN-MCC-MNC", "20801"), ("3GPP-RAT-Type", b"\x06")]
    request = a_request(
        INITIAL, 0, an_mscc(10, service_id=7, requested=[]), ("Service-Information", [("PS-Information", bearer)])
    )

    ((service, direction, call_type, visited, attributes),) = traffic_of(told(request))

    assert (service, direction, call_type, visited) == ("data", "originating", "", "20801")
    assert json.loads(attributes) == {"apn": "internet", "rat": "EUTRAN", "rating_group": "10", "service_id": "7"}


@pytest.mark.parametrize(
    ("role", "direction", "other"), [(0, "originating", "34911000002"), (1, "terminating", "34600000001")]
)
def test_a_call_has_its_direction_and_its_other_party(role, direction, other):
    call = [
        ("Role-Of-Node", role),
        ("Calling-Party-Address", "tel:+34-600-000-001"),
        ("Called-Party-Address", "sip:911000002@ims.example.net;user=phone"),
    ]
    shard = told(a_request(INITIAL, 0, ("Service-Information", [("IMS-Information", call)]), context="32260@3gpp.org"))

    import polars as pl

    key, digits = number_keys(pl.Series([other]))
    row = shard.rows()[-1]
    assert traffic_of(shard)[0][:2] == ("voice", direction)
    assert (row["number_key"], row["number_digits"]) == (key[0], digits[0])
    assert bool(row["flags"] & Flag.TERMINATING) == (role == 1)


def test_a_message_goes_to_its_recipient():
    recipient = [("Recipient-Address", [("Address-Type", 1), ("Address-Data", "34911000002")])]
    message = [("SM-Message-Type", 0), ("Recipient-Info", recipient)]
    asked = ("Requested-Service-Unit", [("CC-Service-Specific-Units", 1)])
    shard = told(
        a_request(
            4, 0, ("Requested-Action", 0), asked, ("Service-Information", [("SMS-Information", message)]),
            context="32274@3gpp.org",
        )
    )  # fmt: skip

    assert traffic_of(shard)[0][:2] == ("sms", "originating")
    assert shard.rows()["number_digits"].tolist() == [11]


def test_a_client_that_says_not_supported_and_a_requested_action_with_every_request_is_understood():
    """Open5GS does both, and means neither: its services stand in Multiple-Services-Credit-Control."""
    said = [("Multiple-Services-Indicator", 0), ("Requested-Action", 0)]
    used = [("CC-Time", 5), ("CC-Total-Octets", 900)]
    shard = told(
        a_request(INITIAL, 0, *said, an_mscc(1, requested=[])),
        a_request(UPDATE, 1, *said, an_mscc(1, requested=[], used=used)),
    )

    assert [(Verb(row["verb"]), int(row["group"])) for row in shard.rows()] == [
        (Verb.OPEN, 0), (Verb.UNITS, 1), (Verb.UNITS, 1),
    ]  # fmt: skip


def test_an_event_of_its_own_may_name_its_service():
    row = told(a_request(4, 0, ("Requested-Action", 0), ("Service-Identifier", 99), context="32274@3gpp.org")).rows()[0]

    assert (row["service_id"], row["group"]) == (99, 0)


def test_usage_around_a_tariff_change_is_told_apart():
    before = [("Tariff-Change-Usage", 0), ("CC-Total-Octets", 700)]
    after = [("Tariff-Change-Usage", 1), ("CC-Total-Octets", 300)]
    service = an_mscc(10, more=[("Used-Service-Unit", before), ("Used-Service-Unit", after)])

    row = told(a_request(UPDATE, 1, service)).rows()[0]

    assert (row["used"][1], row["used_after"][1]) == (1_000, 300)


def test_octets_up_and_down_are_also_a_total():
    used = [("CC-Input-Octets", 200), ("CC-Output-Octets", 800)]

    row = told(a_request(UPDATE, 1, an_mscc(used=used))).rows()[0]

    assert row["used"].tolist() == [-1, 1_000, 200, 800, -1, -1]


@pytest.mark.parametrize(("reason", "final"), [(0, False), (1, True), (2, True), (3, False), (4, False)])
def test_a_service_that_ends_or_rests_gives_its_slice_back(reason, final):
    row = told(a_request(UPDATE, 1, an_mscc(used=[("CC-Time", 1)], more=[("Reporting-Reason", reason)]))).rows()[0]

    assert bool(row["flags"] & Flag.FINAL) == final
    assert row["reporting_reason"] == reason


def test_a_rating_group_that_nobody_declared_has_no_traffic():
    shard = told(a_request(UPDATE, 1, an_mscc(requested=[]), context="32277@3gpp.org"))

    assert shard.rows()["traffic"].tolist() == [-1]
    assert traffic_of(shard) == []


def decoded(raw: bytes):
    start, end, _, _ = frame(as_bytes(raw), largest=1 << 20)
    return decode(
        as_bytes(raw), start=start, end=end, connection=np.zeros(start.size, np.int64), ranks=RANKS, realm=REALM,
        host=HOST,
    )  # fmt: skip


def test_a_full_request_is_read_as_another_implementation_reads_it():
    template = _Template(LoadPlan(port=0, rate=1, seconds=1), host="pgw01.example.net", kind=2)
    numbers = np.array([41], np.int64)
    raw = template.made(session=numbers, subscriber=numbers + 34_600_000_000, number=numbers, identifier=numbers)

    requests = decoded(raw)
    oracle = OracleMessage.from_bytes(raw)

    message = requests.messages[0]
    assert 1_300 < len(raw) < 1_500
    assert message["result"] == 0
    assert (message["type"], message["number"], message["hop_by_hop"]) == (
        oracle.cc_request_type, oracle.cc_request_number, oracle.header.hop_by_hop_identifier,
    )  # fmt: skip
    theirs = oracle.multiple_services_credit_control
    assert requests.units["group"].tolist() == [each.rating_group for each in theirs]
    assert requests.units["used"][:, 1].tolist() == [each.used_service_unit[0].cc_total_octets for each in theirs]
    assert message["subscriber"] == identifier_key(IdentifierKind.MSISDN, "34600000041")


SOUND = a_request(UPDATE, 1, an_mscc(10, requested=[("CC-Time", 1)], used=[("CC-Total-Octets", 5)]))


def is_consistent(raw: bytes) -> bool:
    """Every place that was found lies within its message."""
    requests = decoded(raw)
    for message in requests.messages:
        for name in ("session", "host", "context", "id", "network", "called"):
            at, length = int(message[f"{name}_at"]), int(message[f"{name}_length"])
            if at >= 0 and not message["start"] + 20 <= at <= at + length <= message["end"]:
                return False
        if message["result"] in (5001, 5014) and not message["start"] <= message["failed_at"] < message["end"]:
            return False
    return True


@given(st.binary(max_size=400))
@example(b"\0" * 8)
@example(b"\0\0\1\xc8\x40\0\0\x08" * 40)
def test_no_content_crashes_the_decoder(content):
    content += bytes(-len(content) % 4)

    assert is_consistent(a_message(content))


@given(st.lists(st.tuples(st.integers(20, len(SOUND) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_no_flipped_byte_crashes_the_decoder(flips):
    raw = bytearray(SOUND)
    for place, byte in flips:
        raw[place] = byte

    assert is_consistent(bytes(raw))


@given(st.integers(20, len(SOUND) // 4 * 4))
def test_a_truncated_request_is_refused_or_waited_for(length):
    length -= length % 4
    raw = SOUND[:1] + length.to_bytes(3) + SOUND[4:length]

    requests = decoded(raw)

    assert requests.messages["result"][0] != 0 or length >= len(SOUND) - 200


FLIPS = 8


@pytest.mark.slow
def test_ten_million_damaged_requests_are_each_refused_or_read():
    """Every request with up to eight bytes changed anywhere behind its length; seeded, in batches."""
    dice, inputs, size = np.random.default_rng(20_261_122), 10_000_000, len(SOUND)
    start = np.arange(0, 20_000 * size, size, dtype=np.int64)
    refused = 0
    for _ in range(inputs // start.size):
        rows = np.tile(np.frombuffer(SOUND, np.uint8), (start.size, 1))
        places = dice.integers(20, size, (start.size, FLIPS))
        changed = dice.integers(0, FLIPS, start.size)[:, None] >= np.arange(FLIPS)
        owners = np.broadcast_to(np.arange(start.size)[:, None], places.shape)
        rows[owners[changed], places[changed]] = dice.integers(0, 256, int(changed.sum()))
        requests = decode(
            rows.reshape(-1), start=start, end=start + size, connection=np.zeros_like(start), ranks=RANKS,
            realm=REALM, host=HOST,
        )  # fmt: skip
        found = requests.messages
        for name in ("session", "host", "context", "id"):
            at, length, there = found[f"{name}_at"], found[f"{name}_length"], found[f"{name}_at"] >= 0
            assert ((at >= start + 20) & (at + length <= start + size))[there].all()
        blamed = np.isin(found["result"], (5001, 5014))
        assert ((found["failed_at"] >= start) & (found["failed_at"] < start + size))[blamed].all()
        refused += int(np.count_nonzero(found["result"]))

    assert 0 < refused < inputs


def test_the_loops_give_the_same_without_the_compiler():
    program = (
        "import sys, hashlib; sys.path.insert(0, sys.argv[1]);"
        "from tests.network.diameter.test_requests import decoded, SOUND;"
        "from tests.network.diameter.test_malformed import TABLE;"
        "from tests.network.diameter.builders import a_message;"
        "raw = SOUND + b''.join(a_message(c + bytes(-len(c) % 4)) for c, _, _ in TABLE.values());"
        "r = decoded(raw); print(hashlib.sha256(r.messages.tobytes() + r.units.tobytes()).hexdigest())"
    )
    root = str(Path(__file__).parents[3])
    digests = {
        subprocess.run(
            [sys.executable, "-W", "error", "-c", program, root],
            env={**os.environ, "NUMBA_DISABLE_JIT": jit}, capture_output=True, text=True, check=True,
        ).stdout
        for jit in ("0", "1")
    }  # fmt: skip

    assert len(digests) == 1
