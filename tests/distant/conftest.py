"""Stores at a distance, for real: an S3 server in this process, an SFTP server on the loopback. `make test-distant`.

They need packages and a program that the other tests do not, so they have a target of their own and are not collected
by `make test`. Imports of those packages stand in the fixtures: this file is read in every run.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from millicent.kit.lake import Lake


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for each in items:
        if Path(__file__).parent in each.path.parents:
            each.add_marker(pytest.mark.distant)


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """A bucket on an S3 server, and who may use it."""

    name: str
    endpoint: str
    key: str = "reader"
    secret: str = "reads-only-here"

    @property
    def lake_options(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": "us-east-1",
        }

    def lake(self, folder: str = "lake") -> "Lake":
        from millicent.kit.lake import Lake

        return Lake(root=f"s3://{self.name}/{folder}", storage_options=self.lake_options)


_S3_SERVER = """
import logging, sys
from moto.server import ThreadedMotoServer
logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """A process of its own: beside delta-rs in one interpreter, an upload and the server waited for each other."""
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing"}
    pipe = subprocess.PIPE
    running = subprocess.Popen([sys.executable, "-c", _S3_SERVER], stdin=pipe, stdout=pipe, env=environment, text=True)
    assert running.stdout is not None
    yield f"http://127.0.0.1:{int(running.stdout.readline())}"
    running.communicate(timeout=60)


@pytest.fixture
def bucket(s3_endpoint: str, tmp_path: Path) -> Bucket:
    import s3fs

    made = Bucket(name=f"cdr-{tmp_path.name.replace('_', '-').lower()}"[:60].rstrip("-"), endpoint=s3_endpoint)
    s3fs.S3FileSystem(key=made.key, secret=made.secret, endpoint_url=made.endpoint).mkdir(made.name)
    return made


@dataclass(frozen=True, kw_only=True)
class SftpServer:
    """An OpenSSH server of this test alone. `folder` is what a switch would write to."""

    port: int
    user: str
    key_file: Path
    known_hosts: Path
    folder: Path

    @property
    def url(self) -> str:
        return f"sftp://{self.user}@127.0.0.1:{self.port}{self.folder}"


@pytest.fixture
def sftp_server(tmp_path: Path) -> Iterator[SftpServer]:
    import getpass

    sshd = shutil.which("sshd") or "/usr/sbin/sshd"
    assert Path(sshd).exists(), "install openssh-server: these tests start one of their own on the loopback"
    Path("/run/sshd").mkdir(exist_ok=True) if os.geteuid() == 0 else None
    for name in ("host", "login"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    folder = tmp_path / "cdr"
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {tmp_path}/host\nPidFile none\nUsePAM no\nStrictModes no\n"
        f"AuthorizedKeysFile {tmp_path}/login.pub\nPasswordAuthentication no\nPermitRootLogin yes\n"
        "Subsystem sftp internal-sftp\n"
    )
    host_key = (tmp_path / "host.pub").read_text().rsplit(" ", 1)[0]
    (tmp_path / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}\n")
    with (tmp_path / "sshd.log").open("wb") as log:
        running = subprocess.Popen([sshd, "-D", "-e", "-f", tmp_path / "config"], stderr=log)
        _wait_until_it_answers(port, running)
        yield SftpServer(
            port=port,
            user=getpass.getuser(),
            key_file=tmp_path / "login",
            known_hosts=tmp_path / "known_hosts",
            folder=folder,
        )
        running.terminate()
        running.wait(timeout=30)


def _wait_until_it_answers(port: int, running: "subprocess.Popen[bytes]") -> None:
    for _ in range(300):
        assert running.poll() is None, "sshd ended: see sshd.log beside the test's files"
        with socket.socket() as asking:
            if asking.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("sshd does not answer")
