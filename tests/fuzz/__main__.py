"""`python -m tests.fuzz --inputs 10000000 --seed 1`: spoilt messages to every decoder, counted."""

import argparse
import resource
import time
from collections import Counter

from tests.fuzz.targets import BATCH, TARGETS

ROUND = 10 * BATCH  # inputs between two looks at memory
MOST_GROWTH_KIB = 200_000


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--inputs", type=int, default=10_000_000)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--only", default="")
    said = asked.parse_args()
    in_all = 0
    for target in TARGETS:
        if said.only in ("", target.name):
            in_all += run(target, count=max(1, said.inputs * target.share // 100), seed=said.seed)
    print(f"seed {said.seed}: {in_all:,} inputs in all, no crash, no hang")


def run(target: object, *, count: int, seed: int) -> int:
    began, done, told, warm_kib = time.monotonic(), 0, Counter[str](), 0
    while done < count:
        part = min(ROUND, count - done)
        told += Counter(target.run(part, seed * 1_000_003 + done))
        done += part
        now_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        warm_kib = warm_kib or now_kib
        assert now_kib - warm_kib < MOST_GROWTH_KIB, f"{target.name}: memory grew by {now_kib - warm_kib} KiB"
    seconds = time.monotonic() - began
    outcomes = ", ".join(f"{name} {times:,}" for name, times in sorted(told.items()))
    print(f"{target.name}: {done:,} inputs in {seconds:.0f} s ({outcomes})", flush=True)
    return done


if __name__ == "__main__":
    main()
