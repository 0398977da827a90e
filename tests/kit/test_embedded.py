"""The embedded PostgreSQL: shared, private, durable, and gone when its last user is."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import psycopg
import pytest

from millicent.kit import embedded
from millicent.kit.embedded import ServerDoesNotStart, ServerFolderUnsafe

HOLD = """
import sys
from pathlib import Path
from millicent.kit.embedded import use_server
server = use_server(Path(sys.argv[1]))
print(server.admin_url(), flush=True)
sys.stdin.readline()
"""


class User:
    """Another process that uses the server of a folder until it is told to leave, or is killed."""

    running: ClassVar[list["User"]] = []

    def __init__(self, folder: Path) -> None:
        self.running.append(self)
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def url(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def leave(self) -> None:
        self.process.communicate("\n", timeout=60)
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate(timeout=60)


@pytest.fixture
def cluster(tmp_path_factory):
    """Not below pytest's own folder alone: its long path is a case of its own."""
    folder = tmp_path_factory.mktemp("pg") / "postgres"
    yield folder
    for user in User.running:
        if user.process.returncode is None:
            user.kill()
    User.running.clear()
    if embedded._is_running(folder):
        embedded._run_program(folder, "pg_ctl", "stop", "-m", "immediate")


def answer(url: str, question: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute(question).fetchone()
        assert row is not None
        return str(row[0])


def is_silent(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return True
    return False


def test_two_processes_that_start_at_once_share_one_server_and_the_last_stops_it(cluster):
    first, second = User(cluster), User(cluster)
    url, other_url = first.url(), second.url()

    assert url == other_url
    assert answer(url, "SELECT 1") == "1"
    first.leave()
    assert answer(url, "SELECT 1") == "1"
    second.leave()
    assert is_silent(url)


def test_a_killed_user_is_not_waited_for_and_what_it_left_running_is_stopped_by_the_next(cluster):
    killed = User(cluster)
    url = killed.url()
    killed.kill()
    assert answer(url, "SELECT 1") == "1"

    following = User(cluster)
    assert following.url() == url
    following.leave()

    assert is_silent(url)


def test_a_killed_server_starts_again_and_has_kept_what_was_committed(cluster):
    first = User(cluster)
    url = first.url()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    os.kill(int((cluster / "postmaster.pid").read_text().split("\n")[0]), signal.SIGKILL)
    first.kill()

    second = User(cluster)
    assert answer(second.url(), "SELECT answer FROM kept") == "42"
    second.leave()


def test_a_pid_file_that_names_a_stranger_does_not_keep_the_server_from_starting(cluster):
    first = User(cluster)
    first.url()
    first.leave()
    (cluster / "postmaster.pid").write_text(f"{os.getpid()}\n{cluster}\n0\n5432\n{cluster}\n\n0 0\nready\n")

    second = User(cluster)
    assert answer(second.url(), "SELECT 1") == "1"
    second.leave()


def test_a_first_start_that_was_killed_is_begun_again(cluster):
    unfinished = cluster.with_name("postgres.unfinished")
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")

    user = User(cluster)
    assert answer(user.url(), "SELECT 1") == "1"
    user.leave()


def test_the_server_has_no_port_keeps_its_promises_on_disk_and_trusts_nobody(cluster):
    user = User(cluster)
    url = user.url()

    assert answer(url, "SELECT current_setting('listen_addresses')") == ""
    for name in ("fsync", "full_page_writes", "synchronous_commit", "data_checksums"):
        assert answer(url, f"SELECT current_setting('{name}')") == "on"
    assert answer(url, "SELECT string_agg(DISTINCT auth_method, ',') FROM pg_hba_file_rules") == "peer"
    assert stat.S_IMODE(cluster.stat().st_mode) == 0o700
    user.leave()


def test_a_path_too_long_for_a_socket_gets_a_short_private_folder(tmp_path):
    cluster = tmp_path / ("long" * 30) / "postgres"

    user = User(cluster)
    url = user.url()
    folder = Path(url.partition("host=")[2])

    assert answer(url, "SELECT 1") == "1"
    assert len(str(folder / embedded.SOCKET_NAME)) <= embedded.LONGEST_SOCKET_PATH
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    user.leave()


def test_a_socket_folder_that_others_may_enter_is_refused(tmp_path):
    cluster = tmp_path / ("long" * 30) / "postgres"
    folder = embedded._socket_folder(cluster)
    folder.chmod(0o755)

    with pytest.raises(ServerFolderUnsafe) as refusal:
        embedded._socket_folder(cluster)

    assert refusal.value.facts == {"folder": str(folder)}
    folder.rmdir()


def test_a_cluster_of_another_version_says_what_the_servers_log_said(cluster):
    user = User(cluster)
    user.url()
    user.leave()
    (cluster / "PG_VERSION").write_text("9.6\n")

    with pytest.raises(ServerDoesNotStart, match=r"pg_ctl ended with 1. Its log ends: .*9\.6"):
        embedded.use_server(cluster)
