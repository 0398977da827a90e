"""A TCP proxy between Diameter peers that does to messages what networks do, by the seed of its dice."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

KINDS = ("doubled", "delayed", "truncated", "flipped", "reordered", "dropped")


@dataclass
class FaultProxy:
    """Between whoever connects to `port` and `target`. `per_thousand` of each kind; the first message passes whole."""

    target: tuple[str, int]
    seed: int
    per_thousand: dict[str, int]
    longest_delay_seconds: float = 0.3
    told: Counter[str] = field(default_factory=Counter)
    port: int = 0

    async def __aenter__(self) -> "FaultProxy":
        self._dice = random.Random(self.seed)
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*self.target)
        ways = [asyncio.create_task(self._pass(*way)) for way in ((reader, back), (there, writer))]
        with suppress(asyncio.CancelledError):
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        for end in (writer, back):
            end.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Message after message, until an end closes or a fault closes it."""
        waiting: bytes = b""
        first = True
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readexactly(4)
                raw = head + await reader.readexactly(int.from_bytes(head[1:4]) - 4)
                kind = "" if first else self._fault()
                first = False
                self.told[kind or "passed"] += 1
                if kind == "truncated":
                    writer.write(raw[: self._dice.randrange(1, len(raw))])
                    await writer.drain()
                    return
                if kind == "dropped":
                    return
                if kind == "reordered" and not waiting:
                    waiting = raw  # goes after the next one
                    continue
                self._send(writer, self._changed(raw, kind) + waiting, later=kind == "delayed")
                waiting = b""

    def _fault(self) -> str:
        drawn = self._dice.randrange(1000)
        for kind in KINDS:
            drawn -= self.per_thousand.get(kind, 0)
            if drawn < 0:
                return kind
        return ""

    def _changed(self, raw: bytes, kind: str) -> bytes:
        if kind == "doubled":
            return raw * 2
        if kind == "flipped":
            spoilt = bytearray(raw)
            for _ in range(self._dice.randint(1, 3)):
                at = self._dice.randrange(4, len(raw))
                spoilt[at] ^= 1 << self._dice.randrange(8)
            return bytes(spoilt)
        return raw

    def _send(self, writer: asyncio.StreamWriter, raw: bytes, *, later: bool) -> None:
        write: Callable[[], object] = lambda: writer.is_closing() or writer.write(raw)  # noqa: E731
        if later:
            delay = self._dice.random() * self.longest_delay_seconds
            asyncio.get_running_loop().call_later(delay, write)
        else:
            write()
