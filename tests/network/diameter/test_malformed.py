"""Whatever is wrong with a request has its Result-Code, blames the right AVP, and changes nothing."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.network.diameter.builders import (
    INITIAL,
    SUBSCRIBER,
    UPDATE,
    FakeShard,
    a_message,
    a_peer,
    a_request,
    a_server,
    a_slice,
    a_stranger,
    an_mscc,
    base_fields,
    capabilities,
)

from millicent.network.diameter.codec import as_bytes, frame
from millicent.network.diameter.messages import Message, write_fields


def avp(code: int, content: bytes, *, flags: int = 0x40, vendor: int = 0, length: int | None = None) -> bytes:
    """An AVP by hand, whether it is sound or not."""
    head = code.to_bytes(4) + bytes([flags | (0x80 if vendor else 0)])
    size = len(content) + (12 if vendor else 8)
    return head + (size if length is None else length).to_bytes(3) + (vendor.to_bytes(4) if vendor else b"") + content


SOUND = write_fields([*base_fields(INITIAL, 0), SUBSCRIBER])
MONEY_TOO_FINE = [("CC-Money", [("Unit-Value", [("Value-Digits", 15), ("Exponent", -11)])])]


def without(name: str) -> bytes:
    return write_fields([field for field in base_fields(INITIAL, 0) if field[0] != name])


def with_value(name: str, value: object) -> bytes:
    return write_fields([(field[0], value if field[0] == name else field[1]) for field in base_fields(INITIAL, 0)])


unknown = avp(59_999, b"abcd")
unknown_vendor = avp(5, b"abc", vendor=4_242)
short_number = avp(415, b"\0\0\0")
nested_unknown = avp(456, avp(432, b"\0\0\0\1") + avp(59_999, b""))

# what came, Result-Code, Failed-AVP (None: none)
TABLE = {
    "an unknown AVP that must be understood": (SOUND + unknown, 5001, unknown),
    "one of an unknown vendor": (SOUND + unknown_vendor + b"\0", 5001, unknown_vendor + b"\0"),
    "one inside a known group": (SOUND + nested_unknown, 5001, avp(59_999, b"")),
    "an AVP longer than its message": (SOUND + avp(30, b"x" * 4, length=200), 5014, avp(30, b"")),
    "an AVP longer than its group": (SOUND + avp(456, avp(432, b"\0\0\0\1", length=16)), 5014, avp(432, bytes(4))),
    "an AVP shorter than its own header": (SOUND + avp(30, b"", length=7), 5014, avp(30, b"")),
    "a vendor's AVP shorter than its own header": (
        SOUND + avp(59_999, b"abcd", flags=0xC0, length=11), 5014, avp(59_999, b"", length=12, flags=0xC0) + b"abcd"
    ),
    "half a header at the end of a group": (SOUND + avp(456, b"\0\0\1\xb0"), 5014, avp(432, bytes(4))),
    "a number of three octets": (SOUND + short_number + b"\0", 5014, avp(415, bytes(4))),
    "an enumerated of eight octets": (SOUND + avp(455, bytes(8)), 5014, avp(455, bytes(4))),
    "reserved bits of an AVP": (SOUND + avp(30, b"abcd", flags=0x41), 3009, avp(30, b"abcd", flags=0x41)),
    "no Session-Id": (without("Session-Id"), 5005, avp(263, b"")),
    "no Origin-Host": (without("Origin-Host"), 5005, avp(264, b"")),
    "no Origin-Realm": (without("Origin-Realm"), 5005, avp(296, b"")),
    "no Destination-Realm": (without("Destination-Realm"), 5005, avp(283, b"")),
    "no Auth-Application-Id": (without("Auth-Application-Id"), 5005, avp(258, bytes(4))),
    "no Service-Context-Id": (without("Service-Context-Id"), 5005, avp(461, b"")),
    "no CC-Request-Type": (without("CC-Request-Type"), 5005, avp(416, bytes(4))),
    "no CC-Request-Number": (without("CC-Request-Number"), 5005, avp(415, bytes(4))),
    "an event without Requested-Action": (with_value("CC-Request-Type", 4), 5005, avp(436, bytes(4))),
    "a CC-Request-Type that is none": (with_value("CC-Request-Type", 5), 5004, avp(416, b"\0\0\0\5")),
    "an empty Session-Id": (with_value("Session-Id", ""), 5004, avp(263, b"")),
    "two Session-Ids": (SOUND + avp(263, b"more"), 5009, avp(263, b"more")),
    "two CC-Request-Numbers": (SOUND + avp(415, b"\0\0\0\1"), 5009, avp(415, b"\0\0\0\1")),
    "two Service-Context-Ids": (SOUND + avp(461, b"more"), 5009, avp(461, b"more")),
    "more octets than an operator could sell": (
        SOUND + write_fields([("Used-Service-Unit", [("CC-Total-Octets", b"\xff" * 8)])]), 5004, avp(421, b"\xff" * 8)
    ),
    "money finer than a nano": (
        SOUND + write_fields([("Requested-Service-Unit", MONEY_TOO_FINE)]),
        5004,
        write_fields(MONEY_TOO_FINE)[8:],
    ),
    "groups without end": (SOUND + b"", 5004, None),
    "another realm": (with_value("Destination-Realm", "other.example.org"), 3003, None),
    "another host": (SOUND + write_fields([("Destination-Host", "ocs2.example.net")]), 3002, None),
    "another application inside": (with_value("Auth-Application-Id", 3), 5004, avp(258, b"\0\0\0\3")),
}  # fmt: skip
_nest = b""
for _ in range(20):
    _nest = avp(456, _nest)
TABLE["groups without end"] = (SOUND + _nest, 5004, None)


def ask(content: bytes, **header: int) -> tuple[Message, FakeShard]:
    async def scene():
        shard = FakeShard()
        async with a_server(shard) as server, a_peer(server) as client:
            return await client.ask(a_message(content, **header)), shard

    return asyncio.run(scene())


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.replace(" ", "_"))
def test_a_malformed_request_is_refused_and_nothing_is_done(case):
    content, result, failed = TABLE[case]

    answer, shard = ask(content)

    assert answer.number("Result-Code") == result
    assert shard.commands == []
    assert answer.header.command == 272
    assert (answer.header.hop_by_hop, answer.header.end_to_end) == (7, 1007)
    assert bool(answer.header.flags & 0x20) == (3000 <= result < 4000)
    if failed is not None:
        assert answer.first("Failed-AVP").content == failed


@pytest.mark.parametrize(
    ("header", "result"),
    [
        ({"flags": 0xE0}, 3008),
        ({"command": 271}, 3001),
        ({"command": 272, "application": 16_777_238}, 3007),
        ({"command": 316, "application": 16_777_251}, 3007),
    ],
)
def test_a_header_that_is_not_ours_is_refused(header, result):
    answer, shard = ask(SOUND, **header)

    assert answer.number("Result-Code") == result
    assert answer.header.flags & 0x20
    assert shard.commands == []


@pytest.mark.parametrize(
    ("raw", "result"),
    [
        (b"\x02" + a_request()[1:], 5011),
        (b"\x01\x00\x00\x13" + a_request()[4:], 5015),
        (b"\x01\x00\x00\x16" + a_request()[4:], 5015),
        (b"\x01\xff\xff\xfc" + a_request()[4:], 5015),
    ],
)
def test_a_stream_that_is_lost_is_answered_and_closed(raw, result):
    async def scene():
        shard = FakeShard()
        async with a_server(shard) as server, a_peer(server) as client:
            answer = await client.ask(raw)
            return answer, await client.is_closed(), shard

    answer, closed, shard = asyncio.run(scene())

    assert answer.number("Result-Code") == result
    assert closed
    assert shard.commands == []


def test_sound_requests_around_a_broken_one_are_answered_in_their_order():
    async def scene():
        shard = FakeShard()
        shard.answer = a_slice()
        async with a_server(shard) as server, a_peer(server) as client:
            client.send(
                a_request(INITIAL, 0, an_mscc(requested=[]), hop=1)
                + a_message(SOUND + unknown, hop=2)
                + a_request(UPDATE, 1, an_mscc(requested=[]), hop=3)
            )
            return [await client.receive() for _ in range(3)]

    answers = asyncio.run(scene())

    assert [answer.header.hop_by_hop for answer in answers] == [1, 2, 3]
    assert [answer.number("Result-Code") for answer in answers] == [2001, 5001, 2001]


def test_nothing_is_heard_before_the_capabilities():
    async def scene():
        shard = FakeShard()
        async with a_server(shard) as server, a_stranger(server) as client:
            client.send(a_request())
            return await client.is_closed(), shard

    closed, shard = asyncio.run(scene())

    assert closed
    assert shard.commands == []


def test_proxy_information_goes_back_with_a_refusal_too():
    proxies = write_fields([("Proxy-Info", [("Proxy-Host", "dra.example.net"), ("Proxy-State", b"12345")])])

    answer, _ = ask(SOUND + proxies + unknown)

    assert answer.first("Proxy-Info").content == proxies[8:]


@given(st.binary(max_size=2_000))
def test_no_bytes_hang_the_framing(raw):
    start, end, position, fault = frame(as_bytes(raw), largest=65_536)

    assert (end - start >= 20).all()
    assert 0 <= position <= len(raw)
    assert fault in (0, 5011, 5015)


def test_the_capabilities_may_come_with_the_first_requests_in_one_segment():
    async def scene():
        shard = FakeShard()
        async with a_server(shard) as server, a_stranger(server) as client:
            client.send(capabilities() + a_request() + a_request(UPDATE, 1))
            return [await client.receive() for _ in range(3)]

    answers = asyncio.run(scene())

    assert [answer.number("Result-Code") for answer in answers] == [2001, 2001, 2001]
