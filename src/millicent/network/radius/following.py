"""Sessions are followed: one that has nothing left is ended, one beyond fair use is slowed, and told when that is over.

What an access server was last told is remembered in memory only. After a restart a session that is heard of for the
first time is told its rate once more; telling a rate twice changes nothing.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import Executor
from datetime import datetime
from ipaddress import IPv4Address
from typing import Any, Final

import numpy as np
import structlog

from millicent.charging.types import (
    ChargingPort,
    Door,
    FinalAction,
    NoticeKind,
    Result,
    Rows,
    Verb,
    commands,
)
from millicent.kit import metrics
from millicent.kit.clock import system_now, to_ms
from millicent.kit.errors import MillicentError
from millicent.network.radius.access import AccessBook
from millicent.network.radius.accounting import Told
from millicent.network.radius.accounting_server import count_packets
from millicent.network.radius.clients import Client, Clients, address_of_peer
from millicent.network.radius.granting import NO_LIMITS, Limits, grant_attributes, limits_of
from millicent.network.radius.orders import Order, OrderAnswer, OrderSender
from millicent.network.radius.packets import Attributes
from millicent.network.radius.reports import Outcome, Report, SessionText, read_session_text
from millicent.network.radius.turns import Turn
from millicent.network.radius.words import AcctStatus, Attribute, Code, ErrorCause

_MOST_FOLLOWED: Final = 1_000_000
_REFUSED: Final = (Result.INSUFFICIENT, Result.NOT_SERVED, Result.UNKNOWN_SUBSCRIBER, Result.NOT_PRICED)
_GOING_ON: Final = (AcctStatus.START, AcctStatus.INTERIM)


class Following:
    """Tells access servers what the shard's answers and notices mean for their sessions."""

    def __init__(
        self,
        *,
        port: ChargingPort,
        clients: Clients,
        sender: OrderSender,
        book: AccessBook,
        executor: Executor,
        clock: Callable[[], datetime] = system_now,
        available: Callable[..., Awaitable[np.void]],
        turn: Turn | None = None,
    ) -> None:
        self._port = port
        self._clients = clients
        self._sender = sender
        self._book = book
        self._executor = executor
        self._clock = clock
        self._throttled: OrderedDict[tuple[int, int], bool] = OrderedDict()  # what each session was last told
        self._tasks: set[asyncio.Task[None]] = set()
        self._available = available
        self._turn = turn
        self._stopping = False
        port.listen(Door.RADIUS, self.on_notices)

    async def finish(self) -> None:
        """Give up what is still being sent."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def after(self, told: Sequence[Told]) -> None:
        """Act on what the shard said to reports."""
        for each in told:
            if each.report.status in _GOING_ON:
                self._after_one(each.report, each.answer)
            elif each.report.status == AcctStatus.STOP:
                self._throttled.pop(each.report.key, None)

    def _after_one(self, report: Report, answer: np.void) -> None:
        if int(answer["result"]) in _REFUSED or (int(answer["final"]) and int(answer["granted_units"]) == 0):
            self._begin(self._disconnect(report.key, report.session_text))
            return
        throttled, known = bool(answer["throttled"]), self._throttled.get(report.key)
        self._remember(report.key, throttled)
        as_accepted = known is None and report.status == AcctStatus.START and not throttled
        limits = _last_limits(report, answer)
        if limits != NO_LIMITS or (known is not throttled and not as_accepted):
            self._begin(self._reauthorise(report.session_text, throttled=throttled, limits=limits))

    def _remember(self, key: tuple[int, int], throttled: bool) -> None:
        self._throttled[key] = throttled
        self._throttled.move_to_end(key)
        if len(self._throttled) > _MOST_FOLLOWED:
            self._throttled.popitem(last=False)

    def on_notices(self, notices: Rows, session_texts: Sequence[str]) -> None:
        """Act on durable notices for our sessions. What else a session must be told follows from its next answer.

        All workers hear them; the one that has the turn acts, so an access server is told once.
        """
        if self._stopping or (self._turn is not None and not self._turn.is_ours()):
            return
        for notice, text in zip(notices, session_texts, strict=True):
            key = (int(notice["session_high"]), int(notice["session_low"]))
            if notice["kind"] == NoticeKind.ABORT:
                self._begin(self._disconnect(key, text))
            elif notice["kind"] == NoticeKind.REAUTHORISE:
                self._begin(self._tell_rate(key, text))

    async def _tell_rate(self, key: tuple[int, int], text: str) -> None:
        """Tell a session its rate of now. The shard knows it: reports of the session may come to another worker."""
        answer = await self._available(read_session_text(text).user_name, now_ms=to_ms(self._clock()))
        known = self._throttled.get(key)
        throttled = bool(answer["throttled"]) if int(answer["result"]) == Result.DONE else bool(known)
        if known is not None:
            self._remember(key, throttled)
        await self._reauthorise(text, throttled=throttled, limits=NO_LIMITS)

    async def _reauthorise(self, text: str, *, throttled: bool, limits: Limits) -> None:
        """Tell a session its rate, and its end where it has one."""
        session = read_session_text(text)
        client = self._clients.at(address_of_peer(session.peer))
        if client is None:
            return
        now_ms = to_ms(self._clock())
        loop = asyncio.get_running_loop()
        access = await loop.run_in_executor(self._executor, lambda: self._book.find(session.user_name, now_ms=now_ms))
        if access is None:
            return
        attributes = grant_attributes(client, profile=access.profile, throttled=throttled, limits=limits)
        if attributes:
            await self._order(Code.COA_REQUEST, client, session, attributes)

    async def _disconnect(self, key: tuple[int, int], text: str) -> None:
        """End a session at its access server. One that is not there any more is closed here too."""
        session = read_session_text(text)
        client = self._clients.at(address_of_peer(session.peer))
        if client is None:
            return
        answer = await self._order(Code.DISCONNECT_REQUEST, client, session, ())
        if answer.error_cause == ErrorCause.SESSION_NOT_FOUND:
            rows = commands(1)
            rows["verb"], rows["door"] = Verb.CLOSE, Door.RADIUS
            rows["key_high"], rows["key_low"] = key
            rows["received_ms"] = to_ms(self._clock())
            await self._port.submit(rows)

    async def _order(self, code: Code, client: Client, session: SessionText, attributes: Attributes) -> OrderAnswer:
        order = Order(
            code=code,
            address=address_of_peer(session.peer),
            port=client.coa_port,
            attributes=[*_naming(session), *attributes],
        )
        answer = await self._sender.send(order, secret=client.secret)
        count_packets(Outcome.ORDER_DONE if answer.is_done else Outcome.ORDER_FAILED, 1)
        if not answer.is_done:
            structlog.get_logger("millicent.radius").warning(
                "an access server did not do as told",
                client=client.name,
                order=code.name,
                answer=None if answer.code is None else answer.code.name,
                error_cause=answer.error_cause,
            )
        return answer

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(_logged(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _last_limits(report: Report, answer: np.void) -> Limits:
    """The end of a session whose last slice this is."""
    if int(answer["final"]) == FinalAction.NONE:
        return NO_LIMITS
    octets = max(report.input_octets, 0) + max(report.output_octets, 0)
    return limits_of(answer, seconds_so_far=max(report.seconds, 0), octets_so_far=octets)


def _naming(session: SessionText) -> Attributes:
    """Which session is meant: RFC 5176 clause 3. The access server is named where it is not who it speaks as."""
    named = [
        (Attribute.USER_NAME, session.user_name.encode()),
        (Attribute.ACCT_SESSION_ID, session.session_id.encode()),
    ]
    if session.framed_address:
        named.append((Attribute.FRAMED_IP_ADDRESS, IPv4Address(session.framed_address).packed))
    address, _, nas = session.peer.partition("/")
    if nas and nas != address:
        named.append((Attribute.NAS_IDENTIFIER, nas.encode()))
    return named


async def _logged(work: Coroutine[Any, Any, None]) -> None:
    """What goes wrong with one session is told, and stops no other."""
    try:
        await work
    except Exception as fault:
        code = fault.code if isinstance(fault, MillicentError) else "defect"
        metrics.FAULTS.labels(code=code).inc()
        structlog.get_logger("millicent.radius").error("a session could not be told", code=code, exc_info=fault)
