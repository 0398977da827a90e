"""The header of a file of charging records (TS 32.297, 6.1.1)."""

import struct
from dataclasses import dataclass

from millicent.kit.errors import BadInput
from millicent.mediation.types import DeclaredFile

# Lengths, releases, two times, counts, reason, address, lost indicator: all before the two parts of variable length.
_FIXED = struct.Struct(">IIBBIIIIB20sBH")
LARGEST_HEADER = 4 + 4 + 44 + 2 * 65_535
_EXTENDED_RELEASE = 7
_UNKNOWN_COUNT = 0xFFFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargingFileHeader:
    """What the node that closed the file says about it."""

    file_octets: int
    header_octets: int
    records: int
    sequence_number: int
    closure_reason: int
    lost_records: int  # 0 none; see TS 32.297 6.1.1.12


def read_header(front: bytes) -> ChargingFileHeader:
    """Read the header at the front of a file; what cannot be one is a BadInput."""
    if len(front) < _FIXED.size + 2:
        raise _no_header("it is shorter than any header", len(front))
    fields = _FIXED.unpack_from(front)
    file_octets, header_octets = fields[0], fields[1]
    if not _FIXED.size + 2 <= header_octets <= LARGEST_HEADER:
        raise _no_header(f"a header cannot have {header_octets} octets", 4)
    if len(front) < header_octets:
        raise _no_header(f"it ends within its header of {header_octets} octets", len(front))
    if file_octets < header_octets:
        raise _no_header(f"a file of {file_octets} octets cannot hold its header of {header_octets}", 0)
    return ChargingFileHeader(
        file_octets=file_octets,
        header_octets=header_octets,
        records=fields[6],
        sequence_number=fields[7],
        closure_reason=fields[8],
        lost_records=fields[10],
    )


def declaration_of(header: ChargingFileHeader | None) -> DeclaredFile | None:
    """What the header says as mediation asks for it; all bits of a count set: the node does not know."""
    if header is None:
        return None
    return DeclaredFile(
        sequence_number=header.sequence_number,
        records=None if header.records == _UNKNOWN_COUNT else header.records,
        lost_records=header.lost_records,
    )


def write_header(
    *, records: int, body_octets: int, sequence_number: int, opened: int, closed: int, release: int = 7
) -> bytes:
    """A header as a charging gateway writes it; `opened` and `closed` are times made by `header_time`."""
    extension = bytes([release]) * 2 if release == _EXTENDED_RELEASE else b""
    octets = _FIXED.size + 2 + len(extension)
    mark = release << 5
    fixed = _FIXED.pack(
        octets + body_octets, octets, mark, mark, opened, closed, records, sequence_number, 0, bytes(20), 0, 0
    )
    return fixed + b"\0\0" + extension


def header_time(*, month: int, day: int, hour: int, minute: int) -> int:
    """A time of the header in UTC: month, day, hour, minute and the distance from UTC in one word of 32 bits."""
    return month << 28 | day << 23 | hour << 18 | minute << 12 | 1 << 11


def write_record_header(body_octets: int, *, release: int = 7, charging: int = 20) -> bytes:
    """A CDR header: length, release, BER as the format, and the number of the charging specification."""
    extension = b"\x07" if release == _EXTENDED_RELEASE else b""
    return struct.pack(">HBB", body_octets, release << 5, 1 << 5 | charging) + extension


def _no_header(why: str, offset: int) -> BadInput:
    return BadInput(
        f"this is no file header of TS 32.297: {why}",
        where=f"byte {offset}",
        cure="Declare framing=bare when the records follow each other without headers.",
        offset=offset,
    )
