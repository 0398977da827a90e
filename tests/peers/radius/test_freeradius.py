"""FreeRADIUS as an access server that takes our orders: it checks their authenticators as its own."""

import shutil
import socket
import subprocess
import time

import pytest
from tests.network.radius.builders import SECRET, FakeBook, a_door, sealed
from tests.network.radius.test_authentication import FIBRE

from millicent.charging.types import NoticeKind
from millicent.network.radius.clients import Vendor

SERVER = shutil.which("freeradius") or shutil.which("radiusd")
pytestmark = pytest.mark.skipif(SERVER is None, reason="FreeRADIUS is not here: freeradius")
SHARED = SECRET.decode()
SESSION = "81c00123;127.0.0.1/bras-1;10.1.2.3;anna@isp"
CONFIGURATION = """
prefix = /usr
libdir = {libraries}
run_dir = {folder}
logdir = {folder}
pidfile = {folder}/pid
name = access-server
max_request_time = 5
proxy_requests = no
security {{
    allow_core_dumps = no
    status_server = no
}}
thread pool {{
    start_servers = 1
    max_servers = 1
    min_spare_servers = 1
    max_spare_servers = 1
}}
client millicent {{
    ipaddr = 127.0.0.1
    secret = {secret}
}}
modules {{
    always ok {{
        rcode = ok
    }}
}}
server orders {{
    listen {{
        type = coa
        ipaddr = 127.0.0.1
        port = {port}
    }}
    recv-coa {{
        ok
    }}
    send-coa {{
        ok
    }}
}}
"""


def a_free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class FreeRadius:
    def __init__(self, folder, *, secret=SHARED):
        self.port = a_free_port()
        libraries = "/usr/lib/freeradius"
        (folder / "radiusd.conf").write_text(
            CONFIGURATION.format(folder=folder, libraries=libraries, secret=secret, port=self.port)
        )
        self.log = folder / "log"
        with self.log.open("w") as log:
            command = [SERVER, "-X", "-d", str(folder), "-n", "radiusd"]
            self.running = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        self.wait_for("Ready to process requests")

    def wait_for(self, text, seconds=10):
        until = time.monotonic() + seconds
        while text not in self.log.read_text():
            assert time.monotonic() < until, self.log.read_text()[-3000:]
            assert self.running.poll() is None, self.log.read_text()[-3000:]
            time.sleep(0.05)

    def stop(self):
        self.running.terminate()
        self.running.wait(10)


@pytest.fixture
def free_radius(tmp_path):
    server = FreeRadius(tmp_path)
    yield server
    server.stop()


def door(server):
    book = FakeBook(credential=sealed(), profile=FIBRE)
    return a_door(book=book, coa_port=server.port, vendor=Vendor.MIKROTIK)


def test_freeradius_acknowledges_a_change_of_rate(free_radius):
    with door(free_radius) as running:
        running.notify(NoticeKind.REAUTHORISE, SESSION)
        free_radius.wait_for("Sent CoA-ACK")

    assert 'Mikrotik-Rate-Limit = "50M/600M"' in free_radius.log.read_text()
    assert 'Acct-Session-Id = "81c00123"' in free_radius.log.read_text()


def test_freeradius_acknowledges_a_disconnection(free_radius):
    with door(free_radius) as running:
        running.notify(NoticeKind.ABORT, SESSION)
        free_radius.wait_for("Sent Disconnect-ACK")


def test_freeradius_with_another_secret_does_not_believe_us(tmp_path):
    server = FreeRadius(tmp_path, secret="another-secret-of-tests")
    try:
        with door(server) as running:
            running.notify(NoticeKind.ABORT, SESSION)
            server.wait_for("invalid")
        assert "Disconnect-ACK" not in server.log.read_text()
    finally:
        server.stop()
