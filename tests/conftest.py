"""Real stores for the tests: one PostgreSQL for the session, a fresh tenant and a fresh lake for each test.

`MILLICENT_TEST_DATABASE_URL` (an administrator's URL) runs the same suite on a PostgreSQL of yours.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, settings

_HOME = Path(os.environ.get("MILLICENT_TEST_HOME") or tempfile.mkdtemp(prefix="millicent-test-"))
os.environ["MILLICENT_HOME"] = str(_HOME)
for _name in [name for name in os.environ if name.startswith("MILLICENT_") and "_TEST_" not in name]:
    if _name != "MILLICENT_HOME":
        del os.environ[_name]
# Compiled kernels outlive the test's home, so a second run is quick.
os.environ.setdefault("NUMBA_CACHE_DIR", str(Path.home() / ".cache" / "millicent-numba"))


# A busy machine is slow, not wrong.
settings.register_profile("millicent", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("millicent")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Open the stores in each process that runs tests: not in one that only hands them out to its workers.

    Temporary folders stand in the session's own home. Those of pytest stand in one folder for all its sessions, and
    each that starts closes it to others: under root that shuts the door on the embedded server of a running test.
    """
    config.option.basetemp = config.option.basetemp or _HOME / "tmp"
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        return
    admin_url = os.environ.get("MILLICENT_TEST_DATABASE_URL")
    if admin_url:
        from tests.external_database import prepare_external_database

        prepare_external_database(admin_url)
    from millicent.config.setup import open_stores

    open_stores(migrate=True)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the embedded server and remove the home that was made for this session."""
    from django.db import connections

    from millicent.kit.embedded import leave_servers

    if "millicent.config.django" in sys.modules:
        connections.close_all()
    leave_servers()
    if "MILLICENT_TEST_HOME" not in os.environ:
        shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture
def tenant_id() -> Iterator[UUID]:
    """A tenant of its own for each test: row security keeps the tests apart, so nothing needs cleaning."""
    from django.db import connections

    from millicent.kit.models import Tenant

    tenant = Tenant.objects.create(code=f"test-{uuid4().hex[:12]}", created_at=datetime(2026, 1, 1, tzinfo=UTC))
    yield tenant.id
    connections.close_all()


@pytest.fixture
def tenant(tenant_id: UUID) -> Iterator[UUID]:
    """The same, with its transaction already open. Code that opens its own transactions takes `tenant_id`."""
    from millicent.kit.tenancy import tenant_scope

    with tenant_scope(tenant_id):
        yield tenant_id
