"""The demo's charging process and its doors, on free ports of this machine: started early, to be warm in time."""

import secrets
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from uuid import UUID

from millicent.charging.client import SyncChargingClient, socket_path
from millicent.charging.services.declare_services import declare_services
from millicent.config.settings import settings
from millicent.kit.errors import Defect, Outage
from millicent.kit.tenancy import tenant_scope

_DECLARATION = Path(__file__).parent / "charging.yaml"
_MARK = "# written by `millicent demo`\n"
_PATIENCE_SECONDS = 600  # the first start in a new home compiles the loops
_STOP_SECONDS = 30
_PAUSE_SECONDS = 1


class DemoShardSilent(Outage):
    """The demo's charging process did not open in time: on a busy machine its loops take minutes to compile."""

    code = "demo_shard_silent"


def missing_clients() -> list[str]:
    """Packages of other people's Diameter and RADIUS that are not installed: the live part of the demo needs them."""
    return [
        package for module, package in (("diameter", "python-diameter"), ("pyrad", "pyrad")) if not find_spec(module)
    ]


@dataclass(slots=True, kw_only=True)
class LiveDoors:
    """Ports of the doors, the access server's own port, and the process that opens them."""

    log: Path
    diameter_port: int
    authentication_port: int
    accounting_port: int
    secret: bytes = field(repr=False)
    changes: socket.socket = field(repr=False)  # where the access server hears changes of authorisation
    _running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the charging process; it ends with this one."""
        command = [sys.executable, "-m", "millicent", "charging", "serve", "--beside-parent"]
        with self.log.open("wb") as out:
            self._running = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)

    def wait(self) -> None:
        """Return once doors and socket are open."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < until:
            if self._running is None or self._running.poll() is not None:
                raise Defect(f"the charging process ended before it was open: see {self.log}", log=str(self.log))
            if self._is_open():
                return
            time.sleep(_PAUSE_SECONDS)
        raise DemoShardSilent("its loops were not compiled in time", log=str(self.log))

    def _is_open(self) -> bool:
        chosen = settings()
        try:
            with SyncChargingClient(socket_path(chosen.home_path, tenant=chosen.tenant)) as port:
                port.look("status")
            socket.create_connection(("127.0.0.1", self.diameter_port), timeout=1).close()
        except (OSError, Outage):
            return False
        return True

    def stop(self) -> None:
        """A graceful end: the last snapshot is taken."""
        self.changes.close()
        if self._running is None or self._running.poll() is not None:
            return
        self._running.terminate()
        try:
            self._running.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._running.kill()
            self._running.wait()


def declared_doors(tenant_id: UUID, *, out: Path, now: datetime) -> LiveDoors | None:
    """Declare services and doors; None where somebody declared doors of his own in this home."""
    folder = settings().home_path / "doors" / settings().tenant
    texts = [folder / name for name in ("diameter.yaml", "radius.yaml")]
    if any(each.exists() and not each.read_text(encoding="utf-8").startswith(_MARK) for each in texts):
        return None
    with tenant_scope(tenant_id):
        declare_services(_DECLARATION.read_text(encoding="utf-8"), who="demo", now=now)
    folder.mkdir(parents=True, exist_ok=True)
    secret_file = folder / "tower-1.secret"
    secret_file.touch(mode=0o600)
    secret_file.write_text(secrets.token_urlsafe(24))
    changes = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    changes.bind(("127.0.0.1", 0))
    diameter, authentication, accounting = _free_ports(3)
    texts[0].write_text(_MARK + _DIAMETER.format(port=diameter), encoding="utf-8")
    coa = changes.getsockname()[1]
    texts[1].write_text(
        _MARK + _RADIUS.format(authentication=authentication, accounting=accounting, coa=coa, secret=secret_file),
        encoding="utf-8",
    )
    return LiveDoors(
        log=out / "charging.log",
        diameter_port=diameter,
        authentication_port=authentication,
        accounting_port=accounting,
        secret=secret_file.read_bytes(),
        changes=changes,
    )


_DIAMETER = """\
host: ocs.aurora.example
realm: aurora.example
listen: [{{address: 127.0.0.1, port: {port}}}]
peers: [{{host: pgw.aurora.example, addresses: [127.0.0.0/8]}}]
currencies: [EUR]
dial_plan: {{region: ES}}
"""
_RADIUS = """\
listen: {{address: 127.0.0.1, authentication_port: {authentication}, accounting_port: {accounting}}}
clients:
  tower-1: {{address: 127.0.0.1/32, vendor: mikrotik, coa_port: {coa}, secret: {{file: "{secret}"}}}}
profiles:
  fibre-600: {{rate_limit: 600M/600M, throttled_rate_limit: 10M/10M}}
"""


def _free_ports(count: int) -> list[int]:
    """Ports that nobody had a moment ago, for TCP and UDP alike."""
    found: list[socket.socket] = []
    try:
        while len(found) < count:
            place = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            found.append(place)
            place.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in found]
    finally:
        for each in found:
            each.close()
