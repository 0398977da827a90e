"""Tenants: every business table has one, and PostgreSQL itself keeps them apart (forced row-level security).

Work happens inside `tenant_scope`, which opens a transaction and sets `millicent.tenant` for just that transaction.
Outside a scope a query of the application role sees no row and an insert is refused: it fails closed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.apps import apps
from django.db import connection, connections, models, transaction
from django.db.models import Func
from psycopg import sql

from millicent.kit.errors import Defect
from millicent.kit.postgres import APPLICATION_ROLE

CURRENT_TENANT_SQL = "NULLIF(current_setting('millicent.tenant', true), '')::uuid"


class OneTransactionTwoTenants(Defect):
    """Work for a second tenant began inside the transaction of a first."""

    code = "one_transaction_two_tenants"


class CurrentTenant(Func):
    """Database default of every tenant column: the tenant of the running transaction."""

    template = CURRENT_TENANT_SQL
    arity = 0
    output_field = models.UUIDField()


class TenantTable(models.Model):
    """Base of every business table. `append_only` tables can be read and inserted into, never changed."""

    append_only = False

    tenant_id = models.UUIDField(db_default=CurrentTenant(), editable=False)

    class Meta:
        abstract = True


@contextmanager
def tenant_scope(tenant_id: UUID) -> Iterator[None]:
    """Do one transaction's work for one tenant. Nested scopes must be of the same tenant."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('millicent.tenant', true), set_config('millicent.tenant', %s, true)",
                [str(tenant_id)],
            )
            (current, _) = cursor.fetchone()
        if current not in (None, "", str(tenant_id)):
            raise OneTransactionTwoTenants(f"a transaction of tenant {current} cannot serve {tenant_id}")
        yield


def protect_tables(*, using: str = "owner", application_role: str = APPLICATION_ROLE) -> None:
    """Give every tenant table its policy and the application role its rights. Runs after each migration; idempotent."""
    role = sql.Identifier(application_role)
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(role))
        cursor.execute(sql.SQL("GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {}").format(role))
        cursor.execute(sql.SQL("GRANT SELECT ON django_migrations TO {}").format(role))
        for model in apps.get_models():
            table = sql.Identifier(model._meta.db_table)
            rights = "SELECT, INSERT" if getattr(model, "append_only", False) else "SELECT, INSERT, UPDATE, DELETE"
            cursor.execute(sql.SQL("REVOKE ALL ON {} FROM {}").format(table, role))
            cursor.execute(sql.SQL("GRANT {} ON {} TO {}").format(sql.SQL(rights), table, role))
            if issubclass(model, TenantTable):
                for statement in _ROW_SECURITY:
                    cursor.execute(sql.SQL(statement).format(table=table))


def unprotected_tables() -> list[str]:
    """Tables that a migration made and `protect_tables` has not reached: it was killed in between."""
    tenant_tables = [model._meta.db_table for model in apps.get_models() if issubclass(model, TenantTable)]
    all_tables = [model._meta.db_table for model in apps.get_models()]
    with connection.cursor() as cursor:
        cursor.execute(_UNPROTECTED_SQL, [all_tables, tenant_tables])
        return [name for (name,) in cursor.fetchall()]


_UNPROTECTED_SQL = """
    SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relname = ANY(%s)
      AND (NOT has_table_privilege(c.oid, 'SELECT')
           OR c.relname = ANY(%s) AND NOT (c.relrowsecurity AND c.relforcerowsecurity AND EXISTS (
                SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'tenant_rows_only')))
    ORDER BY c.relname
"""

_ROW_SECURITY = (
    "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
    "DROP POLICY IF EXISTS tenant_rows_only ON {table}",
    f"CREATE POLICY tenant_rows_only ON {{table}} USING (tenant_id = {CURRENT_TENANT_SQL}) "
    f"WITH CHECK (tenant_id = {CURRENT_TENANT_SQL})",
)


def leaking_views() -> list[str]:
    """Views that do not run with their reader's rights, and materialised views: both show every tenant's rows."""
    with connection.cursor() as cursor:
        cursor.execute(_LEAKING_VIEWS_SQL)
        return [name for (name,) in cursor.fetchall()]


_LEAKING_VIEWS_SQL = """
    SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public'
      AND (c.relkind = 'm' OR c.relkind = 'v' AND NOT coalesce(c.reloptions, '{}') && ARRAY[
           'security_invoker=true', 'security_invoker=on', 'security_invoker=1', 'security_invoker=yes'])
    ORDER BY c.relname
"""
