"""What access servers are told of sessions: played by one that pyrad reads for, and that answers as it is set to."""

import io
import socket
from queue import Empty, Queue
from threading import Thread

import pytest
from pyrad import packet as pyrad
from pyrad.dictionary import Dictionary
from tests.network.radius.builders import SECRET, FakeBook, FakePort, a_door, accounting_packet, sealed, udp_exchange
from tests.network.radius.test_authentication import DICTIONARY, FIBRE

from millicent.charging.types import FinalAction, NoticeKind, Result, Unit, Verb
from millicent.network.radius.clients import Vendor
from millicent.network.radius.words import AcctStatus, Code

WORDS = DICTIONARY + "ATTRIBUTE Acct-Session-Id 44 string\nATTRIBUTE NAS-Identifier 32 string\n"
WORDS += "ATTRIBUTE Event-Timestamp 55 integer\nATTRIBUTE Error-Cause 101 integer\n"
SESSION = "81c00123;127.0.0.1/bras-1;10.1.2.3;anna@isp"


class AccessServer:
    """Listens for orders, checks them with pyrad, and answers all but the first `deaf` ones."""

    def __init__(self, *, deaf=0, refuse=0):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.orders = Queue()
        self.wires = []
        self.deaf, self.refuse = deaf, refuse
        self.words = Dictionary(io.StringIO(WORDS))
        self.thread = Thread(target=self.listen, daemon=True)
        self.thread.start()

    def listen(self):
        while True:
            wire, sender = self.socket.recvfrom(4096)
            if not wire:
                return
            self.wires.append(wire)
            order = pyrad.CoAPacket(packet=wire, secret=SECRET, dict=self.words)
            if not (order.VerifyCoARequest() and order.verify_message_authenticator()):
                self.orders.put("forged")
                continue
            if self.deaf:
                self.deaf -= 1
                continue
            self.orders.put(order)
            answer = order.CreateReply()
            answer.code = order.code + (2 if self.refuse else 1)
            if self.refuse:
                answer["Error-Cause"] = self.refuse
            self.socket.sendto(answer.ReplyPacket(), sender)

    def order(self, wait=5):
        return self.orders.get(timeout=wait)

    def is_left_alone(self):
        try:
            self.orders.get(timeout=0.3)
        except Empty:
            return True
        return False

    def close(self):
        self.socket.sendto(b"", ("127.0.0.1", self.port))
        self.thread.join(10)
        self.socket.close()


@pytest.fixture
def nas():
    server = AccessServer()
    yield server
    server.close()


def following(nas, *, port=None, **client):
    book = FakeBook(credential=sealed(), profile=FIBRE)
    return a_door(port=port, book=book, coa_port=nas.port, vendor=Vendor.MIKROTIK, **client)


def report(running, status=AcctStatus.INTERIM, identifier=1, **told):
    answer = udp_exchange(running.door.ports[1], accounting_packet(status, identifier=identifier, **told))
    assert answer is not None


def test_a_session_that_goes_beyond_fair_use_is_slowed_and_later_let_go(nas):
    port = FakePort()
    with following(nas, port=port) as running:
        report(running, AcctStatus.START, identifier=1)
        assert nas.is_left_alone()
        port.answer["throttled"] = 1
        report(running, identifier=2, acct_session_time=300)
        slowed = nas.order()
        report(running, identifier=3, acct_session_time=600)
        assert nas.is_left_alone()
        port.answer["throttled"] = 0
        report(running, identifier=4, acct_session_time=900)
        freed = nas.order()

    assert slowed.code == Code.COA_REQUEST
    assert slowed["Mikrotik-Rate-Limit"] == ["1M/2M"]
    assert slowed["Acct-Session-Id"] == ["81c00123"]
    assert slowed["User-Name"] == ["anna@isp"]
    assert slowed["NAS-Identifier"] == ["bras-1"]
    assert "Event-Timestamp" in slowed
    assert freed["Mikrotik-Rate-Limit"] == ["50M/600M"]


@pytest.mark.parametrize("result", [Result.INSUFFICIENT, Result.NOT_SERVED, Result.UNKNOWN_SUBSCRIBER])
def test_a_session_that_may_not_go_on_is_disconnected(nas, result):
    port = FakePort()
    with following(nas, port=port) as running:
        report(running, AcctStatus.START, identifier=1, framed_ip_address=0x0A010203)
        port.answer |= {"result": result, "granted_units": -1}
        report(running, identifier=2, acct_session_time=300, framed_ip_address=0x0A010203)
        order = nas.order()

    assert order.code == Code.DISCONNECT_REQUEST
    assert order["Framed-IP-Address"] == ["10.1.2.3"]


def test_the_last_slice_is_an_end_that_counts_from_the_beginning(nas):
    port = FakePort(granted=1_000, final=FinalAction.TERMINATE)
    with following(nas, port=port) as running:
        report(running, identifier=2, acct_session_time=300, acct_input_octets=400, acct_output_octets=600)
        assert nas.order()["Mikrotik-Total-Limit"] == [2_000]
        port.answer["unit"] = Unit.SECONDS
        report(running, identifier=3, acct_session_time=600)
        assert nas.order()["Session-Timeout"] == [1_600]


def test_a_notice_to_abort_disconnects(nas):
    with following(nas) as running:
        running.notify(NoticeKind.ABORT, SESSION)
        order = nas.order()

    assert order.code == Code.DISCONNECT_REQUEST
    assert order["Acct-Session-Id"] == ["81c00123"]


def test_a_notice_to_reauthorise_tells_the_rate_of_now(nas):
    with following(nas) as running:
        running.notify(NoticeKind.REAUTHORISE, SESSION)
        order = nas.order()

    assert order.code == Code.COA_REQUEST
    assert order["Mikrotik-Rate-Limit"] == ["50M/600M"]


def test_an_order_is_sent_again_unchanged_until_it_is_answered(nas):
    nas.deaf = 1
    with following(nas) as running:
        running.notify(NoticeKind.ABORT, SESSION)
        nas.order()

    assert len(nas.wires) == 2
    assert nas.wires[0] == nas.wires[1]


def test_a_session_that_its_access_server_does_not_know_is_closed():
    nas = AccessServer(refuse=503)
    closed = Queue()

    class Port(FakePort):
        async def submit(self, commands, texts=b""):
            answers = await super().submit(commands, texts)
            closed.put(commands.copy())
            return answers

    with following(nas, port=Port()) as running:
        running.notify(NoticeKind.ABORT, SESSION, key=(3, 4))
        (row,) = closed.get(timeout=5)
    nas.close()

    assert Verb(int(row["verb"])) is Verb.CLOSE
    assert (int(row["key_high"]), int(row["key_low"])) == (3, 4)


def test_a_session_of_an_address_that_is_no_client_is_left_alone(nas):
    with following(nas) as running:
        running.notify(NoticeKind.ABORT, "81c00123;192.0.2.1/bras-1;;anna@isp")
        running.notify(NoticeKind.ABORT, SESSION)

        assert nas.order()["Framed-IP-Address"] == ["10.1.2.3"]
