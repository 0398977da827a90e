"""Reports become commands of the shard, and its answers Accounting-Responses: only what is durable is answered.

| report | commands |
| --- | --- |
| Start | OPEN, and UNITS asking for the first slice |
| Interim-Update | UNITS: totals so far, and the next slice |
| Stop | UNITS with the last totals, END |
| Accounting-On, -Off | CLOSE of every session of that access server |

An interim or a stop of a session that the shard does not know opens it first: a Start may get lost. See decision 0093.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import md5
from typing import Final

import numpy as np

from millicent.charging.keys import traffic_text
from millicent.charging.types import (
    ChargingPort,
    Door,
    Flag,
    NameKind,
    Result,
    Rows,
    Unit,
    Verb,
    commands,
)
from millicent.charging.types_map import RADIUS_CONTEXT, ServiceEntry, ServiceMap
from millicent.kit.errors import BadInput
from millicent.network.radius.packets import read_packet, write_answer
from millicent.network.radius.reports import LAST_REQUEST, Report
from millicent.network.radius.words import AcctStatus, Code

RADIUS_GROUP: Final = 0  # a RADIUS session is one slice at a time: everything it does
_VERBS: Final = {
    AcctStatus.START: (Verb.OPEN, Verb.UNITS),
    AcctStatus.INTERIM: (Verb.UNITS,),
    AcctStatus.STOP: (Verb.UNITS, Verb.END),
    AcctStatus.ON: (Verb.CLOSE,),
    AcctStatus.OFF: (Verb.CLOSE,),
}
_REOPENED: Final = {
    AcctStatus.INTERIM: (Verb.OPEN, Verb.UNITS),
    AcctStatus.STOP: (Verb.OPEN, Verb.UNITS, Verb.END),
}
_ANSWER_HEAD: Final = bytes((Code.ACCOUNTING_RESPONSE,))
_ANSWER_SIZE: Final = (20).to_bytes(2, "big")


@dataclass(frozen=True, slots=True)
class Told:
    """A report and what the shard said to it: the answer of its UNITS, or of its CLOSE."""

    report: Report
    answer: np.void


class Accounting:
    """Puts reports to the shard. Numbers for names are asked once and forgotten when another shard takes over."""

    def __init__(self, *, port: ChargingPort, services: ServiceMap) -> None:
        self._port = port
        self._entry = service_entry(services)
        policy = services.policy_for(self._entry.service, self._entry.unit)
        self._silence_seconds = policy.validity_seconds + policy.grace_seconds
        self._traffic: int | None = None
        self._peers: dict[str, int] = {}
        self._takeovers = 0
        port.on_restart(self._forget)

    def _forget(self) -> None:
        self._takeovers += 1
        self._traffic = None
        self._peers.clear()

    async def tell(self, reports: Sequence[Report], *, now_ms: int) -> list[Told]:
        """Every report with the answer it was given, once all of it is durable. Raises Outage: nothing was done."""
        told = await self._submit(reports, [_VERBS[AcctStatus(report.status)] for report in reports], now_ms=now_ms)
        unknown = [
            at
            for at, each in enumerate(told)
            if each.answer["result"] == Result.UNKNOWN_SESSION and AcctStatus(each.report.status) in _REOPENED
        ]
        if unknown:
            lost = [reports[at] for at in unknown]
            again = await self._submit(lost, [_REOPENED[AcctStatus(report.status)] for report in lost], now_ms=now_ms)
            for at, each in zip(unknown, again, strict=True):
                told[at] = each
        return told

    async def _submit(self, reports: Sequence[Report], verbs: Sequence[tuple[Verb, ...]], *, now_ms: int) -> list[Told]:
        traffic, peers = await self._numbers([report.peer for report in reports])
        rows, texts, telling = write_commands(reports, verbs, peers=peers, traffic=traffic, now_ms=now_ms)
        self._begin_late(rows)
        answers = await self._port.submit(rows, texts)
        return [Told(report, answers[at]) for report, at in zip(reports, telling, strict=True)]

    async def _numbers(self, peers: Sequence[str]) -> tuple[int, list[int]]:
        """The shard's numbers for what these are: all of one shard, though another may take over meanwhile."""
        while True:
            asked_of = self._takeovers
            traffic = await self.traffic()
            numbers = {peer: await self._peer(peer) for peer in dict.fromkeys(peers)}
            if asked_of == self._takeovers:
                return traffic, [numbers[peer] for peer in peers]

    def _begin_late(self, rows: Rows) -> None:
        """Sessions that open with an interim or a stop began before it.

        One that is younger than the silence after which a session is swept was never open here: all of it is counted.
        An older one may have been, and closed: its totals so far are where counting begins, never what is paid twice.
        """
        opening = np.flatnonzero(rows["verb"] == Verb.OPEN)
        late = opening[rows["request_number"][opening + 1] > 0]
        seconds = rows["used"][late + 1, Unit.SECONDS]
        young = seconds < self._silence_seconds
        rows["instant_ms"][late[young]] -= seconds[young] * 1000
        rows["request_number"][late[young]] = (
            0  # the number of a Start: a late report of a session that ended opens none
        )
        rows["flags"][late[~young] + 1] |= np.uint16(Flag.BASELINE)

    async def traffic(self) -> int:
        """The shard's number for what a RADIUS session is."""
        if self._traffic is None:
            entry = self._entry
            text = traffic_text(service=entry.service, direction=entry.direction, call_type=entry.call_type)
            self._traffic = await self._port.number_of(NameKind.TRAFFIC, text)
        return self._traffic

    async def _peer(self, peer: str) -> int:
        number = self._peers.get(peer)
        if number is None:
            number = self._peers[peer] = await self._port.number_of(NameKind.PEER, peer)
        return number


