"""The life of one session, step by step, from the journal: what was asked, what was answered, what was held."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from millicent.charging.journal.read import Cursor, Layouts, journal_batches, journal_ends
from millicent.charging.types import NOT_SAID, FinalAction, Result, RowImages, Rows, Unit, Verb
from millicent.rating.types import Reason

_STEPS = (Verb.OPEN, Verb.UNITS, Verb.END, Verb.CLOSE, Verb.DEBIT, Verb.REFUND)


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceStep:
    """One command of a session and its answer. Units are those that the message named; -1: not said."""

    sequence: int  # of the journal's batch
    at_ms: int
    verb: str
    request_number: int
    group: int
    used: dict[str, int] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    result: str = ""
    stored: bool = False  # a resend, answered from memory
    granted_units: int = NOT_SAID
    charged_nanos: int = 0
    session_nanos: int = 0
    uncollected_nanos: int = 0
    final: str = ""
    held: dict[int, int] = field(default_factory=dict)  # rating group -> units granted and held after the batch


class SessionTrace:
    """Follows one session through batches; `steps` may be called again for what came since."""

    def __init__(self, wanted: str, *, shard: int = 0) -> None:
        self._wanted = wanted
        self._shard = shard
        self._keys: set[tuple[int, int]] = set()
        if len(wanted) == 32 and all(letter in "0123456789abcdef" for letter in wanted):
            self._keys.add((int(wanted[:16], 16), int(wanted[16:], 16)))
        self._after: int | None = None

    def steps(self, cursor: Cursor, *, looked_back: int) -> Iterator[TraceStep]:
        """Steps in the batches since the last call; at first, in the last `looked_back` batches."""
        if self._after is None:
            first, last = journal_ends(cursor, shard=self._shard)
            self._after = max(last - looked_back, first - 1, 0)
        layouts = Layouts(cursor)
        for journalled in journal_batches(cursor, shard=self._shard, after=self._after, layouts=layouts):
            batch = journalled.batch
            self._after = journalled.sequence
            chosen = self._chosen(batch.commands, batch.texts)
            for place in np.flatnonzero(chosen):
                held = _held(batch.images, session=int(batch.answers["session"][place]))
                yield _step(journalled.sequence, batch.commands[place], batch.answers[place], held=held)

    def _chosen(self, asked: Rows, texts: bytes) -> NDArray[np.bool_]:
        """Commands of the session: by its key, which an OPEN with its Session-Id tells."""
        for row in asked[asked["verb"] == Verb.OPEN]:
            first, length = int(row["text_offset"]), int(row["text_length"])
            if texts[first : first + length].decode(errors="replace") == self._wanted:
                self._keys.add((int(row["key_high"]), int(row["key_low"])))
        chosen: NDArray[np.bool_] = np.zeros(len(asked), np.bool_)
        for high, low in self._keys:
            chosen |= (asked["key_high"] == np.uint64(high)) & (asked["key_low"] == np.uint64(low))
        return chosen & np.isin(asked["verb"], [int(verb) for verb in _STEPS])


def _held(images: Sequence[RowImages], *, session: int) -> dict[int, int]:
    """What each rating group of the session holds after the batch."""
    for image in images:
        if image.table == "group" and session > 0:
            rows = image.images[image.images["session"] == session]
            return {int(row["group"]): int(row["granted_units"]) for row in rows}
    return {}


def _step(sequence: int, asked: Rows, answer: Rows, *, held: dict[int, int]) -> TraceStep:
    result = Result(int(answer["result"]))
    words = result.name.lower()
    if result is Result.NOT_PRICED:
        words = f"{words}: {Reason(int(answer['reason'])).name.lower()}"
    return TraceStep(
        sequence=sequence,
        at_ms=int(asked["received_ms"]),
        verb=Verb(int(asked["verb"])).name.lower(),
        request_number=int(asked["request_number"]),
        group=int(asked["group"]),
        used=_said(asked["used"]),
        asked=_said(asked["asked"]),
        result=words,
        stored=bool(answer["stored"]),
        granted_units=int(answer["granted_units"]),
        charged_nanos=int(answer["charged_nanos"]),
        session_nanos=int(answer["session_nanos"]),
        uncollected_nanos=int(answer["uncollected_nanos"]),
        final=FinalAction(int(answer["final"])).name.lower() if answer["final"] else "",
        held=held,
    )


def _said(units: NDArray[np.int64]) -> dict[str, int]:
    return {Unit(place).name.lower(): int(each) for place, each in enumerate(units) if each != NOT_SAID}
