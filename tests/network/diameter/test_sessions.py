"""A session over TCP, from the capabilities to the end, against a shard that notes what it is told."""

import asyncio

from tests.network.diameter.builders import (
    INITIAL,
    TERMINATION,
    UPDATE,
    FakeShard,
    a_peer,
    a_request,
    a_server,
    a_slice,
    an_mscc,
)

from millicent.charging.keys import session_key
from millicent.charging.types import Flag, Verb


def test_a_session_is_opened_used_and_ended():
    async def scene():
        shard = FakeShard()
        shard.answer = a_slice()
        async with a_server(shard) as server, a_peer(server) as client:
            opened = await client.ask(a_request(INITIAL, 0, an_mscc(10, requested=[])))
            used = [("CC-Total-Octets", 3_000_000)]
            updated = await client.ask(a_request(UPDATE, 1, an_mscc(10, requested=[], used=used)))
            ended = await client.ask(a_request(TERMINATION, 2, an_mscc(10, used=[("CC-Total-Octets", 1)])))
        return shard, opened, updated, ended

    shard, opened, updated, ended = asyncio.run(scene())

    assert [answer.number("Result-Code") for answer in (opened, updated, ended)] == [2001, 2001, 2001]
    rows = shard.rows()
    assert rows["verb"].tolist() == [Verb.OPEN, Verb.UNITS, Verb.UNITS, Verb.UNITS, Verb.END]
    assert rows["flags"].tolist() == [0, Flag.ASKED, Flag.ASKED, Flag.FINAL, 0]
    assert rows["used"][:, 1].tolist() == [-1, -1, 3_000_000, 1, -1]
    assert rows["request_number"].tolist() == [0, 0, 1, 2, 2]
    key = session_key("diameter", "pgw01.example.net", "pgw01.example.net;1;1")
    assert {(int(row["key_high"]), int(row["key_low"])) for row in rows} == {key}
    assert shard.texts == [b"pgw01.example.net;1;1", b"", b""]
