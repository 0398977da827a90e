"""Tables: migrations are complete, tenants are kept apart, what must hold is a named constraint."""

from io import StringIO

from django.apps import apps
from django.core.management import call_command
from django.db import connection

from millicent.kit.tenancy import TenantTable, leaking_views, unprotected_tables

BUSINESS_FREE = {"kit_tenant"}


def tenant_models():
    return [model for model in apps.get_models() if issubclass(model, TenantTable)]


def test_no_migration_is_missing():
    said = StringIO()
    try:
        call_command("makemigrations", check=True, dry_run=True, stdout=said, stderr=said)
    except SystemExit:
        raise AssertionError(said.getvalue()) from None


def test_every_table_but_the_tenants_own_belongs_to_a_tenant():
    assert {model._meta.db_table for model in apps.get_models()} - {m._meta.db_table for m in tenant_models()} == (
        BUSINESS_FREE
    )


def test_every_tenant_table_is_protected_and_no_view_leaks():
    assert unprotected_tables() == []
    assert leaking_views() == []


def test_every_unique_key_of_a_tenant_table_names_the_tenant():
    """A key without it would let one tenant learn, by a refusal, what another has."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT c.relname, i.relname FROM pg_index x
            JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
            WHERE c.relname = ANY(%s) AND x.indisunique AND NOT x.indisprimary AND NOT EXISTS (
                SELECT 1 FROM pg_attribute a
                WHERE a.attrelid = c.oid AND a.attnum = ANY(x.indkey::int2[]) AND a.attname = 'tenant_id')
            ORDER BY 1, 2
            """,
            [[model._meta.db_table for model in tenant_models()]],
        )
        assert cursor.fetchall() == []


def test_the_names_of_constraints_read_as_sentences():
    mute = [
        constraint.name
        for model in tenant_models()
        for constraint in model._meta.constraints
        if len(constraint.name.split("_")) < 3
    ]

    assert mute == []


def test_no_column_holds_a_float():
    found = [
        f"{model._meta.db_table}.{column.column}"
        for model in apps.get_models()
        for column in model._meta.local_fields
        if column.get_internal_type() == "FloatField"
    ]

    assert found == []
