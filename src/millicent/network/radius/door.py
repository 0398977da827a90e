"""The RADIUS door as one piece: two ports that are answered, and one from which access servers are told."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Final

from millicent.charging.types import ChargingPort
from millicent.charging.types_map import ServiceMap
from millicent.kit.clock import system_now
from millicent.network.radius.access import AccessBook, PasswordCheck
from millicent.network.radius.accounting import Accounting, service_entry
from millicent.network.radius.accounting_server import AccountingServer
from millicent.network.radius.authentication import Authentication
from millicent.network.radius.authentication_server import AuthenticationServer
from millicent.network.radius.clients import Clients, RadiusSettings
from millicent.network.radius.datagrams import DatagramSocket
from millicent.network.radius.following import Following
from millicent.network.radius.orders import OrderSender
from millicent.network.radius.turns import Turn

_THREADS: Final = 4  # read tables and make slow hashes


class RadiusDoor:
    """Made, opened and stopped on one event loop.

    Several processes may open the same ports with `shared`; who of them has the `turn` acts on notices. An access
    server keeps its source port, and so its worker.
    """

    def __init__(
        self,
        *,
        port: ChargingPort,
        settings: RadiusSettings,
        services: ServiceMap,
        book: AccessBook,
        sealing_key: bytes,
        clock: Callable[[], datetime] = system_now,
        shared: bool = False,
        turn: Turn | None = None,
    ) -> None:
        self._settings = settings
        self._turn = turn
        self._clients = Clients(settings.clients)
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="radius")
        self._sender = OrderSender(clock=clock)
        accounting = Accounting(port=port, services=services)
        authentication = Authentication(
            port=port,
            accounting=accounting,
            entry=service_entry(services),
            book=book,
            passwords=PasswordCheck(sealing_key=sealing_key),
            executor=self._executor,
            interim_seconds=settings.interim_seconds,
        )
        self._following = Following(
            port=port,
            clients=self._clients,
            sender=self._sender,
            book=book,
            executor=self._executor,
            clock=clock,
            available=authentication.available,
            turn=turn,
        )
        address = settings.listen_address
        self._accounting = AccountingServer(
            socket=DatagramSocket(address, settings.accounting_port, shared=shared),
            clients=self._clients,
            accounting=accounting,
            after=self._following.after,
            clock=clock,
        )
        self._authentication = AuthenticationServer(
            socket=DatagramSocket(address, settings.authentication_port, shared=shared),
            clients=self._clients,
            authentication=authentication,
            clock=clock,
        )

    @property
    def ports(self) -> tuple[int, int]:
        """Where authentication and accounting listen: with port 0 declared, whichever were free."""
        return self._authentication.port, self._accounting.port

    async def open(self) -> None:
        """Answer from now on."""
        await self._sender.open(self._settings.listen_address)
        self._accounting.start()
        self._authentication.start()

    async def stop(self) -> None:
        """Answer what was taken, and let go of the ports."""
        await self._authentication.stop()
        await self._accounting.stop()
        await self._following.finish()
        self._sender.close()
        if self._turn is not None:
            self._turn.close()
        self._executor.shutdown(wait=False, cancel_futures=True)
