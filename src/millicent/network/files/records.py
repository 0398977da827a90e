"""The loop that every format of records shares: blocks, records, fields, then one interpretation of whole columns."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import BinaryIO

import numpy as np
import polars as pl

from millicent.kit.errors import BadInput
from millicent.kit.kernels import Bools, Int32s, Int64s, UInt8s
from millicent.mediation.types import DecodedChunk, FormatOptions, SuspenseReason
from millicent.network.files.chunks import Faults, make_chunk, usage_frame
from millicent.network.files.fields import Fields
from millicent.network.files.options import CommonOptions
from millicent.network.files.window import Window, text_start, windows
from millicent.network.kernel import separated, text

_DAMAGE = {
    separated.OPEN_QUOTE: "a quote is never closed",
    separated.TEXT_AFTER_QUOTE: "text follows a closing quote",
    separated.TOO_MANY_FIELDS: "more fields than the layout has",
    separated.TOO_LONG: "longer than record_limit_bytes",
    separated.NUL_BYTE: "a zero byte",
    separated.CUT_SHORT: "the file ends inside the record",
}


@dataclass(slots=True)
class Verdict:
    """Why each record of a block stops: the first reason given stays. ACCEPTED where none was."""

    reason: UInt8s
    detail: Int64s
    texts: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, height: int) -> "Verdict":
        return cls(np.zeros(height, np.uint8), np.zeros(height, np.int64))

    def refuse(self, where: Bools, reason: SuspenseReason, detail: str) -> None:
        fresh = where & (self.reason == SuspenseReason.ACCEPTED)
        if fresh.any():
            self.texts.append(detail)
            self.reason[fresh] = int(reason)
            self.detail[fresh] = len(self.texts) - 1

    @property
    def accepted(self) -> Bools:
        return np.asarray(self.reason == SuspenseReason.ACCEPTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpretation:
    """What a format makes of the sound records of a block: columns by name, and a verdict on each record."""

    columns: Mapping[str, pl.Series]
    verdict: Verdict
    ended: pl.DataFrame | None = None  # see DecodedChunk


Interpret = Callable[[Fields, Int64s], Interpretation]  # fields and the byte offset of each record


@dataclass(slots=True, kw_only=True)
class Room:
    """Arrays that a block's positions are written to, made once for each file."""

    record_start: Int32s
    record_end: Int32s
    next_start: Int32s
    status: UInt8s
    foreign: UInt8s
    field_count: Int32s
    field_start: Int32s
    field_end: Int32s
    field_style: UInt8s

    @classmethod
    def of(cls, records: int, fields: int) -> "Room":
        return cls(
            record_start=np.empty(records, np.int32),
            record_end=np.empty(records, np.int32),
            next_start=np.empty(records, np.int32),
            status=np.empty(records, np.uint8),
            foreign=np.empty(records, np.uint8),
            field_count=np.empty(records, np.int32),
            field_start=np.empty((records, fields), np.int32),
            field_end=np.empty((records, fields), np.int32),
            field_style=np.empty((records, fields), np.uint8),
        )


