"""Applies a declared mapping to fields: the same for separated text and for JSON."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from millicent.kit.errors import BadInput
from millicent.kit.kernels import Bools, Int64s
from millicent.mediation.types import SuspenseReason
from millicent.network.files import mapping as declared
from millicent.network.files.fields import DURATION_UNITS, VOLUME_UNITS, Fields, Read, first_filled
from millicent.network.files.mapping import DeclaredMapping, Rule
from millicent.network.files.options import CommonOptions
from millicent.network.files.records import Interpretation, Verdict
from millicent.network.kernel.values import EMPTY, READ, WRONG

_TRUE = ("true", "1", "yes", "y")
_NUMBERS = {
    **dict.fromkeys(declared.DURATIONS, (DURATION_UNITS, "s", SuspenseReason.BAD_QUANTITY)),
    **dict.fromkeys(declared.VOLUMES, (VOLUME_UNITS, "B", SuspenseReason.BAD_QUANTITY)),
    **dict.fromkeys(declared.COUNTS, ({"": (1, 1)}, "", SuspenseReason.BAD_QUANTITY)),
}
# name in a mapping -> column of usage
_COLUMNS = {
    "occurred_at": "occurred_at_ms",
    "duration": "duration_ms",
    "uplink": "uplink_bytes",
    "downlink": "downlink_bytes",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedReader:
    """Reads usage by a mapping; `places` says where each named column is among the fields."""

    mapping: DeclaredMapping
    places: Mapping[str, int]
    common: CommonOptions
    zone: str

    def check(self, where: str = "mapping") -> None:
        """Refuse a mapping that reads a column which is not there; `where` says what named the columns."""
        for column in self.mapping.used:
            if column not in self.places:
                known = ", ".join(self.places)
                raise BadInput(f"there is no column {column!r}", where=where, cure=f"The columns are: {known}.")

    def interpret(self, fields: Fields, offsets: Int64s) -> Interpretation:
        verdict = Verdict.of(fields.height)
        for column, values in self.mapping.not_usage + self.common.not_usage:
            hit = fields.text(self.places[column]).is_in(sorted(values)).to_numpy()
            verdict.refuse(hit, SuspenseReason.NOT_USAGE, f"{column} is one of {', '.join(sorted(values))}")
        columns = self._defaults(fields.height)
        times = {name: self._time(fields, name, verdict) for name in declared.TIMES if name in self.mapping.fields}
        columns["occurred_at_ms"] = pl.Series(times["occurred_at"].value)
        for name, rule in self.mapping.fields.items():
            if name in _NUMBERS:
                columns[_COLUMNS.get(name, name)] = pl.Series(self._number(fields, name, rule, verdict))
            elif name in declared.TEXTS:
                columns[name] = self._text(fields, name, rule, verdict)
        if "duration" not in self.mapping.fields and "ended_at" in times:
            columns["duration_ms"] = pl.Series(_span(times["occurred_at"], times["ended_at"], verdict))
        columns["answered"] = pl.Series(self._answered(fields, columns))
        columns["attributes"] = fields.json([(name, self.places[of]) for name, of in self.mapping.attributes.items()])
        if "event_id" not in columns:
            whole = [fields.text(place) for place in self.places.values()]
            columns["event_id"] = _joined([pl.Series(offsets).cast(pl.String), *whole])
        return Interpretation(columns=columns, verdict=verdict)

    def _defaults(self, height: int) -> dict[str, pl.Series]:
        words = {
            "service": self.common.service,
            "direction": self.common.direction,
            "call_type": self.common.call_type,
            "identifier_kind": self.common.identifier_kind,
            "part": "whole",
        }
        columns = {name: pl.repeat(word, height, dtype=pl.String, eager=True) for name, word in words.items()}
        columns["events"] = pl.repeat(self.common.events, height, dtype=pl.Int64, eager=True)
        return columns

    def _time(self, fields: Fields, name: str, verdict: Verdict) -> Read:
        rule = self.mapping.fields[name]
        read = fields.instants(self.places[rule.columns[0]], pattern=rule.time, zone=rule.zone or self.zone)
        verdict.refuse(read.status == WRONG, SuspenseReason.BAD_TIME, f"{rule.columns[0]} is not a time")
        if rule.required:
            verdict.refuse(read.status == EMPTY, SuspenseReason.MISSING_FIELD, f"{rule.columns[0]} is empty")
        return read

    def _number(self, fields: Fields, name: str, rule: Rule, verdict: Verdict) -> Int64s:
        if not rule.columns:
            return np.full(fields.height, int(rule.constant), np.int64)
        units, usual, reason = _NUMBERS[name]
        multiply, divide = units[rule.unit or usual]
        column = rule.columns[0]
        read = fields.scaled(self.places[column], multiply=multiply, divide=divide)
        verdict.refuse(read.status == WRONG, reason, f"{column} is not a number")
        verdict.refuse(read.value < 0, reason, f"{column} is below 0")
        if rule.required:
            verdict.refuse(read.status == EMPTY, SuspenseReason.MISSING_FIELD, f"{column} is empty")
        empty = -1 if name == "sequence_number" else int(rule.default or 0)
        return np.where(read.status == READ, read.value, empty)

    def _text(self, fields: Fields, name: str, rule: Rule, verdict: Verdict) -> pl.Series:
        if not rule.columns:
            return pl.repeat(rule.constant, fields.height, dtype=pl.String, eager=True)
        parts = [fields.text(self.places[column]).str.strip_chars() for column in rule.columns]
        joins = name in ("event_id", "correlation_key")
        written = _joined(parts) if joins else first_filled(parts)
        if rule.required:
            empty = (written == "").to_numpy()
            verdict.refuse(empty, SuspenseReason.MISSING_FIELD, f"{' and '.join(rule.columns)} is empty")
        if rule.values is not None:
            mapped = written.replace_strict(rule.values, default=rule.default, return_dtype=pl.String)
            strange = ((mapped == "") & (written != "")).to_numpy()
            verdict.refuse(strange, SuspenseReason.MISSING_FIELD, f"{rule.columns[0]} has a value that is not mapped")
            return mapped
        if rule.default:
            return pl.select(pl.when(written == "").then(pl.lit(rule.default)).otherwise(written)).to_series()
        return written

    def _answered(self, fields: Fields, columns: Mapping[str, pl.Series]) -> Bools:
        rule = self.mapping.fields.get("answered")
        if rule is None:
            return np.ones(fields.height, np.bool_)
        if not rule.columns:
            return np.full(fields.height, rule.constant.lower() in _TRUE)
        written = fields.text(self.places[rule.columns[0]]).str.strip_chars()
        if rule.values is not None:
            written = written.replace_strict(rule.values, default=rule.default, return_dtype=pl.String)
        return written.str.to_lowercase().is_in(_TRUE).to_numpy()


def _span(began: Read, ended: Read, verdict: Verdict) -> Int64s:
    both = (began.status == READ) & (ended.status == READ)
    span = np.where(both, ended.value - began.value, 0)
    verdict.refuse(span < 0, SuspenseReason.BAD_QUANTITY, "it ends before it began")
    return np.asarray(span, np.int64)


def _joined(parts: list[pl.Series]) -> pl.Series:
    """All parts with "/" between them; "" where the first is empty."""
    if len(parts) == 1:
        return parts[0]
    named = [part.alias(str(place)) for place, part in enumerate(parts)]
    whole = pl.concat_str(named, separator="/")
    return pl.select(pl.when(parts[0] == "").then(pl.lit("")).otherwise(whole)).to_series()
