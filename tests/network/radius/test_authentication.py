"""Who comes in, asked by pyrad over the loopback; what a forger and an old access server get."""

import io
from hashlib import md5

import pytest
from pyrad import packet as pyrad
from pyrad.dictionary import Dictionary
from tests.network.radius.builders import (
    SECRET,
    FakeBook,
    FakePort,
    a_client,
    a_door,
    hashed,
    sealed,
    udp_exchange,
)

from millicent.charging.types import Result, Unit, Verb
from millicent.network.radius.clients import Profile, Vendor
from millicent.network.radius.granting import MOST_ASKED
from millicent.network.radius.packets import (
    hide_password,
    read_attributes,
    read_packet,
    reveal_password,
    signature_of,
    write_access_request,
    write_attributes,
)
from millicent.network.radius.words import Attribute, Code

FIBRE = Profile(
    rate_limit="50M/600M", throttled_rate_limit="1M/2M", pool="homes", policy_in="UP-50", policy_out="DOWN-600"
)
DICTIONARY = """
ATTRIBUTE User-Name 1 string
ATTRIBUTE User-Password 2 string encrypt=1
ATTRIBUTE CHAP-Password 3 octets
ATTRIBUTE Framed-IP-Address 8 ipaddr
ATTRIBUTE Reply-Message 18 string
ATTRIBUTE Class 25 octets
ATTRIBUTE Session-Timeout 27 integer
ATTRIBUTE Acct-Interim-Interval 85 integer
ATTRIBUTE Framed-Pool 88 string
ATTRIBUTE Message-Authenticator 80 octets
VENDOR Mikrotik 14988
BEGIN-VENDOR Mikrotik
ATTRIBUTE Mikrotik-Rate-Limit 8 string
ATTRIBUTE Mikrotik-Total-Limit 17 integer
ATTRIBUTE Mikrotik-Total-Limit-Gigawords 18 integer
END-VENDOR Mikrotik
VENDOR Cisco 9
BEGIN-VENDOR Cisco
ATTRIBUTE Cisco-AVPair 1 string
END-VENDOR Cisco
VENDOR WISPr 14122
BEGIN-VENDOR WISPr
ATTRIBUTE WISPr-Bandwidth-Max-Up 7 integer
ATTRIBUTE WISPr-Bandwidth-Max-Down 8 integer
END-VENDOR WISPr
"""


def a_request(password="s3cret-of-anna", *, user="anna@isp", chap=False):
    """An Access-Request as pyrad makes it, signed."""
    request = pyrad.AuthPacket(secret=SECRET, dict=Dictionary(io.StringIO(DICTIONARY)), id=5, User_Name=user)
    if chap:
        request.authenticator = request.CreateAuthenticator()
        request["CHAP-Password"] = b"\x09" + md5(b"\x09" + password.encode() + request.authenticator).digest()
    else:
        request["User-Password"] = request.PwCrypt(password)
    request.add_message_authenticator()
    return request


def ask(door, request):
    """The answer, read and verified by pyrad; None where none came."""
    wire = request.RequestPacket()
    answer = udp_exchange(door.ports[0], wire)
    if answer is None:
        return None
    reply = request.CreateReply(packet=answer)
    assert request.VerifyReply(reply, answer)
    return reply


def accepted(door, request=None):
    reply = ask(door, request or a_request())
    assert reply.code == Code.ACCESS_ACCEPT, reply.get("Reply-Message")
    return reply


@pytest.mark.parametrize("credential", [sealed(), hashed()], ids=["sealed", "hashed"])
def test_the_right_password_comes_in_and_a_wrong_one_does_not(credential):
    with a_door(book=FakeBook(credential=credential)) as running:
        assert ask(running.door, a_request()).code == Code.ACCESS_ACCEPT
        refused = ask(running.door, a_request("wrong"))

    assert refused.code == Code.ACCESS_REJECT
    assert refused["Reply-Message"] == ["wrong user name or password"]


def test_chap_needs_a_password_that_can_be_opened():
    with a_door(book=FakeBook(credential=sealed())) as running:
        assert ask(running.door, a_request(chap=True)).code == Code.ACCESS_ACCEPT
        assert ask(running.door, a_request("wrong", chap=True)).code == Code.ACCESS_REJECT
    with a_door(book=FakeBook(credential=hashed())) as running:
        assert ask(running.door, a_request(chap=True)).code == Code.ACCESS_REJECT


