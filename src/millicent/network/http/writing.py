"""Operations become commands of the shard. Each session is one group: what it uses is one service.

| operation | commands | key |
| --- | --- | --- |
| authorise | CHECK | none: nothing is changed |
| start | OPEN, UNITS | application and session_id, request 0 |
| update | UNITS | the same, request `number` |
| stop | UNITS with the last usage, END | the same, the last request there can be |
| event | DEBIT, ENQUIRE or RECORD | application and idempotency key |
| refund | REFUND | application and idempotency key; refers to that of the event |
"""

from dataclasses import dataclass
from typing import Final

from millicent.charging.keys import session_key
from millicent.charging.types import Door, Flag, Rows, Unit, Verb, commands
from millicent.kit.money import parse_nanos
from millicent.network.http.applications import Application
from millicent.network.http.messages import (
    Authorise,
    Event,
    Operation,
    Quantities,
    Refund,
    Start,
    Stop,
    Update,
    Usage,
)
from millicent.network.http.naming import Naming, Unusable, other_party, subscriber_key

HTTP_GROUP: Final = 0
LAST_REQUEST: Final = 2**32 - 1
MOST_ASKED: Final = 2**50
_SESSION, _EVENT = "http", "http-event"
_EVENTS: Final = {"debit": Verb.DEBIT, "enquire": Verb.ENQUIRE, "record": Verb.RECORD}
_COLUMNS: Final = (
    (Unit.SECONDS, "seconds"),
    (Unit.TOTAL_OCTETS, "total_octets"),
    (Unit.INPUT_OCTETS, "input_octets"),
    (Unit.OUTPUT_OCTETS, "output_octets"),
    (Unit.SERVICE_UNITS, "units"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Rows of one operation. The answer of row `telling` says how it went; `text` belongs to the first row."""

    rows: Rows
    telling: int = 0
    text: bytes = b""


class Writer:
    """Writes commands for one application."""

    def __init__(self, naming: Naming, *, application: Application, now_ms: int) -> None:
        self._naming = naming
        self._application = application
        self._now_ms = now_ms

    async def write(self, operation: Operation) -> Written:
        """The commands of an operation. Raises Unusable or BadInput: it cannot be charged, and nothing was asked."""
        match operation:
            case Authorise():
                return await self._authorise(operation)
            case Start():
                return await self._start(operation)
            case Update():
                return self._update(operation)
            case Stop():
                return self._stop(operation)
            case Event():
                return await self._event(operation)
            case Refund():
                return self._refund(operation)

    async def _authorise(self, asked: Authorise) -> Written:
        rows = self._rows(Verb.CHECK)
        await self._write_usage(rows, asked)
        rows["flags"] = Flag.ASKED
        _write_quantities(rows, "asked", asked.asked)
        if asked.asked is None:
            rows["asked"][:, self._naming.offered.services[asked.service]] = MOST_ASKED
        return Written(rows=rows)

    async def _start(self, asked: Start) -> Written:
        rows = self._rows(Verb.OPEN, Verb.UNITS)
        await self._write_usage(rows, asked)
        self._write_session(rows, asked.session_id, request=0)
        rows["peer"] = await self._naming.peer(self._application.name)
        rows["flags"][1] = Flag.ASKED
        _write_quantities(rows[1:], "asked", asked.asked)
        text = asked.session_id.encode()
        rows["text_length"][0] = len(text)
        return Written(rows=rows, telling=1, text=text)

    def _update(self, told: Update) -> Written:
        rows = self._rows(Verb.UNITS)
        self._write_session(rows, told.session_id, request=told.number)
        rows["flags"] = Flag.ASKED
        _write_quantities(rows, "used", told.used)
        _write_quantities(rows, "asked", told.asked)
        return Written(rows=rows)

    def _stop(self, told: Stop) -> Written:
        rows = self._rows(Verb.UNITS, Verb.END)
        self._write_session(rows, told.session_id, request=LAST_REQUEST)
        rows["flags"][0] = Flag.FINAL
        _write_quantities(rows[:1], "used", told.used)
        return Written(rows=rows)

    async def _event(self, told: Event) -> Written:
        rows = self._rows(_EVENTS[told.mode])
        await self._write_usage(rows, told)
        if told.mode != "enquire":
            self._write_key(rows, told.key)
        _write_quantities(rows, "used", told.used)
        if told.amount is not None:
            if told.currency is None:
                raise Unusable("an amount needs its currency")
            nanos = parse_nanos(told.amount, told.currency, where="amount")
            if nanos < 0:
                raise Unusable("an amount is not negative: give money back with a refund")
            rows["asked"][:, Unit.MONEY_NANOS] = nanos
        return Written(rows=rows)

    def _refund(self, asked: Refund) -> Written:
        rows = self._rows(Verb.REFUND)
        self._write_key(rows, asked.key)
        reference = session_key(_EVENT, self._application.name, asked.event_key)
        rows["reference_high"], rows["reference_low"] = reference
        return Written(rows=rows)

    def _rows(self, *verbs: Verb) -> Rows:
        rows = commands(len(verbs))
        rows["verb"] = verbs
        rows["door"] = Door.HTTP
        rows["received_ms"] = self._now_ms
        rows["group"] = HTTP_GROUP
        return rows

    async def _write_usage(self, rows: Rows, usage: Usage) -> None:
        allowed = self._application.services
        if usage.service not in self._naming.offered.services:
            raise Unusable(f"there is no service {usage.service!r}")
        if allowed and usage.service not in allowed:
            raise Unusable(f"{self._application.name} may not charge {usage.service!r}")
        rows["subscriber_key"] = subscriber_key(usage.subscriber)
        rows["traffic"] = await self._naming.traffic(usage)
        rows["number_key"], rows["number_digits"] = other_party(usage.other_party)
        if usage.direction == "terminating":
            rows["flags"] |= rows["flags"].dtype.type(Flag.TERMINATING)

    def _write_session(self, rows: Rows, session_id: str, *, request: int) -> None:
        rows["key_high"], rows["key_low"] = session_key(_SESSION, self._application.name, session_id)
        rows["request_number"] = request

    def _write_key(self, rows: Rows, key: str | None) -> None:
        if not key:
            raise Unusable("an Idempotency-Key is needed: without one the same request twice would be charged twice")
        rows["key_high"], rows["key_low"] = session_key(_EVENT, self._application.name, key)


def closing_rows(written: Written) -> Rows:
    """CLOSE of a session whose first slice was refused: nobody will stop what never began."""
    rows = commands(1)
    for name in ("key_high", "key_low", "received_ms", "door"):
        rows[name] = written.rows[name][0]
    rows["verb"] = Verb.CLOSE
    return rows


def checking_rows(written: Written) -> Rows:
    """CHECK for whoever an event is about: it tells the currency of the account."""
    rows = commands(1)
    for name in ("subscriber_key", "received_ms", "door"):
        rows[name] = written.rows[name][0]
    rows["verb"] = Verb.CHECK
    return rows


def _write_quantities(rows: Rows, column: str, said: Quantities | None) -> None:
    if said is None:
        return
    for unit, name in _COLUMNS:
        quantity = getattr(said, name)
        if quantity is not None:
            rows[column][:, unit] = quantity
