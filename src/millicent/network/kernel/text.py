"""Copies fields into Arrow's shape for text: one run of bytes and the offsets that cut it."""

import numpy as np

from millicent.kit.kernels import Int32s, Int64s, UInt8s, inlined, kernel
from millicent.network.kernel.copying import copy_bytes
from millicent.network.kernel.separated import BACKSLASHES, DOUBLED_QUOTES, PLAIN

BACKSLASH, QUOTE = 92, 34
FNV_START, FNV_PRIME, MASK_32 = 2_166_136_261, 16_777_619, 0xFFFFFFFF  # FNV-1a of 32 bits


@kernel
def mark_foreign_text(
    buffer: UInt8s,  # [b]
    record_start: Int32s,  # [n]
    record_end: Int32s,  # [n]
    foreign: UInt8s,  # [n] read: 1 where bytes above ASCII occur; written: 1 where they are not UTF-8
) -> None:
    """Find the records that are not UTF-8. Their bytes are read as Latin-1, in which every byte is a letter."""
    for row in range(record_start.shape[0]):
        if foreign[row] == 0:
            continue
        position, end, sound = record_start[row], record_end[row], True
        while position < end and sound:
            byte = buffer[position]
            if byte < 0x80:
                position += 1
                continue
            low, high = 0x80, 0xBF
            if 0xC2 <= byte <= 0xDF:
                more = 1
            elif 0xE0 <= byte <= 0xEF:
                more = 2
                low = 0xA0 if byte == 0xE0 else 0x80
                high = 0x9F if byte == 0xED else 0xBF
            elif 0xF0 <= byte <= 0xF4:
                more = 3
                low = 0x90 if byte == 0xF0 else 0x80
                high = 0x8F if byte == 0xF4 else 0xBF
            else:
                sound = False
                break
            if position + more >= end:
                sound = False
                break
            for step in range(1, more + 1):
                follower = buffer[position + step]
                if follower < low or follower > high:
                    sound = False
                low, high = 0x80, 0xBF
            position += more + 1
        foreign[row] = 0 if sound else 1


@inlined
def _put(byte: int, foreign: bool, out: UInt8s, at: int) -> int:
    if foreign and byte >= 0x80:
        out[at] = 0xC0 | (byte >> 6)
        out[at + 1] = 0x80 | (byte & 0x3F)
        return at + 2
    out[at] = byte
    return at + 1


@kernel
def measure_text(
    start: Int32s,  # [n] -1: absent
    end: Int32s,  # [n]
    foreign: UInt8s,  # [n]
) -> int:
    """The most bytes that `gather_text` can write."""
    total = 0
    for row in range(start.shape[0]):
        if start[row] >= 0:
            total += (end[row] - start[row]) * (2 if foreign[row] else 1)
    return total


@kernel
def gather_text(
    buffer: UInt8s,  # [b]
    start: Int32s,  # [n] -1: absent, which reads as ""
    end: Int32s,  # [n]
    style: UInt8s,  # [n] how it is written
    foreign: UInt8s,  # [n] 1: Latin-1
    out: UInt8s,  # [measure_text] written
    offsets: Int64s,  # [n + 1] written
) -> int:
    """Copy one field of every record, unescaped and as UTF-8. Returns the bytes written."""
    at = 0
    for row in range(start.shape[0]):
        offsets[row] = at
        if start[row] < 0:
            continue
        first, last = start[row], end[row]
        if style[row] == PLAIN and foreign[row] == 0:
            copy_bytes(out, at, buffer, first, last - first)
            at += last - first
            continue
        position = first
        while position < last:
            byte = buffer[position]
            if position + 1 < last and (
                (style[row] == DOUBLED_QUOTES and byte == QUOTE and buffer[position + 1] == QUOTE)
                or (style[row] == BACKSLASHES and byte == BACKSLASH)
            ):
                position += 1
                byte = buffer[position]
            at = _put(byte, foreign[row] != 0, out, at)
            position += 1
    offsets[start.shape[0]] = at
    return at


