"""PostgreSQL keeps tenants apart, whatever the code above it does."""

from django.apps import apps
from django.db import connection

from millicent.kit.tenancy import TenantTable


def test_every_tenant_table_forces_row_security():
    tables = [model._meta.db_table for model in apps.get_models() if issubclass(model, TenantTable)]

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relname = ANY(%s) AND relrowsecurity AND relforcerowsecurity", [tables]
        )
        protected = {name for (name,) in cursor.fetchall()}

    assert protected == set(tables)
