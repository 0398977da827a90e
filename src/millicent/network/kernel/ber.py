"""Walks BER (ITU-T X.690) by a table: each tag path says what to keep, to add up, or to pass over.

Lengths may be definite or indefinite. Every byte read is inside the record, nesting is bounded, and whatever is wrong
is a status.
"""

import numpy as np

from millicent.kit.kernels import Int16s, Int32s, Int64s, UInt8s, inlined, kernel
from millicent.network.kernel.separated import SOUND
from millicent.network.kernel.values import days_before, days_in

# Statuses of a record.
CUT, BEYOND_PARENT, TOO_DEEP, BAD_TAG, BAD_END, STRANGE_TYPE, LENGTHS_DIFFER, FRAME_LOST, NOT_BER = range(30, 39)

# What to do at a node of the table.
PASS, KEEP, LINE, ADD, FIRST, EARLIEST, LATEST = range(7)

DEEPEST = 24
UNIVERSAL = 256  # column of the child table where universal tags begin
CHILD_COLUMNS = UNIVERSAL + 32
ABSENT = -1
LARGEST_FRAME = 65_535 + 5


@inlined
def _bcd(byte: int) -> int:
    high, low = byte >> 4, byte & 15
    return -1 if high > 9 or low > 9 else high * 10 + low


