"""A load of Credit-Control requests that waits for nobody: each is due at its own instant, however late answers are.

Sessions are opened first and ended last, both unmeasured; in between, updates of two rating groups (about 1.4 kB each)
go round all sessions. Times count from the instant at which a request was due, so a server that stalls pays for every
request that came due meanwhile (no coordinated omission). Run it in a process of its own: `run_apart`.
"""

import asyncio
import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import uvloop

from millicent.kit.errors import Outage
from millicent.kit.kernels import Int64s, UInt8s
from millicent.network.diameter import messages as wire
from millicent.network.diameter.codec import as_bytes, frame
from millicent.network.diameter.messages import Field

NS = 1_000_000_000
TICK = 1 / 1_000  # seconds between two looks at what is due
SILENCE_SECONDS = 30
_DIGITS = 10  # of a session and of a subscriber
SUCCESS = 2001


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """What to send. `rate` is requests a second over all connections."""

    port: int
    rate: int
    seconds: int
    address: str = "127.0.0.1"
    connections: int = 4
    sessions: int = 20_000
    first_subscriber: int = 34_600_000_000  # MSISDN; session n is of subscriber first + n
    groups: tuple[int, int] = (10, 20)
    host: str = "pgw{}.example.net"  # Origin-Host of each connection, by its number
    realm: str = "example.net"
    context: str = "32251@3gpp.org"
    used_octets: int = 500_000
    mark: int = field(default_factory=lambda: time.time_ns() // 1_000_000 % 10**_DIGITS)  # tells runs' sessions apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What came of it. Times are microseconds from when a request was due until its answer was read."""

    sent: int
    answered: int
    per_second: int  # answers a second while updates were sent
    message_bytes: int
    p50_us: int
    p95_us: int
    p99_us: int
    p999_us: int
    longest_us: int
    results: Mapping[int, int] = field(default_factory=dict)  # Result-Code: answers to updates
    opening_results: Mapping[int, int] = field(default_factory=dict)
    ending_results: Mapping[int, int] = field(default_factory=dict)


def run(plan: LoadPlan) -> Figures:
    """Send the load in this process and wait for its answers."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_Load(plan).send())


def run_apart(plan: LoadPlan) -> Figures:
    """The same in a process of its own, so that it shares no interpreter with the server."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(run, (plan,))


class _Template:
    """One request whose numbers are patched in place: fixed width, so that thousands are made by columns."""

    def __init__(self, plan: LoadPlan, *, host: str, kind: int) -> None:
        mark = f";{plan.mark:0{_DIGITS}d};"
        self.session_text = f"{host}{mark}{'0' * _DIGITS}"
        fields: list[Field] = [
            ("Session-Id", self.session_text),
            ("Origin-Host", host),
            ("Origin-Realm", plan.realm),
            ("Destination-Realm", plan.realm),
            ("Auth-Application-Id", 4),
            ("Service-Context-Id", plan.context),
            ("CC-Request-Type", kind),
            ("CC-Request-Number", 0),
            ("Event-Timestamp", time.time_ns() // NS + 2_208_988_800 & 0xFFFFFFFF),
            ("Subscription-Id", [("Subscription-Id-Type", 0), ("Subscription-Id-Data", "3" + "0" * _DIGITS)]),
            ("Subscription-Id", [("Subscription-Id-Type", 1), ("Subscription-Id-Data", "214070000000001")]),
            ("Multiple-Services-Indicator", 1),
            ("User-Name", f"214070000000001@nai.epc.mnc07.mcc214.3gppnetwork.{plan.realm}"),
            ("Origin-State-Id", 1_795_000_000),
            ("Route-Record", host),
            ("Route-Record", f"dra01.{plan.realm}"),
            *_termination(kind),
            *(_service(group, plan=plan, kind=kind) for group in plan.groups),
            _service_information(),
        ]
        raw = wire.message_bytes(
            command=wire.CREDIT_CONTROL, application=4, flags=0xC0, hop_by_hop=0, end_to_end=0,
            content=wire.write_fields(fields),
        )  # fmt: skip
        self.octets = np.frombuffer(raw, np.uint8)
        self.session_at = raw.index(mark.encode()) + len(mark)
        self.subscriber_at = raw.index(b"3" + b"0" * _DIGITS)
        self.number_at = raw.index(bytes([0, 0, 1, 0x9F, 0x40])) + 8  # CC-Request-Number

    def made(self, *, session: Int64s, subscriber: Int64s, number: Int64s, identifier: Int64s) -> bytes:
        """Requests one behind the other."""
        rows = np.tile(self.octets, (session.size, 1))
        _put_digits(rows, self.session_at, session, _DIGITS)
        _put_digits(rows, self.subscriber_at, subscriber, _DIGITS + 1)
        _put_word(rows, self.number_at, number)
        _put_word(rows, 12, identifier)
        _put_word(rows, 16, identifier)
        return rows.tobytes()


def _put_digits(rows: UInt8s, at: int, value: Int64s, digits: int) -> None:
    for place in range(digits):
        rows[:, at + digits - 1 - place] = value // 10**place % 10 + 48


def _put_word(rows: UInt8s, at: int, value: Int64s) -> None:
    for place in range(4):
        rows[:, at + place] = value >> 8 * (3 - place) & 255


def _termination(kind: int) -> list[Field]:
    return [("Termination-Cause", 1)] if kind == 3 else []


def _service(group: int, *, plan: LoadPlan, kind: int) -> Field:
    used = plan.used_octets
    fields: list[Field] = [] if kind == 3 else [("Requested-Service-Unit", [])]
    if kind != 1:
        octets: list[Field] = [
            ("CC-Time", 60), ("CC-Total-Octets", used), ("CC-Input-Octets", used // 5),
            ("CC-Output-Octets", used - used // 5),
        ]  # fmt: skip
        fields += [("Used-Service-Unit", octets), ("Reporting-Reason", 3)]
    fields += [("Service-Identifier", group), ("Rating-Group", group), ("3GPP-RAT-Type", b"\x06")]
    return "Multiple-Services-Credit-Control", fields


def _service_information() -> Field:
    """What a packet gateway tells of its bearer."""
    retention: list[Field] = [
        ("Priority-Level", 1), ("Pre-emption-Capability", 0), ("Pre-emption-Vulnerability", 1),
    ]  # fmt: skip
    quality: list[Field] = [
        ("QoS-Class-Identifier", 9), ("Allocation-Retention-Priority", retention),
        ("APN-Aggregate-Max-Bitrate-UL", 50_000_000), ("APN-Aggregate-Max-Bitrate-DL", 100_000_000),
    ]  # fmt: skip
    equipment: list[Field] = [("User-Equipment-Info-Type", 0), ("User-Equipment-Info-Value", b"3512345678901234")]
    bearer: list[Field] = [
        ("3GPP-Charging-Id", b"\0\0\0\1"), ("PDN-Connection-Charging-ID", 1), ("3GPP-PDP-Type", 0),
        ("PDP-Address", "10.45.0.2"), ("Dynamic-Address-Flag", 1), ("QoS-Information", quality),
        ("SGSN-Address", "10.1.0.2"), ("GGSN-Address", "10.1.0.3"), ("SGW-Change", 0),
        ("3GPP-IMSI-MCC-MNC", "21407"), ("3GPP-GGSN-MCC-MNC", "21407"), ("Serving-Node-Type", 2),
        ("Called-Station-Id", "internet"), ("3GPP-NSAPI", "5"), ("3GPP-Session-Stop-Indicator", "0"),
        ("3GPP-Selection-Mode", "0"), ("3GPP-Charging-Characteristics", "0800"), ("3GPP-SGSN-MCC-MNC", "21407"),
        ("3GPP-MS-TimeZone", b"\x80\0"), ("Charging-Rule-Base-Name", "default-consumer-plan"),
        ("3GPP-User-Location-Info", b"\x82" + bytes(12)), ("3GPP-RAT-Type", b"\x06"), ("Start-Time", 4_000_000_000),
        ("User-Equipment-Info", equipment), ("3GPP-GPRS-Negotiated-QoS-Profile", "08-48090000c350000186a0"),
    ]  # fmt: skip
    return "Service-Information", [("PS-Information", bearer)]


class _Connection(asyncio.Protocol):
    """Reads answers as they come and tells when each did."""

    def __init__(self, answered: Callable[[Int64s, Int64s], None]) -> None:
        self._answered = answered
        self._left = b""
        self.opened: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.writable = True
        self.transport: asyncio.Transport
        self.result_at = 0  # of Result-Code's value in an answer; all answers have Session-Ids of one length

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(Outage("the server closed the connection"))

    def pause_writing(self) -> None:
        self.writable = False

    def resume_writing(self) -> None:
        self.writable = True

    def data_received(self, chunk: bytes) -> None:
        raw = self._left + chunk if self._left else chunk
        view = as_bytes(raw)
        start, _, position, _ = frame(view, largest=1 << 20)
        self._left = raw[position:]
        requests = view[start + 4] & 0x80 != 0
        for place in start[requests]:
            self._meet(raw[place:])
        start = start[~requests]
        if start.size and not self.opened.done():
            self.opened.set_result(wire.read_message(raw).number("Result-Code") or 0)
            start = start[1:]
        start = start[view[start + 6] == 1]  # Credit-Control is 0x000110, what belongs to the base is 0x0001xx too
        start = start[view[start + 7] == 0x10]
        if start.size:
            self._answered(_words(view, start + 12), _words(view, start + self.result_at))

    def _meet(self, raw: bytes) -> None:
        """A watchdog of the server is answered; what else it asks is not our matter."""
        header = wire.read_header(raw)
        if header.command == wire.DEVICE_WATCHDOG:
            fields: list[Field] = [("Result-Code", 2001), ("Origin-Host", "load"), ("Origin-Realm", "load")]
            self.transport.write(wire.answer_bytes(header, wire.write_fields(fields)))


def _words(view: UInt8s, at: Int64s) -> Int64s:
    word = np.zeros(at.size, np.int64)
    for place in range(4):
        word = word << 8 | view[at + place]
    return word


class _Load:
    """One run: open all sessions, send updates on time, end all sessions."""

    def __init__(self, plan: LoadPlan) -> None:
        self.plan = plan
        self.connections: list[_Connection] = []
        self.templates: list[dict[int, _Template]] = []
        self.came = np.zeros(0, np.int64)
        self.result = np.zeros(0, np.int64)
        self.count = 0

    async def send(self) -> Figures:
        plan = self.plan
        for place in range(plan.connections):
            await self._connect(plan.host.format(place + 1))
        opening = min(plan.rate, 20_000)
        await self._phase(kind=1, count=plan.sessions, rate=opening)
        opened = self._results()
        total = plan.rate * plan.seconds
        due, answered, began = await self._phase(kind=2, count=total, rate=plan.rate)
        results = self._results()
        last = int(self.came.max(initial=began))
        late = np.sort((self.came - due)[self.came > 0]) // 1_000
        await self._phase(kind=3, count=plan.sessions, rate=opening, number=total // plan.sessions + 2)
        ended = self._results()
        for connection in self.connections:
            connection.transport.close()
        return Figures(
            sent=total,
            answered=answered,
            per_second=answered * NS // max(last - began, 1),
            message_bytes=self.templates[0][2].octets.size,
            p50_us=_at(late, 500),
            p95_us=_at(late, 950),
            p99_us=_at(late, 990),
            p999_us=_at(late, 999),
            longest_us=_at(late, 1_000),
            results=results,
            opening_results=opened,
            ending_results=ended,
        )

    async def _connect(self, host: str) -> None:
        plan, loop = self.plan, asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: _Connection(self._answered), plan.address, plan.port)
        fields: list[Field] = [
            ("Origin-Host", host), ("Origin-Realm", plan.realm), ("Host-IP-Address", plan.address), ("Vendor-Id", 0),
            ("Product-Name", "load"), ("Auth-Application-Id", 4),
        ]  # fmt: skip
        content = wire.write_fields(fields)
        connection.transport.write(
            wire.message_bytes(
                command=wire.CAPABILITIES_EXCHANGE, application=0, flags=0x80, hop_by_hop=1, end_to_end=1,
                content=content,
            )
        )  # fmt: skip
        result = await connection.opened
        if result != SUCCESS:
            raise Outage(f"the server refused {host} with {result}")
        templates = {kind: _Template(plan, host=host, kind=kind) for kind in (1, 2, 3)}
        connection.result_at = 20 + (8 + len(templates[1].session_text) + 3) // 4 * 4 + 8
        self.connections.append(connection)
        self.templates.append(templates)

    async def _phase(self, *, kind: int, count: int, rate: int, number: int = 0) -> tuple[Int64s, int, int]:
        """Send `count` requests of one kind, and wait for the answers. Returns when each was due, and the answers."""
        self.came, self.result, self.count = np.zeros(count, np.int64), np.zeros(count, np.int64), 0
        began, sent = time.perf_counter_ns(), 0
        due = began + np.arange(count, dtype=np.int64) * NS // rate
        while sent < count:
            ready = int(np.searchsorted(due, time.perf_counter_ns(), side="right"))
            if ready > sent and all(connection.writable for connection in self.connections):
                ready = min(ready, sent + 4_096)
                self._write(np.arange(sent, ready, dtype=np.int64), kind=kind, number=number)
                sent = ready
            await asyncio.sleep(TICK if sent == ready else 0)
        await self._quiet(count)
        return due, self.count, began

    def _write(self, request: Int64s, *, kind: int, number: int) -> None:
        """Request k is of session k modulo their number; each session keeps to its connection."""
        plan = self.plan
        session = request % plan.sessions
        numbers = np.full(request.size, number, np.int64) if kind != 2 else request // plan.sessions + 1
        for place, connection in enumerate(self.connections):
            mine = session % len(self.connections) == place
            if mine.any():
                raw = self.templates[place][kind].made(
                    session=session[mine],
                    subscriber=plan.first_subscriber + session[mine],
                    number=numbers[mine],
                    identifier=request[mine],
                )
                connection.transport.write(raw)

    def _answered(self, identifier: Int64s, result: Int64s) -> None:
        known = identifier < self.came.size
        self.came[identifier[known]] = time.perf_counter_ns()
        self.result[identifier[known]] = result[known]
        self.count += int(np.count_nonzero(known))

    async def _quiet(self, count: int) -> None:
        """Until every answer came, or none did for a while."""
        heard, until = self.count, time.perf_counter_ns() + SILENCE_SECONDS * NS
        while self.count < count and time.perf_counter_ns() < until:
            await asyncio.sleep(TICK)
            if self.count > heard:
                heard, until = self.count, time.perf_counter_ns() + SILENCE_SECONDS * NS

    def _results(self) -> dict[int, int]:
        return dict(sorted(Counter(self.result[self.came > 0].tolist()).items()))


def _at(rising: Int64s, thousandth: int) -> int:
    """The smallest value that so many thousandths do not exceed."""
    return int(rising[max(-(-rising.size * thousandth // 1_000) - 1, 0)]) if rising.size else 0