@pytest.mark.parametrize(
    "book",
    [
        FakeBook(credential=None),
        FakeBook(credential=sealed(), user_name="bert"),
        FakeBook(credential=sealed(), is_active=False),
    ],
    ids=["no password", "unknown", "suspended"],
)
def test_without_a_password_a_subscription_or_its_service_nobody_comes_in(book):
    with a_door(book=book) as running:
        assert ask(running.door, a_request()).code == Code.ACCESS_REJECT
        assert running.port.submissions == []


def test_an_accept_begins_with_its_message_authenticator():
    request = a_request()
    with a_door() as running:
        wire = request.RequestPacket()
        answer = read_packet(udp_exchange(running.door.ports[0], wire))

    assert answer.attributes[0][0] == Attribute.MESSAGE_AUTHENTICATOR
    assert signature_of(answer, authenticator=wire[4:20], secret=SECRET) is True


def unsigned(extra=()):
    hidden = hide_password(b"s3cret-of-anna", authenticator=b"r" * 16, secret=SECRET)
    content = write_attributes([(Attribute.USER_NAME, b"anna@isp"), (Attribute.USER_PASSWORD, hidden), *extra])
    return bytes((Code.ACCESS_REQUEST, 6)) + (20 + len(content)).to_bytes(2, "big") + b"r" * 16 + content


def test_a_request_without_message_authenticator_is_dropped():
    with a_door() as running:
        assert udp_exchange(running.door.ports[0], unsigned(), wait=0.3) is None


def test_an_old_client_may_do_without_but_not_with_a_proxy_state():
    with a_door(signed_only=False) as running:
        assert udp_exchange(running.door.ports[0], unsigned())[0] == Code.ACCESS_ACCEPT
        assert udp_exchange(running.door.ports[0], unsigned([(Attribute.PROXY_STATE, b"x")]), wait=0.3) is None


def test_a_request_signed_with_another_secret_is_dropped():
    forged = write_access_request(
        identifier=1, authenticator=b"r" * 16, attributes=[(Attribute.USER_NAME, b"anna@isp")], secret=b"another secret"
    )
    with a_door() as running:
        assert udp_exchange(running.door.ports[0], forged, wait=0.3) is None


def test_mikrotik_is_told_rate_pool_and_how_much_is_left():
    with a_door(port=FakePort(granted=5 * 2**32 + 7), book=FakeBook(credential=sealed(), profile=FIBRE),
                vendor=Vendor.MIKROTIK) as running:  # fmt: skip
        reply = accepted(running.door)

    assert reply["Mikrotik-Rate-Limit"] == ["50M/600M"]
    assert reply["Mikrotik-Total-Limit"] == [7]
    assert reply["Mikrotik-Total-Limit-Gigawords"] == [5]
    assert reply["Framed-Pool"] == ["homes"]
    assert reply["Acct-Interim-Interval"] == [300]
    assert reply["Class"][0].startswith(b"m1;")
    assert reply["Class"][0].endswith(b";fibre-600")


def test_every_admission_has_a_class_of_its_own():
    with a_door(book=FakeBook(credential=sealed())) as running:
        classes = {accepted(running.door)["Class"][0] for _ in range(3)}

    assert len(classes) == 3


def test_cisco_is_told_its_policies_and_wispr_its_bits():
    book = FakeBook(credential=sealed(), profile=FIBRE, framed_address="10.9.8.7")
    with a_door(book=book, vendor=Vendor.CISCO) as running:
        reply = accepted(running.door)
    assert reply["Cisco-AVPair"] == ["ip:sub-qos-policy-in=UP-50", "ip:sub-qos-policy-out=DOWN-600"]
    assert reply["Framed-IP-Address"] == ["10.9.8.7"]
    assert "Framed-Pool" not in reply

    with a_door(book=book, vendor=Vendor.WISPR) as running:
        reply = accepted(running.door)
    assert reply["WISPr-Bandwidth-Max-Up"] == [50_000_000]
    assert reply["WISPr-Bandwidth-Max-Down"] == [600_000_000]


def granted_bytes(book, **client):
    """All attributes of an Accept, by number, as bytes."""
    with a_door(book=book, **client) as running:
        wire = udp_exchange(running.door.ports[0], a_request().RequestPacket())
    found = {}
    for kind, value in read_attributes(wire[20:]):
        found.setdefault(kind, []).append(value)
    return found


