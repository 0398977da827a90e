"""The authentication port: one request at a time is read, some are being decided, each answered once."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

import structlog

from millicent.kit import metrics
from millicent.kit.clock import system_now, to_ms
from millicent.kit.errors import MillicentError, Outage
from millicent.network.radius.accounting_server import count_packets
from millicent.network.radius.authentication import Authentication, examine
from millicent.network.radius.clients import Client, Clients
from millicent.network.radius.datagrams import DatagramSocket, address_text
from millicent.network.radius.packets import Packet, read_packet, write_answer
from millicent.network.radius.recent import PENDING, RecentRequests, request_key
from millicent.network.radius.reports import Outcome
from millicent.network.radius.words import Code

MOST_UNDECIDED: Final = 512  # beyond that we stop reading: access servers come again, or ask another server


class AuthenticationServer:
    def __init__(
        self,
        *,
        socket: DatagramSocket,
        clients: Clients,
        authentication: Authentication,
        clock: Callable[[], datetime] = system_now,
    ) -> None:
        self._socket = socket
        self._clients = clients
        self._authentication = authentication
        self._clock = clock
        self._recent = RecentRequests()
        self._warned: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._reading = self._stopping = False

    @property
    def port(self) -> int:
        return self._socket.port

    def start(self) -> None:
        """Begin to answer, on the running loop."""
        self._reading = True
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._on_readable)

    async def stop(self) -> None:
        """Take nothing more, and answer what was taken."""
        self._stopping = True
        self._pause()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._socket.close()

    def _pause(self) -> None:
        if self._reading:
            self._reading = False
            asyncio.get_running_loop().remove_reader(self._socket.fileno())

    def _on_readable(self) -> None:
        now_ms = to_ms(self._clock())
        arrivals = self._socket.receive()
        for row, sender in enumerate(arrivals.senders):
            wire = arrivals.datagrams[row, : arrivals.sizes[row]].tobytes()
            outcome = self._take(wire, sender=sender, now_ms=now_ms)
            if outcome is not None:
                count_packets(outcome, 1)
        if len(self._tasks) >= MOST_UNDECIDED:
            self._pause()

    def _take(self, wire: bytes, *, sender: bytes, now_ms: int) -> Outcome | None:
        """Begin to decide a request, or say what became of it."""
        client = self._clients.at(address_text(sender))
        if client is None:
            return Outcome.UNKNOWN_CLIENT
        packet = read_packet(wire)
        if packet is None:
            return Outcome.MALFORMED
        wrong = examine(packet, client=client, warn=self._warn)
        if wrong is not None:
            return wrong
        key = request_key(packet.wire, sender=sender)
        known = self._recent.begin(key, now_ms=now_ms)
        if known is not None:
            if known != PENDING:
                self._socket.send([known], [sender])
            return Outcome.DUPLICATE
        task = asyncio.get_running_loop().create_task(
            self._answer(packet, client=client, sender=sender, key=key, now_ms=now_ms)
        )
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return None

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not self._reading and not self._stopping and len(self._tasks) < MOST_UNDECIDED // 2:
            self.start()

    async def _answer(self, packet: Packet, *, client: Client, sender: bytes, key: bytes, now_ms: int) -> None:
        try:
            if packet.code == Code.STATUS_SERVER:  # RFC 5997 clause 3.1
                code, attributes = Code.ACCESS_ACCEPT, ()
            else:
                code, attributes = await self._authentication.decide(packet, client=client, now_ms=now_ms)  # type: ignore[assignment]
            answer = write_answer(code, request=packet, attributes=attributes, secret=client.secret, signed=True)
        except Exception as fault:
            self._recent.forget(key)
            count_packets(Outcome.UNANSWERED, 1)
            if not isinstance(fault, Outage):
                _tell_defect(fault)
            return
        self._recent.answer(key, answer)
        self._socket.send([answer], [sender])
        count_packets(Outcome.ANSWERED, 1)

    def _warn(self, client: Client) -> None:
        if client.name not in self._warned:
            self._warned.add(client.name)
            structlog.get_logger("millicent.radius").warning(
                "requests of this client come without Message-Authenticator: who can write to the path between can "
                "let anybody in (CVE-2024-3596)",
                client=client.name,
            )


def _tell_defect(fault: Exception) -> None:
    facts: Mapping[str, str] = {"code": fault.code if isinstance(fault, MillicentError) else "defect"}
    metrics.FAULTS.labels(**facts).inc()
    structlog.get_logger("millicent.radius").error("authentication failed", exc_info=fault, **facts)
