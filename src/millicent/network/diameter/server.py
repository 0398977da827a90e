"""The Diameter server: what all peers ask at once becomes one submission, and each peer gets its answers in one write.

Order is kept within a peer. What a refused submission held is answered with DIAMETER_TOO_BUSY; nothing of it was done.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress

from millicent.charging.types import ChargingPort, Door, Rows
from millicent.charging.types_map import ServiceMap
from millicent.kit.clock import system_now, to_ms
from millicent.network.diameter.batches import MOST_IN_FLIGHT, Batch, Batches, gather
from millicent.network.diameter.messages import Field, Message
from millicent.network.diameter.naming import Naming
from millicent.network.diameter.peer import PeerConnection
from millicent.network.diameter.sessions import Sessions
from millicent.network.diameter.settings import DiameterSettings, Listener
from millicent.network.diameter.warming import warm

GOOD_BYE_SECONDS = 2


def _now_ms() -> int:
    return to_ms(system_now())


class DiameterServer:
    """Listens, keeps peers, and feeds the shard. One event loop; nothing here blocks."""

    def __init__(
        self,
        port: ChargingPort,
        *,
        settings: DiameterSettings,
        services: ServiceMap,
        now_ms: Callable[[], int] = _now_ms,
    ) -> None:
        self.settings = settings
        self.state_id = now_ms() // 1_000 & 0xFFFFFFFF  # rises with each start (RFC 6733 clause 8.16)
        self.identity: list[Field] = [("Origin-Host", settings.host), ("Origin-Realm", settings.realm)]
        self.connections: dict[PeerConnection, None] = {}
        self.waiting = 0
        self.addresses: list[tuple[str, int]] = []  # where it listens, once started
        self.naming = Naming(port, settings=settings, services=services)
        self._batches = Batches(port, settings=settings, naming=self.naming, now_ms=now_ms)
        self.sessions = Sessions(port, settings=settings, naming=self.naming, now_ms=now_ms)
        self._servers: list[asyncio.Server] = []
        self._woken, self._left = asyncio.Event(), asyncio.Event()
        self._places = asyncio.Semaphore(MOST_IN_FLIGHT)
        self._settling: set[asyncio.Task[None]] = set()
        self._feeder: asyncio.Task[None] | None = None
        self._was_full = self._is_stalled = False
        port.listen(Door.DIAMETER, self.sessions.told)
        port.on_restart(self.naming.forget)

    @property
    def is_full(self) -> bool:
        return self.waiting > self.settings.most_waiting

    async def start(self) -> None:
        """Listen on every declared address."""
        await asyncio.to_thread(warm)
        await self._batches.prepare()
        self._feeder = asyncio.create_task(self._feed())
        loop = asyncio.get_running_loop()
        for listener in self.settings.listen:
            secure = _tls(listener)
            server = await loop.create_server(
                lambda secure=secure: PeerConnection(self, tls=secure is not None),
                listener.address,
                listener.port,
                ssl=secure,
            )
            self._servers.append(server)
            self.addresses += [socket.getsockname()[:2] for socket in server.sockets]

    async def stop(self) -> None:
        """Answer what has begun, say good-bye to every peer, and close."""
        for server in self._servers:
            server.close()
        while self._settling:
            await asyncio.wait([*self._settling])
        for connection in [*self.connections]:
            connection.say_good_bye()
        with suppress(TimeoutError):
            async with asyncio.timeout(GOOD_BYE_SECONDS):
                while self.connections:
                    self._left.clear()
                    await self._left.wait()
        for connection in [*self.connections]:
            connection.transport.abort()
        if self._feeder:
            self._feeder.cancel()
            with suppress(asyncio.CancelledError):
                await self._feeder
        await self.sessions.stop()

    # what connections tell

    def takes(self, connection: PeerConnection) -> bool:
        """There is room for one more connection."""
        if len(self.connections) >= self.settings.most_connections:
            return False
        self.connections[connection] = None
        return True

    def greeted(self, connection: PeerConnection, message: Message) -> None:
        """Capabilities were exchanged: an older connection of the same peer is dead."""
        for other in [*self.connections]:
            if other is not connection and other.host.lower() == connection.host.lower():
                other.transport.abort()
        self.sessions.connected(connection)
        self.heard_of(message)

    def heard_of(self, message: Message) -> None:
        """A peer says its Origin-State-Id: when it has risen, the sessions before it are lost."""
        state = message.number("Origin-State-Id")
        if state is not None:
            self.sessions.state_of(message.text("Origin-Host"), realm=message.text("Origin-Realm"), state=state)

    def lost(self, connection: PeerConnection) -> None:
        self.waiting -= connection.waiting
        self.connections.pop(connection, None)
        self.sessions.disconnected(connection)
        self._left.set()
        self._look_at_flow()

    def wake(self) -> None:
        self._woken.set()

    # feeding the shard

    async def _feed(self) -> None:
        """One batch after the other is submitted in order; a few may be on their way at once."""
        while True:
            await self._woken.wait()
            has_place = await self._take_place()
            for connection in [*self.connections]:
                connection.frame()
            batch = gather(self.connections)
            if batch is None:
                self._woken.clear()
                if has_place:
                    self._places.release()
                continue
            self.waiting += batch.count
            self._look_at_flow()
            is_ready = await self._batches.ready(batch)
            self.sessions.seen(batch)
            if has_place and is_ready:
                task = asyncio.create_task(self._settle(batch))
                self._settling.add(task)
                task.add_done_callback(self._settling.discard)
            else:
                self._deliver(batch, None)
                if has_place:
                    self._places.release()

    async def _take_place(self) -> bool:
        """Room for one more submission; False when none came back for too long, until one does."""
        if self._is_stalled and self._places.locked():
            return False
        try:
            async with asyncio.timeout(self.settings.busy_seconds):
                await self._places.acquire()
        except TimeoutError:
            self._is_stalled = True
            return False
        self._is_stalled = False
        return True

    def _deliver(self, batch: Batch, answers: Rows | None) -> None:
        """Each connection gets its answers in one write; without answers, that we are too busy."""
        for connection, raw, count in self._batches.written(batch, answers):
            connection.write(raw)
            self.waiting -= count if connection in self.connections else 0
            connection.answered(count)

    async def _settle(self, batch: Batch) -> None:
        try:
            answers = await self._batches.submit(batch)
            self._deliver(batch, answers)
            await self._batches.close_refused(batch, answers)
        finally:
            self._places.release()
            self._look_at_flow()

    def _look_at_flow(self) -> None:
        full = self.is_full
        if full != self._was_full:
            self._was_full = full
            for connection in self.connections:
                connection.look_at_flow()


def _tls(listener: Listener) -> ssl.SSLContext | None:
    """TLS 1.2 or later; with an authority, peers show a certificate of it."""
    if not listener.certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(listener.certificate, listener.key or None)
    if listener.authority:
        context.load_verify_locations(listener.authority)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
