"""Connections: who may come, how they are kept alive, what is pushed to them, how they are held back."""

import asyncio
import ssl
import subprocess

import numpy as np
import pytest
from tests.network.diameter.builders import (
    CLIENT,
    INITIAL,
    NOW_MS,
    SETTINGS,
    UPDATE,
    FakeShard,
    a_message,
    a_peer,
    a_request,
    a_server,
    a_slice,
    a_stranger,
    an_mscc,
    capabilities,
)

from millicent.charging.types import NOTICE, Door, NameKind, NoticeKind, Verb
from millicent.kit.errors import BadInput, Outage
from millicent.network.diameter.messages import answer_bytes, write_fields
from millicent.network.diameter.settings import read_settings
from millicent.network.diameter.watchdog import Step, Watchdog


def greeting(raw: bytes, *, settings: str = SETTINGS):
    """The answer to a CER, and whether the connection was closed then."""

    async def scene():
        async with a_server(FakeShard(), settings=settings) as server, a_stranger(server) as client:
            answer = await client.ask(raw)
            if answer.number("Result-Code") == 2001:
                return answer, False
            return answer, await client.is_closed()

    return asyncio.run(scene())


def test_capabilities_say_who_we_are():
    answer, closed = greeting(capabilities())

    assert not closed
    assert [(part.avp.name, part.content) for part in answer.parts] == [
        ("Result-Code", (2001).to_bytes(4)),
        ("Origin-Host", b"ocs.example.net"),
        ("Origin-Realm", b"example.net"),
        ("Host-IP-Address", b"\0\1\x7f\0\0\1"),
        ("Vendor-Id", bytes(4)),
        ("Product-Name", b"Millicent"),
        ("Origin-State-Id", (NOW_MS // 1_000).to_bytes(4)),
        ("Supported-Vendor-Id", (10_415).to_bytes(4)),
        ("Auth-Application-Id", (4).to_bytes(4)),
        ("Inband-Security-Id", bytes(4)),
    ]


@pytest.mark.parametrize(
    ("raw", "settings", "result"),
    [
        (capabilities(host="stranger.example.net"), SETTINGS, 3010),
        (capabilities(), SETTINGS.replace("{host: pgw01.example.net}", "{host: pgw01.example.net, realm: x}"), 3010),
        (capabilities(), SETTINGS.replace("{host: pgw01.example.net}", "{host: pgw01.example.net, tls: true}"), 3010),
        (
            capabilities(),
            SETTINGS.replace("{host: pgw01.example.net}", "{host: pgw01.example.net, addresses: [10.0.0.0/8]}"),
            3010,
        ),
        (capabilities(("Auth-Application-Id", 16_777_238)), SETTINGS, 5010),
        (capabilities(("Auth-Application-Id", 4), ("Inband-Security-Id", 1)), SETTINGS, 5017),
    ],
)  # fmt: skip
def test_who_may_not_come_is_told_why_and_closed(raw, settings, result):
    answer, closed = greeting(raw, settings=settings)

    assert (answer.number("Result-Code"), closed) == (result, True)


@pytest.mark.parametrize(
    "application",
    [
        ("Auth-Application-Id", 0xFFFFFFFF),
        ("Vendor-Specific-Application-Id", [("Vendor-Id", 10_415), ("Auth-Application-Id", 4)]),
    ],
)
def test_a_relay_and_a_vendor_specific_client_are_welcome(application):
    assert greeting(capabilities(application))[0].number("Result-Code") == 2001


def test_a_watchdog_is_answered_and_a_good_bye_closes():
    async def scene():
        async with a_server(FakeShard()) as server, a_peer(server) as client:
            origin = [("Origin-Host", CLIENT), ("Origin-Realm", "example.net")]
            watched = await client.ask(a_message(origin, command=280, application=0, flags=0x80))
            left = await client.ask(
                a_message([*origin, ("Disconnect-Cause", 0)], command=282, application=0, flags=0x80)
            )
            return watched, left, await client.is_closed()

    watched, left, closed = asyncio.run(scene())

    assert (watched.number("Result-Code"), watched.number("Origin-State-Id")) == (2001, NOW_MS // 1_000)
    assert (left.number("Result-Code"), closed) == (2001, True)


def test_a_silent_connection_is_asked_then_doubted_then_closed():
    watchdog = Watchdog()

    assert [watchdog.on_timer() for _ in range(3)] == [Step.ASK, Step.DOUBT, Step.CLOSE]


def test_any_message_ends_the_doubt_but_only_an_answer_the_question():
    watchdog = Watchdog()
    watchdog.on_timer()
    watchdog.on_timer()

    watchdog.on_receive(is_watchdog_answer=False)
    assert (watchdog.suspect, watchdog.pending) == (False, True)
    watchdog.on_receive(is_watchdog_answer=True)
    assert watchdog.on_timer() is Step.ASK


def test_we_say_good_bye_before_we_close():
    async def scene():
        async with a_server(FakeShard()) as server, a_peer(server) as client:
            stopping = asyncio.create_task(server.stop())
            request = await client.receive()
            client.send(answer_bytes(request.header, write_fields([("Result-Code", 2001)])))
            closed = await client.is_closed()
            await stopping
            return request, closed

    request, closed = asyncio.run(scene())

    assert (request.header.command, request.number("Disconnect-Cause"), closed) == (282, 0, True)


def test_a_new_connection_of_a_peer_replaces_the_old_one():
    async def scene():
        async with a_server(FakeShard()) as server, a_peer(server) as old, a_peer(server) as new:
            try:
                gone = await old.is_closed()
            except ConnectionResetError:
                gone = True
            return gone, (await new.ask(a_request(INITIAL, 0))).number("Result-Code")

    assert asyncio.run(scene()) == (True, 2001)


def test_an_outage_of_the_shard_is_too_busy_and_the_next_request_is_served():
    async def scene():
        shard = FakeShard()
        async with a_server(shard) as server, a_peer(server) as client:
            shard.down = True
            busy = await client.ask(a_request(INITIAL, 0, an_mscc(requested=[])))
            shard.down = False
            return busy, await client.ask(a_request(INITIAL, 0, an_mscc(requested=[]))), shard

    busy, served, shard = asyncio.run(scene())

    assert (busy.number("Result-Code"), bool(busy.header.flags & 0x20)) == (3004, True)
    assert busy.text("Session-Id") == served.text("Session-Id")
    assert served.number("Result-Code") == 2001
    assert len(shard.commands) == 1


def test_a_defect_of_the_shard_is_too_busy_too_and_does_not_end_the_door():
    async def scene():
        shard = FakeShard()
        async with a_server(shard) as server, a_peer(server) as client:
            shard.decide = lambda row: 1 // 0
            busy = await client.ask(a_request(INITIAL, 0))
            shard.decide = None
            return busy, await client.ask(a_request(INITIAL, 0)), server.waiting

    busy, served, waiting = asyncio.run(scene())

    assert [busy.number("Result-Code"), served.number("Result-Code"), waiting] == [3004, 2001, 0]


def test_a_name_that_cannot_be_learnt_now_is_learnt_later():
    async def scene():
        shard = FakeShard()
        async with a_server(shard) as server, a_peer(server) as client:
            learn = shard.number_of

            async def silent(kind, text):
                raise Outage("the shard is silent")

            shard.number_of = silent
            busy = await client.ask(a_request(INITIAL, 0, an_mscc(requested=[])))
            shard.number_of = learn
            return busy, await client.ask(a_request(INITIAL, 0, an_mscc(requested=[]))), shard

    busy, served, shard = asyncio.run(scene())

    assert [busy.number("Result-Code"), served.number("Result-Code")] == [3004, 2001]
    assert len(shard.commands) == 1


def test_what_waits_while_the_shard_is_slow_goes_as_one_submission_and_reading_stops():
    requests = [a_request(UPDATE, number, an_mscc(requested=[])) for number in range(1, 101)]

    async def scene():
        shard = FakeShard()
        shard.held = asyncio.Event()
        async with a_server(shard, most_waiting_per_peer=20) as server, a_peer(server) as client:
            client.send(requests[0])
            while not shard.commands:
                await asyncio.sleep(0)
            for request in requests[1:]:
                client.send(request)
                await client.writer.drain()
                await asyncio.sleep(0)
            (connection,) = server.connections
            while connection.transport.is_reading() is not False:
                await asyncio.sleep(0)
            waiting = connection.waiting
            shard.held.set()
            answers = [await client.receive() for _ in requests]
            return shard, waiting, answers, connection.waiting, server.waiting

    shard, waiting, answers, left, left_of_all = asyncio.run(scene())

    assert waiting > 20
    assert [answer.number("CC-Request-Number") for answer in answers] == list(range(1, 101))
    assert max(rows.size for rows in shard.commands) > 1
    assert (left, left_of_all) == (0, 0)


def test_what_comes_while_no_submission_returns_is_too_busy_and_what_was_submitted_is_answered():
    async def scene():
        shard = FakeShard()
        shard.held = asyncio.Event()
        async with a_server(shard, busy_seconds=0) as server, a_peer(server) as client:
            for number in range(1, 5):
                client.send(a_request(UPDATE, number, an_mscc(requested=[])))
                while len(shard.commands) < number:
                    await asyncio.sleep(0)
            busy = [await client.ask(a_request(UPDATE, number, an_mscc(requested=[]))) for number in (5, 6)]
            shard.held.set()
            served = [await client.receive() for _ in range(4)]
            later = await client.ask(a_request(UPDATE, 5, an_mscc(requested=[])))
            return shard, busy, served, later

    shard, busy, served, later = asyncio.run(scene())

    assert [answer.number("Result-Code") for answer in busy] == [3004, 3004]
    assert [answer.number("CC-Request-Number") for answer in served] == [1, 2, 3, 4]
    assert {answer.number("Result-Code") for answer in [*served, later]} == {2001}
    assert shard.rows()["request_number"].tolist() == [1, 2, 3, 4, 5]


def a_notice(shard: FakeShard, kind: NoticeKind) -> np.ndarray:
    notice = np.zeros(1, NOTICE)
    notice["kind"], notice["door"] = kind, Door.DIAMETER
    notice["peer"] = shard.names[NameKind.PEER.value, CLIENT]
    notice["session_high"], notice["session_low"] = 5, 6
    return notice


def pushed(kind: NoticeKind, *, result: int):
    """The request that a notice becomes, and what the shard is told after its answer."""

    async def scene():
        shard = FakeShard()
        async with a_server(shard) as server, a_peer(server) as client:
            await client.ask(a_request(INITIAL, 0))
            told = len(shard.commands)
            shard.told(a_notice(shard, kind), ["pgw01.example.net;1;1"])
            request = await client.receive()
            client.send(answer_bytes(request.header, write_fields([("Result-Code", result)])))
            await client.ask(a_request(UPDATE, 1))
            await server.sessions.stop()
            return request, [row for rows in shard.commands[told:] for row in rows if row["verb"] == Verb.CLOSE]

    return asyncio.run(scene())


def test_a_session_is_asked_to_come_again():
    request, closed = pushed(NoticeKind.REAUTHORISE, result=2002)

    assert request.header.command == 258
    assert [(part.avp.name, part.content) for part in request.parts] == [
        ("Session-Id", b"pgw01.example.net;1;1"),
        ("Origin-Host", b"ocs.example.net"),
        ("Origin-Realm", b"example.net"),
        ("Destination-Realm", b"example.net"),
        ("Destination-Host", b"pgw01.example.net"),
        ("Auth-Application-Id", (4).to_bytes(4)),
        ("Re-Auth-Request-Type", bytes(4)),
    ]
    assert closed == []


@pytest.mark.parametrize("kind", [NoticeKind.REAUTHORISE, NoticeKind.ABORT])
def test_a_session_that_its_client_does_not_know_is_closed(kind):
    request, closed = pushed(kind, result=5002)

    assert request.header.command == {NoticeKind.REAUTHORISE: 258, NoticeKind.ABORT: 274}[kind]
    assert [(int(row["key_high"]), int(row["key_low"])) for row in closed] == [(5, 6)]


def restarted(*states: int, **settings: object) -> list:
    """CLOSE rows after a client said these Origin-State-Ids."""

    async def scene():
        shard = FakeShard()
        async with a_server(shard, **settings) as server, a_peer(server) as client:
            for number, state in enumerate(states):
                await client.ask(a_request(UPDATE, number, ("Origin-State-Id", state)))
            await server.sessions.stop()
        return shard, [row for row in shard.rows() if row["verb"] == Verb.CLOSE]

    shard, closed = asyncio.run(scene())
    assert all(row["peer"] == shard.names[NameKind.PEER.value, CLIENT] for row in closed)
    return [(int(row["key_high"]), int(row["key_low"])) for row in closed]


def test_the_sessions_of_a_client_that_restarted_are_closed():
    assert restarted(7, 7, 8, 8) == [(0, 0)]


def test_a_state_that_went_back_or_is_told_first_closes_nothing():
    assert restarted(7, 6, 7) == []


def test_closing_them_can_be_switched_off():
    assert restarted(7, 8, close_on_restart="false") == []


def test_numbers_are_asked_for_again_when_another_process_serves_the_shard():
    async def scene():
        shard = FakeShard()
        async with a_server(shard) as server, a_peer(server) as client:
            await client.ask(a_request(INITIAL, 0, an_mscc(requested=[])))
            shard.names = {("other", "x"): 1}
            shard.forget()
            await client.ask(a_request(UPDATE, 1, an_mscc(requested=[])))
        return shard

    shard = asyncio.run(scene())

    row = shard.rows()[-1]
    assert {NameKind.TRAFFIC.value, NameKind.PEER.value} < {kind for kind, _ in shard.names}
    assert row["peer"] == shard.names[NameKind.PEER.value, CLIENT]


@pytest.fixture
def certificates(tmp_path):
    """One certificate that is its own authority, for both sides."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem",
         "-days", "2", "-subj", f"/CN={CLIENT}", "-addext", f"subjectAltName=DNS:{CLIENT}"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    return tmp_path


@pytest.mark.parametrize(("host", "result"), [(CLIENT, 2001), ("dra.example.net", 3010)])
def test_over_tls_a_peer_is_who_its_certificate_names(certificates, host, result):
    files = {"certificate": "cert.pem", "key": "key.pem", "authority": "cert.pem"}
    listen = "{port: 0, " + ", ".join(f"{name}: {certificates}/{file}" for name, file in files.items()) + "}"
    context = ssl.create_default_context(cafile=str(certificates / "cert.pem"))
    context.check_hostname = False
    context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")

    async def scene():
        shard = FakeShard()
        shard.answer = a_slice()
        settings = SETTINGS.replace("{address: 127.0.0.1, port: 0}", listen)
        async with a_server(shard, settings=settings) as server, a_stranger(server, ssl=context) as client:
            return (await client.ask(capabilities(host=host))).number("Result-Code")

    assert asyncio.run(scene()) == result


@pytest.mark.parametrize(
    ("text", "blamed"),
    [
        ("realm: example.net", "host is missing"),
        ("host: a\nrealm: b\nporrt: 1", "'porrt' is not known"),
        ("host: a\nrealm: b\nfailure_handling: shrug", "failure_handling cannot be 'shrug'"),
        ("host: a\nrealm: b\nidentifiers: [shoe-size]", "identifiers cannot be 'shoe-size'"),
        ("host: a\nrealm: b\nwatchdog_seconds: soon", "watchdog_seconds cannot be 'soon'"),
        ("host: a\nrealm: b\npeers: [{realm: c}]", "host is missing"),
    ],
)
def test_a_declaration_that_is_wrong_says_where(text, blamed):
    with pytest.raises(BadInput, match=blamed):
        read_settings(text, where="diameter.yaml")


def test_a_name_with_a_star_lets_in_what_is_beneath_it():
    settings = read_settings('host: a\nrealm: b\npeers: [{host: "*.epc.example.net"}]', where="test")

    def lets_in(host: str) -> bool:
        return settings.peer_for(host, realm="r", address="10.0.0.1", tls=False) is not None

    assert lets_in("PGW1.epc.example.net")
    assert not lets_in("pgw1.example.net")
    assert not lets_in("epc.example.net")
