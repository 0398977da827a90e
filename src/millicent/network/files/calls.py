"""What separated call records share: which column holds what, and how a call's times and duration are found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from millicent.kit.errors import BadInput
from millicent.kit.kernels import Bools, Int64s
from millicent.mediation.types import SuspenseReason
from millicent.network.files.fields import Fields, Read, first_filled
from millicent.network.files.options import CommonOptions
from millicent.network.files.records import Interpretation, Verdict
from millicent.network.kernel.values import EMPTY, READ, WRONG

MS_PER_SECOND = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CallColumns:
    """Names of a call record's columns; "" for what the layout does not have."""

    start: str
    answer: str
    end: str
    seconds: str = ""  # charged duration in whole or decimal seconds
    millis: str = ""
    other_party: str
    caller: str
    event_columns: Sequence[str] = ()  # what makes the call unique, together
    placed: bool = False  # calls have no identity of their own: where they stand in the file is part of it
    sequence: str = ""
    disposition: str = ""  # column that says whether it was answered
    answered_values: frozenset[str] = frozenset()
    attributes: Sequence[tuple[str, str]] = ()  # (attribute, column)
    time_pattern: str
    direction: str = ""
    direction_values: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReader:
    """Reads the columns of calls out of fields. `places` says where each named column is."""

    columns: CallColumns
    places: Mapping[str, int]
    common: CommonOptions
    zone: str
    supplier_pattern: str = ""  # its first group is the supplier's name within the column

    def check(self) -> None:
        """Refuse a declaration that names a column which the layout does not have."""
        named = [*self.common.identifier, *(column for column, _ in self.common.not_usage)]
        for column in [*named, *filter(None, [self.common.supplier])]:
            if column not in self.places:
                known = ", ".join(self.places)
                raise BadInput(f"the layout has no column {column!r}", where="source options", cure=f"It has: {known}.")
        if not any(self.places.get(each) is not None for each in (self.columns.start, self.columns.answer)):
            raise BadInput("the layout has no time of start or answer", where="source options", cure="Add one.")

    def has(self, column: str) -> bool:
        return bool(column) and column in self.places

    def text(self, fields: Fields, column: str) -> pl.Series:
        if not self.has(column):
            return pl.repeat("", fields.height, dtype=pl.String, eager=True)
        return fields.text(self.places[column])

    def interpret(self, fields: Fields, offsets: Int64s) -> Interpretation:
        verdict = Verdict.of(fields.height)
        self._reject_by_rule(fields, verdict)
        answer, start, end = self._times(fields, verdict)
        duration = self._duration(fields, answer, start, end, verdict)
        answered = self._answered(fields, answer, duration)
        occurred = np.where(answer.status == READ, answer.value, start.value)
        verdict.refuse(
            (answer.status != READ) & (start.status != READ), SuspenseReason.MISSING_FIELD, "no time of start or answer"
        )
        caller = self.text(fields, self.columns.caller)
        named = [caller if name == self.columns.caller else self.text(fields, name) for name in self.common.identifier]
        identifier = first_filled(named)
        verdict.refuse((identifier == "").to_numpy(), SuspenseReason.MISSING_FIELD, "nothing says who called")
        duration = np.where(answered, duration, 0)
        columns = self._constants(fields.height) | {
            "occurred_at_ms": pl.Series(occurred),
            "duration_ms": pl.Series(duration),
            "answered": pl.Series(answered),
            "identifier": identifier,
            "other_party": self.text(fields, self.columns.other_party),
            "attributes": self._attributes(fields),
            "event_id": self._event_id(fields, offsets),
        }
        columns |= self._optional(fields, identifier, caller)
        return Interpretation(columns=columns, verdict=verdict)

    def _event_id(self, fields: Fields, offsets: Int64s) -> pl.Series:
        parts = [self.text(fields, column) for column in self.columns.event_columns]
        if self.columns.placed:
            parts.insert(0, pl.Series(offsets).cast(pl.String))
        if len(parts) == 1:
            return parts[0]
        named = [part.alias(str(place)) for place, part in enumerate(parts)]
        joined = pl.select(pl.concat_str(named, separator="/")).to_series() if named else self.text(fields, "")
        empty = (parts[0] == "") if parts else None
        return joined if empty is None or not empty.any() else joined.set(empty, "")

    def _reject_by_rule(self, fields: Fields, verdict: Verdict) -> None:
        for column, values in self.common.not_usage:
            hit = self.text(fields, column).is_in(sorted(values)).to_numpy()
            verdict.refuse(hit, SuspenseReason.NOT_USAGE, f"{column} is one of {', '.join(sorted(values))}")

    def _times(self, fields: Fields, verdict: Verdict) -> tuple[Read, Read, Read]:
        reads = []
        counted = self.has(self.columns.millis) or self.has(self.columns.seconds)
        for column in (self.columns.answer, self.columns.start, "" if counted else self.columns.end):
            read = self._time(fields, column)
            verdict.refuse(read.status == WRONG, SuspenseReason.BAD_TIME, f"{column} is not a time")
            reads.append(read)
        return reads[0], reads[1], reads[2]

    def _time(self, fields: Fields, column: str) -> Read:
        if not self.has(column):
            return Read(np.zeros(fields.height, np.int64), np.full(fields.height, EMPTY, np.uint8))
        read = fields.instants(
            self.places[column], pattern=_pattern_of(column, self.columns.time_pattern), zone=self.zone
        )
        if column.endswith("epoch"):  # switches write 0 for "never"
            never = (read.status == READ) & (read.value == 0)
            read.status[never] = EMPTY
        return read

    def _duration(self, fields: Fields, answer: Read, start: Read, end: Read, verdict: Verdict) -> Int64s:
        for column, multiply in ((self.columns.millis, 1), (self.columns.seconds, MS_PER_SECOND)):
            if not self.has(column):
                continue
            read = fields.scaled(self.places[column], multiply=multiply)
            verdict.refuse(read.status == WRONG, SuspenseReason.BAD_QUANTITY, f"{column} is not a duration")
            verdict.refuse(
                (read.status == READ) & (read.value < 0), SuspenseReason.BAD_QUANTITY, f"{column} is below 0"
            )
            verdict.refuse(read.status == EMPTY, SuspenseReason.MISSING_FIELD, f"{column} is empty")
            return read.value
        began = np.where(answer.status == READ, answer.value, start.value)
        span = np.where((end.status == READ) & (answer.status == READ), end.value - began, 0)
        verdict.refuse(span < 0, SuspenseReason.BAD_QUANTITY, "it ends before it was answered")
        return np.asarray(span, np.int64)

    def _answered(self, fields: Fields, answer: Read, duration: Int64s) -> Bools:
        if self.has(self.columns.disposition):
            said = self.text(fields, self.columns.disposition).is_in(sorted(self.columns.answered_values))
            return said.to_numpy()
        if self.has(self.columns.answer):
            return np.asarray(answer.status == READ)
        return np.asarray(duration > 0)

    def _constants(self, height: int) -> dict[str, pl.Series]:
        common = self.common
        texts = {
            "service": common.service,
            "direction": common.direction,
            "call_type": common.call_type,
            "identifier_kind": common.identifier_kind,
            "part": "whole",
        }
        columns = {name: pl.repeat(word, height, dtype=pl.String, eager=True) for name, word in texts.items()}
        if common.events:
            columns["events"] = pl.repeat(common.events, height, dtype=pl.Int64, eager=True)
        return columns

    def _attributes(self, fields: Fields) -> pl.Series:
        known = [(name, self.places[column]) for name, column in self.columns.attributes if column in self.places]
        return fields.json(known)

    def _optional(self, fields: Fields, identifier: pl.Series, caller: pl.Series) -> dict[str, pl.Series]:
        columns: dict[str, pl.Series] = {}
        if self.common.direction == "terminating":
            columns["other_party"] = caller
        elif self.has(self.columns.caller):
            columns["origin_number"] = pl.select(
                pl.when(caller != identifier).then(caller).otherwise(pl.lit(""))
            ).to_series()
        if self.common.supplier:
            supplier = self.text(fields, self.common.supplier)
            columns["supplier"] = (
                supplier.str.extract(self.supplier_pattern).fill_null("") if self.supplier_pattern else supplier
            )
        if self.has(self.columns.sequence):
            columns["sequence_number"] = _sequence(fields.scaled(self.places[self.columns.sequence]))
        if self.has(self.columns.direction) and self.columns.direction_values:
            said = self.text(fields, self.columns.direction)
            columns["direction"] = said.replace_strict(self.columns.direction_values, default=self.common.direction)
        return columns


def _sequence(read: Read) -> pl.Series:
    return pl.Series(np.where(read.status == READ, read.value, -1))


def _pattern_of(column: str, pattern: str) -> str:
    """Switch variables say by their name how they write time: ..._epoch in seconds, ..._uepoch in microseconds."""
    if column.endswith("_uepoch"):
        return "epoch_us"
    return "epoch" if column.endswith("_epoch") else pattern
