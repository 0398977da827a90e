"""What the shard wants of clients: ask again (Re-Auth), end (Abort-Session); and what a restarted client has lost."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from millicent.charging.types import ChargingPort, Door, NoticeKind, Rows, Verb, commands
from millicent.kit import metrics
from millicent.kit.errors import Outage
from millicent.network.diameter import messages as wire
from millicent.network.diameter.batches import Batch
from millicent.network.diameter.codec import as_bytes
from millicent.network.diameter.kernel.decode import hashed
from millicent.network.diameter.messages import Field, Message
from millicent.network.diameter.naming import Naming
from millicent.network.diameter.peer import PeerConnection
from millicent.network.diameter.settings import DiameterSettings

PEER_SEED = np.uint64(1)
_COMMANDS = {NoticeKind.REAUTHORISE: wire.RE_AUTH, NoticeKind.ABORT: wire.ABORT_SESSION}
_HALF = 1 << 31


class Sessions:
    """Knows by which connection each client was heard last."""

    def __init__(
        self, port: ChargingPort, *, settings: DiameterSettings, naming: Naming, now_ms: Callable[[], int]
    ) -> None:
        self._port = port
        self._settings = settings
        self._naming = naming
        self._now_ms = now_ms
        self._via: dict[int, PeerConnection] = {}  # by hash of Origin-Host
        self._by_host: dict[str, PeerConnection] = {}
        self._states: dict[str, int] = {}  # Origin-State-Id by Origin-Host
        self._tasks: set[asyncio.Task[None]] = set()

    async def stop(self) -> None:
        while self._tasks:
            await asyncio.wait([*self._tasks])

    # where clients are

    def connected(self, connection: PeerConnection) -> None:
        """A direct peer can be asked at once, even about sessions of an earlier connection."""
        self._by_host[connection.host.lower()] = connection
        host = connection.host.encode()
        key = int(hashed(as_bytes(host), 0, len(host), PEER_SEED))
        self._via[key] = connection
        self._run(self._know(key, connection))

    async def _know(self, key: int, connection: PeerConnection) -> None:
        with suppress(Outage):
            await self._naming.name_peer(key=key, host=connection.host, realm=connection.realm)

    def disconnected(self, connection: PeerConnection) -> None:
        self._via = {key: each for key, each in self._via.items() if each is not connection}
        self._by_host = {host: each for host, each in self._by_host.items() if each is not connection}

    def seen(self, batch: Batch) -> None:
        """Remember by whom each client's requests came, and what state it says it is in."""
        messages = batch.requests.messages
        peers, first = np.unique(messages["peer"], return_index=True)
        for peer, row in zip(peers.tolist(), first.tolist(), strict=True):
            if peer:
                self._via[peer] = batch.connections[int(batch.connection[row])]
        said = np.flatnonzero((messages["result"] == 0) & (messages["origin_state"] >= 0))
        if said.size:
            self._look_at_states(messages, said)

    def _look_at_states(self, messages: Rows, said: np.ndarray) -> None:
        for row in said[np.unique(messages["peer"][said], return_index=True)[1]]:
            route = self._naming.routes_by_key.get(int(messages["peer"][row]))
            if route:
                self.state_of(
                    route.host, realm=route.realm, state=int(messages["origin_state"][row]), number=route.number
                )

    # restarted clients

    def state_of(self, host: str, *, realm: str, state: int, number: int | None = None) -> None:
        """A client's Origin-State-Id; when it rises, the client has forgotten every session before it.

        `number` is its NameKind.PEER where that is known: the old sessions are then closed before anything that came
        with this state is submitted, so that what it begins now is not taken for what it lost.
        """
        known = self._states.get(host.lower())
        if known is not None and 0 < (state - known) & 0xFFFFFFFF < _HALF and self._settings.close_on_restart:
            self._run(self._close_all(host, realm=realm, number=number))
        if known is None or 0 < (state - known) & 0xFFFFFFFF < _HALF:
            self._states[host.lower()] = state

    async def _close_all(self, host: str, *, realm: str, number: int | None) -> None:
        """CLOSE with no key: every session of a peer."""
        raw = host.encode()
        with suppress(Outage):
            if number is None:
                key = int(hashed(as_bytes(raw), 0, len(raw), PEER_SEED))
                number = (await self._naming.name_peer(key=key, host=host, realm=realm)).number
            rows = self._closing(1)
            rows["peer"] = number
            await self._port.submit(rows)

    def _closing(self, count: int) -> Rows:
        rows = commands(count)
        rows["verb"], rows["door"], rows["received_ms"] = Verb.CLOSE, Door.DIAMETER, self._now_ms()
        return rows

    # what clients are asked

    def told(self, notices: Rows, session_ids: Sequence[str]) -> None:
        """Send a Re-Auth- or Abort-Session-Request for each notice that asks for one."""
        for notice, session_id in zip(notices, session_ids, strict=True):
            kind = int(notice["kind"])
            if kind in _COMMANDS and session_id:
                self._ask(notice, session_id, command=_COMMANDS[NoticeKind(kind)])

    def _ask(self, notice: np.void, session_id: str, *, command: int, again: bool = True) -> None:
        route = self._naming.routes.get(int(notice["peer"]))
        connection = self._via.get(route.key) or self._by_host.get(route.host.lower()) if route else None
        if route is None or connection is None:
            metrics.PACKETS.labels(protocol="diameter", outcome="unreachable").inc()
            return
        fields: list[Field] = [
            ("Session-Id", session_id),
            ("Origin-Host", self._settings.host),
            ("Origin-Realm", self._settings.realm),
            ("Destination-Realm", route.realm),
            ("Destination-Host", route.host),
            ("Auth-Application-Id", wire.CREDIT_CONTROL_APPLICATION),
        ]
        if command == wire.RE_AUTH:
            fields.append(("Re-Auth-Request-Type", self._settings.value("Re-Auth-Request-Type", "authorize_only")))

        def told(answer: Message | None) -> None:
            if answer is None and again:
                self._ask(notice, session_id, command=command, again=False)
            elif answer is not None and answer.number("Result-Code") == wire.UNKNOWN_SESSION_ID:
                self._run(self._close(notice))

        connection.ask(command, fields, told)

    async def _close(self, notice: np.void) -> None:
        """The client does not know the session: neither do we any more."""
        rows = self._closing(1)
        rows["key_high"], rows["key_low"] = notice["session_high"], notice["session_low"]
        with suppress(Outage):  # then the sweep closes it
            await self._port.submit(rows)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
