"""Finds the records of a FreeRADIUS detail file, and the attributes that are wanted among their lines."""

from millicent.kit.kernels import Int32s, Int64s, UInt8s, inlined, kernel
from millicent.network.kernel.separated import CUT_SHORT, NUL_BYTE, SOUND, TOO_LONG

NEWLINE, RETURN, TAB, BLANK, QUOTE, BACKSLASH = 10, 13, 9, 32, 34, 92
NO_VALUE = 10  # an attribute line without " = "
NO_BLANK_LINE = 11  # the next record begins before this one has ended
NO_HEADER = 12  # attributes without the line that says when


@inlined
def _line_end(buffer: UInt8s, position: int, end: int) -> int:
    while position < end and buffer[position] != NEWLINE:
        position += 1
    return position


@inlined
def _wanted(buffer: UInt8s, start: int, end: int, begin: int, names: UInt8s, name_offsets: Int64s) -> int:
    """The place of an attribute name among those wanted from `begin` on, -1 when it is not."""
    for place in range(begin, name_offsets.shape[0] - 1):
        first = name_offsets[place]
        if name_offsets[place + 1] - first != end - start:
            continue
        same = True
        for step in range(end - start):
            if buffer[start + step] != names[first + step]:
                same = False
                break
        if same:
            return place
    return -1


@kernel
def walk_detail(
    buffer: UInt8s,  # [b]
    begin: int,
    end: int,
    final: bool,
    record_limit: int,  # bytes
    names: UInt8s,  # wanted attribute names, one after the other
    name_offsets: Int64s,  # [f]: column 0 is the header line, column k the name k - 1
    record_start: Int32s,  # [n] written
    record_end: Int32s,  # [n] written
    next_start: Int32s,  # [n] written
    status: UInt8s,  # [n] written
    wide: UInt8s,  # [n] written
    field_count: Int32s,  # [n] written
    field_start: Int32s,  # [n, f] written, -1 absent
    field_end: Int32s,  # [n, f] written
    field_style: UInt8s,  # [n, f] written: 2 where backslashes must go
) -> tuple[int, int]:
    """A record is a line at the left edge, lines that begin with a blank or tab, and an empty line.

    Several attributes of one name fill as many places as `names` has for it; the rest is left out. Returns
    (records, position after the last whole one).
    """
    columns = field_start.shape[1]
    count = 0
    position = begin
    while position < end and count < record_start.shape[0]:
        if buffer[position] == NEWLINE or buffer[position] == RETURN:
            position += 1
            continue
        start = position
        state = SOUND
        wide_byte = 0
        for column in range(columns):
            field_start[count, column] = -1
            field_end[count, column] = -1
            field_style[count, column] = 0
        header = buffer[position] != TAB and buffer[position] != BLANK
        if not header:
            state = NO_HEADER
        line = 0
        closed = False
        last = start
        while position < end:
            until = _line_end(buffer, position, end)
            whole = until < end
            stop = until
            if stop > position and buffer[stop - 1] == RETURN:
                stop -= 1
            if stop == position:  # the empty line
                closed = whole or final
                position = min(until + 1, end)
                break
            indented = buffer[position] == TAB or buffer[position] == BLANK
            if line > 0 and not indented:
                state = NO_BLANK_LINE
                closed = True
                break
            if until - start > record_limit:
                state = TOO_LONG
                position = start + record_limit
                last = position
                closed = True
                break
            if not whole and not final:
                break
            for at in range(position, stop):
                if buffer[at] >= 128:
                    wide_byte = 1
                elif buffer[at] == 0:
                    state = NUL_BYTE
            if indented:
                name_from = position
                while name_from < stop and (buffer[name_from] == TAB or buffer[name_from] == BLANK):
                    name_from += 1
                name_to = name_from
                while name_to < stop and buffer[name_to] != BLANK:
                    name_to += 1
                value = name_to + 3
                if value > stop or buffer[name_to + 1] != 61 or buffer[name_to + 2] != BLANK:
                    if state == SOUND:
                        state = NO_VALUE
                else:
                    place = _wanted(buffer, name_from, name_to, 0, names, name_offsets)
                    while place >= 0 and field_start[count, place + 1] >= 0:
                        place = _wanted(buffer, name_from, name_to, place + 1, names, name_offsets)
                    if place >= 0:
                        value_end = stop
                        if buffer[value] == QUOTE:
                            if value_end - 1 > value and buffer[value_end - 1] == QUOTE:
                                value_end -= 1
                            elif state == SOUND:
                                state = NO_VALUE
                            value += 1
                        for at in range(value, value_end):
                            if buffer[at] == BACKSLASH:
                                field_style[count, place + 1] = 2
                        field_start[count, place + 1] = value
                        field_end[count, place + 1] = max(value, value_end)
            else:
                field_start[count, 0] = position
                field_end[count, 0] = stop
            last = stop
            line += 1
            position = min(until + 1, end)
        if not closed:
            if not final:
                return count, start
            if state == SOUND:
                state = CUT_SHORT
        record_start[count] = start
        record_end[count] = last
        next_start[count] = position
        status[count] = state
        wide[count] = wide_byte
        field_count[count] = columns
        count += 1
    return count, position
