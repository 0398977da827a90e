"""What accounting datagrams tell: who, which session, how much since it began. Untrue ones are left out and counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum, unique
from functools import lru_cache
from ipaddress import IPv4Address
from secrets import token_hex
from typing import Final, NamedTuple

import numpy as np

from millicent.charging.keys import identifier_key, session_key
from millicent.kit.kernels import Int64s, UInt8s
from millicent.network.kernel import radius
from millicent.network.kernel.radius import walk_radius
from millicent.network.radius.clients import Client, Clients
from millicent.network.radius.datagrams import Arrivals, address_text
from millicent.network.radius.packets import is_request_authentic, read_packet, signature_of
from millicent.network.radius.words import EMPTY_AUTHENTICATOR, AcctStatus, Code
from millicent.subscriptions.types import IdentifierKind

LAST_REQUEST: Final = 2**32 - 1
_KNOWN: Final = frozenset(int(each) for each in AcctStatus)
_LATEST_MS: Final = 86_400_000  # a report may be a day late
_SEPARATOR: Final = ";"
_CLASS_BEGIN: Final = b"m1;"


@unique
class Outcome(StrEnum):
    """What became of a datagram: label of a metric."""

    ANSWERED = "answered"
    UNKNOWN_CLIENT = "unknown_client"
    MALFORMED = "malformed"
    FORGED = "forged"  # an authenticator that was not made with the secret
    UNSIGNED = "unsigned"  # no Message-Authenticator where one is needed
    STRANGE = "strange"  # a code or a status that is not asked of this port
    DUPLICATE = "duplicate"
    UNANSWERED = "unanswered"  # nothing could be made durable: it will come again
    ORDER_DONE = "order_done"  # a change or a disconnection of ours that was acknowledged
    ORDER_FAILED = "order_failed"


class Report(NamedTuple):
    """One true Accounting-Request. Totals are those since the session began; -1 where it says nothing."""

    wire: bytes
    sender: bytes
    client: Client
    peer: str
    status: int
    key: tuple[int, int]
    subscriber_key: int
    request_number: int
    instant_ms: int
    seconds: int
    input_octets: int
    output_octets: int
    session_id: str
    framed_address: int
    user_name: str
    has_proxy_state: bool

    @property
    def session_text(self) -> str:
        """How the session can be reached again: kept by the shard."""
        address = "" if self.framed_address < 0 else _address(self.framed_address)
        return str(SessionText(self.session_id, self.peer, address, self.user_name))


@dataclass(frozen=True, slots=True)
class SessionText:
    """What must be known of a session to reach it again, as it stands in the shard: readable, and never cut wrong."""

    session_id: str
    peer: str  # Clients.peer_text
    framed_address: str
    user_name: str

    def __str__(self) -> str:
        return _SEPARATOR.join((*map(_escaped, (self.session_id, self.peer, self.framed_address)), self.user_name))


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace(_SEPARATOR, "%3B")


def read_session_text(text: str) -> SessionText:
    """The other way round. What is no text of ours has no address, so nothing is sent anywhere."""
    parts = text.split(_SEPARATOR, 3)
    parts += [""] * (4 - len(parts))
    session_id, peer, address = (part.replace("%3B", _SEPARATOR).replace("%25", "%") for part in parts[:3])
    return SessionText(session_id, peer, address, parts[3])


class AccountingReader:
    """Turns arrivals into reports, and counts those that are none by why."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._senders: dict[bytes, tuple[Client | None, str]] = {}
        self.dropped: dict[Outcome, int] = dict.fromkeys(Outcome, 0)
        self.probes: list[tuple[bytes, bytes, Client]] = []  # Status-Server: answered without the shard
        _walk(np.zeros((0, 1), np.uint8), np.zeros(0, np.int64))  # compiled before the first packet comes, not by it

    def read(self, arrivals: Arrivals, *, now_ms: int) -> list[Report]:
        found = _walk(arrivals.datagrams, arrivals.sizes)
        view = arrivals.datagrams.data.cast("B")
        room = arrivals.datagrams.shape[1]
        reports = []
        for row, (columns, sender) in enumerate(zip(found.tolist(), arrivals.senders, strict=True)):
            wire = bytes(view[row * room : row * room + max(columns[radius.LENGTH], 0)])
            report = self._read_one(wire, columns, sender=sender, now_ms=now_ms)
            if isinstance(report, Report):
                reports.append(report)
            elif report is not None:
                self.dropped[report] += 1
        return reports

    def _read_one(self, wire: bytes, columns: Sequence[int], *, sender: bytes, now_ms: int) -> Report | Outcome | None:
        client, address = self._sender(sender)
        if client is None:
            return Outcome.UNKNOWN_CLIENT
        if columns[radius.FAULT] != radius.SOUND:
            return Outcome.MALFORMED
        code = columns[radius.CODE]
        if code == Code.STATUS_SERVER:
            return self._probe(wire, sender=sender, client=client)
        if code != Code.ACCOUNTING_REQUEST or columns[radius.STATUS] not in _KNOWN:
            return Outcome.STRANGE
        if not is_request_authentic(wire, secret=client.secret):
            return Outcome.FORGED
        if columns[radius.SIGNATURE] != radius.ABSENT and not _is_signed(wire, client.secret):
            return Outcome.FORGED
        return _report(wire, columns, sender=sender, client=client, peer=self._peer(wire, columns, client, address),
                       now_ms=now_ms)  # fmt: skip

    def _sender(self, sender: bytes) -> tuple[Client | None, str]:
        host = sender[:2] + sender[4:24]  # without the port: each packet may come from another
        known = self._senders.get(host)
        if known is None:
            if len(self._senders) >= 65_536:
                self._senders.clear()
            address = address_text(sender)
            known = self._senders[host] = (self._clients.at(address), address)
        return known

    def _peer(self, wire: bytes, columns: Sequence[int], client: Client, address: str) -> str:
        return self._clients.peer_text(client, address=address, nas=_nas_name(wire, columns) or address)

    def _probe(self, wire: bytes, *, sender: bytes, client: Client) -> Outcome | None:
        packet = read_packet(wire)
        if packet is None:
            return Outcome.MALFORMED
        signed = signature_of(packet, authenticator=packet.authenticator, secret=client.secret)
        if not signed:
            return Outcome.UNSIGNED if signed is None else Outcome.FORGED
        self.probes.append((wire, sender, client))
        return None

    def take_dropped(self) -> Mapping[Outcome, int]:
        """Counts since the last call."""
        counted, self.dropped = self.dropped, dict.fromkeys(Outcome, 0)
        return {outcome: count for outcome, count in counted.items() if count}


