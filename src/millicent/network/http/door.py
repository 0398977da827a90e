"""The charging API while it listens: granian's server on our own loop, for HTTP/1.1 and HTTP/2 on one port."""

import asyncio
import socket
from pathlib import Path
from typing import Final

from granian.constants import Interfaces
from granian.server.embed import Server

from millicent.network.http.app import ChargingApp
from millicent.network.http.applications import HttpSettings

_LOOK_SECONDS: Final = 1 / 50
_OPEN_SECONDS: Final = 10
_BACKLOG: Final = 1_024
MOST_CONNECTIONS: Final = 4_096  # of them granian keeps; who comes when all are taken waits to be let in


class HttpDoor:
    """The API while it listens. Made, opened and stopped on one event loop."""

    def __init__(self, app: ChargingApp, *, settings: HttpSettings) -> None:
        self.port = settings.port or _free_port(settings.address)
        self._address = settings.address
        self._server = Server(
            app,
            address=settings.address,
            port=self.port,
            interface=Interfaces.RSGI,
            websockets=False,
            log_enabled=False,
            backlog=_BACKLOG,
            backpressure=MOST_CONNECTIONS,
            ssl_cert=Path(settings.certificate) if settings.certificate else None,
            ssl_key=Path(settings.key) if settings.key else None,
        )
        self._serving: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Answer from now on; returns once the port can be reached. Raises what kept it from listening."""
        self._serving = asyncio.get_running_loop().create_task(self._server.serve())
        for _ in range(round(_OPEN_SECONDS / _LOOK_SECONDS)):
            if self._serving.done():
                await self._serving
            if await self._is_reached():
                return
            await asyncio.sleep(_LOOK_SECONDS)

    async def _is_reached(self) -> bool:
        try:
            _, writer = await asyncio.open_connection(self._address, self.port)
        except OSError:
            return False
        writer.close()
        return True

    async def stop(self) -> None:
        """Answer what has begun, then close."""
        if self._serving is not None:
            self._server.stop()  # type: ignore[no-untyped-call]
            await self._serving


def _free_port(address: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as found:
        found.bind((address, 0))
        return int(found.getsockname()[1])