def test_a_subscription_has_its_own_prefixes_or_those_of_a_pool():
    own = FakeBook(
        credential=sealed(), framed_ipv6_prefix="2001:db8:1:2::/64", delegated_ipv6_prefix="2001:db8:ff00::/56"
    )
    told = granted_bytes(own)
    assert told[Attribute.FRAMED_IPV6_PREFIX] == [bytes.fromhex("0040 20010db800010002")]
    assert told[Attribute.DELEGATED_IPV6_PREFIX] == [bytes.fromhex("0038 20010db8ff0000")]

    pools = Profile(ipv6_pool="links", delegated_ipv6_pool="homes6")
    told = granted_bytes(FakeBook(credential=sealed(), profile=pools))
    assert told[Attribute.FRAMED_IPV6_POOL] == [b"links"]
    assert told[Attribute.DELEGATED_IPV6_PREFIX_POOL] == [b"homes6"]

    told = granted_bytes(FakeBook(credential=sealed(), profile=pools), vendor=Vendor.MIKROTIK)
    assert bytes.fromhex("00003a8c 1608") + b"homes6" in told[Attribute.VENDOR_SPECIFIC]
    assert Attribute.DELEGATED_IPV6_PREFIX_POOL not in told


def test_an_address_that_is_none_keeps_nobody_from_the_network():
    book = FakeBook(credential=sealed(), profile=FIBRE, framed_address="10.9.8.777", framed_ipv6_prefix="none")
    told = granted_bytes(book)

    assert told[Attribute.FRAMED_POOL] == [b"homes"]
    assert Attribute.FRAMED_IP_ADDRESS not in told
    assert Attribute.FRAMED_IPV6_PREFIX not in told


def test_beyond_fair_use_a_session_begins_slow():
    book = FakeBook(credential=sealed(), profile=FIBRE)
    with a_door(port=FakePort(throttled=1), book=book, vendor=Vendor.MIKROTIK) as running:
        assert accepted(running.door)["Mikrotik-Rate-Limit"] == ["1M/2M"]


def test_time_that_is_left_is_a_session_timeout_and_without_end_there_is_none():
    with a_door(port=FakePort(granted=754, unit=Unit.SECONDS)) as running:
        assert accepted(running.door)["Session-Timeout"] == [754]
    with a_door(port=FakePort(granted=MOST_ASKED), vendor=Vendor.MIKROTIK) as running:
        reply = accepted(running.door)
    assert "Session-Timeout" not in reply
    assert "Mikrotik-Total-Limit" not in reply


@pytest.mark.parametrize("result", [Result.INSUFFICIENT, Result.NOT_SERVED, Result.UNKNOWN_SUBSCRIBER])
def test_with_nothing_left_or_barred_nobody_comes_in(result):
    with a_door(port=FakePort(result=result, granted=-1)) as running:
        assert ask(running.door, a_request()).code == Code.ACCESS_REJECT
        assert [verb for verb, _ in running.port.commands()] == [Verb.CHECK]


def test_while_the_shard_is_silent_there_is_neither_accept_nor_reject():
    port = FakePort()
    port.silent = True
    with a_door(port=port) as running:
        assert udp_exchange(running.door.ports[0], a_request().RequestPacket(), wait=0.5) is None


def test_the_same_request_again_is_decided_once():
    wire = a_request().RequestPacket()
    with a_door() as running:
        first = udp_exchange_twice(running.door.ports[0], wire)
        assert first[0] == first[1]
        assert len(running.port.submissions) == 1


def udp_exchange_twice(port, wire):
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        sock.settimeout(2)
        answers = []
        for _ in range(2):
            sock.send(wire)
            answers.append(sock.recv(4096))
        return answers


def test_a_status_server_is_answered():
    probe = write_access_request(
        identifier=3, authenticator=b"r" * 16, attributes=[], secret=SECRET, code=Code.STATUS_SERVER
    )
    with a_door() as running:
        assert udp_exchange(running.door.ports[0], probe)[0] == Code.ACCESS_ACCEPT


@pytest.mark.parametrize("clear", [b"x", b"sixteen bytes ab", b"a longer one than sixteen bytes"])
def test_a_hidden_password_is_revealed(clear):
    hidden = hide_password(clear, authenticator=b"r" * 16, secret=SECRET)

    assert reveal_password(hidden, authenticator=b"r" * 16, secret=SECRET) == clear
    assert reveal_password(hidden[:-1], authenticator=b"r" * 16, secret=SECRET) is None


def test_a_secret_is_in_no_text_of_a_client():
    assert SECRET.decode() not in repr(a_client())
