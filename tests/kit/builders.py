"""What the tests of the stores need and do not talk about."""

import os
from uuid import UUID, uuid4

from millicent.config.django import DATABASE_URLS
from millicent.kit.clock import from_ms
from millicent.kit.models import Tenant
from millicent.kit.postgres import url_for

NOW = from_ms(1_767_225_600_000)  # 2026-01-01


def a_tenant() -> UUID:
    return Tenant.objects.create(code=f"test-{uuid4().hex[:12]}", created_at=NOW).id


def admin_url() -> str:
    """An administrator on the database of the tests."""
    given = os.environ.get("MILLICENT_TEST_DATABASE_URL")
    if not given:
        return DATABASE_URLS.admin
    database = DATABASE_URLS.application.partition("?")[0].rpartition("/")[2]
    return url_for(given, database=database)
