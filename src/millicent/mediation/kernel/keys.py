"""Which event keys were seen before: order within a chunk, a blocked Bloom filter, and search in sorted runs."""

import numpy as np

from millicent.kit.kernels import Bools, Int64s, UInt64s, inlined, kernel

WORDS_PER_BLOCK = 8  # 512 bits: one cache line answers one key
_SIX = np.uint64(6)
_SIXTY_THREE = np.uint64(63)
_ONE = np.uint64(1)


@kernel
def mark_repeats(
    order: Int64s,  # [n] rows by high half; equal ones in their order of arrival
    high: UInt64s,  # [n]
    low: UInt64s,  # [n]
    repeated: Bools,  # [n] written
) -> None:
    """Mark every row whose key came earlier in the same chunk: the first one stays."""
    count = order.shape[0]
    group = 0
    for place in range(count):
        row = order[place]
        if high[row] != high[order[group]]:
            group = place
        repeated[row] = False
        for earlier in range(group, place):
            if low[order[earlier]] == low[row]:
                repeated[row] = True
                break


@inlined
def _block_of(high: np.uint64, shift: np.uint64) -> int:
    """Blocks follow the order of keys, so sorted keys walk the filter from front to back."""
    return int(high >> shift) * WORDS_PER_BLOCK


@kernel
def add_to_filter(
    high: UInt64s,  # [n]
    low: UInt64s,  # [n]
    shift: np.uint64,
    filter_words: UInt64s,  # [blocks * WORDS_PER_BLOCK] changed
) -> None:
    """Set one bit in each word of the key's block."""
    for row in range(high.shape[0]):
        block, bits = _block_of(high[row], shift), low[row]
        for word in range(WORDS_PER_BLOCK):
            filter_words[block + word] |= _ONE << (bits & _SIXTY_THREE)
            bits >>= _SIX


@kernel
def ask_filter(
    high: UInt64s,  # [n]
    low: UInt64s,  # [n]
    shift: np.uint64,
    filter_words: UInt64s,
    perhaps: Bools,  # [n] written
) -> None:
    """False is certain: the key was never added."""
    for row in range(high.shape[0]):
        block, bits = _block_of(high[row], shift), low[row]
        found = True
        for word in range(WORDS_PER_BLOCK):
            if filter_words[block + word] & (_ONE << (bits & _SIXTY_THREE)) == np.uint64(0):
                found = False
                break
            bits >>= _SIX
        perhaps[row] = found


@inlined
def _precedes(run: UInt64s, place: int, high: np.uint64, low: np.uint64) -> bool:
    return bool(run[2 * place] < high or (run[2 * place] == high and run[2 * place + 1] < low))


@kernel
def find_in_run(
    high: UInt64s,  # [n] rising together with low
    low: UInt64s,  # [n]
    run: UInt64s,  # [m * 2] high, low, high, low, ... rising
    found: Bools,  # [n] set where the key is in the run; others untouched
) -> None:
    """Search each key from where the one before was found, in growing steps, so close keys cost little."""
    length = run.shape[0] // 2
    floor = 0
    for row in range(high.shape[0]):
        step, ceiling = 1, floor
        while ceiling < length and _precedes(run, ceiling, high[row], low[row]):
            floor = ceiling + 1
            ceiling += step
            step *= 2
        ceiling = min(ceiling, length)
        while floor < ceiling:
            middle = (floor + ceiling) // 2
            if _precedes(run, middle, high[row], low[row]):
                floor = middle + 1
            else:
                ceiling = middle
        if floor < length and run[2 * floor] == high[row] and run[2 * floor + 1] == low[row]:
            found[row] = True


@kernel
def merge_two(
    first: UInt64s,  # [a * 2] rising keys: high, low, high, low, ...
    second: UInt64s,  # [b * 2]
    merged: UInt64s,  # [(a + b) * 2] written
) -> None:
    """Merge two sorted runs of keys into one."""
    left, right = 0, 0
    for place in range(0, merged.shape[0], 2):
        takes_left = right >= second.shape[0] or (
            left < first.shape[0] and not _precedes(second, right // 2, first[left], first[left + 1])
        )
        if takes_left:
            merged[place], merged[place + 1] = first[left], first[left + 1]
            left += 2
        else:
            merged[place], merged[place + 1] = second[right], second[right + 1]
            right += 2
