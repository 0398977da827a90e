"""The running charging process as commands and works reach it."""

from collections.abc import Iterator
from contextlib import contextmanager
from getpass import getuser
from uuid import uuid4

from millicent.charging.client import SyncChargingClient, socket_path
from millicent.config.settings import settings


@contextmanager
def charging_port() -> Iterator[SyncChargingClient]:
    """A connection to the tenant's charging process; without one this is an Outage."""
    chosen = settings()
    with SyncChargingClient(socket_path(chosen.home_path, tenant=chosen.tenant)) as port:
        yield port


def new_key() -> str:
    """A key for an order that its caller gave none."""
    return f"cli:{uuid4().hex}"


def caller() -> str:
    """Who runs this command, for the books."""
    return getuser()
