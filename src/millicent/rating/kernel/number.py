"""Numbers as keys: the digits of a number padded to fifteen, so that a prefix is a range of keys.

ITU-T E.164 allows fifteen digits. Short codes ("short:112") live in a second range of keys, above all numbers.
"""

import numpy as np

from millicent.kit.kernels import Int8s, Int64s, UInt8s, inlined, kernel
from millicent.rating.kernel.arrays import SHORT_CODES

KEY_DIGITS = 15
NO_NUMBER = -1  # a text that is neither a number nor a short code: a SIP user name, a domain
_ZERO, _NINE, _PLUS = 48, 57, 43
_SHORT = (115, 104, 111, 114, 116, 58)  # "short:"


@inlined
def _after_mark(text: UInt8s, start: int, end: int) -> int:
    """Where the digits of a short code begin, or `start` when this is none."""
    if end - start <= 6:
        return start
    for place in range(6):
        if text[start + place] != _SHORT[place]:
            return start
    return start + 6


@kernel
def parse_numbers(text: UInt8s, end: Int64s, key: Int64s, digits: Int8s) -> None:
    """Turn texts into keys and digit counts; text i ends before `end[i + 1]` and begins at `end[i]`.

    An empty text has 0 digits, one that is no number has NO_NUMBER. Digits after the fifteenth are dropped.
    """
    for row in range(key.shape[0]):
        start = end[row]
        stop = end[row + 1]
        first = _after_mark(text, start, stop)
        base = SHORT_CODES if first != start else 0
        if first == start and stop > start and text[start] == _PLUS:
            first += 1
        value = np.int64(0)
        count = 0
        for place in range(first, stop):
            letter = np.int64(text[place])
            if letter < _ZERO or letter > _NINE:
                count = NO_NUMBER
                break
            if count < KEY_DIGITS:
                value = value * 10 + (letter - _ZERO)
                count += 1
        padded = value
        for _ in range(KEY_DIGITS - count if count > 0 else 0):
            padded *= 10
        key[row] = base + padded if count > 0 else 0
        digits[row] = count