def service_entry(services: ServiceMap) -> ServiceEntry:
    """The catalogue's service that RADIUS sessions are usage of."""
    entry = services.service_for(RADIUS_CONTEXT, RADIUS_GROUP)
    if entry is None:
        raise BadInput(
            "no service is declared for the context 'radius', and none is counted by volume",
            where="charging.yaml",
            cure="Declare which service RADIUS sessions are.",
        )
    return entry


def write_commands(
    reports: Sequence[Report], verbs: Sequence[tuple[Verb, ...]], *, peers: Sequence[int], traffic: int, now_ms: int
) -> tuple[Rows, bytes, list[int]]:
    """Rows of COMMAND, their texts, and for each report the row whose answer tells how it went."""
    counts = [len(each) for each in verbs]
    owner = np.repeat(np.arange(len(reports)), counts)
    rows = commands(len(owner))
    rows["verb"] = [verb for each in verbs for verb in each]
    rows["door"] = Door.RADIUS
    rows["received_ms"] = now_ms
    rows["traffic"] = traffic
    rows["peer"] = np.array(peers, np.int32)[owner]
    rows["instant_ms"] = np.array([report.instant_ms for report in reports], np.int64)[owner]
    rows["request_number"] = np.array([report.request_number for report in reports], np.uint32)[owner]
    keys = np.array([(*report.key, report.subscriber_key) for report in reports], np.uint64)[owner]
    rows["key_high"], rows["key_low"], rows["subscriber_key"] = keys.T
    status = np.array([report.status for report in reports])[owner]
    _write_units(rows, reports, owner=owner, status=status)
    closing = rows["verb"] == Verb.CLOSE
    for name in ("key_high", "key_low", "subscriber_key"):  # a CLOSE without a key is of all that a peer has
        rows[name][closing] = 0
    opening = rows["verb"] == Verb.OPEN
    texts = _write_texts(rows, np.flatnonzero(opening), [reports[at] for at in owner[opening]])
    units = np.flatnonzero((rows["verb"] == Verb.UNITS) | closing)
    return rows, texts, units.tolist()


def _write_units(rows: Rows, reports: Sequence[Report], *, owner: np.ndarray, status: np.ndarray) -> None:
    totals = np.array([(each.seconds, each.input_octets, each.output_octets) for each in reports], np.int64)
    totals = np.maximum(totals, 0)[owner]
    units = rows["verb"] == Verb.UNITS
    used = np.zeros((len(rows), len(Unit)), np.int64)
    used[:, Unit.SECONDS] = totals[:, 0]
    used[:, Unit.INPUT_OCTETS] = totals[:, 1]
    used[:, Unit.OUTPUT_OCTETS] = totals[:, 2]
    used[:, Unit.TOTAL_OCTETS] = totals[:, 1] + totals[:, 2]
    rows["used"][units] = used[units]
    rows["group"] = RADIUS_GROUP
    stop = status == AcctStatus.STOP
    rows["flags"][units & stop] = Flag.CUMULATIVE | Flag.FINAL
    rows["flags"][units & ~stop] = Flag.CUMULATIVE | Flag.ASKED


def _write_texts(rows: Rows, opening: np.ndarray, reports: Sequence[Report]) -> bytes:
    texts = [report.session_text.encode() for report in reports]
    lengths = np.array([len(text) for text in texts], np.int64)
    rows["text_length"][opening] = lengths
    rows["text_offset"][opening] = np.cumsum(lengths) - lengths
    return b"".join(texts)


def is_answered(told: Told) -> bool:
    """Whether the access server is told that we have it. A full table is not having it: it will come again."""
    return int(told.answer["result"]) != Result.FULL


def write_response(report: Report) -> bytes:
    """RFC 2866 clause 4.2; the usual one, without Proxy-State, in one digest."""
    if report.has_proxy_state:
        packet = read_packet(report.wire)
        assert packet is not None, "a report was read from it"
        return write_answer(
            Code.ACCOUNTING_RESPONSE, request=packet, attributes=(), secret=report.client.secret, signed=False
        )
    head = _ANSWER_HEAD + report.wire[1:2] + _ANSWER_SIZE
    return head + md5(head + report.wire[4:20] + report.client.secret, usedforsecurity=False).digest()


def is_late(report: Report) -> bool:
    """Whether a session cannot go on after this report."""
    return report.request_number == LAST_REQUEST
