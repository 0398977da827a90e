"""Accounting over a real socket on the loopback, with the shard played by a port that remembers."""

import asyncio
import socket
from hashlib import md5

import pytest
from pyrad import packet as pyrad_packet
from tests.network.radius.builders import BROADBAND, SECRET, FakePort, a_client, accounting_packet

from millicent.charging.keys import identifier_key
from millicent.charging.types import NOT_SAID, Flag, NameKind, Unit, Verb
from millicent.network.radius.accounting import Accounting
from millicent.network.radius.accounting_server import AccountingServer
from millicent.network.radius.clients import Clients
from millicent.network.radius.datagrams import DatagramSocket
from millicent.network.radius.packets import write_access_request
from millicent.network.radius.words import AcctStatus, Attribute, Code
from millicent.subscriptions.types import IdentifierKind


def exchange(*packets, port=None, clients=None, wait=0.3):
    """Send packets one after the other; the answer of each, None where none came."""
    port = port or FakePort()

    async def serve():
        sock = DatagramSocket("127.0.0.1", 0)
        server = AccountingServer(
            socket=sock,
            clients=Clients([a_client()] if clients is None else clients),
            accounting=Accounting(port=port, services=BROADBAND),
        )
        server.start()
        try:
            return await asyncio.to_thread(ask, sock.port, packets, wait)
        finally:
            await server.stop()

    return asyncio.run(serve()), port


def ask(port, packets, wait):
    answers = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        sock.settimeout(wait)
        for packet in packets:
            sock.send(packet)
            try:
                answers.append(sock.recv(4096))
            except TimeoutError:
                answers.append(None)
    return answers


def the_usual_answer(request):
    head = bytes((Code.ACCOUNTING_RESPONSE, request[1])) + (20).to_bytes(2, "big")
    return head + md5(head + request[4:20] + SECRET).digest()


def test_a_start_opens_a_session_and_asks_for_its_first_slice():
    start = accounting_packet(AcctStatus.START, framed_ip_address=0x0A010203)

    answers, port = exchange(start)

    assert answers == [the_usual_answer(start)]
    (opened, opening), (asked, units) = port.commands()
    assert (opened, asked) == (Verb.OPEN, Verb.UNITS)
    assert opening["subscriber_key"] == identifier_key(IdentifierKind.RADIUS_USER, "anna@isp")
    assert opening["key_high"] == units["key_high"]
    assert opening["key_low"] == units["key_low"]
    assert units["flags"] == Flag.CUMULATIVE | Flag.ASKED
    assert units["asked"].tolist() == [NOT_SAID] * 6
    assert port.texts() == ["81c00123;127.0.0.1/bras-1;10.1.2.3;anna@isp"]
    assert (NameKind.PEER, "127.0.0.1/bras-1") in port.names


def test_an_interim_tells_totals_with_its_gigawords():
    interim = accounting_packet(
        AcctStatus.INTERIM,
        identifier=8,
        acct_session_time=600,
        acct_input_octets=5,
        acct_input_gigawords=1,
        acct_output_octets=7,
        acct_output_gigawords=2,
    )

    answers, port = exchange(accounting_packet(), interim)

    assert answers[1] == the_usual_answer(interim)
    verb, units = port.commands()[-1]
    assert verb is Verb.UNITS
    assert units["request_number"] == 601
    assert units["used"][Unit.SECONDS] == 600
    assert units["used"][Unit.INPUT_OCTETS] == 2**32 + 5
    assert units["used"][Unit.OUTPUT_OCTETS] == 2 * 2**32 + 7
    assert units["used"][Unit.TOTAL_OCTETS] == 3 * 2**32 + 12
    assert units["flags"] == Flag.CUMULATIVE | Flag.ASKED


def test_a_stop_is_the_last_report_and_ends_the_session():
    stop = accounting_packet(AcctStatus.STOP, identifier=9, acct_session_time=60, acct_input_octets=100)

    _, port = exchange(accounting_packet(), stop)

    (_, units), (ended, end) = port.commands()[-2:]
    assert ended is Verb.END
    assert units["flags"] == Flag.CUMULATIVE | Flag.FINAL
    assert units["request_number"] == end["request_number"] == 2**32 - 1
    assert port.sessions == set()


def test_an_interim_whose_start_was_lost_opens_its_session():
    interim = accounting_packet(AcctStatus.INTERIM, acct_session_time=300, acct_input_octets=9)

    answers, port = exchange(interim)

    assert answers == [the_usual_answer(interim)]
    assert [verb for verb, _ in port.commands()] == [Verb.UNITS, Verb.OPEN, Verb.UNITS]
    opening = port.commands()[1][1]
    assert port.commands()[2][1]["instant_ms"] - opening["instant_ms"] == 300_000


def test_an_access_server_that_restarts_closes_what_it_had():
    answers, port = exchange(accounting_packet(AcctStatus.ON, user="", session=""))

    assert answers[0] is not None
    ((verb, row),) = port.commands()
    assert verb is Verb.CLOSE
    assert (row["key_high"], row["key_low"]) == (0, 0)
    assert row["peer"] == port.names[NameKind.PEER, "127.0.0.1/bras-1"]


def test_the_same_request_again_is_answered_again_and_told_once():
    start = accounting_packet()

    answers, port = exchange(start, start)

    assert answers == [the_usual_answer(start)] * 2
    assert len(port.submissions) == 1


def test_nothing_is_answered_while_nothing_can_be_made_durable():
    port = FakePort()
    port.silent = True
    answers, _ = exchange(accounting_packet(), port=port)
    assert answers == [None]

    port.silent = False
    answers, _ = exchange(accounting_packet(), port=port)

    assert answers[0] is not None


@pytest.mark.parametrize(
    "packet",
    [
        accounting_packet(secret=b"another secret"),
        accounting_packet()[:-1],
        accounting_packet(extra=[(Attribute.MESSAGE_AUTHENTICATOR, bytes(16))]),
        accounting_packet(session=""),
        accounting_packet(user=""),
        accounting_packet(99),
        b"",
        bytes(20),
        bytes(4096),
    ],
    ids=["forged", "cut", "wrongly signed", "no session", "no user", "no status", "nothing", "zeros", "many zeros"],
)
def test_what_is_not_a_true_report_gets_no_answer_and_leaves_no_trace(packet):
    answers, port = exchange(packet)

    assert answers == [None]
    assert port.submissions == []


def test_an_unknown_address_gets_no_answer():
    answers, port = exchange(accounting_packet(), clients=[])

    assert answers == [None]
    assert port.submissions == []


def test_proxy_states_come_back_in_their_order():
    states = [(Attribute.PROXY_STATE, b"first"), (Attribute.PROXY_STATE, b"second")]

    answers, _ = exchange(accounting_packet(extra=states))

    answer = pyrad_packet.Packet(packet=answers[0])
    assert answer[int(Attribute.PROXY_STATE)] == [b"first", b"second"]


def test_a_status_server_is_answered_only_when_signed():
    probe = write_access_request(
        identifier=3, authenticator=b"r" * 16, attributes=[], secret=SECRET, code=Code.STATUS_SERVER
    )
    unsigned = bytes((Code.STATUS_SERVER, 4)) + (20).to_bytes(2, "big") + b"r" * 16

    answers, _ = exchange(probe, unsigned)

    assert answers[0][0] == Code.ACCOUNTING_RESPONSE
    assert answers[1] is None
