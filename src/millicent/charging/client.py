"""The charging shard from another process: a ChargingPort over its socket, and a blocking one for services and people.

A connection that breaks leaves questions without an answer: AnswerLost. Nobody knows then whether the commands were
applied; sent again under the same keys they are applied once, and the answer is the stored one.
"""

import asyncio
import json
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any, cast

from millicent.charging.journal.errors import ShardSilent
from millicent.charging.server.frames import (
    HEAD_BYTES,
    Frame,
    Kind,
    frame,
    pack_submission,
    read_hello,
    socket_path,
    split_frames,
    unpack_answers,
    unpack_notices,
)
from millicent.charging.server.sockets import FrameWriter
from millicent.charging.types import Door, NameKind, Rows
from millicent.kit.errors import Outage

__all__ = ["AnswerLost", "ChargingClient", "RefusedByShard", "SyncChargingClient", "socket_path"]

Told = Callable[[Rows, Sequence[str]], None]
_PAUSE_TENTHS = 2
_READ_BYTES = 1024 * 1024


class AnswerLost(Outage):
    """The charging process went away before it answered: send the same commands again under the same keys."""

    code = "charging_answer_lost"


class RefusedByShard(Outage):
    """The charging process did not take the commands: too many wait, or nothing can be made durable now."""

    code = "charging_refused"