@inlined
def stamp_ms(buffer: UInt8s, start: int, end: int) -> int:
    """TimeStamp of TS 32.298: YYMMDDhhmmss in BCD, "+" or "-", hhmm. UTC milliseconds, -1 where it is wrong."""
    if end - start != 9:
        return -1
    year = _bcd(int(np.int64(buffer[start])))
    month = _bcd(int(np.int64(buffer[start + 1])))
    day = _bcd(int(np.int64(buffer[start + 2])))
    hour = _bcd(int(np.int64(buffer[start + 3])))
    minute = _bcd(int(np.int64(buffer[start + 4])))
    second = _bcd(int(np.int64(buffer[start + 5])))
    ahead_hours = _bcd(int(np.int64(buffer[start + 7])))
    ahead_minutes = _bcd(int(np.int64(buffer[start + 8])))
    sign = buffer[start + 6]
    if year < 0 or month < 1 or month > 12 or day < 1 or hour < 0 or minute < 0 or second < 0:
        return -1
    if hour > 23 or minute > 59 or second > 60 or day > days_in(2000 + year, month):
        return -1
    if ahead_hours < 0 or ahead_hours > 15 or ahead_minutes < 0 or ahead_minutes > 59 or (sign != 43 and sign != 45):
        return -1
    local = days_before(2000 + year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second
    ahead = ahead_hours * 3_600 + ahead_minutes * 60
    return (local - ahead if sign == 43 else local + ahead) * 1_000


@inlined
def whole_number(buffer: UInt8s, start: int, end: int) -> int:
    """A BER INTEGER of at most 8 octets (and a leading zero), else -1; billing counts are never negative."""
    if start < end and buffer[start] == 0:
        start += 1
    if end - start > 8 or (end - start == 8 and buffer[start] >= 128):
        return -1
    value = 0
    for position in range(start, end):
        value = value * 256 + int(np.int64(buffer[position]))
    return value


@inlined
def _read_length(buffer: UInt8s, position: int, bound: int) -> tuple[int, int]:
    """(length, position after it); -1 indefinite, -2 cut or too long to be true."""
    if position >= bound:
        return -2, position
    first = int(np.int64(buffer[position]))
    position += 1
    if first < 128:
        return first, position
    if first == 128:
        return -1, position
    octets = first - 128
    if octets > 4 or position + octets > bound:
        return -2, position
    length = 0
    for _ in range(octets):
        length = length * 256 + int(np.int64(buffer[position]))
        position += 1
    return length, position


@inlined
def _keep_line_value(
    buffer: UInt8s, start: int, end: int, operation: int, column: int, lines: Int64s, line: int
) -> None:
    if operation == ADD:
        value = whole_number(buffer, start, end)
        if value >= 0:
            lines[line, column] = max(lines[line, column], 0) + value
    elif operation == FIRST:
        if lines[line, column] == ABSENT:
            lines[line, column] = whole_number(buffer, start, end)
    else:
        value = stamp_ms(buffer, start, end)
        known = lines[line, column]
        if value >= 0 and (
            known == ABSENT or (operation == EARLIEST and value < known) or (operation == LATEST and value > known)
        ):
            lines[line, column] = value


@inlined
def walk_record(
    buffer: UInt8s,
    begin: int,
    end: int,
    child: Int16s,  # [nodes, CHILD_COLUMNS] -1: nothing of interest below
    operation: UInt8s,  # [nodes]
    column: Int32s,  # [nodes]
    kept_start: Int32s,  # [k] written, -1 absent
    kept_end: Int32s,  # [k] written
    lines: Int64s,  # [m, c] written from `line_count` on
    line_count: int,
    nodes: Int32s,  # [DEEPEST] scratch
    ends: Int64s,  # [DEEPEST] scratch
    endless: UInt8s,  # [DEEPEST] scratch
) -> tuple[int, int, int]:
    """Walk one record that begins at `begin`. Returns (status, position after it, lines so far)."""
    for place in range(kept_start.shape[0]):
        kept_start[place] = ABSENT
        kept_end[place] = ABSENT
    depth, position, line, line_depth = 0, begin, -1, 0
    nodes[0], ends[0], endless[0] = 0, end, 0
    while True:
        while depth > 0 and endless[depth] == 0 and position == ends[depth]:
            if line >= 0 and depth == line_depth:
                line = -1
            depth -= 1
        if depth == 0 and position > begin:
            return SOUND, position, line_count
        bound = ends[depth]
        if position >= bound:
            return CUT, position, line_count
        first = int(np.int64(buffer[position]))
        if endless[depth] == 1 and first == 0:
            if position + 1 >= bound or buffer[position + 1] != 0:
                return BAD_END, position, line_count
            position += 2
            if line >= 0 and depth == line_depth:
                line = -1
            depth -= 1
            continue
        position += 1
        number = first & 31
        if number == 31:
            number, octets, more = 0, 0, True
            while more and octets < 4 and position < bound:
                more = buffer[position] >= 128
                number = number * 128 + int(np.int64(buffer[position] & 127))
                position += 1
                octets += 1
            if more:
                return BAD_TAG, position, line_count
        length, position = _read_length(buffer, position, bound)
        if length == -2 or (length == -1 and first & 32 == 0):
            return CUT, position, line_count
        if length > bound - position:
            return (CUT if depth == 0 else BEYOND_PARENT), position, line_count
        kind = first >> 6
        place = number if kind == 2 and number < UNIVERSAL else -1
        if kind == 0 and number < 32:
            place = UNIVERSAL + number
        node = -1
        if place >= 0 and nodes[depth] >= 0:
            node = child[nodes[depth], place]
        if depth == 0 and node < 0:
            node = -1
            if length >= 0:
                return STRANGE_TYPE, position + length, line_count
        if first & 32 == 0:
            if node >= 0:
                what = operation[node]
                if what == KEEP and kept_start[column[node]] == ABSENT:
                    kept_start[column[node]] = position
                    kept_end[column[node]] = position + length
                elif what >= ADD and line >= 0:
                    _keep_line_value(buffer, position, position + length, what, column[node], lines, line)
            position += length
            continue
        if node < 0 and length >= 0:
            position += length
            if depth == 0:
                return STRANGE_TYPE, position, line_count
            continue
        if depth + 1 >= DEEPEST:
            return TOO_DEEP, position, line_count
        depth += 1
        nodes[depth] = node
        ends[depth] = bound if length < 0 else position + length
        endless[depth] = 1 if length < 0 else 0
        if node >= 0 and operation[node] == LINE and line < 0 and line_count < lines.shape[0]:
            line, line_depth = line_count, depth
            line_count += 1
            for place in range(lines.shape[1]):
                lines[line, place] = ABSENT
            lines[line, 0] = column[node]


@inlined
def _whole_tlv(buffer: UInt8s, position: int, end: int) -> int:
    """Where a definite top-level element ends, -1 where it cannot be one."""
    if position + 2 > end or buffer[position] & 0xE0 != 0xA0:
        return -1
    if buffer[position] & 31 == 31:
        position += 1
        while position < end and buffer[position] >= 128:
            position += 1
    length, position = _read_length(buffer, position + 1, end)
    return position + length if length >= 0 and position + length <= end else -1


@inlined
def _frame_length(buffer: UInt8s, position: int, end: int) -> tuple[int, int]:
    """(header octets, record octets) of a CDR header of TS 32.297, (0, 0) where none can be."""
    if position + 5 > end:
        return 0, 0
    length = int(np.int64(buffer[position])) * 256 + int(np.int64(buffer[position + 1]))
    header = 5 if buffer[position + 2] >> 5 == 7 else 4
    if length == 0 or position + header + 1 > end or buffer[position + 3] >> 5 != 1:
        return 0, 0
    return (header, length) if buffer[position + header] & 0xE0 == 0xA0 else (0, 0)


@inlined
def _next_record(buffer: UInt8s, position: int, reach: int, end: int, framed: bool) -> int:
    """The next place before `reach` where a record can begin whose lengths agree with each other, else `reach`."""
    while position < reach:
        if framed:
            header, length = _frame_length(buffer, position, end)
            body = position + header
            if header > 0 and body + length <= end and _whole_tlv(buffer, body, end) == body + length:
                return position
        elif buffer[position] == 0xBF and _whole_tlv(buffer, position, end) > position + 16:
            return position
        position += 1
    return reach


@kernel
def walk_charging_records(
    buffer: UInt8s,  # [b]
    begin: int,
    end: int,
    final: bool,
    framed: bool,  # each record has a CDR header of TS 32.297
    record_limit: int,
    child: Int16s,
    operation: UInt8s,
    column: Int32s,
    record_start: Int32s,  # [n] written, with its CDR header
    record_end: Int32s,  # [n] written
    status: UInt8s,  # [n] written
    kept_start: Int32s,  # [n, k] written
    kept_end: Int32s,  # [n, k] written
    first_line: Int64s,  # [n + 1] written
    lines: Int64s,  # [m, c] written
) -> tuple[int, int]:
    """Decode records until the room is full or the window ends. Returns (records, position after the last).

    A record whose frame is broken ends where the next sound one begins: it stops alone.
    """
    nodes, ends = np.empty(DEEPEST, np.int32), np.empty(DEEPEST, np.int64)
    endless = np.empty(DEEPEST, np.uint8)
    count, line_count, position = 0, 0, begin
    largest = max(record_limit, LARGEST_FRAME)
    first_line[0] = 0
    while position < end and count < record_start.shape[0]:
        if not framed and (buffer[position] == 0 or buffer[position] == 255):  # filler between records
            position += 1
            continue
        if not final and end - position < 2 * largest:
            break
        if lines.shape[0] - line_count < largest // 8 and count > 0:
            break
        start = position
        reach, limit = min(end, start + largest), min(end, start + 2 * largest)
        state, until, lines_before = FRAME_LOST, start, line_count
        kept_start[count, :] = ABSENT
        kept_end[count, :] = ABSENT
        if framed:
            header, length = _frame_length(buffer, start, end)
            body = start + header
            if header > 0 and body + length <= end:
                state, until, line_count = walk_record(
                    buffer, body, body + length, child, operation, column, kept_start[count], kept_end[count],
                    lines, line_count, nodes, ends, endless,
                )  # fmt: skip
                trusted = body + length == end or _frame_length(buffer, body + length, end)[0] > 0
                if state == SOUND and until != body + length:
                    state = LENGTHS_DIFFER
                sure = state == SOUND or trusted
                until = body + length if sure else _next_record(buffer, start + 1, reach, limit, framed)
            else:
                state = CUT if header > 0 else FRAME_LOST
                until = _next_record(buffer, start + 1, reach, limit, framed)
        else:
            state, until, line_count = walk_record(
                buffer, start, reach, child, operation, column, kept_start[count], kept_end[count],
                lines, line_count, nodes, ends, endless,
            )  # fmt: skip
            if state != SOUND and state != STRANGE_TYPE:
                whole = _whole_tlv(buffer, start, reach)
                follows = (
                    whole == end
                    or (whole > 0 and buffer[whole] & 0xE0 == 0xA0)
                    or (whole > 0 and (buffer[whole] == 0 or buffer[whole] == 255))
                )
                until = whole if whole > 0 and follows else _next_record(buffer, start + 1, reach, limit, framed)
        if state != SOUND:
            line_count = lines_before
        record_start[count] = start
        record_end[count] = until
        status[count] = state
        position = until
        count += 1
        first_line[count] = line_count
    return count, position


@kernel
def read_whole_numbers(buffer: UInt8s, start: Int32s, end: Int32s, value: Int64s) -> None:
    """BER INTEGERs; -1 where absent or not a count."""
    for row in range(start.shape[0]):
        value[row] = whole_number(buffer, start[row], end[row]) if start[row] >= 0 else ABSENT


@kernel
def read_stamps(buffer: UInt8s, start: Int32s, end: Int32s, value: Int64s) -> None:
    """TimeStamps in UTC milliseconds; -1 where wrong, -2 where absent."""
    for row in range(start.shape[0]):
        value[row] = stamp_ms(buffer, start[row], end[row]) if start[row] >= 0 else -2


@kernel
def read_digits(
    buffer: UInt8s,
    start: Int32s,  # [n] -1 absent
    end: Int32s,  # [n]
    skip: int,  # octets before the digits: 1 for the nature of an address
    out: UInt8s,  # written
    offsets: Int64s,  # [n + 1] written
) -> int:
    """Telephony BCD (TS 29.002): low nibble first, 15 is filler. A nibble that is no digit empties the field."""
    at = 0
    for row in range(start.shape[0]):
        offsets[row] = at
        if start[row] < 0:
            continue
        before = at
        for position in range(start[row] + skip, end[row]):
            byte = int(np.int64(buffer[position]))
            for nibble in (byte & 15, byte >> 4):
                if nibble < 10:
                    out[at] = 48 + nibble
                    at += 1
                elif nibble != 15:
                    at = before
                    break
    offsets[start.shape[0]] = at
    return at


@kernel
def read_networks(
    buffer: UInt8s,
    start: Int32s,  # [n] -1 absent
    end: Int32s,  # [n]
    out: UInt8s,  # [6 n] written
    offsets: Int64s,  # [n + 1] written
) -> int:
    """PLMN-Id: MCC2 MCC1, MNC3 MCC3, MNC2 MNC1 (TS 24.008 10.5.1.13) -> MCC and MNC as 5 or 6 digits."""
    at = 0
    for row in range(start.shape[0]):
        offsets[row] = at
        if start[row] < 0 or end[row] - start[row] != 3:
            continue
        one = int(np.int64(buffer[start[row]]))
        two = int(np.int64(buffer[start[row] + 1]))
        three = int(np.int64(buffer[start[row] + 2]))
        before = at
        for nibble in (one & 15, one >> 4, two & 15, three & 15, three >> 4, two >> 4):
            if nibble < 10:
                out[at] = 48 + nibble
                at += 1
            elif nibble != 15 or at - before < 5:
                at = before
                break
    offsets[start.shape[0]] = at
    return at
