"""A load of HTTP updates that waits for nobody: each is due at its own instant, over connections that are kept.

Times count from the instant at which a request was due. Session n is of subscriber n; it is started first, unmeasured.
"""

import asyncio
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import cast

import msgspec
import numpy as np
import uvloop

from millicent.config.charging_bench.world import FIRST_MSISDN

NS = 1_000_000_000
START_RATE = 1_000  # unmeasured: nobody is to be too busy yet
_PATIENCE_SECONDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLoad:
    port: int
    token: str
    rate: int
    seconds: int
    run: str
    sessions: int = 5_000
    connections: int = 256
    address: str = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpFigures:
    """Times in microseconds from when a request was due until its answer was read."""

    sent: int
    answered: int
    per_second: int
    p50_us: int
    p95_us: int
    p99_us: int
    p999_us: int
    statuses: dict[int, int] = field(default_factory=dict)


def run(load: HttpLoad) -> HttpFigures:
    """Start the sessions, send the updates on time, and wait for the last answers."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_Run(load).send())


class _Connection(asyncio.Protocol):
    """One request on its way at a time."""

    def __init__(self, free: "deque[_Connection]", answered: "_Answered") -> None:
        self._free = free
        self._answered = answered
        self._read = b""
        self._request = -1
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._free.append(self)

    def send(self, request: int, raw: bytes) -> None:
        self._request = request
        self.transport.write(raw)

    def data_received(self, piece: bytes) -> None:
        self._read += piece
        head = self._read.find(b"\r\n\r\n")
        if head < 0:
            return
        at = self._read.lower().find(b"content-length:", 0, head)
        length = int(self._read[at + 15 : self._read.find(b"\r\n", at)])
        if len(self._read) < head + 4 + length:
            return
        status = int(self._read[9:12])
        self._read = self._read[head + 4 + length :]
        self._free.append(self)
        self._answered(self._request, status)


class _Answered:
    def __init__(self, count: int, wake: asyncio.Event) -> None:
        self.came = np.zeros(count, np.int64)
        self.statuses: Counter[int] = Counter()
        self._left = count
        self._wake = wake

    def __call__(self, request: int, status: int) -> None:
        self.came[request] = time.perf_counter_ns()
        self.statuses[status] += 1
        self._left -= 1
        if not self._left:
            self._wake.set()


class _Run:
    def __init__(self, load: HttpLoad) -> None:
        self.load = load
        self.free: deque[_Connection] = deque()

    async def send(self) -> HttpFigures:
        load = self.load
        starts = [self._start(session) for session in range(load.sessions)]
        await self._phase(starts, rate=START_RATE)
        count = load.rate * load.seconds
        updates = [self._update(at % load.sessions, at // load.sessions + 1) for at in range(count)]
        due, answered = await self._phase(updates, rate=load.rate)
        came = answered.came[answered.came > 0]
        late = np.sort((answered.came - due)[answered.came > 0]) // 1_000
        took = max(int(came.max(initial=0)) - int(due[0]), 1)
        good = answered.statuses.get(200, 0)
        parts = [int(late[min(len(late) - 1, len(late) * part // 1_000)]) if len(late) else 0
                 for part in (500, 950, 990, 999)]  # fmt: skip
        return HttpFigures(
            sent=count, answered=good, per_second=good * NS // took, p50_us=parts[0], p95_us=parts[1],
            p99_us=parts[2], p999_us=parts[3], statuses=dict(answered.statuses),
        )  # fmt: skip

    async def _phase(self, wires: list[bytes], *, rate: int) -> tuple[np.ndarray, _Answered]:
        wake = asyncio.Event()
        answered = _Answered(len(wires), wake)
        self.free.clear()
        loop = asyncio.get_running_loop()
        opened = [
            await loop.create_connection(lambda: _Connection(self.free, answered), self.load.address, self.load.port)
            for _ in range(self.load.connections)
        ]
        begun = time.perf_counter_ns()
        due = begun + np.arange(len(wires), dtype=np.int64) * NS // rate
        sent = 0
        while sent < len(wires):
            ready = int(np.searchsorted(due, time.perf_counter_ns(), side="right"))
            while sent < ready and self.free:
                self.free.popleft().send(sent, wires[sent])
                sent += 1
            await asyncio.sleep(0.0005)
        try:
            await asyncio.wait_for(wake.wait(), _PATIENCE_SECONDS)
        except TimeoutError:
            answered.statuses[0] += 1  # somebody was never answered: it shows in the figures
        for transport, _ in opened:
            transport.close()
        return due, answered

    def _start(self, session: int) -> bytes:
        subscriber = {"kind": "msisdn", "identifier": str(FIRST_MSISDN + session)}
        return self._post("start", {
            "session_id": f"{self.load.run}-{session}", "subscriber": subscriber, "service": "data",
            "asked": {"total_octets": 1_000_000},
        })  # fmt: skip

    def _update(self, session: int, number: int) -> bytes:
        return self._post("update", {
            "session_id": f"{self.load.run}-{session}", "number": number, "used": {"total_octets": 500_000},
            "asked": {"total_octets": 1_000_000},
        })  # fmt: skip

    def _post(self, operation: str, document: dict[str, object]) -> bytes:
        content = msgspec.json.encode(document)
        head = (
            f"POST /charging/v1/{operation} HTTP/1.1\r\nHost: {self.load.address}\r\n"
            f"Authorization: Bearer {self.load.token}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\n\r\n"
        )
        return head.encode() + content
