"""One scripted run in which the n-th fsync is the last thing that its process does, for every n.

Those of PostgreSQL (its log, its checkpoints) and those of the charging process (snapshots) are counted together.
"""

import asyncio
import mmap
import os
import shutil
import struct
import subprocess
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest
from tests.charging.faults.harness import a_zygote, connected
from tests.charging.faults.own_server import a_server_of_its_own
from tests.charging.faults.real_shard import Subscriber, know_everybody

from millicent.charging.conservation import broken_promises
from millicent.charging.journal.connection import JournalStore
from millicent.charging.journal.verify import verify_journal
from millicent.charging.shard import Shard
from millicent.charging.types import Result
from millicent.kit import embedded
from millicent.kit.errors import Outage

SEED = 7
PATIENCE_SECONDS = 3  # then whoever is dead is started again, and the message sent again
SHIM = Path(__file__).with_name("last_fsync.c")
ACTS = 9  # of each of two subscribers, before and after the snapshot

pytestmark = [
    pytest.mark.skipif(shutil.which("gcc") is None, reason="needs Debian's gcc and libc6-dev, for a shim of fsync"),
    pytest.mark.skipif(bool(os.environ.get("MILLICENT_TEST_DATABASE_URL")), reason="needs the embedded PostgreSQL"),
]


class Counters:
    """The page that all processes with the shim share."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(4096))
        path.chmod(0o666)
        with path.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), 4096)

    def begin(self, *, last: int, not_even_done: bool = False) -> None:
        self._page[:24] = struct.pack("<qqq", 0, last, not_even_done)

    def count(self) -> int:
        return int(struct.unpack_from("<q", self._page)[0])


@contextmanager
def a_counted_server(folder, monkeypatch):
    """PostgreSQL with the shim in it, the environment for others, and the counters."""
    shim, page = folder / "last_fsync.so", folder / "page"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", str(shim), str(SHIM), "-ldl"], check=True)
    shim.chmod(0o755)
    counters = Counters(page)
    environment = {"LD_PRELOAD": str(shim), "LAST_FSYNC_PAGE": str(page)}

    def run(command, *, env, **said):
        return subprocess.run(command, env={**env, **environment} if "start" in command else env, **said)

    monkeypatch.setattr(embedded, "subprocess", SimpleNamespace(**{**vars(subprocess), "run": run}))
    with a_server_of_its_own(folder) as (urls, _):
        yield urls, environment, counters


def is_alive(child: int) -> bool:
    try:
        os.kill(child, 0)
    except ProcessLookupError:
        return False
    return True


class Run:
    """The script; whoever dies in it is started again, and what was not answered is sent again."""

    def __init__(self, zygote) -> None:
        self.zygote = zygote
        self.traffics: dict[str, int] = {}
        self.child = zygote.start()

    async def set_up(self) -> None:
        port = await connected(self.zygote.socket)
        self.traffics = await know_everybody(port)
        await port.__aexit__()

    async def live(self) -> list[Subscriber]:
        everybody = [Subscriber(each, SEED, self.traffics) for each in (1, 2)]
        for _ in range(2):
            for each in everybody * ACTS:
                await self.until_done(each.act)
            await self.until_done(lambda port: port.look("snapshot"))
        for each in everybody:
            await self.until_done(lambda port, each=each: self.tell_again(port, each))
        return everybody

    async def until_done(self, work):
        while True:
            embedded.revive_servers()
            if not is_alive(self.child):
                self.child = self.zygote.start()
            try:
                port = await asyncio.wait_for(connected(self.zygote.socket), timeout=PATIENCE_SECONDS)
            except TimeoutError:
                continue
            try:
                return await asyncio.wait_for(work(port), timeout=PATIENCE_SECONDS)
            except (Outage, TimeoutError):
                continue
            finally:
                await port.__aexit__()
                await asyncio.sleep(0)

    async def tell_again(self, port, subscriber):
        """Everything that was acknowledged is there: its stored answer comes, byte for byte, and nothing is done."""
        for rows, before in subscriber.acknowledged:
            if (before["result"] == Result.DONE).all():
                again = await port.submit(rows)
                assert [again[name].tolist() for name in again.dtype.names if name != "stored"] == [
                    before[name].tolist() for name in before.dtype.names if name != "stored"
                ]
                assert again["stored"].all()


def survives(urls, environment, counters, folder, *, last, not_even_done=False):
    """Live once, killed at an fsync. Returns how many there were."""
    folder.mkdir()
    store = JournalStore(url=urls.application, tenant_id=uuid4())
    with a_zygote(store.tenant_id, folder, "--real", url=store.url, environment=environment) as zygote:
        run = Run(zygote)
        asyncio.run(run.set_up())
        counters.begin(last=last, not_even_done=not_even_done)
        asyncio.run(run.live())
    there = counters.count()
    counters.begin(last=0)
    embedded.revive_servers()
    found = verify_journal(
        store, folder=folder / "snapshots", new_shard=Shard, judge=lambda shard: broken_promises(shard.tables())
    )
    assert found.faults == []
    assert last == 0 or there >= last
    return there


def test_a_run_survives_a_kill_at_some_of_its_fsyncs(tmp_path, monkeypatch):
    with a_counted_server(tmp_path, monkeypatch) as counted:
        there = survives(*counted, tmp_path / "calm", last=0)
        assert there > 40
        survives(*counted, tmp_path / "early", last=there // 5)
        survives(*counted, tmp_path / "late", last=there * 3 // 5, not_even_done=True)


@pytest.mark.slow
def test_a_run_survives_a_kill_at_every_fsync(tmp_path, monkeypatch):
    with a_counted_server(tmp_path, monkeypatch) as counted:
        there = survives(*counted, tmp_path / "calm", last=0)
        for last in range(1, there + 1):
            survives(*counted, tmp_path / f"{last}", last=last, not_even_done=bool(last % 2))
        print(f"seed {SEED}: killed at each of {there} fsyncs")
