"""A shard that says what it is told, a peer that speaks Diameter by hand, and requests that show only what matters."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import numpy as np

from millicent.charging.types import ANSWER, NOT_SAID, Door, NameKind, Rows, Unit
from millicent.charging.types_map import QuotaPolicy, ServiceEntry, ServiceMap, ServiceRule
from millicent.kit.errors import Outage
from millicent.network.diameter import messages as wire
from millicent.network.diameter.messages import Field, Message, read_message, write_fields
from millicent.network.diameter.server import DiameterServer
from millicent.network.diameter.settings import DiameterSettings, read_settings

CLIENT, REALM, SERVER = "pgw01.example.net", "example.net", "ocs.example.net"
NOW_MS = 1_795_000_000_000
SETTINGS = """
host: ocs.example.net
realm: example.net
listen: [{address: 127.0.0.1, port: 0}]
peers: [{host: pgw01.example.net}, {host: dra.example.net}]
currencies: [EUR]
dial_plan: {region: ES}
"""


class FakeShard:
    """Answers every command with `answer`, or with what `decide` makes of it; remembers what came."""

    def __init__(self) -> None:
        self.commands: list[Rows] = []
        self.texts: list[bytes] = []
        self.names: dict[tuple[str, str], int] = {}
        self.answer = an_answer()
        self.decide: Callable[[np.void], np.void] | None = None
        self.down = False
        self.held: asyncio.Event | None = None
        self.told: Callable[[Rows, Sequence[str]], None] = lambda rows, texts: None
        self.forget: Callable[[], None] = lambda: None

    async def submit(self, commands: Rows, texts: bytes = b"") -> Rows:
        if self.down:
            raise Outage("the journal is silent")
        self.commands.append(commands.copy())
        self.texts.append(texts)
        if self.held:
            await self.held.wait()
        answers = np.empty(commands.size, ANSWER)
        for row, command in enumerate(commands):
            answers[row] = self.decide(command) if self.decide else self.answer
        return answers

    async def number_of(self, kind: NameKind, text: str) -> int:
        return self.names.setdefault((kind.value, text), len(self.names) + 100)

    def listen(self, door: Door, told: Callable[[Rows, Sequence[str]], None]) -> None:
        self.told = told

    def on_restart(self, forget: Callable[[], None]) -> None:
        self.forget = forget

    def rows(self) -> Rows:
        return np.concatenate(self.commands)


def an_answer(**said: object) -> np.void:
    """An answer that grants nothing, but for what is said."""
    answer = np.zeros(1, ANSWER)[0]
    for name in (
        "granted_units",
        "tariff_change_ms",
        "holding_seconds",
        "threshold_units",
        "validity_seconds",
        "currency",
    ):
        answer[name] = NOT_SAID
    for name, value in said.items():
        answer[name] = value
    return answer


def a_slice(units: int = 5_000_000, unit: Unit = Unit.TOTAL_OCTETS, **said: object) -> np.void:
    return an_answer(**{"granted_units": units, "unit": unit, "validity_seconds": 3600, **said})


def services() -> ServiceMap:
    rules = [
        ServiceRule(context="32251@3gpp.org", entry=ServiceEntry(service="data", unit=Unit.TOTAL_OCTETS)),
        ServiceRule(context="32260@3gpp.org", entry=ServiceEntry(service="voice", unit=Unit.SECONDS)),
        ServiceRule(context="32274@3gpp.org", entry=ServiceEntry(service="sms", unit=Unit.SERVICE_UNITS)),
    ]
    policy = QuotaPolicy(slice_units=1, redirect_address="https://top-up.example.net", filter_ids=("portal-only",))
    return ServiceMap(rules, policies={"data": policy})


def an_mscc(group: int = 10, *, service_id: int | None = None, **parts: list[Field] | None) -> Field:
    """Multiple-Services-Credit-Control: `requested=[]` asks, `used=[...]` reports."""
    fields: list[Field] = []
    if parts.get("requested") is not None:
        fields.append(("Requested-Service-Unit", parts["requested"]))
    if parts.get("used") is not None:
        fields.append(("Used-Service-Unit", parts["used"]))
    if service_id is not None:
        fields.append(("Service-Identifier", service_id))
    fields.append(("Rating-Group", group))
    return "Multiple-Services-Credit-Control", [*fields, *(parts.get("more") or [])]


INITIAL, UPDATE, TERMINATION, EVENT = 1, 2, 3, 4


def base_fields(
    kind: int, number: int, *, session: str = "pgw01.example.net;1;1", context: str = "32251@3gpp.org"
) -> list[Field]:
    return [
        ("Session-Id", session),
        ("Origin-Host", CLIENT),
        ("Origin-Realm", REALM),
        ("Destination-Realm", REALM),
        ("Auth-Application-Id", 4),
        ("Service-Context-Id", context),
        ("CC-Request-Type", kind),
        ("CC-Request-Number", number),
    ]


SUBSCRIBER: Field = ("Subscription-Id", [("Subscription-Id-Type", 0), ("Subscription-Id-Data", "34600000001")])


def a_request(
    kind: int = INITIAL, number: int = 0, *more: Field, hop: int = 7, flags: int = 0xC0, **said: str
) -> bytes:
    """A Credit-Control-Request of one subscriber."""
    return a_message([*base_fields(kind, number, **said), SUBSCRIBER, *more], hop=hop, flags=flags)


def a_message(
    fields: list[Field] | bytes, *, hop: int = 7, flags: int = 0xC0, command: int = 272, application: int = 4
) -> bytes:
    content = fields if isinstance(fields, bytes) else write_fields(fields)
    return wire.message_bytes(
        command=command, application=application, flags=flags, hop_by_hop=hop, end_to_end=hop + 1000, content=content
    )


def capabilities(*more: Field, host: str = CLIENT) -> bytes:
    fields: list[Field] = [
        ("Origin-Host", host), ("Origin-Realm", REALM), ("Host-IP-Address", "127.0.0.1"), ("Vendor-Id", 0),
        ("Product-Name", "test"), *(more or (("Auth-Application-Id", 4),)),
    ]  # fmt: skip
    return a_message(fields, command=257, application=0, flags=0x80)


class Client:
    """The other end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, raw: bytes) -> None:
        self.writer.write(raw)

    async def raw(self) -> bytes:
        head = await self.reader.readexactly(20)
        return head + await self.reader.readexactly(int.from_bytes(head[1:4]) - 20)

    async def receive(self) -> Message:
        return read_message(await self.raw())

    async def ask(self, raw: bytes) -> Message:
        self.send(raw)
        return await self.receive()

    async def is_closed(self) -> bool:
        return await self.reader.read(1) == b""


@asynccontextmanager
async def a_server(shard: FakeShard, *, settings: str = SETTINGS, **more: object) -> AsyncIterator[DiameterServer]:
    declared: DiameterSettings = read_settings(settings + "".join(f"{k}: {v}\n" for k, v in more.items()), where="test")
    server = DiameterServer(shard, settings=declared, services=services(), now_ms=lambda: NOW_MS)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def a_stranger(server: DiameterServer, **how: object) -> AsyncIterator[Client]:
    """A connection on which nothing was said yet."""
    reader, writer = await asyncio.open_connection(*server.addresses[0], **how)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


@asynccontextmanager
async def a_peer(server: DiameterServer, *more: Field, host: str = CLIENT) -> AsyncIterator[Client]:
    async with a_stranger(server) as client:
        answer = await client.ask(capabilities(*more, host=host))
        assert answer.number("Result-Code") == 2001
        yield client
