"""Charging records of mobile cores: TS 32.298 in BER (PGW, SGW, CHF), in files of TS 32.297 or one after the other.

What counts as one record is one report of usage: a CDR gives one for each rating group in it, because each may have a
price of its own; `split=record` adds them up instead.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np
import polars as pl

from millicent.kit.errors import BadInput
from millicent.kit.kernels import Int32s, Int64s, UInt8s
from millicent.mediation.types import DecodedChunk, FormatOptions, SuspenseReason
from millicent.network.dictionaries.charging_records import KEPT, LINES, charging_record_table
from millicent.network.files.charging_file import LARGEST_HEADER, declaration_of, read_header
from millicent.network.files.charging_usage import ChargingReader
from millicent.network.files.chunks import Faults, make_chunk, usage_frame
from millicent.network.files.options import CommonOptions, OptionReader, common_options
from millicent.network.files.window import Window, windows
from millicent.network.kernel import ber
from millicent.network.kernel.separated import SOUND

_DAMAGE = {
    ber.CUT: "the record ends before its length says so",
    ber.BEYOND_PARENT: "an element is longer than what holds it",
    ber.TOO_DEEP: "elements are nested too deeply",
    ber.BAD_TAG: "a tag is longer than any tag",
    ber.BAD_END: "an end-of-contents mark is broken",
    ber.LENGTHS_DIFFER: "the CDR header and the record disagree on its length",
    ber.FRAME_LOST: "no CDR header where one must be",
}


class ChargingRecords:
    """Options: `framing` (auto, file, bare), `split` (rating_group, record), `home_networks`, and the common ones."""

    code = "charging_records"

    def decode(self, stream: BinaryIO, *, options: FormatOptions, start_offset: int) -> Iterator[DecodedChunk]:
        """Yield chunks of data and message usage; see `mediation.types.UsageFormat`."""
        reader = OptionReader(options, known={"framing", "split", "home_networks", "message_service"})
        common = common_options(reader, service="data", identifier="msisdn,imsi", identifier_kind="msisdn")
        charging = ChargingReader(
            common=common,
            split=reader.choice("split", ("rating_group", "record"), "rating_group") == "rating_group",
            home_networks=reader.names("home_networks"),
            message_service=reader.text("message_service", "sms"),
        )
        framing = reader.choice("framing", ("auto", "file", "bare"), "auto")
        stream.seek(0)
        front = stream.read(LARGEST_HEADER)
        if not front:
            return
        framed = framing == "file" or (framing == "auto" and front[0] & 0xE0 != 0xA0)
        header = read_header(front) if framed else None
        declared = declaration_of(header)
        begin = max(start_offset, header.header_octets if header is not None else 0)
        if header is not None and start_offset == 0 and not stream_has_more(stream, begin):
            yield replace(
                make_chunk(usage_frame({}, height=0), Faults(), records_in=0, next_offset=begin), declared=declared
            )  # a file without a record still has its number
            return
        number, proven = options.first_record_number, start_offset > 0
        room = _Room.of(common)
        for window in windows(stream, offset=begin, block_bytes=max(common.chunk_bytes, 4 * ber.LARGEST_FRAME)):
            while not window.empty:
                decoded = _decode_window(window, framed, common, charging, room, number)
                if decoded is None:
                    break
                usage, faults, records_in, records, position = decoded
                if not proven and usage.height == 0 and faults.only_damaged():
                    raise _not_this_format(faults)
                proven = True
                number += records_in
                window.begin = position
                chunk = make_chunk(usage, faults, records_in=records_in, next_offset=window.offset)
                yield replace(chunk, declared=declared, source_records=records)


def stream_has_more(stream: BinaryIO, offset: int) -> bool:
    stream.seek(offset)
    return bool(stream.read(1))


@dataclass(slots=True, kw_only=True)
class _Room:
    """Arrays that the walk writes to, made once for each file."""

    start: Int32s
    end: Int32s
    status: UInt8s
    kept_start: Int32s
    kept_end: Int32s
    first_line: Int64s
    lines: Int64s

    @classmethod
    def of(cls, common: CommonOptions) -> "_Room":
        records = common.chunk_records
        spare = max(common.record_limit_bytes, ber.LARGEST_FRAME) // 4
        return cls(
            start=np.empty(records, np.int32),
            end=np.empty(records, np.int32),
            status=np.empty(records, np.uint8),
            kept_start=np.empty((records, len(KEPT)), np.int32),
            kept_end=np.empty((records, len(KEPT)), np.int32),
            first_line=np.empty(records + 1, np.int64),
            lines=np.empty((2 * records + spare, len(LINES)), np.int64),
        )


def _decode_window(
    window: Window, framed: bool, common: CommonOptions, charging: ChargingReader, room: _Room, number: int
) -> tuple[pl.DataFrame, Faults, int, int, int] | None:
    child, operation, column = charging_record_table()
    records, position = ber.walk_charging_records(
        window.buffer,
        window.begin,
        window.buffer.size,
        window.final,
        framed,
        common.record_limit_bytes,
        child,
        operation,
        column,
        room.start,
        room.end,
        room.status,
        room.kept_start,
        room.kept_end,
        room.first_line,
        room.lines,
    )
    if records and common.growing and window.final and room.status[records - 1] == ber.CUT:
        records, position = records - 1, int(room.start[records - 1])  # it is still being written
    if records == 0:
        return None
    usage, faults, units = _interpret(window, room, records, charging, number)
    return usage, faults, units, int(records), int(position)


def _interpret(
    window: Window, room: _Room, records: int, charging: ChargingReader, number: int
) -> tuple[pl.DataFrame, Faults, int]:
    start, end, status = room.start[:records], room.end[:records], room.status[:records]
    lines = room.lines[: room.first_line[records]]
    told = charging.read(
        buffer=window.buffer,
        kept_start=room.kept_start[:records],
        kept_end=room.kept_end[:records],
        sound=status == SOUND,
        line_record=np.repeat(np.arange(records), np.diff(room.first_line[: records + 1])),
        lines=lines,
    )
    # A record that stops counts once; one that goes on counts once for each report in it.
    units = np.ones(records, np.int64)
    np.copyto(units, told.reports, where=told.verdict.accepted & (status == SOUND))
    first_number = number + np.concatenate(([0], np.cumsum(units)[:-1]))
    offset = start + np.int64(window.offset_of(0))
    row = told.record
    usage = usage_frame(
        {
            **told.columns,
            "record_number": pl.Series(first_number[row] + told.place),
            "byte_offset": pl.Series(offset[row]),
            "byte_length": pl.Series((end - start)[row].astype(np.int64)),
        },
        height=row.size,
    )
    faults = Faults()
    for place in np.flatnonzero((status != SOUND) | ~told.verdict.accepted):
        reason, detail = _reason(
            int(status[place]), told.verdict.reason, told.verdict.detail, told.verdict.texts, int(place)
        )
        faults.add(
            number=int(first_number[place]),
            offset=int(offset[place]),
            raw=window.raw(int(start[place]), int(end[place])),
            length=int(end[place] - start[place]),
            reason=reason,
            detail=detail,
        )
    return usage, faults, int(units.sum())


def _reason(status: int, reasons: UInt8s, details: Int64s, texts: list[str], place: int) -> tuple[SuspenseReason, str]:
    if status == SOUND:
        return SuspenseReason(int(reasons[place])), texts[int(details[place])]
    if status == ber.STRANGE_TYPE:
        return SuspenseReason.UNKNOWN_SERVICE, "a type of record that is not read: only SGW, PGW and CHF are"
    return SuspenseReason.DAMAGED, _DAMAGE[status]


def _not_this_format(faults: Faults) -> BadInput:
    return BadInput(
        f"no record of this file is a charging record of TS 32.298: {faults.frame()['detail'][0]}",
        where=f"byte {faults.first_offset}",
        cure="Check the format and its framing in the declaration of the source.",
        offset=faults.first_offset,
    )