class ChargingClient(asyncio.Protocol):
    """A ChargingPort over the shard's socket. It connects again by itself when the process was replaced.

    Use it as `async with ChargingClient(path) as port`; it raises ShardSilent while nobody answers.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Frame]] = {}
        self._listeners: list[tuple[Door, Told]] = []
        self._forgetters: list[Callable[[], None]] = []
        self._names: dict[tuple[str, str], int] = {}
        self._received = bytearray()
        self._epoch = 0
        self._out: FrameWriter | None = None
        self._closed = False
        self._ready = asyncio.Event()
        self._connecting: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "ChargingClient":
        await self._connect_once()
        try:
            await asyncio.wait_for(self._ready.wait(), timeout=10)
        except BaseException:  # whoever gives up waiting for the greeting leaves no connection behind
            self._closed = True
            self._transport.abort()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
        if self._ready.is_set():
            self._transport.close()

    # --- ChargingPort ------------------------------------------------------------------------------------------------

    async def submit(self, commands: Rows, texts: bytes = b"") -> Rows:
        """See ChargingPort; and AnswerLost when the process goes away in between."""
        answer = await self._ask(Kind.SUBMIT, pack_submission(commands, texts))
        return unpack_answers(answer.content)

    async def number_of(self, kind: NameKind, text: str) -> int:
        known = self._names.get((kind, text))
        if known is None:
            answer = await self._ask(Kind.NAME, json.dumps([kind, text]).encode())
            (known,) = struct.unpack("<q", answer.content)
            self._names[kind, text] = known
        return int(known)

    def listen(self, door: Door, told: Told) -> None:
        self._listeners.append((door, told))
        if self._out is not None and self._ready.is_set():
            self._out.add(Kind.LISTEN, 0, bytes([door]))

    def on_restart(self, forget: Callable[[], None]) -> None:
        self._forgetters.append(forget)

    async def look(self, what: str, **asked: object) -> Any:
        """A read-only question, such as `look("status")`."""
        answer = await self._ask(Kind.LOOK, json.dumps({"what": what, **asked}).encode())
        return json.loads(answer.content)

    # --- the connection ----------------------------------------------------------------------------------------------

    async def _ask(self, kind: Kind, content: bytes) -> Frame:
        if self._out is None or not self._ready.is_set():
            raise ShardSilent(f"no charging process answers at {self._path}")
        number = next(self._numbers) & 0xFFFFFFFF
        answer: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        self._out.add(kind, number, content)
        try:
            return _unless_refused(await answer)
        finally:
            self._waiting.pop(number, None)

    async def _connect_once(self) -> None:
        try:
            await asyncio.get_running_loop().create_unix_connection(lambda: self, str(self._path))
        except OSError as silence:
            raise ShardSilent(f"no charging process answers at {self._path}: {silence.strerror}") from silence

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's do not say so by inheritance
        self._received.clear()
        self._out = FrameWriter(self._transport)

    def data_received(self, piece: bytes) -> None:
        self._received += piece
        for each in split_frames(self._received):
            self._take(each)

    def _take(self, each: Frame) -> None:
        if each.kind == Kind.HELLO:
            self._greeted(each.content)
        elif each.kind == Kind.NOTICES:
            notices, texts = unpack_notices(each.content)
            for door, told in self._listeners:
                if door == each.number:
                    told(notices, texts)
        else:
            answer = self._waiting.pop(each.number, None)
            if answer is not None and not answer.done():
                answer.set_result(each)

    def _greeted(self, content: bytes) -> None:
        epoch = read_hello(content)
        assert self._out is not None, "HELLO comes over a connection"
        if self._epoch and epoch != self._epoch:
            self._names.clear()
            for forget in self._forgetters:
                forget()
        self._epoch = epoch
        for door in sorted({door for door, _ in self._listeners}):
            self._out.add(Kind.LISTEN, 0, bytes([door]))
        self._ready.set()

    def connection_lost(self, error: Exception | None) -> None:
        self._ready.clear()
        self._out = None
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(AnswerLost("the charging process went away before it answered"))
        self._waiting.clear()
        if not self._closed:
            self._connecting = asyncio.ensure_future(self._connect_again())

    async def _connect_again(self) -> None:
        while not self._closed:
            try:
                await self._connect_once()
            except ShardSilent:
                await asyncio.sleep(_PAUSE_TENTHS / 10)
            else:
                return


def _unless_refused(answer: Frame) -> Frame:
    if answer.kind != Kind.REFUSED:
        return answer
    said: Mapping[str, str] = json.loads(answer.content)
    raise RefusedByShard(said["message"], code=said["code"])


class SyncChargingClient:
    """The same for code that blocks: services and the command line. One question at a time; threads may share it."""

    def __init__(self, path: Path, *, timeout_seconds: int = 30) -> None:
        self._path = path
        self._lock = Lock()
        self._numbers = count(1)
        self._received = bytearray()
        self._names: dict[tuple[str, str], int] = {}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_seconds)
        try:
            self._socket.connect(str(path))
        except OSError as silence:
            self._socket.close()
            raise ShardSilent(f"no charging process answers at {path}: {silence.strerror}") from silence
        self.epoch = read_hello(self._next(Kind.HELLO, 0).content)

    def __enter__(self) -> "SyncChargingClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def submit(self, commands: Rows, texts: bytes = b"") -> Rows:
        """Apply rows of COMMAND and return as many of ANSWER, once they are durable."""
        return unpack_answers(self._ask(Kind.SUBMIT, pack_submission(commands, texts)).content)

    def number_of(self, kind: NameKind, text: str) -> int:
        """The shard's number for a text; good for ever."""
        if (kind, text) not in self._names:
            answer = self._ask(Kind.NAME, json.dumps([kind, text]).encode())
            (self._names[kind, text],) = struct.unpack("<q", answer.content)
        return self._names[kind, text]

    def look(self, what: str, **asked: object) -> Any:
        """A read-only question, such as `look("status")`."""
        return json.loads(self._ask(Kind.LOOK, json.dumps({"what": what, **asked}).encode()).content)

    def _ask(self, kind: Kind, content: bytes) -> Frame:
        with self._lock:
            number = next(self._numbers) & 0xFFFFFFFF
            try:
                self._socket.sendall(frame(kind, number, content))
                return _unless_refused(self._next(None, number))
            except OSError as lost:
                raise AnswerLost(f"the charging process at {self._path} does not answer: {lost}") from lost

    def _next(self, kind: Kind | None, number: int) -> Frame:
        """The frame that answers; what else the server says is left out."""
        while True:
            found = [
                each for each in split_frames(self._received) if each.number == number and kind in (None, each.kind)
            ]
            if found:
                return found[0]
            piece = self._socket.recv(max(HEAD_BYTES, _READ_BYTES))
            if not piece:
                raise AnswerLost(f"the charging process at {self._path} went away")
            self._received += piece
