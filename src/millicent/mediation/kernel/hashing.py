"""A 128-bit hash of byte strings, stable for ever: event keys and the subscriber directory are found by it.

The algorithm is MurmurHash3 x64 128 (public domain, Austin Appleby). It is not cryptographic and need not be: keys are
found among the operator's own records. Each half loses its top bit, because the lake knows no unsigned integers.
"""

import numpy as np

from millicent.kit.kernels import Int8s, Int64s, UInt8s, UInt64s, inlined, kernel

_C1 = np.uint64(0x87C37B91114253D5)
_C2 = np.uint64(0x4CF5AD432745937F)
_FIVE = np.uint64(5)
_N1 = np.uint64(0x52DCE729)
_N2 = np.uint64(0x38495AB5)
_M1 = np.uint64(0xFF51AFD7ED558CCD)
_M2 = np.uint64(0xC4CEB9FE1A85EC53)
_POSITIVE = np.uint64(0x7FFFFFFFFFFFFFFF)
_S8, _S27, _S31, _S33 = np.uint64(8), np.uint64(27), np.uint64(31), np.uint64(33)
_S30, _S64 = np.uint64(30), np.uint64(64)
_ZERO = np.uint64(0)


@inlined
def _rotated(value: np.uint64, by: np.uint64) -> np.uint64:
    return (value << by) | (value >> (_S64 - by))


@inlined
def _mixed(value: np.uint64) -> np.uint64:
    value ^= value >> _S33
    value *= _M1
    value ^= value >> _S33
    value *= _M2
    value ^= value >> _S33
    return value


@inlined
def _word(text: UInt8s, start: int, length: int) -> np.uint64:
    """Up to 8 bytes, little-endian."""
    word = _ZERO
    for place in range(length):
        word |= np.uint64(text[start + place]) << np.uint64(8 * place)
    return word


@kernel
def hash_texts(
    text: UInt8s,  # all strings behind each other
    offsets: Int64s,  # [n + 1]
    kind: Int8s,  # [n] which seed; [0] where one seed serves all
    seeds: UInt64s,  # [kinds * 2]
    high: UInt64s,  # [n] written, below 2^63
    low: UInt64s,  # [n] written, below 2^63
) -> None:
    """Hash every string under the seed of its kind."""
    one_kind = kind.shape[0] == 0
    for row in range(offsets.shape[0] - 1):
        seed = 0 if one_kind else 2 * int(kind[row])
        first, second = seeds[seed], seeds[seed + 1]
        start, length = offsets[row], offsets[row + 1] - offsets[row]
        whole = length // 16
        for block in range(whole):
            at = start + 16 * block
            first ^= _rotated(_word(text, at, 8) * _C1, _S31) * _C2
            first = (_rotated(first, _S27) + second) * _FIVE + _N1
            second ^= _rotated(_word(text, at + 8, 8) * _C2, _S33) * _C1
            second = (_rotated(second, _S31) + first) * _FIVE + _N2
        at, rest = start + 16 * whole, length - 16 * whole
        if rest > 8:
            second ^= _rotated(_word(text, at + 8, rest - 8) * _C2, _S33) * _C1
        if rest > 0:
            first ^= _rotated(_word(text, at, min(rest, 8)) * _C1, _S31) * _C2
        first ^= np.uint64(length)
        second ^= np.uint64(length)
        first += second
        second += first
        first, second = _mixed(first), _mixed(second)
        first += second
        second += first
        high[row] = first & _POSITIVE
        low[row] = second & _POSITIVE