# Fills the room from the window's begin on; returns the records found and the position behind the last of them.
Walk = Callable[[Window, Room], tuple[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What a format is made of: how its records are found, how they are read, how many fields they may have."""

    what: str  # "a FreeSWITCH mod_cdr_csv record": names the format in refusals
    walk: Walk
    interpret: Interpret
    least_fields: int
    most_fields: int
    header_lines: int = 0
    damage: Mapping[int, str] = field(default_factory=dict)  # the walk's own statuses, in words
    comment: str = ""  # a record that begins with this is no usage


def decode_records(
    stream: BinaryIO, *, form: Form, common: CommonOptions, options: FormatOptions, start_offset: int
) -> Iterator[DecodedChunk]:
    """Decode a file record by record, in chunks of at most `chunk_records`."""
    number = options.first_record_number
    room = Room.of(common.chunk_records, form.most_fields)
    proven = start_offset > 0
    begin = text_start(stream, start_offset)
    for window in windows(stream, offset=begin, block_bytes=common.chunk_bytes):
        while not window.empty:
            records, position = form.walk(window, room)
            if records == 0:
                break
            usage, faults, ended = _interpret_block(window, form, room, records, number)
            if not proven and usage.height == 0 and faults.only_damaged():
                refuse_file(faults, form.what)
            proven = True
            number += records
            window.begin = position
            chunk = make_chunk(usage, faults, records_in=records, next_offset=window.offset)
            yield chunk if ended is None else replace(chunk, ended=ended)


def refuse_file(faults: Faults, what: str) -> None:
    raise BadInput(
        f"no record of this file is {what}: {faults.frame()['detail'][0]}",
        where=f"byte {faults.first_offset}",
        cure="Check the format and its options in the declaration of the source.",
        offset=faults.first_offset,
    )


def _interpret_block(
    window: Window, form: Form, room: Room, records: int, number: int
) -> tuple[pl.DataFrame, Faults, pl.DataFrame | None]:
    start, end = room.record_start[:records], room.record_end[:records]
    numbers = np.arange(number, number + records, dtype=np.int64)
    offsets = start + np.int64(window.offset_of(0))
    structure = _judge_structure(window, form, room, records, numbers)
    sound = np.flatnonzero(structure.accepted)
    usage = usage_frame({}, height=0)
    faults, ended = Faults(), None
    if sound.size:
        fields = _fields(window, room, records, sound)
        told = form.interpret(fields, offsets[sound])
        ended = told.ended
        kept = sound[told.verdict.accepted]
        known = dict(told.columns)
        usage = usage_frame(
            known
            | {
                "record_number": pl.Series(numbers[sound]),
                "byte_offset": pl.Series(offsets[sound]),
                "byte_length": pl.Series((end - start)[sound].astype(np.int64)),
            },
            height=sound.size,
        )
        if kept.size < sound.size:
            usage = usage.filter(pl.Series(told.verdict.accepted))
        _add_faults(faults, told.verdict, window, start[sound], end[sound], numbers[sound])
    _add_faults(faults, structure, window, start, end, numbers)
    return usage, faults, ended


def _fields(window: Window, room: Room, records: int, sound: Int64s) -> Fields:
    start, end, foreign = room.record_start[:records], room.record_end[:records], room.foreign[:records]
    if foreign.any():
        text.mark_foreign_text(window.buffer, start, end, foreign)
    fields = Fields(
        buffer=window.buffer,
        start=room.field_start[:records],
        end=room.field_end[:records],
        style=room.field_style[:records],
        foreign=foreign,
    )
    return fields if sound.size == records else fields.rows(sound)


def _judge_structure(window: Window, form: Form, room: Room, records: int, numbers: Int64s) -> Verdict:
    verdict = Verdict.of(records)
    status, count = room.status[:records], room.field_count[:records]
    if form.header_lines:
        verdict.refuse(numbers <= form.header_lines, SuspenseReason.NOT_USAGE, "header line")
    if form.comment:
        comment = window.buffer[room.record_start[:records]] == ord(form.comment)
        verdict.refuse(comment, SuspenseReason.NOT_USAGE, "comment")
    if status.any():
        for code, words in {**_DAMAGE, **form.damage}.items():
            verdict.refuse(status == code, SuspenseReason.DAMAGED, words)
    few = count < form.least_fields
    if few.any():
        detail = f"fewer than the {form.least_fields} fields of the layout"
        verdict.refuse(few, SuspenseReason.DAMAGED, detail)
    most = room.field_start.shape[1]
    if (count < most).any():  # fields that a record does not have are absent
        absent = np.arange(most)[None, :] >= count[:, None]
        room.field_start[:records][absent] = -1
        room.field_end[:records][absent] = -1
    return verdict


def _add_faults(
    faults: Faults,
    verdict: Verdict,
    window: Window,
    start: Int32s,
    end: Int32s,
    numbers: Int64s,
) -> None:
    for row in np.flatnonzero(~verdict.accepted):
        faults.add(
            number=int(numbers[row]),
            offset=window.offset_of(int(start[row])),
            raw=window.raw(int(start[row]), int(end[row])),
            length=int(end[row] - start[row]),
            reason=SuspenseReason(int(verdict.reason[row])),
            detail=verdict.texts[int(verdict.detail[row])],
        )