def _walk(datagrams: UInt8s, sizes: Int64s) -> Int64s:
    found = np.empty((len(sizes), radius.COLUMNS), np.int64)
    walk_radius(datagrams, sizes, found)
    return found


def _is_signed(wire: bytes, secret: bytes) -> bool:
    packet = read_packet(wire)
    return packet is not None and bool(signature_of(packet, authenticator=EMPTY_AUTHENTICATOR, secret=secret))


def _text(wire: bytes, columns: Sequence[int], column: int) -> str:
    start = columns[column]
    return "" if start < 0 else wire[start : start + columns[column + 1]].decode("utf-8", "replace")


def _nas_name(wire: bytes, columns: Sequence[int]) -> str:
    name = _text(wire, columns, radius.NAS)
    address = columns[radius.NAS_ADDRESS]
    return name or ("" if address < 0 else _address(address))


@lru_cache(maxsize=65_536)
def _address(number: int) -> str:
    return str(IPv4Address(number))


@lru_cache(maxsize=262_144)
def user_key(user_name: str) -> int:
    """What the shard knows a user by; 0 for no name: nobody has that."""
    return identifier_key(IdentifierKind.RADIUS_USER, user_name) if user_name else 0


def _report(
    wire: bytes, columns: Sequence[int], *, sender: bytes, client: Client, peer: str, now_ms: int
) -> Report | Outcome:
    session_id = _text(wire, columns, radius.SESSION)
    status = columns[radius.STATUS]
    user = _text(wire, columns, radius.USER).strip()
    if status not in (AcctStatus.ON, AcctStatus.OFF) and not (session_id and user):
        return Outcome.STRANGE
    return Report(
        wire=wire,
        sender=sender,
        client=client,
        peer=peer,
        status=status,
        key=session_key(
            "radius", client.name, peer, session_id, user, *admission_in(_text(wire, columns, radius.CLASS))
        ),
        subscriber_key=user_key(user),
        request_number=_request_number(status, seconds=columns[radius.SESSION_SECONDS], now_ms=now_ms),
        instant_ms=_instant_ms(columns, now_ms=now_ms),
        seconds=columns[radius.SESSION_SECONDS],
        input_octets=columns[radius.INPUT_OCTETS],
        output_octets=columns[radius.OUTPUT_OCTETS],
        session_id=session_id,
        framed_address=columns[radius.FRAMED_ADDRESS],
        user_name=user,
        has_proxy_state=columns[radius.PROXY_STATE] >= 0,
    )


def new_class(offering: str) -> bytes:
    """Class of an Accept: another one for each, which the access server says again in every report (RFC 2865, 5.25).

    Access servers begin to count their Acct-Session-Id anew when they restart: it does not tell sessions apart alone.
    """
    return _CLASS_BEGIN + token_hex(8).encode() + b";" + offering.encode()[:40]


def admission_in(text: str) -> tuple[str, ...]:
    """What tells one admission from another in a Class of ours; nothing where it is none of ours."""
    begun = _CLASS_BEGIN.decode()
    mark = text[len(begun) : len(begun) + 16]
    return (mark,) if text.startswith(begun) and len(mark) == 16 else ()


def _request_number(status: int, *, seconds: int, now_ms: int) -> int:
    """A number that rises within a session, and is the same when the same report comes again.

    RADIUS has none: Acct-Session-Time is taken for it, and a Stop is the last there can be. Without a session time the
    clock is taken; the report may then be counted twice, which its totals make harmless.
    """
    if status == AcctStatus.START:
        return 0
    if status == AcctStatus.INTERIM:
        return min(1 + (seconds if seconds >= 0 else now_ms // 1000), LAST_REQUEST - 1)
    return LAST_REQUEST


def _instant_ms(columns: Sequence[int], *, now_ms: int) -> int:
    """When it happened: Event-Timestamp where it can be believed, else the time of arrival less Acct-Delay-Time."""
    told_ms = columns[radius.EVENT_SECONDS] * 1000
    if now_ms - _LATEST_MS <= told_ms <= now_ms:
        return told_ms
    return now_ms - min(max(columns[radius.DELAY_SECONDS], 0) * 1000, _LATEST_MS)
