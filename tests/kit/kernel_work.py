"""A loop that is compiled in a cache of its own, for processes that a test starts at the same moment."""

import sys

import numpy as np

from millicent.kit import notices
from millicent.kit.kernels import kernel


@kernel
def total(amounts):
    found = 0
    for amount in amounts:
        found += amount
    return found


if __name__ == "__main__":
    notices.on_kernel_compiling.append(lambda name: print("compiling", name))
    sys.stdin.readline()
    print(total(np.arange(5)))
