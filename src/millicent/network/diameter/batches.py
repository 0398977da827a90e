"""What all connections hold becomes one submission, and its answers become one write for each connection."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import pycountry
import structlog

from millicent.charging.types import ANSWER, COMMAND, ChargingPort, Door, NameKind, Rows, Verb, commands
from millicent.kit import metrics
from millicent.kit.errors import Defect, Outage
from millicent.kit.kernels import Int64s, UInt8s
from millicent.kit.money import nano_digits
from millicent.network.diameter import messages as wire
from millicent.network.diameter.codec import (
    Answering,
    Requests,
    as_bytes,
    decode,
    encode_answers,
    refused_openings,
)
from millicent.network.diameter.currencies import refuse_other_currencies
from millicent.network.diameter.dictionary import dictionary
from millicent.network.diameter.kernel import rows as loops
from millicent.network.diameter.kernel.slots import SLOT_NAMES
from millicent.network.diameter.naming import Naming
from millicent.network.diameter.peer import PeerConnection, Piece
from millicent.network.diameter.settings import DiameterSettings

MOST_IN_FLIGHT = 4  # submissions that are not durable yet
MOST_IN_A_BATCH = 2_048


@dataclass(slots=True)
class Batch:
    """Requests of several connections on their way through the shard. A connection's messages stand together."""

    raw: bytes
    start: Int64s
    end: Int64s
    connection: Int64s  # index in `connections`
    connections: list[PeerConnection]
    requests: Requests = field(init=False)
    commands: Rows = field(init=False)
    texts: bytes = b""

    @property
    def count(self) -> int:
        return int(self.start.size)


def gather(connections: Iterable[PeerConnection]) -> Batch | None:
    """All that waits, up to the size of a batch; None where nothing does."""
    raw: list[bytes] = []
    start: list[Int64s] = []
    end: list[Int64s] = []
    owner: list[Int64s] = []
    found: list[PeerConnection] = []
    offset = count = 0
    for connection in connections:
        for piece in _taken(connection, MOST_IN_A_BATCH - count):
            if not found or found[-1] is not connection:
                found.append(connection)
            raw.append(piece.raw)
            start.append(piece.start + offset)
            end.append(piece.end + offset)
            owner.append(np.full(piece.start.size, len(found) - 1, np.int64))
            offset += len(piece.raw)
            count += piece.start.size
        if count >= MOST_IN_A_BATCH:
            break
    if not count:
        return None
    return Batch(
        raw=b"".join(raw),
        start=np.concatenate(start),
        end=np.concatenate(end),
        connection=np.concatenate(owner),
        connections=found,
    )


def _taken(connection: PeerConnection, room: int) -> Iterator[Piece]:
    """Pieces of a connection as far as there is room; one piece alone may be larger."""
    while connection.pieces and room > 0:
        room -= connection.pieces[0].start.size
        yield connection.pieces.popleft()


