"""Longest prefix: a range of keys finds the node, the digit count keeps a short number from a longer prefix."""

import numpy as np

from millicent.kit.kernels import Int8s, Int32s, Int64s, inlined, kernel
from millicent.rating.kernel.arrays import NODE_LENGTH, NODE_PARENT, NOTHING, RANGE_NODE, RANGE_START, Prefixes
from millicent.rating.kernel.splice import spliced

WIDE_CELL = 10**10  # a cell for each first five digits
NARROW_CELL = 10**11  # a cell for each first four


@spliced
def node_of(prefixes: Prefixes, prefix_set: int, key: int, digits: int) -> int:
    """The longest prefix of the set that the number begins with, or NOTHING."""
    if digits <= 0:
        return NOTHING
    cell = prefixes.set_index_first[prefix_set]
    cell += key // WIDE_CELL if prefixes.set_wide[prefix_set] else key // NARROW_CELL
    low = prefixes.cells[cell]
    high = prefixes.cells[cell + 1]
    while low < high:
        middle = (low + high + 1) >> 1
        if prefixes.range[middle, RANGE_START] <= key:
            low = middle
        else:
            high = middle - 1
    node = prefixes.range[low, RANGE_NODE]
    while node >= 0 and prefixes.node[node, NODE_LENGTH] > digits:
        node = prefixes.node[node, NODE_PARENT]
    return node


@kernel
def find_nodes(prefixes: Prefixes, prefix_set: int, key: Int64s, digits: Int8s, node: Int32s) -> None:
    """The longest prefix of one set for many numbers."""
    for row in range(key.shape[0]):
        node[row] = node_of(prefixes, prefix_set, key[row], digits[row])


@inlined
def _push(range_start: Int64s, range_node: Int32s, count: int, start: int, node: int) -> int:
    """Add a range, in place of one that begins at the same key. Returns the new count."""
    if range_start[count - 1] == start:
        count -= 1
    range_start[count] = start
    range_node[count] = node
    return count + 1


@kernel
def flatten_prefixes(
    key: Int64s,  # [n] sorted, then by length
    length: Int32s,  # [n]
    parent: Int32s,  # [n] written
    range_start: Int64s,  # [2n + 1] written
    range_node: Int32s,  # [2n + 1] written
) -> int:
    """Make nested prefixes into disjoint ranges; returns how many. The first range begins at key 0."""
    stack = parent.copy()
    depth = 0
    count = 1
    range_start[0] = 0
    range_node[0] = NOTHING
    for place in range(key.shape[0] + 1):
        begins = key[place] if place < key.shape[0] else 2 * 10**15
        while depth > 0:
            top = stack[depth - 1]
            ends = key[top] + np.int64(10) ** np.int64(15 - length[top])
            if ends > begins:
                break
            depth -= 1
            count = _push(range_start, range_node, count, ends, stack[depth - 1] if depth > 0 else NOTHING)
        if place < key.shape[0]:
            parent[place] = stack[depth - 1] if depth > 0 else NOTHING
            stack[depth] = place
            depth += 1
            count = _push(range_start, range_node, count, begins, place)
    return count
