"""Change-of-Authorization and Disconnect requests: sent, sent again, answered or given up. RFC 5176.

A request is sent with the same Identifier and authenticator until it is answered (RFC 5080 clause 2.2.1). Each receiver
has 256 Identifiers; what finds none free waits for one.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast

from millicent.kit.clock import system_now, to_ms
from millicent.network.radius.packets import Attributes, is_answer_authentic, number, read_packet, write_request
from millicent.network.radius.words import Attribute, Code

WAITS_SECONDS: Final = (1, 2, 4, 8, 16)  # after each sending; then the receiver is taken to be gone
MOST_WAITING: Final = 10_000
_IDENTIFIERS: Final = 256
_ANSWERS: Final = {
    Code.DISCONNECT_REQUEST: (Code.DISCONNECT_ACK, Code.DISCONNECT_NAK),
    Code.COA_REQUEST: (Code.COA_ACK, Code.COA_NAK),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What an access server is to do with one session."""

    code: Code  # COA_REQUEST or DISCONNECT_REQUEST
    address: str
    port: int
    attributes: Attributes


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderAnswer:
    """How it went. `code` None: nobody answered. `error_cause` 0: none was given."""

    code: Code | None
    error_cause: int = 0

    @property
    def is_done(self) -> bool:
        return self.code in (Code.COA_ACK, Code.DISCONNECT_ACK)


class OrderSender(asyncio.DatagramProtocol):
    """Sends orders from one socket and takes their answers. Made and used on one loop."""

    def __init__(
        self, *, clock: Callable[[], datetime] = system_now, waits_seconds: tuple[int | float, ...] = WAITS_SECONDS
    ) -> None:
        self._clock = clock
        self._waits = waits_seconds
        self._transport: asyncio.DatagramTransport | None = None
        self._free: dict[tuple[str, int], asyncio.Queue[int]] = {}
        self._waiting: dict[tuple[str, int, int], tuple[bytes, bytes, asyncio.Future[OrderAnswer]]] = {}
        self._count = 0

    async def open(self, address: str) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, local_addr=(address, 0))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)  # no base class says it on every loop

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    async def send(self, order: Order, *, secret: bytes) -> OrderAnswer:
        """Send an order until it is answered. Too many waiting already: it is given up at once."""
        if self._count >= MOST_WAITING or self._transport is None:
            return OrderAnswer(code=None)
        self._count += 1
        place = (order.address, order.port)
        free = self._free.setdefault(place, _all_identifiers())
        identifier = await free.get()
        try:
            return await self._until_answered(order, secret=secret, identifier=identifier)
        finally:
            free.put_nowait(identifier)  # to the end: it is the last to be used again
            self._count -= 1

    async def _until_answered(self, order: Order, *, secret: bytes, identifier: int) -> OrderAnswer:
        at = number(to_ms(self._clock()) // 1000)
        stamped = [*order.attributes, (Attribute.EVENT_TIMESTAMP, at)]  # against replay: RFC 5176 clause 6.3
        wire = write_request(order.code, identifier=identifier, attributes=stamped, secret=secret)
        answered: asyncio.Future[OrderAnswer] = asyncio.get_running_loop().create_future()
        key = (order.address, order.port, identifier)
        self._waiting[key] = (wire, secret, answered)
        try:
            for wait in self._waits:
                assert self._transport is not None
                self._transport.sendto(wire, (order.address, order.port))
                done, _ = await asyncio.wait([answered], timeout=wait)
                if done:
                    return answered.result()
            return OrderAnswer(code=None)
        finally:
            del self._waiting[key]

    def datagram_received(self, datagram: bytes, sender: tuple[str, int]) -> None:
        answer = read_packet(datagram)
        waiting = None if answer is None else self._waiting.get((sender[0], sender[1], answer.identifier))
        if answer is None or waiting is None:
            return
        wire, secret, answered = waiting
        if answer.code not in _ANSWERS[Code(wire[0])] or answered.done():
            return
        if is_answer_authentic(answer, request=wire, secret=secret):
            cause = int.from_bytes(answer.first(Attribute.ERROR_CAUSE) or b"", "big")
            answered.set_result(OrderAnswer(code=Code(answer.code), error_cause=cause))

    def error_received(self, exc: Exception) -> None:
        """An ICMP error: the order is sent again until its time is over."""


def _all_identifiers() -> "asyncio.Queue[int]":
    queue: asyncio.Queue[int] = asyncio.Queue()
    for identifier in range(_IDENTIFIERS):
        queue.put_nowait(identifier)
    return queue
