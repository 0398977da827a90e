"""radclient of FreeRADIUS as the access server, over the loopback, against a whole door with a fake shard."""

import shutil
import subprocess

import pytest
from tests.network.radius.builders import SECRET, FakeBook, a_door, sealed
from tests.network.radius.test_authentication import FIBRE

from millicent.charging.types import Unit, Verb
from millicent.network.radius.clients import Vendor

SHARED = SECRET.decode()
pytestmark = pytest.mark.skipif(shutil.which("radclient") is None, reason="radclient is not here: freeradius-utils")


def radclient(attributes, *, port, what, secret=SHARED):
    """What radclient prints. It checks the answer's authenticator, and waits two seconds for one."""
    command = ["radclient", "-x", "-r", "1", "-t", "2", f"127.0.0.1:{port}", what, secret]
    return subprocess.run(command, input=attributes, capture_output=True, text=True, timeout=20, check=False).stdout


def mikrotik(**changed):
    return a_door(book=FakeBook(credential=sealed(), profile=FIBRE), vendor=Vendor.MIKROTIK, **changed)


@pytest.mark.parametrize("kind", ["User-Password", "CHAP-Password"])
def test_radclient_is_let_in_with_its_rate(kind):
    request = f"User-Name=anna@isp,{kind}=s3cret-of-anna,Message-Authenticator=0x00"
    with mikrotik() as running:
        printed = radclient(request, port=running.door.ports[0], what="auth")

    assert "Received Access-Accept" in printed
    assert 'Mikrotik-Rate-Limit = "50M/600M"' in printed
    assert "Mikrotik-Total-Limit = 1000" in printed
    assert 'Framed-Pool = "homes"' in printed
    assert "Acct-Interim-Interval = 300" in printed


def test_radclient_is_refused_with_a_wrong_password():
    request = "User-Name=anna@isp,User-Password=wrong,Message-Authenticator=0x00"
    with mikrotik() as running:
        printed = radclient(request, port=running.door.ports[0], what="auth")

    assert "Received Access-Reject" in printed


def test_radclient_with_another_secret_hears_nothing():
    request = "User-Name=anna@isp,User-Password=s3cret-of-anna,Message-Authenticator=0x00"
    with mikrotik() as running:
        printed = radclient(request, port=running.door.ports[0], what="auth", secret="another-secret")

    assert "Received" not in printed


def test_radclient_asks_whether_we_are_there():
    with mikrotik() as running:
        for port in running.door.ports:
            assert "Received" in radclient("Message-Authenticator=0x00", port=port, what="status")


def test_radclient_reports_a_whole_session():
    told = "User-Name=anna@isp,Acct-Session-Id=81c00123,NAS-Identifier=bras-1,"
    with mikrotik() as running:
        port = running.door.ports[1]
        printed = [
            radclient(told + more, port=port, what="acct")
            for more in (
                "Acct-Status-Type=Start",
                "Acct-Status-Type=Interim-Update,Acct-Session-Time=60,Acct-Input-Octets=1,Acct-Output-Gigawords=2",
                "Acct-Status-Type=Stop,Acct-Session-Time=90,Acct-Input-Octets=3,Acct-Output-Octets=4,"
                "Acct-Output-Gigawords=2,Acct-Terminate-Cause=User-Request",
            )
        ]

    assert all("Received Accounting-Response" in each for each in printed)
    told = [(verb, int(row["used"][Unit.TOTAL_OCTETS])) for verb, row in running.port.commands() if verb is Verb.UNITS]
    assert told == [(Verb.UNITS, 0), (Verb.UNITS, 2 * 2**32 + 1), (Verb.UNITS, 2 * 2**32 + 7)]
    assert running.port.sessions == set()
