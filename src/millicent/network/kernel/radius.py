"""Walks a batch of RADIUS datagrams (RFC 2865 clause 3 and 5): what accounting needs, as one row of numbers each.

Every length is checked against the datagram before a byte behind it is read; what is wrong is a fault.
"""

import numpy as np

from millicent.kit.kernels import Int64s, UInt8s, inlined, kernel

ABSENT = -1
SOUND, TOO_SHORT, BAD_LENGTH, BAD_ATTRIBUTE = range(4)

# Columns of a row. Of a text: where its value begins in the datagram, and how many bytes it has.
FAULT, CODE, IDENTIFIER, LENGTH, STATUS, SESSION_SECONDS, INPUT_OCTETS, OUTPUT_OCTETS, DELAY_SECONDS = range(9)
EVENT_SECONDS, NAS_ADDRESS, FRAMED_ADDRESS, SIGNATURE, PROXY_STATE, EVENT_CAUSE, INPUT_HIGH, OUTPUT_HIGH = range(9, 17)
USER, USER_BYTES, SESSION, SESSION_BYTES, NAS, NAS_BYTES, CALLING, CALLING_BYTES, CLASS, CLASS_BYTES = range(17, 27)
COLUMNS = 27

_HEADER = 20
_GIGAWORD = 2**32
_MOST_GIGAWORDS = 2**26  # beyond any session; both ways together stay a quantity that may be charged


@inlined
def _number(datagrams: UInt8s, row: int, at: int, size: int) -> int:
    """Four bytes as a number; ABSENT where they are not four."""
    if size != 4:
        return ABSENT
    number = 0
    for position in range(at, at + 4):
        number = number * 256 + int(np.int64(datagrams[row, position]))
    return number


@inlined
def _number_column(kind: int) -> int:
    """Column of an attribute that is one number; ABSENT for any other. RFC 2866 clause 5, RFC 2869 clause 5."""
    if kind == 40:
        return STATUS
    if kind == 41:
        return DELAY_SECONDS
    if kind == 42:
        return INPUT_OCTETS
    if kind == 43:
        return OUTPUT_OCTETS
    if kind == 46:
        return SESSION_SECONDS
    if kind == 49:
        return EVENT_CAUSE
    if kind == 52:
        return INPUT_HIGH
    if kind == 53:
        return OUTPUT_HIGH
    if kind == 55:
        return EVENT_SECONDS
    if kind == 4:
        return NAS_ADDRESS
    if kind == 8:
        return FRAMED_ADDRESS
    return ABSENT


@inlined
def _text_column(kind: int) -> int:
    if kind == 1:
        return USER
    if kind == 44:
        return SESSION
    if kind == 32:
        return NAS
    if kind == 31:
        return CALLING
    if kind == 25:
        return CLASS
    return ABSENT


@kernel
def walk_radius(
    datagrams: UInt8s,  # [n, room]
    sizes: Int64s,  # [n] bytes that came
    found: Int64s,  # [n, COLUMNS] written
) -> None:
    """Find the attributes of every datagram. Of an attribute that stands twice the first counts.

    Octets and gigawords are put together (RFC 2869 clause 5.1), also where octets that are 0 were left out.
    """
    for row in range(sizes.shape[0]):
        for column in range(COLUMNS):
            found[row, column] = ABSENT
        found[row, FAULT] = SOUND
        size = min(sizes[row], datagrams.shape[1])
        if size < _HEADER:
            found[row, FAULT] = TOO_SHORT
            continue
        length = int(np.int64(datagrams[row, 2])) * 256 + int(np.int64(datagrams[row, 3]))
        if length < _HEADER or length > size:
            found[row, FAULT] = BAD_LENGTH
            continue
        found[row, CODE] = datagrams[row, 0]
        found[row, IDENTIFIER] = datagrams[row, 1]
        found[row, LENGTH] = length
        at = _HEADER
        while at < length:
            kind = int(np.int64(datagrams[row, at]))
            whole = int(np.int64(datagrams[row, at + 1])) if at + 2 <= length else 0
            if whole < 2 or at + whole > length:
                found[row, FAULT] = BAD_ATTRIBUTE
                break
            column = _number_column(kind)
            if column != ABSENT and found[row, column] == ABSENT:
                found[row, column] = _number(datagrams, row, at + 2, whole - 2)
            column = _text_column(kind)
            if column != ABSENT and found[row, column] == ABSENT:
                found[row, column] = at + 2
                found[row, column + 1] = whole - 2
            if kind == 80 and found[row, SIGNATURE] == ABSENT:
                found[row, SIGNATURE] = at + 2
                if whole != 18:
                    found[row, FAULT] = BAD_ATTRIBUTE
                    break
            if kind == 33 and found[row, PROXY_STATE] == ABSENT:
                found[row, PROXY_STATE] = at
            at += whole
        if found[row, INPUT_HIGH] > 0:
            found[row, INPUT_OCTETS] = max(found[row, INPUT_OCTETS], 0)
            found[row, INPUT_OCTETS] += min(found[row, INPUT_HIGH], _MOST_GIGAWORDS) * _GIGAWORD
        if found[row, OUTPUT_HIGH] > 0:
            found[row, OUTPUT_OCTETS] = max(found[row, OUTPUT_OCTETS], 0)
            found[row, OUTPUT_OCTETS] += min(found[row, OUTPUT_HIGH], _MOST_GIGAWORDS) * _GIGAWORD
