"""Decoders of strangers' bytes, each as a target: takes so many spoilt inputs, and says what is wrong in words."""

import json
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import md5

import msgspec
import numpy as np
from tests.fuzz.mutations import Batches, Int64s, UInt8s, a_pool, in_one_run
from tests.network.diameter import builders as diameter
from tests.network.radius import builders as radius

from millicent.network.diameter import codec
from millicent.network.diameter.messages import MessageBroken, read_message
from millicent.network.http.app import _KINDS
from millicent.network.kernel import radius as radius_walk
from millicent.network.radius.clients import Clients
from millicent.network.radius.datagrams import Arrivals
from millicent.network.radius.packets import read_packet
from millicent.network.radius.reports import AccountingReader
from millicent.network.radius.words import AcctStatus

BATCH = 20_000
_OUR_REALM = codec.as_bytes(diameter.REALM.encode())
_OUR_HOST = codec.as_bytes(diameter.SERVER.encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """`run(count, seed)` returns how often each outcome came; it raises where a promise is broken."""

    name: str
    run: Callable[[int, int], Mapping[str, int]]
    share: int  # of a hundred inputs


def _requests() -> list[bytes]:
    used, asked = [("CC-Total-Octets", 900)], [("CC-Input-Octets", 5), ("CC-Output-Octets", 2**40)]
    several = ("Multiple-Services-Indicator", 1)
    state = ("Origin-State-Id", 7)
    return [
        diameter.a_request(diameter.INITIAL, 0, several, diameter.an_mscc(requested=[])),
        diameter.a_request(diameter.UPDATE, 1, state, diameter.an_mscc(requested=asked, used=used)),
        diameter.a_request(
            diameter.UPDATE, 2, diameter.an_mscc(10, requested=[], used=used), diameter.an_mscc(20, used=asked),
            diameter.an_mscc(30, service_id=9, requested=asked),
        ),
        diameter.a_request(diameter.TERMINATION, 3, ("Termination-Cause", 1), diameter.an_mscc(used=used)),
        diameter.a_request(diameter.EVENT, 0, ("Requested-Action", 0), context="32274@3gpp.org"),
        diameter.capabilities(),
    ]  # fmt: skip


def _mend_diameter(raw: bytes, dice: random.Random) -> bytes:
    """Nineteen of twenty say their true length, in whole words."""
    raw = raw + bytes(-len(raw) % 4) if len(raw) >= 20 else raw + bytes(20 - len(raw))
    length = len(raw) if dice.random() < 0.95 else dice.randrange(2**24)
    return b"\1" + length.to_bytes(3, "big") + raw[4:]


@cache
def _diameter_pool() -> list[bytes]:
    return a_pool(_requests(), seed=1, count=4_000, mend=_mend_diameter, longest=2_000)


def _run_diameter(count: int, seed: int) -> Counter[str]:
    batches, told = Batches(_diameter_pool(), seed=seed), Counter[str]()
    for done in range(0, count, BATCH):
        rows, sizes = batches.next(min(BATCH, count - done), spare=20)
        buffer, start, end = in_one_run(rows, sizes)
        told += _decoded(buffer, start, end)
        told += _framed(buffer)
    return told


def _decoded(buffer: UInt8s, start: Int64s, end: Int64s) -> Counter[str]:
    requests = codec.decode(
        buffer, start=start, end=end, connection=np.zeros(start.size, np.int64), ranks=np.ones(5, np.int64),
        realm=_OUR_REALM, host=_OUR_HOST,
    )  # fmt: skip
    messages, units = requests.messages, requests.units
    result = messages["result"]
    assert ((result == 0) | ((result >= 3000) & (result < 6000))).all(), "a refusal has a Result-Code"
    for name in ("session", "host", "realm", "to_realm", "to_host", "context", "user", "id", "calling", "called",
                 "network", "rat", "station"):  # fmt: skip
        at, length = messages[f"{name}_at"], messages[f"{name}_length"]
        inside = (at < 0) | ((at >= messages["start"]) & (at + length <= messages["end"]) & (length >= 0))
        assert inside.all(), f"{name} stands outside of its message"
    blamed = messages["failed_at"] >= 0
    reach = messages["failed_at"] + messages["failed_length"]
    assert (~blamed | ((messages["failed_at"] >= messages["start"]) & (reach <= messages["end"]))).all(), "blame"
    sound = np.flatnonzero(result == 0)
    assert (messages["first_unit"][sound] + messages["units"][sound] <= units.size).all(), "units of a sound message"
    for name in ("used", "used_after", "asked"):
        assert (units[name] >= -1).all(), f"{name} is below zero"
    codes, counts = np.unique(result, return_counts=True)
    return Counter({str(code): int(each) for code, each in zip(codes, counts, strict=True)})


def _framed(buffer: UInt8s) -> Counter[str]:
    """The stream as a peer would send it: framing stops where a header lies, and never goes beyond the bytes."""
    start, end, position, _ = codec.frame(buffer, largest=65_536)
    assert 0 <= position <= buffer.size, "framing reads beyond what came"
    assert (end > start).all(), "a message of nothing"
    assert end.size == 0 or end[-1] <= buffer.size, "a message ends beyond what came"
    return Counter()


def _run_diameter_in_python(count: int, seed: int) -> Counter[str]:
    rows, sizes = Batches(_diameter_pool(), seed=seed).next(count, spare=20)
    told = Counter[str]()
    for row, size in zip(rows, sizes.tolist(), strict=True):
        try:
            message = read_message(row[:size].tobytes())
            _every_part(message.parts, depth=0)
            told["read"] += 1
        except MessageBroken as broken:
            assert 3000 <= broken.result < 6000, broken.result
            told[str(broken.result)] += 1
    return told


def _every_part(parts: object, *, depth: int) -> None:
    for part in parts if depth < 4 else ():
        if part.avp is not None and part.avp.kind == "Grouped":
            _every_part(part.parts(), depth=depth + 1)


def _accounting() -> list[bytes]:
    return [
        radius.accounting_packet(AcctStatus.START),
        radius.accounting_packet(
            AcctStatus.INTERIM, acct_input_octets=7, acct_output_octets=2**32 - 1, acct_session_time=60,
            acct_input_gigawords=1,
        ),
        radius.accounting_packet(AcctStatus.STOP, acct_session_time=2**31, user="x" * 250),
    ]  # fmt: skip


def _mend_radius(raw: bytes, dice: random.Random) -> bytes:
    raw = raw + bytes(max(0, 20 - len(raw)))
    length = len(raw) if dice.random() < 0.95 else dice.randrange(2**16)
    return raw[:2] + length.to_bytes(2, "big") + raw[4:]


@cache
def _radius_pool() -> list[bytes]:
    return a_pool(_accounting(), seed=2, count=4_000, mend=_mend_radius, longest=1_200)


def _run_radius(count: int, seed: int) -> Counter[str]:
    batches, told = Batches(_radius_pool(), seed=seed), Counter[str]()
    for done in range(0, count, BATCH):
        rows, sizes = batches.next(min(BATCH, count - done), spare=20)
        found = np.full((len(sizes), radius_walk.COLUMNS), -7, np.int64)
        radius_walk.walk_radius(rows, sizes, found)
        sound = found[found[:, radius_walk.FAULT] == radius_walk.SOUND]
        for text in (radius_walk.USER, radius_walk.SESSION, radius_walk.NAS, radius_walk.CALLING):
            at, size = sound[:, text], sound[:, text + 1]
            assert ((at < 0) | (at + size <= sound[:, radius_walk.LENGTH])).all(), "a text ends beyond its packet"
        assert (found[:, radius_walk.FAULT] >= 0).all(), "every packet is judged"
        octets = found[:, (radius_walk.INPUT_OCTETS, radius_walk.OUTPUT_OCTETS)]
        assert (octets[found[:, radius_walk.FAULT] == radius_walk.SOUND] >= -1).all(), "octets below zero"
        told["sound"] += len(sound)
        told["malformed"] += len(sizes) - len(sound)
    return told


def _signed_again(raw: bytes) -> bytes:
    """As a client with the right secret would send it: what is spoilt is then read to its end."""
    return raw[:4] + md5(raw[:4] + bytes(16) + raw[20:] + radius.SECRET).digest() + raw[20:]


def _run_radius_reader(count: int, seed: int) -> Counter[str]:
    """The whole reader of accounting, and the plain one: both agree on what is a packet."""
    rows, sizes = Batches(_radius_pool(), seed=seed).next(count, spare=20)
    reader, told = AccountingReader(Clients([radius.a_client()])), Counter[str]()
    sender = np.zeros(28, np.uint8)
    sender[:8] = (2, 0, 4, 0, 127, 0, 0, 1)
    for row, size in zip(rows, sizes.tolist(), strict=True):
        length = int(row[2]) * 256 + int(row[3])
        if 20 <= length <= size:
            row[:length] = np.frombuffer(_signed_again(row[:length].tobytes()), np.uint8)
        reports = reader.read(Arrivals(row[None, :].copy(), np.array([size]), [sender.tobytes()]), now_ms=10**12)
        told["report" if reports else "dropped"] += 1
        assert read_packet(row[:size].tobytes()) is not None or not reports, "a report of what is no packet"
    return told


_SUBSCRIBER = {"kind": "msisdn", "identifier": "+34600000001"}
_BODIES = [
    json.dumps(body).encode()
    for body in (
        {"subscriber": _SUBSCRIBER, "service": "voice", "other_party": "+34911234567", "session_id": "a"},
        {"subscriber": _SUBSCRIBER, "service": "voice", "asked": {"seconds": 2**50}},
        {"session_id": "a", "number": 3, "used": {"seconds": 60}, "asked": {"seconds": 600}},
        {"session_id": "a", "used": {"input_octets": 60}},
        {"subscriber": _SUBSCRIBER, "service": "sms", "key": "é", "used": {"units": 1}, "amount": "0.10"},
        {"event_key": "e"},
        {"operations": [{"operation": "start", "subscriber": _SUBSCRIBER, "service": "voice", "session_id": "b"}] * 3},
        [[[[]]]] * 9,
    )
] + [b"[" * 600, b'{"operations":' * 300, b"1e999999999", b'"\\ud800"', b"9" * 500]


def _run_http(count: int, seed: int) -> Counter[str]:
    """The decoders that the charging API puts before everything: a value of the right shape, or a refusal."""
    pool = a_pool(_BODIES, seed=3, count=4_000, mend=lambda raw, dice: raw or b"{", longest=1_500)
    batches, told = Batches(pool, seed=seed), Counter[str]()
    decoders = [msgspec.json.Decoder(kind) for kind in _KINDS.values()]
    for done in range(0, count, BATCH):
        rows, sizes = batches.next(min(BATCH, count - done), spare=0)
        for place, (row, size) in enumerate(zip(rows, sizes.tolist(), strict=True)):
            try:
                decoders[place % len(decoders)].decode(row[:size].tobytes())
                told["read"] += 1
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                told["refused"] += 1
    return told


TARGETS = (
    Target(name="diameter", run=_run_diameter, share=50),
    Target(name="diameter-python", run=_run_diameter_in_python, share=1),
    Target(name="radius", run=_run_radius, share=36),
    Target(name="radius-reader", run=_run_radius_reader, share=1),
    Target(name="http", run=_run_http, share=12),
)
