"""A PostgreSQL of a test's own, with charging's tables, so that it may be killed or starved."""

import os
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg

from millicent.charging.journal.connection import JournalStore
from millicent.charging.server.opening import ShardPlace
from millicent.kit import embedded
from millicent.kit.embedded import programs_folder, revive_servers
from millicent.kit.postgres import start_embedded


@contextmanager
def a_server_of_its_own(folder: Path):
    """Its URLs and its cluster folder; stopped and left behind at the end."""
    cluster = folder / "postgres"
    urls = start_embedded(cluster)
    copy_tables(urls)
    try:
        yield urls, cluster
    finally:
        use = embedded._uses.pop(cluster.resolve())
        if embedded._is_running(cluster):
            embedded._run_program(cluster, "pg_ctl", "stop", "-m", "immediate", "-w")
        use.users_file.close()


def copy_tables(urls) -> None:
    """Charging's tables as the session's server has them: without their rows."""
    from millicent.config.django import DATABASE_URLS

    dumped = subprocess.run(
        [str(programs_folder() / "pg_dump"), "--schema-only", DATABASE_URLS.admin],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    script = "\n".join(line for line in dumped.splitlines() if not line.startswith("\\"))
    with psycopg.connect(urls.admin, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
        connection.execute(script)
        connection.execute("GRANT USAGE ON SCHEMA public TO PUBLIC")  # a schema made anew is nobody else's


def a_place_there(urls, folder: Path) -> ShardPlace:
    store = JournalStore(url=urls.application, tenant_id=uuid4(), revive=revive_servers)
    return ShardPlace(store=store, snapshots=folder / "snapshots", socket=folder / "shard.sock")


def kill_server(cluster: Path) -> None:
    """Kill -9 of the postmaster and of every process it started."""
    postmaster = int((cluster / "postmaster.pid").read_text().split("\n", 1)[0])
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    for each in (postmaster, *map(int, children)):
        os.kill(each, signal.SIGKILL)
