"""Finds JSON objects one after the other: alone, in lines, run together, or in an array."""

from millicent.kit.kernels import Int32s, UInt8s, kernel
from millicent.network.kernel.separated import CUT_SHORT, SOUND, TOO_LONG

NEWLINE, QUOTE, BACKSLASH, OPEN, CLOSE = 10, 34, 92, 123, 125
NOT_AN_OBJECT = 20


@kernel
def walk_json(
    buffer: UInt8s,  # [b]
    begin: int,
    end: int,
    final: bool,
    record_limit: int,  # bytes
    record_start: Int32s,  # [n] written
    record_end: Int32s,  # [n] written
    next_start: Int32s,  # [n] written
    status: UInt8s,  # [n] written
) -> tuple[int, int]:
    """An object ends at the brace that closes it. Blanks, commas and an array's brackets may stand between objects.

    An object that is never closed ends before the next line that begins with a brace, so a record that was cut short
    does not take its followers along. Returns (records, position after the last whole one).
    """
    count = 0
    position = begin
    while position < end and count < record_start.shape[0]:
        byte = buffer[position]
        if byte in (32, 9, 10, 13, 44, 91, 93):
            position += 1
            continue
        start = position
        state = CUT_SHORT
        if byte != OPEN:
            state = NOT_AN_OBJECT
            while position < end and buffer[position] not in (NEWLINE, OPEN) and position - start < record_limit:
                position += 1
        else:
            depth = 0
            text = False
            while position < end and position - start < record_limit:
                byte = buffer[position]
                if text:
                    if byte == BACKSLASH:
                        position += 1
                    elif byte == QUOTE:
                        text = False
                    elif byte == NEWLINE:
                        text = False
                        position -= 1  # look at it again, as the end of a line
                elif byte == QUOTE:
                    text = True
                elif byte == OPEN:
                    depth += 1
                elif byte == CLOSE:
                    depth -= 1
                    if depth == 0:
                        position += 1
                        state = SOUND
                        break
                elif byte == NEWLINE and position + 1 < end and buffer[position + 1] == OPEN:
                    break
                elif byte == NEWLINE and position + 1 >= end and not final:
                    return count, start
                position += 1
            position = min(position, end)
        if state != SOUND:
            if position - start >= record_limit:
                state = TOO_LONG
                position = start + record_limit
            elif position >= end and not final:
                return count, start
        record_start[count] = start
        record_end[count] = position
        next_start[count] = position
        status[count] = state
        count += 1
    return count, position
