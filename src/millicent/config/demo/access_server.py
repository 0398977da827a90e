"""A broadband access server, played by pyrad: it lets somebody in, accounts, and hears what it must change."""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import StringIO
from queue import Queue
from typing import Any

from pyrad import packet
from pyrad.client import Client
from pyrad.dictionary import Dictionary

NAME = "tower-1"
_PATIENCE_SECONDS = 20
_ANSWER_SECONDS = 5
_LARGEST_PACKET = 4096
_GIGAWORD = 2**32
_DICTIONARY = """
ATTRIBUTE User-Name 1 string
ATTRIBUTE User-Password 2 string
ATTRIBUTE NAS-IP-Address 4 ipaddr
ATTRIBUTE Reply-Message 18 string
ATTRIBUTE Session-Timeout 27 integer
ATTRIBUTE NAS-Identifier 32 string
ATTRIBUTE Acct-Status-Type 40 integer
ATTRIBUTE Acct-Input-Octets 42 integer
ATTRIBUTE Acct-Output-Octets 43 integer
ATTRIBUTE Acct-Session-Id 44 string
ATTRIBUTE Acct-Session-Time 46 integer
ATTRIBUTE Acct-Input-Gigawords 52 integer
ATTRIBUTE Acct-Output-Gigawords 53 integer
ATTRIBUTE Event-Timestamp 55 date
ATTRIBUTE Message-Authenticator 80 octets
ATTRIBUTE Acct-Interim-Interval 85 integer
VALUE Acct-Status-Type Start 1
VALUE Acct-Status-Type Stop 2
VALUE Acct-Status-Type Interim-Update 3
VENDOR Mikrotik 14988
BEGIN-VENDOR Mikrotik
ATTRIBUTE Mikrotik-Rate-Limit 8 string
ATTRIBUTE Mikrotik-Total-Limit 17 integer
ATTRIBUTE Mikrotik-Total-Limit-Gigawords 18 integer
END-VENDOR Mikrotik
"""
Told = Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class AccessServer:
    """Speaks to our authentication and accounting ports, and listens for changes on a port of its own."""

    client: Any
    orders: "Queue[Told]" = field(default_factory=Queue)  # what changes of authorisation said

    def let_in(self, user: str, *, password: str) -> Told:
        """Attributes of the Access-Accept; an Access-Reject is an error here."""
        request = self.client.CreateAuthPacket(User_Name=user, NAS_Identifier=NAME)
        request["User-Password"] = request.PwCrypt(password)
        request.add_message_authenticator()
        answer = self.client.SendPacket(request)
        if answer.code != packet.AccessAccept:
            raise RuntimeError(f"{user} was not let in: {_plain(answer)}")
        return _plain(answer)

    def report(self, status: str, *, user: str, session: str, octets: int = 0, seconds: int = 0) -> None:
        """One Accounting-Request, sent again until it is answered."""
        request = self.client.CreateAcctPacket(User_Name=user, NAS_Identifier=NAME, Acct_Session_Id=session)
        request["Acct-Status-Type"] = status
        request["Acct-Output-Gigawords"], request["Acct-Output-Octets"] = divmod(octets, _GIGAWORD)
        request["Acct-Session-Time"] = seconds
        self.client.SendPacket(request)

    def next_order(self) -> Told:
        """What the next change of authorisation says."""
        return self.orders.get(timeout=_PATIENCE_SECONDS)


def _plain(answer: Any) -> Told:
    return {str(name): answer[name][0] for name in answer.keys()}  # noqa: SIM118 - its keys() are names, it has codes


@contextmanager
def access_server(
    *, authentication: int, accounting: int, listener: socket.socket, secret: bytes
) -> Iterator[AccessServer]:
    """Speaks to these ports of this machine; acknowledges every change that comes to `listener`, then closes it."""
    words = Dictionary(StringIO(_DICTIONARY))
    client = Client(server="127.0.0.1", authport=authentication, acctport=accounting, secret=secret, dict=words)
    client.timeout = _ANSWER_SECONDS
    server = AccessServer(client=client)
    hearing = threading.Thread(target=_hear, args=(server, listener, secret), name="access server", daemon=True)
    hearing.start()
    try:
        yield server
    finally:
        listener.close()


def _hear(server: AccessServer, listener: socket.socket, secret: bytes) -> None:
    while True:
        try:
            raw, sender = listener.recvfrom(_LARGEST_PACKET)
        except OSError:
            return
        change = packet.CoAPacket(packet=raw, secret=secret, dict=server.client.dict)
        if change.VerifyCoARequest():
            server.orders.put(_plain(change))
            listener.sendto(change.CreateReply().ReplyPacket(), sender)
