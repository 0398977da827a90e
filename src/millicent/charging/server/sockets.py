"""The shard's Unix socket: other processes' way to what ChargingPort offers, and people's way to look at it."""

import asyncio
import json
import os
import struct
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from stat import S_ISDIR
from typing import Any, cast

import structlog

from millicent.charging.server.engine import ChargingEngine
from millicent.charging.server.frames import (
    Frame,
    Kind,
    WrongFrame,
    frame,
    hello,
    pack_notices,
    split_frames,
    unpack_submission,
)
from millicent.charging.types import Door, NameKind, Rows
from millicent.kit.errors import MillicentError, Refusal

Look = Callable[[Mapping[str, Any]], Awaitable[object]]


class SocketFolderUnsafe(Refusal):
    """The folder of the shard's socket belongs to somebody else, or others may write to it."""

    code = "charging_socket_folder_unsafe"


class FrameWriter:
    """Frames of one turn of the loop leave in one write."""

    def __init__(self, transport: asyncio.WriteTransport) -> None:
        self._transport = transport
        self._waiting: list[bytes] = []

    def add(self, kind: Kind, number: int, content: bytes = b"") -> None:
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        self._waiting.append(frame(kind, number, content))

    def _flush(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(b"".join(self._waiting))
        self._waiting.clear()


class _Connection(asyncio.Protocol):
    """One client. What it asks is answered in the order in which it becomes durable."""

    def __init__(self, server: "ShardSocket") -> None:
        self._server = server
        self._engine = server.engine
        self._received = bytearray()
        self._listens: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's do not say so by inheritance
        self._out = FrameWriter(self._transport)
        self._server.connections.add(self)
        self._out.add(Kind.HELLO, 0, hello(epoch=self._server.epoch, shard=self._server.shard))

    def connection_lost(self, error: Exception | None) -> None:
        self._server.connections.discard(self)
        for task in self._tasks:
            task.cancel()

    def pause_writing(self) -> None:
        """A client that does not read its answers is not listened to either."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()

    def data_received(self, piece: bytes) -> None:
        self._received += piece
        try:
            for each in split_frames(self._received):
                self._take(each)
        except (WrongFrame, ValueError, KeyError, TypeError, struct.error) as wrong:
            structlog.get_logger("millicent.charging").warning("client disconnected", message=str(wrong))
            self._transport.abort()

    def _take(self, each: Frame) -> None:
        if each.kind == Kind.SUBMIT:
            self._submit(each)
        elif each.kind == Kind.NAME:
            kind, text = json.loads(each.content)
            self._later(each.number, self._name(each.number, NameKind(kind), str(text)))
        elif each.kind == Kind.LISTEN:
            self._listens.add(int(Door(each.content[0])))
        elif each.kind == Kind.LOOK:
            self._later(each.number, self._look(each.number, json.loads(each.content)))
        else:
            raise WrongFrame(f"a frame of kind {each.kind} is not for the server")

    def _submit(self, each: Frame) -> None:
        commands, texts = unpack_submission(each.content)
        try:
            answer = self._engine.submit_soon(commands, texts)
        except MillicentError as error:
            self._refuse(each.number, error)
            return
        answer.add_done_callback(partial(self._answered, each.number))

    def _answered(self, number: int, answer: "asyncio.Future[Rows]") -> None:
        if answer.cancelled():
            return
        error = answer.exception()
        if error is None:
            self._out.add(Kind.ANSWERS, number, answer.result().tobytes())
        elif isinstance(error, MillicentError):
            self._refuse(number, error)

    def _refuse(self, number: int, error: MillicentError) -> None:
        self._out.add(Kind.REFUSED, number, json.dumps({"code": error.code, "message": error.message}).encode())

    def _later(self, number: int, work: Awaitable[None]) -> None:
        async def answered() -> None:
            try:
                await work
            except MillicentError as error:
                self._refuse(number, error)

        task = asyncio.ensure_future(answered())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _name(self, number: int, kind: NameKind, text: str) -> None:
        self._out.add(Kind.NUMBER, number, struct.pack("<q", await self._engine.number_of(kind, text)))

    async def _look(self, number: int, asked: Mapping[str, Any]) -> None:
        seen = await self._server.look(str(asked.get("what")), asked)
        self._out.add(Kind.SEEN, number, json.dumps(seen, default=str).encode())

    def tell(self, door: int, notices: Rows, texts: Sequence[str]) -> None:
        if door in self._listens:
            self._out.add(Kind.NOTICES, door, pack_notices(notices, texts))

    def close(self) -> None:
        self._transport.close()


class ShardSocket:
    """Serves an engine on a Unix socket that only this user may open."""

    def __init__(self, engine: ChargingEngine, *, path: Path, epoch: int, shard: int) -> None:
        self.engine = engine
        self.epoch = epoch
        self.shard = shard
        self.looks: dict[str, Look] = {}
        self.connections: set[_Connection] = set()
        self._path = path
        for door in Door:
            engine.listen(door, partial(self._tell, int(door)))

    async def start(self) -> None:
        """Listen. A socket file of a killed process is taken over: whoever holds the lease is the server."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _refuse_strangers(self._path.parent)
        self._path.unlink(missing_ok=True)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: _Connection(self), str(self._path))
        self._path.chmod(0o600)

    async def stop(self) -> None:
        """Close the socket and what is connected. The file goes only while it is ours."""
        self._server.close()
        for connection in list(self.connections):
            connection.close()
        with suppress(FileNotFoundError):
            self._path.unlink()
        await asyncio.sleep(0)

    async def look(self, what: str, asked: Mapping[str, Any]) -> object:
        """Answer a question of `looks` once everything it may have seen is durable."""
        if what not in self.looks:
            raise WrongFrame(f"nothing called {what!r} can be looked at", known=sorted(self.looks))
        seen = await self.looks[what](asked)
        await self.engine.settled()
        return seen

    def _tell(self, door: int, notices: Rows, texts: Sequence[str]) -> None:
        for connection in list(self.connections):
            connection.tell(door, notices, texts)


def _refuse_strangers(folder: Path) -> None:
    found = folder.lstat()
    if not S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise SocketFolderUnsafe(f"{folder} must be a folder of this user that nobody else may write to")
