"""The accounting port: takes what waits on the socket, has it told to the shard, answers what became durable."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import structlog

from millicent.kit import metrics
from millicent.kit.clock import system_now, to_ms
from millicent.kit.errors import MillicentError, Outage
from millicent.network.radius.accounting import Accounting, Told, is_answered, write_response
from millicent.network.radius.clients import Clients
from millicent.network.radius.datagrams import DatagramSocket
from millicent.network.radius.packets import read_packet, write_answer
from millicent.network.radius.recent import PENDING, RecentRequests, request_key
from millicent.network.radius.reports import AccountingReader, Outcome, Report
from millicent.network.radius.words import Code

MOST_UNANSWERED: Final = 8_192  # beyond that we stop reading, and the socket's own buffer fills: senders come again


class AccountingServer:
    """`after` is told what the shard said, once the access servers have their answers."""

    def __init__(
        self,
        *,
        socket: DatagramSocket,
        clients: Clients,
        accounting: Accounting,
        after: Callable[[Sequence[Told]], None] = lambda told: None,
        clock: Callable[[], datetime] = system_now,
    ) -> None:
        self._socket = socket
        self._reader = AccountingReader(clients)
        self._accounting = accounting
        self._after = after
        self._clock = clock
        self._recent = RecentRequests()
        self._unanswered = 0
        self._reading = False
        self._stopping = False
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        return self._socket.port

    def start(self) -> None:
        """Begin to answer, on the running loop."""
        self._reading = True
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._on_readable)

    async def stop(self) -> None:
        """Take nothing more, and answer what was taken."""
        self._stopping = True
        self._pause()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._socket.close()

    def _pause(self) -> None:
        if self._reading:
            self._reading = False
            asyncio.get_running_loop().remove_reader(self._socket.fileno())

    def _on_readable(self) -> None:
        now_ms = to_ms(self._clock())
        reports = self._new_ones(self._reader.read(self._socket.receive(), now_ms=now_ms), now_ms=now_ms)
        self._answer_probes()
        for outcome, count in self._reader.take_dropped().items():
            count_packets(outcome, count)
        if reports:
            self._unanswered += len(reports)
            if self._unanswered >= MOST_UNANSWERED:
                self._pause()
            task = asyncio.get_running_loop().create_task(self._answer(reports, now_ms=now_ms))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _new_ones(self, reports: Sequence[Report], *, now_ms: int) -> list[Report]:
        """Those that were not seen a moment ago; the others have their answer again, where there is one yet."""
        new, answers, receivers = [], [], []
        for report in reports:
            known = self._recent.begin(request_key(report.wire, sender=report.sender), now_ms=now_ms)
            if known is None:
                new.append(report)
            elif known != PENDING:
                answers.append(known)
                receivers.append(report.sender)
        if len(new) < len(reports):
            count_packets(Outcome.DUPLICATE, len(reports) - len(new))
            self._socket.send(answers, receivers)
        return new

    def _answer_probes(self) -> None:
        """RFC 5997 clause 3.2: a Status-Server on this port is answered with an Accounting-Response."""
        probes, self._reader.probes = self._reader.probes, []
        for wire, sender, client in probes:
            packet = read_packet(wire)
            assert packet is not None, "the reader checked it"
            code = Code.ACCOUNTING_RESPONSE
            answer = write_answer(code, request=packet, attributes=(), secret=client.secret, signed=True)
            self._socket.send([answer], [sender])

    async def _answer(self, reports: Sequence[Report], *, now_ms: int) -> None:
        answered: Sequence[Told] = ()
        try:
            told = await self._accounting.tell(reports, now_ms=now_ms)
            answered = [each for each in told if is_answered(each)]
            self._send(answered)
        except Outage:
            pass  # no answer: the access server comes again
        except Exception as fault:
            code = fault.code if isinstance(fault, MillicentError) else "defect"
            metrics.FAULTS.labels(code=code).inc()
            structlog.get_logger("millicent.radius").exception("accounting failed", code=code)
        finally:
            self._finish(reports, answered)
        self._after(answered)

    def _send(self, answered: Sequence[Told]) -> None:
        responses = [write_response(each.report) for each in answered]
        self._socket.send(responses, [each.report.sender for each in answered])
        for each, response in zip(answered, responses, strict=True):
            self._recent.answer(request_key(each.report.wire, sender=each.report.sender), response)
        count_packets(Outcome.ANSWERED, len(answered))

    def _finish(self, reports: Sequence[Report], answered: Sequence[Told]) -> None:
        if len(answered) < len(reports):
            count_packets(Outcome.UNANSWERED, len(reports) - len(answered))
            served = {id(each.report) for each in answered}
            for report in reports:
                if id(report) not in served:
                    self._recent.forget(request_key(report.wire, sender=report.sender))
        self._unanswered -= len(reports)
        if not self._reading and not self._stopping and self._unanswered < MOST_UNANSWERED // 2:
            self.start()


def count_packets(outcome: Outcome, count: int) -> None:
    metrics.PACKETS.labels(protocol="radius", outcome=outcome).inc(count)
