"""What a command does before it touches a store: Django, migrations, the role guard, the tenant."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from uuid import UUID

from millicent.config.settings import settings


@lru_cache(maxsize=1)
def open_stores() -> None:
    """Start or find PostgreSQL, bring its tables up to date, refuse a role that could bypass row security."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "millicent.config.django")
    import django
    from django.conf import settings as django_settings
    from django.core.management import call_command

    from millicent.kit.postgres import refuse_privileged_role

    django.setup()

    from millicent.kit.tenancy import protect_tables  # tables can be imported only now

    call_command("migrate", database="owner", verbosity=0, interactive=False)
    protect_tables()
    refuse_privileged_role(django_settings.DATABASE_URLS.application)


def tenant_id_of(code: str) -> UUID:
    """Find the tenant, or make it on first use."""
    from millicent.kit.clock import system_now
    from millicent.kit.models import Tenant

    tenant, _ = Tenant.objects.get_or_create(code=code, defaults={"created_at": system_now()})
    return UUID(str(tenant.id))


@contextmanager
def tenant_work() -> Iterator[UUID]:
    """One transaction for the configured tenant, with the stores open."""
    open_stores()
    from millicent.kit.tenancy import tenant_scope

    tenant_id = tenant_id_of(settings().tenant)
    with tenant_scope(tenant_id):
        yield tenant_id