@kernel
def gather_json(
    buffer: UInt8s,  # [b]
    start: Int32s,  # [n, k] -1: absent
    end: Int32s,  # [n, k]
    style: UInt8s,  # [n, k]
    foreign: UInt8s,  # [n]
    names: UInt8s,  # bytes of `"name":` one after the other
    name_offsets: Int64s,  # [k + 1]
    out: UInt8s,  # written, large enough: see `measure_json`
    offsets: Int64s,  # [n + 1] written
) -> int:
    """Write the fields that are not empty as one JSON object of strings each row; "" where all are empty."""
    at = 0
    for row in range(start.shape[0]):
        offsets[row] = at
        opened = False
        for column in range(start.shape[1]):
            if start[row, column] < 0 or start[row, column] >= end[row, column]:
                continue
            out[at] = 44 if opened else 123
            at += 1
            opened = True
            for position in range(name_offsets[column], name_offsets[column + 1]):
                out[at] = names[position]
                at += 1
            out[at] = QUOTE
            at += 1
            position, last = start[row, column], end[row, column]
            while position < last:
                byte = buffer[position]
                if position + 1 < last and (
                    (style[row, column] == DOUBLED_QUOTES and byte == QUOTE and buffer[position + 1] == QUOTE)
                    or (style[row, column] == BACKSLASHES and byte == BACKSLASH)
                ):
                    position += 1
                    byte = buffer[position]
                if byte in (QUOTE, BACKSLASH):
                    out[at] = BACKSLASH
                    out[at + 1] = byte
                    at += 2
                elif byte < 32:
                    out[at] = BACKSLASH
                    out[at + 1] = 117  # u
                    out[at + 2] = 48
                    out[at + 3] = 48
                    out[at + 4] = 48 + (byte >> 4)
                    low = byte & 15
                    out[at + 5] = 48 + low if low < 10 else 87 + low
                    at += 6
                else:
                    at = _put(byte, foreign[row] != 0, out, at)
                position += 1
            out[at] = QUOTE
            at += 1
        if opened:
            out[at] = 125
            at += 1
    offsets[start.shape[0]] = at
    return at


@kernel
def measure_json(
    start: Int32s,  # [n, k]
    end: Int32s,  # [n, k]
    names_length: int,
) -> int:
    """The most bytes that `gather_json` can write: a byte may become six."""
    total = 0
    for row in range(start.shape[0]):
        total += names_length + 4 * start.shape[1] + 2
        for column in range(start.shape[1]):
            if start[row, column] >= 0:
                total += 6 * (end[row, column] - start[row, column])
    return total


@inlined
def _same_fields(buffer: UInt8s, start: Int32s, end: Int32s, one: int, other: int) -> bool:
    for column in range(start.shape[1]):
        length = end[one, column] - start[one, column]
        if length != end[other, column] - start[other, column]:
            return False
        for step in range(length):
            if buffer[start[one, column] + step] != buffer[start[other, column] + step]:
                return False
    return True


@kernel
def group_rows(
    buffer: UInt8s,  # [b]
    start: Int32s,  # [n, k] -1: absent
    end: Int32s,  # [n, k]
    foreign: UInt8s,  # [n]
    group: Int32s,  # [n] written
    leader: Int64s,  # [g] written: the first row of each group
) -> int:
    """Give rows of equal fields the same group. Returns the groups, or -1 where more than g are needed.

    Attributes repeat from record to record, so each distinct set is written once and shared.
    """
    size = 4 * leader.shape[0]
    mask = size - 1
    table = np.full(size, -1, np.int32)
    groups = 0
    for row in range(start.shape[0]):
        hashed = FNV_START + int(np.int64(foreign[row]))
        for column in range(start.shape[1]):
            for position in range(start[row, column], end[row, column]):
                hashed = ((hashed ^ int(np.int64(buffer[position]))) * FNV_PRIME) & MASK_32
            hashed = ((hashed ^ 255) * FNV_PRIME) & MASK_32
        slot = hashed & mask
        while True:
            found = table[slot]
            if found < 0:
                if groups == leader.shape[0]:
                    return -1
                table[slot] = groups
                leader[groups] = row
                group[row] = groups
                groups += 1
                break
            if _same_fields(buffer, start, end, row, leader[found]) and foreign[row] == foreign[leader[found]]:
                group[row] = found
                break
            slot = (slot + 1) & mask
    return groups
