"""The walk over a batch agrees with the plain reader on whatever comes; nothing crashes either of them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from pyrad import packet as pyrad
from tests.network.radius.builders import SECRET, a_client, accounting_packet

from millicent.network.kernel import radius
from millicent.network.kernel.radius import COLUMNS, walk_radius
from millicent.network.radius.clients import Clients
from millicent.network.radius.datagrams import Arrivals
from millicent.network.radius.packets import read_packet, reveal_password, signature_of, write_request
from millicent.network.radius.reports import AccountingReader, SessionText, read_session_text
from millicent.network.radius.words import LARGEST_PACKET, AcctStatus, Attribute, Code

NUMBERS = {
    Attribute.ACCT_STATUS_TYPE: radius.STATUS,
    Attribute.ACCT_SESSION_TIME: radius.SESSION_SECONDS,
    Attribute.EVENT_TIMESTAMP: radius.EVENT_SECONDS,
    Attribute.ACCT_DELAY_TIME: radius.DELAY_SECONDS,
}
TEXTS = {
    Attribute.USER_NAME: radius.USER,
    Attribute.ACCT_SESSION_ID: radius.SESSION,
    Attribute.NAS_IDENTIFIER: radius.NAS,
}
LOCAL = bytes([2, 0, 0x30, 0x39, 127, 0, 0, 1]) + bytes(8)  # sockaddr_in of 127.0.0.1, port 12345
attributes = st.lists(st.tuples(st.integers(1, 255), st.binary(max_size=40)), max_size=20)


def walked(*datagrams):
    room = np.zeros((len(datagrams), LARGEST_PACKET), np.uint8)
    for row, datagram in enumerate(datagrams):
        room[row, : len(datagram)] = np.frombuffer(datagram, np.uint8)
    sizes = np.array([len(datagram) for datagram in datagrams], np.int64)
    found = np.empty((len(datagrams), COLUMNS), np.int64)
    walk_radius(room, sizes, found)
    return found, Arrivals(room, sizes, [LOCAL] * len(datagrams))


def assert_agreement(datagram):
    found = walked(datagram)[0][0]
    packet = read_packet(datagram)
    if packet is None:
        assert found[radius.FAULT] != radius.SOUND
        return
    signature = packet.first(Attribute.MESSAGE_AUTHENTICATOR)
    if signature is not None and len(signature) != 16:
        assert found[radius.FAULT] == radius.BAD_ATTRIBUTE
        return
    assert found[radius.FAULT] == radius.SOUND
    assert found[radius.CODE] == packet.code
    for kind, column in NUMBERS.items():
        given_number = next(
            (value for value in (v for k, v in packet.attributes if k == kind) if len(value) == 4), None
        )
        expected = -1 if given_number is None else int.from_bytes(given_number, "big")
        assert found[column] == expected
    for kind, column in TEXTS.items():
        value, start = packet.first(kind), found[column]
        assert (None if start < 0 else datagram[start : start + found[column + 1]]) == value


@given(st.binary(max_size=300))
def test_any_bytes_are_read_alike(datagram):
    assert_agreement(datagram)


@given(attributes, st.integers(0, 255))
def test_any_attributes_are_read_alike(content, code):
    assert_agreement(write_request(code, identifier=1, attributes=content, secret=SECRET))


@given(st.integers(0, 119), st.integers(1, 255), st.integers(0, 120))
def test_a_flipped_or_cut_report_is_read_alike_and_never_believed(at, change, length):
    whole = bytearray(accounting_packet(AcctStatus.STOP, acct_session_time=5, acct_input_octets=6))
    whole[at % len(whole)] ^= change
    damaged = bytes(whole[: max(length, 1)])
    assert_agreement(damaged)

    reader = AccountingReader(Clients([a_client()]))

    assert reader.read(walked(damaged)[1], now_ms=10**12) == []
    assert sum(reader.take_dropped().values()) == 1


@given(st.binary(max_size=400))
def test_no_bytes_crash_what_checks_them(datagram):
    packet = read_packet(datagram)
    if packet is not None:
        signature_of(packet, authenticator=packet.authenticator, secret=SECRET)
        reveal_password(datagram, authenticator=packet.authenticator, secret=SECRET)


@given(attributes)
def test_pyrad_believes_our_orders(content):
    content = [(kind, value) for kind, value in content if kind not in (Attribute.VENDOR_SPECIFIC, 80)]
    wire = write_request(Code.COA_REQUEST, identifier=9, attributes=content, secret=SECRET)

    order = pyrad.CoAPacket(packet=wire, secret=SECRET)

    assert order.VerifyCoARequest()
    assert order.verify_message_authenticator()


@given(st.text(max_size=60), st.text(max_size=60), st.sampled_from(["", "10.0.0.1"]), st.text(max_size=60))
def test_a_session_is_found_again_by_its_text(session_id, nas, address, user):
    text = SessionText(session_id, f"10.0.0.9/{nas}", address, user)

    assert read_session_text(str(text)) == text
