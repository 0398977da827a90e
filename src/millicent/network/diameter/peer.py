"""One connection: frames what comes, answers what belongs to the connection itself, and hands on the rest."""

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import structlog

from millicent.kit.kernels import Int64s
from millicent.network.diameter import messages as wire
from millicent.network.diameter.codec import as_bytes, frame
from millicent.network.diameter.kernel.decode import ERROR, HEADER, PROXIABLE, REQUEST
from millicent.network.diameter.messages import Field, Header, Message, MessageBroken, refusal_bytes
from millicent.network.diameter.watchdog import Step, Watchdog

if TYPE_CHECKING:
    from millicent.network.diameter.server import DiameterServer

HANDSHAKE_SECONDS = 10
PRODUCT = "Millicent"
THREE_GPP = 10415
_MOST_UNFRAMED = 64 * 1024  # bytes of one connection; then it is looked at once whether it may go on
_FRAMED_WITHIN_SECONDS = 1 / 50  # also while no batch is gathered: watchdogs are answered, flow is looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Credit-Control requests that came together on one connection."""

    raw: bytes
    start: Int64s
    end: Int64s


class PeerConnection(asyncio.Protocol):
    """A peer from its Capabilities-Exchange until it goes."""

    def __init__(self, server: "DiameterServer", *, tls: bool) -> None:
        self.server = server
        self.tls = tls
        self.host = ""  # Origin-Host, "" until the capabilities were exchanged
        self.realm = ""
        self.pieces: deque[Piece] = deque()
        self.waiting = 0  # requests not answered yet
        self.closing = False
        self.transport: asyncio.Transport
        self._left = b""
        self._unread: list[bytes] = []  # came since it was last framed
        self._unread_bytes = 0
        self._framing: asyncio.TimerHandle | None = None
        self._paused = False
        self._choked = False
        self._watchdog = Watchdog()
        self._timer: asyncio.TimerHandle | None = None
        self._heard = False
        self._identifier = secrets.randbits(32)
        self._asked: dict[int, tuple[Callable[[Message | None], None], asyncio.TimerHandle]] = {}

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if not self.server.takes(self):
            self.transport.abort()
            return
        self._timer = asyncio.get_running_loop().call_later(HANDSHAKE_SECONDS, self._never_spoke)

    def connection_lost(self, error: Exception | None) -> None:
        self.closing = True
        if self._timer:
            self._timer.cancel()
        if self._framing:
            self._framing.cancel()
        for told, timer in list(self._asked.values()):
            timer.cancel()
            told(None)
        self._asked.clear()
        self.pieces.clear()
        self._unread.clear()
        self.server.lost(self)

    def pause_writing(self) -> None:
        """A peer that does not read its answers is not read either."""
        self._choked = True
        self._look_at_flow()

    def resume_writing(self) -> None:
        self._choked = False
        self._look_at_flow()

    def data_received(self, chunk: bytes) -> None:
        """What comes is framed when the next batch is gathered: many small chunks then cost as much as one."""
        self._heard = True
        self._watchdog.on_receive(is_watchdog_answer=False)
        if not self._unread:
            self._framing = asyncio.get_running_loop().call_later(_FRAMED_WITHIN_SECONDS, self.frame)
        self._unread.append(chunk)
        self._unread_bytes += len(chunk)
        if not self.host or self._unread_bytes > _MOST_UNFRAMED:
            self.frame()
        else:
            self.server.wake()

    def frame(self) -> None:
        """Find the messages in what came, and meet them."""
        if not self._unread:
            return
        if self._framing:
            self._framing.cancel()
        if self.closing:
            self._unread.clear()
            return
        raw = b"".join((self._left, *self._unread))
        self._unread.clear()
        self._unread_bytes = 0
        start, end, position, fault = frame(as_bytes(raw), largest=self.server.settings.largest_message_bytes)
        self._left = raw[position:]
        if start.size:
            self._sort(raw, start, end)
        if fault and not self.closing:
            self._end_stream(raw[position : position + HEADER], fault)

    # what came

    def _sort(self, raw: bytes, start: Int64s, end: Int64s) -> None:
        """Credit-Control requests wait for the next batch; anything else is answered now."""
        view = as_bytes(raw)
        credit = np.ones(start.size, np.bool_)
        for place, byte in enumerate(_CREDIT_CONTROL_HEAD):
            if byte is not None:
                credit &= view[start + (4 + place)] == byte
        credit &= (view[start + 4] & (REQUEST | ERROR)) == REQUEST
        if not self.host:
            credit[:] = False
        for row in np.flatnonzero(~credit):
            if self.closing:
                return
            self._meet(raw[start[row] : end[row]])
            if row == 0 and self.host and not credit.any() and start.size > 1:  # the rest came with the CER
                self._sort(raw, start[1:], end[1:])
                return
        if credit.any():
            self.pieces.append(Piece(raw=raw, start=start[credit], end=end[credit]))
            self.waiting += int(np.count_nonzero(credit))
            self._look_at_flow()
            self.server.wake()

    def _meet(self, raw: bytes) -> None:
        header = wire.read_header(raw)
        try:
            if header.is_request and header.flags & ERROR:
                raise MessageBroken("a request with the E bit", result=wire.INVALID_HDR_BITS)
            message = wire.read_message(raw)
        except MessageBroken as broken:
            if header.is_request:
                self._refuse(header, broken.result, failed=broken.failed, why=broken.message)
            return
        if not header.is_request:
            self._answered(message)
        elif not self.host and header.command != wire.CAPABILITIES_EXCHANGE:
            self._close("it spoke before its capabilities were exchanged")
        else:
            self._answer(message)

    def _answer(self, message: Message) -> None:
        header = message.header
        match header.command:
            case wire.CAPABILITIES_EXCHANGE:
                self._exchange(message)
            case wire.DEVICE_WATCHDOG:
                self._say(header, wire.SUCCESS, more=[("Origin-State-Id", self.server.state_id)])
                self.server.heard_of(message)
            case wire.DISCONNECT_PEER:
                self._say(header, wire.SUCCESS)
                self._close("it said good-bye")
            case wire.CREDIT_CONTROL:
                self._refuse(header, wire.APPLICATION_UNSUPPORTED, message=message)
            case _:
                known = header.application in (wire.BASE_APPLICATION, wire.CREDIT_CONTROL_APPLICATION)
                result = wire.COMMAND_UNSUPPORTED if known else wire.APPLICATION_UNSUPPORTED
                self._refuse(header, result, message=message)

    def _exchange(self, message: Message) -> None:
        """Capabilities (RFC 6733 clause 5.3): who it is, whether it may, and an application that both speak."""
        host, realm = message.text("Origin-Host"), message.text("Origin-Realm")
        address = str((self.transport.get_extra_info("peername") or ("",))[0])
        allowed = self.server.settings.peer_for(host, realm=realm, address=address, tls=self.tls)
        result = wire.SUCCESS
        if not host or not realm:
            result = 5005
        elif allowed is None or not self._is_named_by_its_certificate(host):
            result = wire.UNKNOWN_PEER
        elif not _speaks_credit_control(message):
            result = wire.NO_COMMON_APPLICATION
        elif (kinds := message.all("Inband-Security-Id")) and all(kind.number != 0 for kind in kinds):
            result = wire.NO_COMMON_SECURITY
        self._say(message.header, result, more=self._capabilities(), error=3000 <= result < 4000)
        if result != wire.SUCCESS:
            self._close(f"refused with {result}", host=host)
            return
        self.host, self.realm = host, realm
        self._listen_for_life()
        self.server.greeted(self, message)

    def _is_named_by_its_certificate(self, host: str) -> bool:
        """With mutual TLS a peer is who its certificate names, whatever it says."""
        if not self.tls or not (certificate := self.transport.get_extra_info("peercert")):
            return True
        names = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"]
        subject = [value for part in certificate.get("subject", ()) for name, value in part if name == "commonName"]
        return host.lower() in {name.lower() for name in [*names, *subject]}

    def _capabilities(self) -> list[Field]:
        address = str((self.transport.get_extra_info("sockname") or ("127.0.0.1",))[0])
        return [
            ("Host-IP-Address", address),
            ("Vendor-Id", 0),
            ("Product-Name", PRODUCT),
            ("Origin-State-Id", self.server.state_id),
            ("Supported-Vendor-Id", THREE_GPP),
            ("Auth-Application-Id", wire.CREDIT_CONTROL_APPLICATION),
            ("Inband-Security-Id", 0),
        ]

    # what goes out

    def write(self, raw: bytes | memoryview) -> None:
        if not self.transport.is_closing():
            self.transport.write(raw)

    def _say(self, header: Header, result: int, *, more: list[Field] | None = None, error: bool = False) -> None:
        fields: list[Field] = [("Result-Code", result), *self.server.identity, *(more or [])]
        self.write(wire.answer_bytes(header, wire.write_fields(fields), error=error))

    def _refuse(
        self, header: Header, result: int, *, failed: bytes = b"", why: str = "", message: Message | None = None
    ) -> None:
        session = message.first("Session-Id") if message else None
        carried = message.all("Proxy-Info") if message else []
        proxies = b"".join(part.raw + bytes(-len(part.raw) % 4) for part in carried)
        self.write(
            refusal_bytes(
                header, result=result, identity=self.server.identity, failed=failed, why=why, proxies=proxies,
                session=session.content if session else b"",
            )
        )  # fmt: skip

    def ask(self, command: int, fields: list[Field], told: Callable[[Message | None], None]) -> None:
        """Send a request of ours; `told` gets its answer, or None when none came in time."""
        self._identifier = (self._identifier + 1) & 0xFFFFFFFF
        base = command in (wire.DEVICE_WATCHDOG, wire.DISCONNECT_PEER)
        raw = wire.message_bytes(
            command=command,
            application=wire.BASE_APPLICATION if base else wire.CREDIT_CONTROL_APPLICATION,
            flags=REQUEST if base else REQUEST | PROXIABLE,
            hop_by_hop=self._identifier,
            end_to_end=self._identifier,
            content=wire.write_fields(fields),
        )
        seconds = self.server.settings.answer_seconds
        timer = asyncio.get_running_loop().call_later(seconds, self._unanswered, self._identifier)
        self._asked[self._identifier] = (told, timer)
        self.write(raw)

    def _answered(self, message: Message) -> None:
        told, timer = self._asked.pop(message.header.hop_by_hop, (None, None))
        if timer:
            timer.cancel()
        if told:
            told(message)

    def _unanswered(self, identifier: int) -> None:
        told, _ = self._asked.pop(identifier, (None, None))
        if told:
            told(None)

    def say_good_bye(self) -> None:
        """Disconnect-Peer-Request: we restart; the connection closes with its answer."""
        if self.host and not self.closing:
            cause = self.server.settings.value("Disconnect-Cause", "rebooting")
            fields: list[Field] = [*self.server.identity, ("Disconnect-Cause", cause)]
            self.ask(wire.DISCONNECT_PEER, fields, lambda _: self._close("we said good-bye"))
        else:
            self._close("we stop")

    # flow and life

    def answered(self, count: int) -> None:
        """So many requests have their answers."""
        self.waiting -= count
        self._look_at_flow()

    def _look_at_flow(self) -> None:
        """Read only as much as can be waited for."""
        most = self.server.settings.most_waiting_per_peer
        full = self._choked or self.server.is_full or self.waiting > (most // 2 if self._paused else most)
        if full != self._paused and not self.transport.is_closing():
            self._paused = full
            with contextlib.suppress(RuntimeError):
                (self.transport.pause_reading if full else self.transport.resume_reading)()

    def look_at_flow(self) -> None:
        self._look_at_flow()

    def _listen_for_life(self) -> None:
        if self._timer:
            self._timer.cancel()
        seconds = self.server.settings.watchdog_seconds
        jitter = secrets.randbelow(5) - 2 if seconds >= 6 else 0
        self._heard = False
        self._timer = asyncio.get_running_loop().call_later(seconds + jitter, self._ring)

    def _ring(self) -> None:
        if not self._heard and not self._paused:  # whom we do not read, we cannot hear
            match self._watchdog.on_timer():
                case Step.ASK:
                    fields: list[Field] = [*self.server.identity, ("Origin-State-Id", self.server.state_id)]
                    self.ask(wire.DEVICE_WATCHDOG, fields, self._watched)
                case Step.CLOSE:
                    self._close("it is silent")
                    return
                case _:
                    pass
        self._listen_for_life()

    def _watched(self, answer: Message | None) -> None:
        if answer is not None:
            self._watchdog.on_receive(is_watchdog_answer=True)
            self.server.heard_of(answer)

    def _never_spoke(self) -> None:
        self._close("it did not exchange capabilities")

    def _end_stream(self, raw: bytes, fault: int) -> None:
        """Nothing tells where the next message begins: say so where a header is there, and end."""
        if len(raw) >= HEADER:
            header = wire.read_header(raw)
            if header.is_request:
                self._refuse(header, fault)
        self._close(f"its bytes are no messages ({fault})")

    def _close(self, why: str, *, host: str = "") -> None:
        if not self.closing:
            self.closing = True
            structlog.get_logger("millicent.diameter").info("peer closed", host=self.host or host, why=why)
            self.transport.close()


_CREDIT_CONTROL_HEAD = (None, 0, 1, 0x10, 0, 0, 0, 4)  # after the length: flags, command 272, application 4


def _speaks_credit_control(message: Message) -> bool:
    said = [part.number for part in message.all("Auth-Application-Id")]
    for group in message.all("Vendor-Specific-Application-Id"):
        said += [part.number for part in group.parts() if part.code == 258 and part.vendor == 0]
    said += [part.number for part in message.all("Acct-Application-Id")]
    return bool({wire.CREDIT_CONTROL_APPLICATION, wire.RELAY} & {*said})
