"""A load of accounting: so many packets a second, whatever becomes of them, from sessions that begin and report.

Open loop: each packet has the instant at which it is to leave, and its time of answer counts from there. A server that
stalls is charged for every packet that should have left meanwhile (no coordinated omission).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import md5
from select import poll
from socket import AF_INET, inet_aton
from struct import pack
from time import perf_counter, sleep
from typing import Final

import numpy as np

from millicent.network.radius.datagrams import DatagramSocket
from millicent.network.radius.packets import Attributes, number, vendor_text, write_attributes
from millicent.network.radius.words import MIKROTIK, MIKROTIK_RATE_LIMIT, AcctStatus, Attribute, Code

_SOCKETS: Final = 64
_RUN: Final = 64  # packets in a row that leave by one socket
_IDENTIFIERS: Final = 256
_TICK_SECONDS: Final = 0.001
_PATIENCE_SECONDS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class RadiusLoad:
    """What is sent where. Session s is used by `user_name(s)`; it begins, then reports `interim_seconds` apart."""

    port: int
    secret: bytes
    user_name: Callable[[int], str]
    sessions: int
    packets_per_second: int
    seconds: int
    interim_seconds: int = 300
    run: str = "1"  # session ids of two runs differ
    address: str = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadFigures:
    """Times of answer in microseconds, from the instant a packet was to leave."""

    sent: int
    answered: int
    seconds_thousandths: int  # from the first packet to the last answer
    p50_us: int
    p95_us: int
    p99_us: int
    p999_us: int

    @property
    def answered_per_second(self) -> int:
        return self.answered * 1000 // max(self.seconds_thousandths, 1)


def packets(load: RadiusLoad) -> Iterator[tuple[int, bytes]]:
    """Identifier and packet, in their order: a Start of every session, then interims in turns."""
    for at in range(load.packets_per_second * load.seconds):
        place = (at // _RUN) % _SOCKETS
        identifier = ((at // (_RUN * _SOCKETS)) * _RUN + at % _RUN) % _IDENTIFIERS
        turn, session = divmod(at, load.sessions)
        yield place, _packet(load, session, turn=turn, identifier=identifier)


def _packet(load: RadiusLoad, session: int, *, turn: int, identifier: int) -> bytes:
    content = write_attributes(_attributes(load, session, turn=turn))
    header = bytes((Code.ACCOUNTING_REQUEST, identifier)) + (20 + len(content)).to_bytes(2, "big")
    return header + md5(header + bytes(16) + content + load.secret, usedforsecurity=False).digest() + content


def _attributes(load: RadiusLoad, session: int, *, turn: int) -> Attributes:
    """About what a MikroTik sends for PPPoE: 220 bytes."""
    seconds = turn * load.interim_seconds
    octets = turn * 1_000_000
    return [
        (Attribute.ACCT_STATUS_TYPE, number(AcctStatus.INTERIM if turn else AcctStatus.START)),
        (Attribute.USER_NAME, load.user_name(session).encode()),
        (Attribute.ACCT_SESSION_ID, f"{load.run}-{session:08x}".encode()),
        (Attribute.NAS_IDENTIFIER, b"load-1"),
        (Attribute.NAS_IP_ADDRESS, b"\x7f\0\0\1"),
        (Attribute.NAS_PORT, number(session)),
        (Attribute.CALLED_STATION_ID, b"service-1"),
        (Attribute.CALLING_STATION_ID, f"02:00:{session:08x}".encode()),
        (Attribute.FRAMED_IP_ADDRESS, number(0x0A000000 + session % 2**24)),
        (Attribute.CLASS, b"fibre-600"),
        (Attribute.ACCT_SESSION_TIME, number(seconds)),
        (Attribute.ACCT_INPUT_OCTETS, number(octets % 2**32)),
        (Attribute.ACCT_INPUT_GIGAWORDS, number(octets // 2**32)),
        (Attribute.ACCT_OUTPUT_OCTETS, number(octets * 9 % 2**32)),
        (Attribute.ACCT_OUTPUT_GIGAWORDS, number(octets * 9 // 2**32)),
        (Attribute.ACCT_DELAY_TIME, number(0)),
        vendor_text(MIKROTIK, MIKROTIK_RATE_LIMIT, "50M/600M"),
    ]


class _Sender:
    """Sends runs of packets when they are due and notes when each was answered."""

    def __init__(self, load: RadiusLoad) -> None:
        self.every = list(packets(load))
        self.due = np.arange(len(self.every)) / load.packets_per_second  # seconds after the beginning
        self.answered = np.full(len(self.every), np.nan)
        self.sockets = [DatagramSocket(load.address, 0) for _ in range(_SOCKETS)]
        self.by_file = {sock.fileno(): place for place, sock in enumerate(self.sockets)}
        self.waiting = np.full((_SOCKETS, _IDENTIFIERS), -1)
        self.receiver = pack("=H", AF_INET) + pack(">H", load.port) + inet_aton(load.address) + bytes(8)
        self.poller = poll()
        for sock in self.sockets:
            self.poller.register(sock.fileno(), 1)

    def send(self, start: int, end: int) -> None:
        at = start
        while at < end:
            until = min((at // _RUN + 1) * _RUN, end)
            place = self.every[at][0]
            wires = [wire for _, wire in self.every[at:until]]
            self.waiting[place, [wire[1] for wire in wires]] = np.arange(at, until)
            self.sockets[place].send(wires, [self.receiver] * len(wires))
            at = until

    def take(self, begun: float) -> int:
        count = 0
        for file, _ in self.poller.poll(0):
            place = self.by_file[file]
            arrivals = self.sockets[place].receive()
            now = perf_counter() - begun
            which = self.waiting[place, arrivals.datagrams[:, 1]]
            which = which[(which >= 0) & (arrivals.datagrams[:, 0] == Code.ACCOUNTING_RESPONSE)]
            fresh = which[np.isnan(self.answered[which])]
            self.answered[fresh] = now
            count += len(fresh)
        return count


def run_load(load: RadiusLoad) -> LoadFigures:
    """Send everything when it is due, wait for the last answers, and say how long they took."""
    sender = _Sender(load)
    begun, sent, answered, last = perf_counter(), 0, 0, 0.0
    while answered < len(sender.every):
        now = perf_counter() - begun
        due = int(np.searchsorted(sender.due, now, side="right"))
        if due > sent:
            sender.send(sent, due)
            sent = due
        fresh = sender.take(begun)
        answered += fresh
        last = perf_counter() - begun if fresh else last
        if sent == len(sender.every) and now - max(last, sender.due[-1]) > _PATIENCE_SECONDS:
            break
        sleep(_TICK_SECONDS)
    for sock in sender.sockets:
        sock.close()
    return _figures(sender, last=last)


def _figures(sender: _Sender, *, last: float) -> LoadFigures:
    waited = np.sort((sender.answered - sender.due)[~np.isnan(sender.answered)])
    parts = [round(float(np.quantile(waited, part)) * 10**6) if len(waited) else 0 for part in (0.5, 0.95, 0.99, 0.999)]
    return LoadFigures(
        sent=len(sender.every),
        answered=len(waited),
        seconds_thousandths=round(last * 1000),
        p50_us=parts[0],
        p95_us=parts[1],
        p99_us=parts[2],
        p999_us=parts[3],
    )
