"""Real stores for the tests: one PostgreSQL for the session, a fresh tenant and a fresh lake for each test.

`MILLICENT_TEST_DATABASE_URL` (an administrator's URL) runs the same suite on a PostgreSQL of yours.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest

_HOME = Path(os.environ.get("MILLICENT_TEST_HOME") or tempfile.mkdtemp(prefix="millicent-test-"))
os.environ["MILLICENT_HOME"] = str(_HOME)
for _name in [name for name in os.environ if name.startswith("MILLICENT_") and "_TEST_" not in name]:
    if _name != "MILLICENT_HOME":
        del os.environ[_name]
# Compiled kernels outlive the test's home, so a second run is quick.
os.environ.setdefault("NUMBA_CACHE_DIR", str(Path.home() / ".cache" / "millicent-numba"))

_admin_url = os.environ.get("MILLICENT_TEST_DATABASE_URL")
if _admin_url:
    from tests.external_database import prepare_external_database

    prepare_external_database(_admin_url)


from millicent.config.setup import open_stores  # noqa: E402 - the environment above must come first

open_stores(migrate=True)

from django.db import connections  # noqa: E402 - Django is set up by now

from millicent.kit.embedded import leave_servers  # noqa: E402
from millicent.kit.models import Tenant  # noqa: E402
from millicent.kit.tenancy import tenant_scope  # noqa: E402


def pytest_sessionfinish() -> None:
    """Stop the embedded server and remove the home that was made for this session."""
    connections.close_all()
    leave_servers()
    if "MILLICENT_TEST_HOME" not in os.environ:
        shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture
def tenant_id() -> Iterator[UUID]:
    """A tenant of its own for each test: row security keeps the tests apart, so nothing needs cleaning."""
    tenant = Tenant.objects.create(code=f"test-{uuid4().hex[:12]}", created_at=datetime(2026, 1, 1, tzinfo=UTC))
    yield tenant.id
    connections.close_all()


@pytest.fixture
def tenant(tenant_id: UUID) -> Iterator[UUID]:
    """The same, with its transaction already open. Code that opens its own transactions takes `tenant_id`."""
    with tenant_scope(tenant_id):
        yield tenant_id
