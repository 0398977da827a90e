"""A process of its own that collects a file and is killed on the way: run by test_killed_process.py."""

import os
import signal
import sys
from pathlib import Path
from uuid import UUID

from millicent.config.setup import open_stores

open_stores()

from tests.mediation.builders import ALICE, FOREVER_MS, collect, identifiers, stores_in  # noqa: E402 - tables are known

from millicent.mediation import road, usage_events  # noqa: E402


def main(*, tenant: str, folder: str, file: str, source: str, step: str, time: int) -> None:
    """Die of SIGKILL at the n-th occurrence of a step; with step "" say each step and live."""
    frame = identifiers(("sip_user", ALICE, 0, FOREVER_MS, 1, 17))
    road.identifier_frame = lambda: frame
    usage_events._LINES_AT_A_TIME = 45
    seen: list[str] = []

    def on_step(name: str) -> None:
        seen.append(name)
        print(name, flush=True)
        if name == step and seen.count(name) == time:
            os.kill(os.getpid(), signal.SIGKILL)

    collect(UUID(tenant), stores_in(Path(folder)), Path(file), source=source, on_step=on_step)


if __name__ == "__main__":
    tenant, folder, file, source, step, time = sys.argv[1:]
    main(tenant=tenant, folder=folder, file=file, source=source, step=step, time=int(time))
