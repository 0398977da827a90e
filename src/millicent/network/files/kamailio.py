"""Kamailio through db_flatstore: the acc and missed_calls tables (transactions), and the cdrs table (dialogs).

Source: Kamailio 5.x, modules acc and db_flatstore. Fields are separated by "|" and are never quoted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import polars as pl

from millicent.kit.errors import BadInput
from millicent.kit.kernels import Bools, Int64s
from millicent.mediation.types import DecodedChunk, FormatOptions, Part, SuspenseReason
from millicent.network.files.calls import CallColumns, CallReader
from millicent.network.files.fields import ISO_PATTERN, Fields, first_filled
from millicent.network.files.options import CommonOptions, OptionReader, common_options
from millicent.network.files.records import Form, Interpretation, Verdict, decode_records
from millicent.network.files.separated import Layout, separated_walk
from millicent.network.kernel.values import EMPTY, WRONG

ACC = ("method", "from_tag", "to_tag", "callid", "sip_code", "sip_reason", "time")
CDRS = ("start_time", "end_time", "duration")
_LAYOUT = Layout(separator="|", quote="")


class KamailioAcc:
    """Options: `extra` (names of the acc_extra columns in order), `time` (a pattern or `epoch`), and the common ones.

    An answered INVITE (or the ACK that carries its time) is a START, a BYE is a STOP, a failed INVITE is a whole call
    that was not answered. Call-ID and both tags, in either order, join them.
    """

    code = "kamailio_acc"

    def decode(self, stream: BinaryIO, *, options: FormatOptions, start_offset: int) -> Iterator[DecodedChunk]:
        """Yield chunks of starts, stops and failed calls; see `mediation.types.UsageFormat`."""
        reader = OptionReader(options, known={"extra", "time", "other_party", "attributes"})
        extra = reader.names("extra", "caller,callee")
        common = common_options(reader, service="voice", identifier=extra[0], identifier_kind="sip_user")
        reading = _AccReader(
            places={name: place for place, name in enumerate(ACC + extra)},
            common=common,
            other_party=reader.text("other_party", extra[1] if len(extra) > 1 else ""),
            attributes=reader.names("attributes", "sip_code"),
            pattern=reader.text("time", "epoch"),
            zone=options.zone,
        )
        reading.check()
        form = Form(
            what="a Kamailio acc record",
            walk=separated_walk(_LAYOUT, common),
            interpret=reading.interpret,
            least_fields=len(ACC),
            most_fields=max(len(ACC + extra), 32),
        )
        yield from decode_records(stream, form=form, common=common, options=options, start_offset=start_offset)


@dataclass(frozen=True, slots=True, kw_only=True)
class _AccReader:
    places: dict[str, int]
    common: CommonOptions
    other_party: str
    attributes: tuple[str, ...]
    pattern: str
    zone: str

    def check(self) -> None:
        named = [*self.common.identifier, self.other_party, self.common.supplier, *self.attributes]
        named += [column for column, _ in self.common.not_usage]
        for column in filter(None, named):
            if column not in self.places:
                known = ", ".join(self.places)
                raise BadInput(f"acc has no column {column!r}", where="source options", cure=f"It has: {known}.")

    def interpret(self, fields: Fields, offsets: Int64s) -> Interpretation:
        verdict = Verdict.of(fields.height)
        method, code, reason = (fields.text(self.places[name]) for name in ("method", "sip_code", "callid"))
        _judge_lines(method, code, reason, verdict)
        time = fields.instants(self.places["time"], pattern=self.pattern, zone=self.zone)
        verdict.refuse(time.status == WRONG, SuspenseReason.BAD_TIME, "time is not a time")
        self._reject_by_rule(fields, verdict)
        answered_invite = ((method == "INVITE") & code.str.starts_with("2")).to_numpy()
        no_time = time.status == EMPTY
        verdict.refuse(answered_invite & no_time, SuspenseReason.NOT_USAGE, "the ACK of this INVITE carries its time")
        verdict.refuse(no_time, SuspenseReason.MISSING_FIELD, "time is empty")
        stop = (method == "BYE").to_numpy()
        start = answered_invite | (method == "ACK").to_numpy()
        identifier = first_filled([fields.text(self.places[column]) for column in self.common.identifier])
        nobody = (identifier == "").to_numpy() & ~stop
        verdict.refuse(nobody, SuspenseReason.MISSING_FIELD, "nothing says who called")
        columns = self._columns(fields, start=start, stop=stop) | {
            "occurred_at_ms": pl.Series(time.value),
            "identifier": identifier,
        }
        return Interpretation(columns=columns, verdict=verdict)

    def _reject_by_rule(self, fields: Fields, verdict: Verdict) -> None:
        for column, values in self.common.not_usage:
            hit = fields.text(self.places[column]).is_in(sorted(values)).to_numpy()
            verdict.refuse(hit, SuspenseReason.NOT_USAGE, f"{column} is one of {', '.join(sorted(values))}")

    def _columns(self, fields: Fields, *, start: Bools, stop: Bools) -> dict[str, pl.Series]:
        frame = pl.DataFrame({name: fields.text(self.places[name]) for name in ACC})
        key = _dialog_key()
        part = np.where(stop, Part.STOP.value, np.where(start, Part.START.value, Part.WHOLE.value))
        made = frame.with_columns(part=pl.Series(part, dtype=pl.String)).select(
            "part",
            correlation_key=pl.when(pl.col("part") == Part.WHOLE.value).then(pl.lit("")).otherwise(key),
            event_id=pl.concat_str(key, "method", "sip_code", separator="/"),
        )
        words = {"service": self.common.service, "direction": self.common.direction}
        words |= {"identifier_kind": self.common.identifier_kind, "call_type": self.common.call_type}
        columns = {name: pl.repeat(word, fields.height, dtype=pl.String, eager=True) for name, word in words.items()}
        columns["answered"] = pl.Series(start | stop)
        columns["attributes"] = fields.json([(name, self.places[name]) for name in self.attributes])
        if self.other_party:
            columns["other_party"] = fields.text(self.places[self.other_party])
        if self.common.supplier:
            columns["supplier"] = fields.text(self.places[self.common.supplier])
        return columns | {name: made[name] for name in made.columns}


def _dialog_key() -> pl.Expr:
    """Call-ID and both tags. The side that hangs up sends its own tag first, so the tags are put in order."""
    low, high = pl.min_horizontal("from_tag", "to_tag"), pl.max_horizontal("from_tag", "to_tag")
    return pl.concat_str("callid", low, high, separator="/")


def _judge_lines(method: pl.Series, code: pl.Series, callid: pl.Series, verdict: Verdict) -> None:
    numeric = code.str.contains(r"^[1-6][0-9]{2}$").to_numpy()
    wordy = method.str.contains(r"^[A-Z]{2,16}$").to_numpy()
    verdict.refuse(~(numeric & wordy), SuspenseReason.DAMAGED, "no SIP method and status code where acc writes them")
    verdict.refuse((callid == "").to_numpy(), SuspenseReason.MISSING_FIELD, "callid is empty")
    known = method.is_in(["INVITE", "ACK", "BYE"]).to_numpy()
    verdict.refuse(~known, SuspenseReason.NOT_USAGE, "a SIP method that is no call")


class KamailioCdrs:
    """Options: `columns` (all columns in order), `time`, and the common ones.

    The table has no identity of its own unless `callid` is among its extra columns: without it, where a record stands
    in its file is part of what makes it unique, because two short calls at once look the same.
    """

    code = "kamailio_cdrs"

    def decode(self, stream: BinaryIO, *, options: FormatOptions, start_offset: int) -> Iterator[DecodedChunk]:
        """Yield chunks of calls; see `mediation.types.UsageFormat`."""
        reader = OptionReader(options, known={"columns", "time", "other_party", "attributes"})
        names = reader.names("columns", ",".join((*CDRS, "caller", "callee")))
        common = common_options(reader, service="voice", identifier="caller", identifier_kind="sip_user")
        calls = CallReader(
            columns=_cdrs_columns(names, reader),
            places={name: place for place, name in enumerate(names)},
            common=common,
            zone=options.zone,
        )
        calls.check()
        form = Form(
            what="a Kamailio cdrs record",
            walk=separated_walk(_LAYOUT, common),
            interpret=calls.interpret,
            least_fields=len(names),
            most_fields=len(names),
        )
        yield from decode_records(stream, form=form, common=common, options=options, start_offset=start_offset)


def _cdrs_columns(names: tuple[str, ...], reader: OptionReader) -> CallColumns:
    identified = "callid" in names
    pattern = reader.text("time", "epoch")
    return CallColumns(
        start="",
        answer="start_time",
        end="end_time",
        seconds="duration",
        other_party=reader.text("other_party", "callee"),
        caller="caller",
        event_columns=("callid", "start_time") if identified else names,
        placed=not identified,
        attributes=[(name, name) for name in reader.names("attributes")],
        time_pattern=ISO_PATTERN if pattern == "iso" else pattern,
    )
