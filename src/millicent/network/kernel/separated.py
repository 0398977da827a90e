"""Finds records and fields in separated text (CSV and its relatives), byte by byte, without making a Python object."""

import numpy as np

from millicent.kit.kernels import Int32s, UInt8s, kernel

NEWLINE, RETURN = 10, 13

# What the walk says of one record. Anything but SOUND is a damaged record that stops alone.
SOUND = 0
OPEN_QUOTE = 1
TEXT_AFTER_QUOTE = 2
TOO_MANY_FIELDS = 3
TOO_LONG = 4
NUL_BYTE = 5
CUT_SHORT = 6

# How a field is written, so that its text can be made plain later.
PLAIN = 0
DOUBLED_QUOTES = 1
BACKSLASHES = 2


@kernel
def walk_separated(
    buffer: UInt8s,  # [b]
    begin: int,
    end: int,
    final: bool,  # nothing follows `end`: a last record without newline is whole
    separator: int,
    quote: int,  # -1: quotes are ordinary text
    backslash: bool,
    multiline: bool,  # a quoted field may hold newlines
    record_limit: int,  # bytes
    record_start: Int32s,  # [n] written
    record_end: Int32s,  # [n] written, without its line end
    next_start: Int32s,  # [n] written, where the following record may begin
    status: UInt8s,  # [n] written
    wide: UInt8s,  # [n] written: 1 when a byte is not ASCII
    field_count: Int32s,  # [n] written
    field_start: Int32s,  # [n, f] written
    field_end: Int32s,  # [n, f] written
    field_style: UInt8s,  # [n, f] written
) -> tuple[int, int]:
    """Cut `buffer[begin:end]` into records and their fields; blank lines are no records.

    Returns (records, position after the last whole one). A record of unsound status ends at its first line end (or
    after twice the limit, where a line has none): a lost quote costs one line and never the rest of the file.
    With `final` false an unfinished record is left.
    """
    ordinary = np.ones(256, np.bool_)  # bytes that need no thought: most of them
    ordinary[128:] = False
    ordinary[0] = ordinary[NEWLINE] = ordinary[separator] = False
    if quote >= 0:
        ordinary[quote] = False
    if backslash:
        ordinary[92] = False
    capacity = record_start.shape[0]
    columns = field_start.shape[1]
    count = 0
    position = begin
    while position < end and count < capacity:
        if buffer[position] == NEWLINE or (
            buffer[position] == RETURN and position + 1 < end and buffer[position + 1] == NEWLINE
        ):
            position += 1 if buffer[position] == NEWLINE else 2
            continue
        start = position
        bound = min(end, start + record_limit + 1)
        state = SOUND
        fields = 0
        wide_byte = 0
        closed = False
        while True:  # one field each turn
            style = PLAIN
            if quote >= 0 and position < end and buffer[position] == quote:
                position += 1
                field_from = position
                field_until = -1
                while position < end:
                    while position < bound and ordinary[buffer[position]]:
                        position += 1
                    if position >= end:
                        break
                    byte = buffer[position]
                    if byte == quote:
                        if position + 1 < end and buffer[position + 1] == quote:
                            style = DOUBLED_QUOTES
                            position += 2
                            continue
                        field_until = position
                        position += 1
                        break
                    if byte == NEWLINE and not multiline:
                        break
                    if backslash and byte == 92 and position + 1 < end and buffer[position + 1] != NEWLINE:
                        style = BACKSLASHES
                        position += 1
                        byte = buffer[position]
                    if byte >= 128:
                        wide_byte = 1
                    elif byte == 0:
                        state = NUL_BYTE
                    if position - start > record_limit:
                        break
                    position += 1
                if field_until < 0:
                    state = OPEN_QUOTE if position - start <= record_limit else TOO_LONG
                    break
                if (
                    position < end
                    and buffer[position] != separator
                    and buffer[position] != NEWLINE
                    and buffer[position] != RETURN
                ):
                    state = TEXT_AFTER_QUOTE
                    break
                if position < end and buffer[position] == RETURN:
                    position += 1
            else:
                field_from = position
                while position < end:
                    while position < bound and ordinary[buffer[position]]:
                        position += 1
                    if position >= end:
                        break
                    byte = buffer[position]
                    if byte in (separator, NEWLINE):
                        break
                    if backslash and byte == 92 and position + 1 < end and buffer[position + 1] != NEWLINE:
                        style = BACKSLASHES
                        position += 1
                        byte = buffer[position]
                    if byte >= 128:
                        wide_byte = 1
                    elif byte == 0:
                        state = NUL_BYTE
                    if position - start > record_limit:
                        break
                    position += 1
                field_until = position
                if position < end and position - start > record_limit:
                    state = TOO_LONG
                    break
                if field_until > field_from and (position == end or buffer[position] == NEWLINE):
                    field_until -= 1 if buffer[field_until - 1] == RETURN else 0
            if fields < columns:
                field_start[count, fields] = field_from
                field_end[count, fields] = field_until
                field_style[count, fields] = style
            elif state == SOUND:
                state = TOO_MANY_FIELDS
            fields += 1
            if position >= end:
                break
            if buffer[position] == NEWLINE:
                closed = True
                break
            if buffer[position] != separator:
                state = TEXT_AFTER_QUOTE
                break
            position += 1
        if not closed and state in (SOUND, NUL_BYTE, TOO_MANY_FIELDS):
            if not final:
                return count, start
            position = end
        elif not closed:  # unsound: it ends at its first line end
            waited = position >= end and position - start <= record_limit
            position = start
            while position < end and buffer[position] != NEWLINE and position - start < 2 * record_limit:
                position += 1
            if position - start >= 2 * record_limit:
                state = TOO_LONG
            elif not final and (position >= end or (multiline and waited)):
                return count, start
        record_start[count] = start
        until = position
        if until > start and buffer[until - 1] == RETURN:
            until -= 1
        record_end[count] = until
        status[count] = state
        wide[count] = wide_byte
        field_count[count] = fields
        if position < end and buffer[position] == NEWLINE:
            position += 1
        next_start[count] = position
        count += 1
    return count, position
