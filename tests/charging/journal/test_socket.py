"""Other processes reach the shard over its socket: the same answers, the same refusals, and no silence."""

import asyncio
import struct
from contextlib import asynccontextmanager, suppress

import numpy as np
import pytest
import uvloop
from tests.charging.journal.builders import a_place, some_commands
from tests.charging.journal.fake_shard import FakeShard

from millicent.charging.client import AnswerLost, ChargingClient, RefusedByShard, SyncChargingClient
from millicent.charging.journal.errors import ShardSilent
from millicent.charging.server.engine import Limits
from millicent.charging.server.frames import Kind, WrongFrame, frame, pack_submission, read_hello, split_frames
from millicent.charging.server.opening import open_shard
from millicent.charging.server.sockets import ShardSocket
from millicent.charging.types import Door, NameKind, Verb


@asynccontextmanager
async def a_served_shard(place, *, limits=None):
    async with open_shard(FakeShard(), place=place, limits=limits) as opened:
        server = ShardSocket(opened.engine, path=place.socket, epoch=opened.lease.epoch, shard=0)
        await server.start()
        try:
            yield opened, server
        finally:
            await server.stop()


def test_answers_numbers_and_notices_pass_over_the_socket(tenant_id, tmp_path):
    place, heard, every = a_place(tenant_id, tmp_path), [], []

    async def work():
        async with a_served_shard(place), ChargingClient(place.socket) as port:
            port.listen(Door.HTTP, lambda rows, texts: heard.append((rows["session"].tolist(), list(texts))))
            assert await port.number_of(NameKind.PEER, "nas-1") == 0
            many = await asyncio.gather(*(port.submit(some_commands(each)) for each in range(1, 101)))
            assert sorted(int(each["available_nanos"][0]) for each in many) == np.cumsum(np.arange(1, 101)).tolist()
            port.listen(Door.NONE, lambda rows, texts: every.append(rows["session"].tolist()))
            await port.submit(some_commands(1, verb=Verb.ADJUST))
            await port.number_of(NameKind.PEER, "nas-2")

    uvloop.run(work())

    assert heard == [([7], ["session 7"])]
    assert every == [[7]]


def test_code_that_blocks_asks_the_same(tenant_id, tmp_path):
    place = a_place(tenant_id, tmp_path)

    def blocking():
        with SyncChargingClient(place.socket) as port:
            assert port.number_of(NameKind.CAUSE, "goodwill") == 0
            return port.submit(some_commands(4, 5))["available_nanos"].tolist()

    async def work():
        async with a_served_shard(place):
            return await asyncio.to_thread(blocking)

    assert uvloop.run(work()) == [4, 9]


def test_a_refusal_says_why_and_nothing_was_applied(tenant_id, tmp_path):
    place = a_place(tenant_id, tmp_path)

    async def work():
        async with a_served_shard(place, limits=Limits(waiting_rows=1)), ChargingClient(place.socket) as port:
            with pytest.raises(RefusedByShard) as refusal:
                await port.submit(some_commands(1, 2))
            assert refusal.value.facts["code"] == "charging_busy"
            return (await port.submit(some_commands(0)))["available_nanos"].tolist()

    assert uvloop.run(work()) == [0]


def test_nobody_at_the_socket_is_said_at_once(tmp_path):
    with pytest.raises(ShardSilent):
        SyncChargingClient(tmp_path / "nobody.sock")


def test_a_client_connects_to_the_next_process_and_forgets(tenant_id, tmp_path):
    place, forgotten = a_place(tenant_id, tmp_path), []

    async def work():
        async with a_served_shard(place):
            port = await ChargingClient(place.socket).__aenter__()
            port.on_restart(lambda: forgotten.append(True))
            await port.submit(some_commands(5))
        with pytest.raises(ShardSilent):
            await port.submit(some_commands(5))
        async with a_served_shard(place):
            await asyncio.wait_for(port._ready.wait(), timeout=10)
            answers = await port.submit(some_commands(1))
            await port.__aexit__()
        return answers["available_nanos"].tolist()

    assert uvloop.run(work()) == [6]
    assert forgotten == [True]


def test_an_answer_that_cannot_come_any_more_is_said_to_be_lost(tenant_id, tmp_path):
    place = a_place(tenant_id, tmp_path)

    async def work():
        async with a_served_shard(place) as (opened, server), ChargingClient(place.socket) as port:
            opened.engine._writer = None  # nothing will become durable
            asked = asyncio.ensure_future(port.submit(some_commands(5)))
            await asyncio.sleep(0)
            for connection in list(server.connections):
                connection._transport.abort()
            with pytest.raises(AnswerLost):
                await asked
            opened.engine.end(None)

    uvloop.run(work())


@pytest.mark.parametrize(
    "content",
    [
        frame(Kind.SUBMIT, 1, b"\x01"),
        frame(Kind.SUBMIT, 1, struct.pack("<I", 9) + b"short"),
        frame(Kind.NAME, 1, b"{"),
        frame(Kind.NAME, 1, b'["no such kind", "x"]'),
        frame(Kind.LISTEN, 1, b"\xff"),
        frame(Kind.HELLO, 1),
        struct.pack("<IB3xI", 2**31, Kind.SUBMIT, 1),
        b"\xff" * 64,
    ],
)
def test_a_client_that_speaks_nonsense_is_disconnected_and_the_others_are_served(tenant_id, tmp_path, content):
    place = a_place(tenant_id, tmp_path)

    async def work():
        async with a_served_shard(place), ChargingClient(place.socket) as port:
            reader, writer = await asyncio.open_unix_connection(str(place.socket))
            writer.write(content)
            with suppress(ConnectionResetError):
                await reader.read()  # HELLO, then the end
            writer.close()
            return (await port.submit(some_commands(3)))["available_nanos"].tolist()

    assert uvloop.run(work()) == [3]


def test_a_text_outside_of_its_submission_is_refused():
    from millicent.charging.server.frames import unpack_submission

    rows = some_commands(1)
    rows["text_offset"], rows["text_length"] = 2, 3

    assert unpack_submission(pack_submission(rows, b"abcde"))[1] == b"abcde"
    with pytest.raises(WrongFrame):
        unpack_submission(pack_submission(rows, b"abcd"))


def test_another_version_is_not_talked_to():
    with pytest.raises(WrongFrame):
        read_hello(b'{"version": 1, "epoch": 4, "layouts": {"command": 1}}')


def test_frames_are_found_however_the_bytes_come():
    whole = frame(Kind.SUBMIT, 1, b"abc") + frame(Kind.LOOK, 2) + frame(Kind.NAME, 3, b"x" * 100)
    received, found = bytearray(), []
    for byte in whole:
        received.append(byte)
        found += [(each.kind, each.number, each.content) for each in split_frames(received)]

    assert found == [(2, 1, b"abc"), (9, 2, b""), (5, 3, b"x" * 100)]
    assert received == b""
