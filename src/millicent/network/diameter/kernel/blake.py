"""BLAKE2b (RFC 7693) without a key: session keys made in the loop are those of `charging.keys.session_key`."""

import numba
import numpy as np

from millicent.kit.kernels import UInt8s, UInt64s
from millicent.rating.kernel.splice import spliced

BLOCK = 128
_VECTOR = np.array(
    [0x6A09E667F3BCC908, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B, 0xA54FF53A5F1D36F1,
     0x510E527FADE682D1, 0x9B05688C2B3E6C1F, 0x1F83D9ABFB41BD6B, 0x5BE0CD19137E2179],
    np.uint64,
)  # fmt: skip
_ORDER = np.array(
    [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
        [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
        [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
        [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
        [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
        [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
        [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
        [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
        [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    ],
    np.int64,
)

_16, _24, _32, _63, _1 = np.uint64(16), np.uint64(24), np.uint64(32), np.uint64(63), np.uint64(1)
_40, _48 = np.uint64(40), np.uint64(48)
_LAST = np.uint64(0xFFFFFFFFFFFFFFFF)
_UNKEYED = np.uint64(0x01010000)

if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]

    def _sum(one: np.uint64, other: np.uint64) -> np.uint64:
        """Modulo 2^64, which numpy's scalars would warn of."""
        return np.uint64((int(one) + int(other)) & 0xFFFFFFFFFFFFFFFF)

else:

    @spliced
    def _sum(one: np.uint64, other: np.uint64) -> np.uint64:
        return one + other


@spliced
def _mix(
    a: np.uint64, b: np.uint64, c: np.uint64, d: np.uint64, x: np.uint64, y: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    a = _sum(_sum(a, b), x)
    d ^= a
    d = (d >> _32) | (d << _32)
    c = _sum(c, d)
    b ^= c
    b = (b >> _24) | (b << _40)
    a = _sum(_sum(a, b), y)
    d ^= a
    d = (d >> _16) | (d << _48)
    c = _sum(c, d)
    b ^= c
    b = (b >> _63) | (b << _1)
    return a, b, c, d


@spliced
def _compress(state: UInt64s, words: UInt64s, at: int, counted: int, last: bool) -> None:
    v0, v1, v2, v3, v4, v5, v6, v7 = (
        state[0], state[1], state[2], state[3], state[4], state[5], state[6], state[7]
    )  # fmt: skip
    v8, v9, v10, v11 = _VECTOR[0], _VECTOR[1], _VECTOR[2], _VECTOR[3]
    v12 = _VECTOR[4] ^ np.uint64(counted)
    v13, v14, v15 = _VECTOR[5], _VECTOR[6] ^ (_LAST if last else np.uint64(0)), _VECTOR[7]
    for turn in range(12):
        order = _ORDER[turn]
        v0, v4, v8, v12 = _mix(v0, v4, v8, v12, words[at + order[0]], words[at + order[1]])
        v1, v5, v9, v13 = _mix(v1, v5, v9, v13, words[at + order[2]], words[at + order[3]])
        v2, v6, v10, v14 = _mix(v2, v6, v10, v14, words[at + order[4]], words[at + order[5]])
        v3, v7, v11, v15 = _mix(v3, v7, v11, v15, words[at + order[6]], words[at + order[7]])
        v0, v5, v10, v15 = _mix(v0, v5, v10, v15, words[at + order[8]], words[at + order[9]])
        v1, v6, v11, v12 = _mix(v1, v6, v11, v12, words[at + order[10]], words[at + order[11]])
        v2, v7, v8, v13 = _mix(v2, v7, v8, v13, words[at + order[12]], words[at + order[13]])
        v3, v4, v9, v14 = _mix(v3, v4, v9, v14, words[at + order[14]], words[at + order[15]])
    state[0] ^= v0 ^ v8
    state[1] ^= v1 ^ v9
    state[2] ^= v2 ^ v10
    state[3] ^= v3 ^ v11
    state[4] ^= v4 ^ v12
    state[5] ^= v5 ^ v13
    state[6] ^= v6 ^ v14
    state[7] ^= v7 ^ v15


@spliced
def _swapped(word: np.uint64) -> np.uint64:
    """The bytes of a little-endian word read the other way round."""
    turned = np.uint64(0)
    for place in range(8):
        byte = (word >> np.uint64(8 * place)) & np.uint64(255)
        turned |= byte << np.uint64(56 - 8 * place)
    return turned


@spliced
def digest_16(text: UInt8s, words: UInt64s, length: int, state: UInt64s) -> tuple[np.uint64, np.uint64]:
    """The 16-byte digest of `text[:length]` as two big-endian words.

    `words` is the same memory as `text`; both hold whole blocks, and are cleared after `length` to the block's end.
    """
    for place in range(8):
        state[place] = _VECTOR[place]
    state[0] ^= _UNKEYED ^ np.uint64(16)
    end = length
    while end % BLOCK != 0 or end == 0:
        text[end] = 0
        end += 1
    at = 0
    while at + BLOCK < end:
        _compress(state, words, at // 8, at + BLOCK, False)
        at += BLOCK
    _compress(state, words, at // 8, length, True)
    return _swapped(state[0]), _swapped(state[1])