class Batches:
    """The steps of a batch: decode and name, submit, encode."""

    def __init__(
        self, port: ChargingPort, *, settings: DiameterSettings, naming: Naming, now_ms: Callable[[], int]
    ) -> None:
        self._port = port
        self._settings = settings
        self._naming = naming
        self._now_ms = now_ms
        self._template = commands(1)
        self._template["door"] = Door.DIAMETER
        self._currencies = np.zeros((0, 3), np.int64)
        self._realm, self._host = as_bytes(settings.realm.encode()), as_bytes(settings.host.encode())
        identity = wire.write_fields(
            [("Origin-Host", settings.host), ("Origin-Realm", settings.realm), ("Auth-Application-Id", 4)]
        )
        handling = settings.value("Credit-Control-Failure-Handling", settings.failure_handling)
        failover = settings.value("CC-Session-Failover", settings.session_failover)
        debiting = settings.value("Direct-Debiting-Failure-Handling", settings.debiting_failure_handling)
        session = [("CC-Session-Failover", failover), ("Credit-Control-Failure-Handling", handling)]
        self._identity = as_bytes(identity)
        self._session_terms = as_bytes(wire.write_fields(session))
        self._event_terms = as_bytes(wire.write_fields([("Direct-Debiting-Failure-Handling", debiting)]))

    async def prepare(self) -> None:
        """Know the declared currencies by the shard's numbers."""
        rows = []
        for code in self._settings.currencies:
            number = await self._port.number_of(NameKind.CURRENCY, code)
            known = pycountry.currencies.get(alpha_3=code)
            rows.append((number, int(known.numeric) if known else 0, -nano_digits(code)))
        self._currencies = np.array(rows, np.int64).reshape(-1, 3)

    async def ready(self, batch: Batch) -> bool:
        """Make the rows of commands, waiting only where the shard must be told a new name; False where it cannot."""
        try:
            await self._make_rows(batch)
        except Outage:
            metrics.FAULTS.labels(code=Outage.code).inc()
            return False
        return True

    async def _make_rows(self, batch: Batch) -> None:
        batch.requests = requests = decode(
            as_bytes(batch.raw), start=batch.start, end=batch.end, connection=batch.connection,
            ranks=self._naming.ranks, realm=self._realm, host=self._host,
        )  # fmt: skip
        self._naming.name_parties(requests)
        if (requests.units["currency"] >= 0).any():
            await refuse_other_currencies(requests, port=self._port, now_ms=self._now_ms())
        rows, octets = self._numbered(requests)
        while rows < 0:
            await self._name_strangers(requests)
            rows, octets = self._numbered(requests)
        batch.commands, texts = np.empty(rows, COMMAND), np.empty(octets, np.uint8)
        written = loops.write_rows(
            requests.buffer, requests.messages, requests.units, self._template, self._now_ms(),
            self._settings.take_over, self._naming.peers.keys, self._naming.peers.numbers[:, 0],
            batch.commands, texts,
        )  # fmt: skip
        batch.texts = texts[:written].tobytes()

    def _numbered(self, requests: Requests) -> tuple[int, int]:
        """(rows, octets of texts), or rows below zero while there are names without numbers."""
        naming = self._naming
        self._strange = np.empty(requests.units.size, np.int64)
        self._strangers = np.empty(requests.messages.size, np.int64)
        rows, octets, strange, strangers = loops.number_rows(
            requests.messages, requests.units, naming.traffic.keys, naming.traffic.numbers, naming.peers.keys,
            self._strange, self._strangers,
        )  # fmt: skip
        self._strange, self._strangers = self._strange[:strange], self._strangers[:strangers]
        return (-1 if strange or strangers else rows), octets

    async def _name_strangers(self, requests: Requests) -> None:
        """Learn at most as many names as a table holds; the others wait for the next turn."""
        messages, units, raw = requests.messages, requests.units, requests.buffer
        for row in _first_of_each(messages["peer"], self._strangers):
            message = messages[row]
            host, realm = _text(message, "host", raw), _text(message, "realm", raw)
            await self._naming.name_peer(key=int(message["peer"]), host=host, realm=realm)
        for row in _first_of_each(units["traffic"], self._strange):
            await self._naming.name_traffic(units[row], messages[units["message"][row]], raw)

    async def submit(self, batch: Batch) -> Rows | None:
        """Answers of the shard; None where it cannot answer now."""
        if not batch.commands.size:
            return np.empty(0, ANSWER)
        try:
            return await self._port.submit(batch.commands, batch.texts)
        except Outage:
            metrics.FAULTS.labels(code=Outage.code).inc()
        except Exception:
            report_defect("a submission failed")
        return None

    def written(self, batch: Batch, answers: Rows | None) -> Iterator[tuple[PeerConnection, bytes, int]]:
        """What each connection is to be sent, and how many answers that is."""
        requests = batch.requests
        if answers is None:
            sound = requests.messages["result"] == 0
            requests.messages["result"][sound] = wire.TOO_BUSY
            answers = np.empty(0, ANSWER)
        out, begin, end = encode_answers(requests, answers, self._answering())
        refused = requests.messages["result"] != 0
        metrics.PACKETS.labels(protocol="diameter", outcome="answered").inc(int(np.count_nonzero(~refused)))
        metrics.PACKETS.labels(protocol="diameter", outcome="refused").inc(int(np.count_nonzero(refused)))
        firsts = np.searchsorted(batch.connection, np.arange(len(batch.connections) + 1))
        for place, connection in enumerate(batch.connections):
            first, last = int(firsts[place]), int(firsts[place + 1])
            raw = out[begin[first] : end[last - 1]].tobytes()
            if refused[first:last].any():
                parts = (
                    self._refusal(requests, row) if refused[row] else out[begin[row] : end[row]].tobytes()
                    for row in range(first, last)
                )
                raw = b"".join(parts)
            yield connection, raw, last - first

    def _answering(self) -> Answering:
        return Answering(
            identity=self._identity,
            session_terms=self._session_terms,
            event_terms=self._event_terms,
            finals=self._naming.finals,
            offsets=self._naming.offsets,
            currencies=self._currencies,
        )

    def _refusal(self, requests: Requests, row: int) -> bytes:
        """A refused request's answer, with what it carried as far as that could be read."""
        message, raw = requests.messages[row], requests.buffer
        whole = bytes(raw[int(message["start"]) : int(message["end"])])
        session = _bytes(message, "session", raw)
        return wire.refusal_bytes(
            wire.read_header(whole),
            result=int(message["result"]),
            identity=self._refusing(message),
            session=session,
            failed=self._failed(message, raw),
            proxies=wire.proxies_in(whole),
        )

    def _refusing(self, message: np.void) -> list[wire.Field]:
        said: list[wire.Field] = [
            ("Origin-Host", self._settings.host),
            ("Origin-Realm", self._settings.realm),
            ("Auth-Application-Id", wire.CREDIT_CONTROL_APPLICATION),
        ]
        if message["type"] >= 0:
            said.append(("CC-Request-Type", int(message["type"]) & 0xFFFFFFFF))
        if message["number"] >= 0:
            said.append(("CC-Request-Number", int(message["number"])))
        return said

    def _failed(self, message: np.void, raw: UInt8s) -> bytes:
        """The AVP to blame (RFC 6733 clause 7.5): as it came, or as it should have been."""
        if message["failed_slot"] > 0:
            return wire.example(dictionary().named(SLOT_NAMES[int(message["failed_slot"]) - 1]))
        if message["failed_at"] < 0:
            return b""
        at = int(message["failed_at"])
        blamed = bytes(raw[at : at + int(message["failed_length"])])
        return wire.cut_short(blamed) if message["result"] == wire.INVALID_AVP_LENGTH else blamed

    async def close_refused(self, batch: Batch, answers: Rows | None) -> None:
        """Sessions whose first and only units were refused: their client has none, so neither have we."""
        if answers is None:
            return
        messages = batch.requests.messages
        found = refused_openings(batch.requests, answers)
        if not found.size:
            return
        rows = commands(found.size)
        rows["verb"], rows["door"] = Verb.CLOSE, Door.DIAMETER
        rows["key_high"], rows["key_low"] = messages["key_high"][found], messages["key_low"][found]
        rows["received_ms"] = self._now_ms()
        with suppress(Outage):  # then the sweep closes them
            await self._port.submit(rows)


def report_defect(what: str) -> None:
    """Whoever watches is told; the peers are told that we are too busy, and go elsewhere."""
    metrics.FAULTS.labels(code=Defect.code).inc()
    structlog.get_logger("millicent.diameter").exception(what)


def _first_of_each(hashes: np.ndarray, rows: Int64s) -> list[int]:
    """One row for each hash among these rows."""
    return [int(rows[place]) for place in np.unique(hashes[rows], return_index=True)[1]]


def _bytes(message: np.void, name: str, raw: UInt8s) -> bytes:
    at, length = int(message[f"{name}_at"]), int(message[f"{name}_length"])
    return bytes(raw[at : at + length]) if at >= 0 else b""


def _text(message: np.void, name: str, raw: UInt8s) -> str:
    return _bytes(message, name, raw).decode("utf-8", "replace")
