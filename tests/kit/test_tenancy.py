"""PostgreSQL keeps tenants apart, whatever the code above it does."""

import secrets
from threading import Thread

import psycopg
import pytest
from django.db import connection, connections, transaction
from psycopg import sql
from tests.kit.builders import a_tenant, admin_url

from millicent.config.django import DATABASE_URLS
from millicent.kit.tenancy import (
    _ROW_SECURITY,
    OneTransactionTwoTenants,
    leaking_views,
    tenant_scope,
)


@pytest.fixture(scope="module")
def table():
    """A tenant table as a migration would make it, protected as `protect_tables` does."""
    name = f"probe_{secrets.token_hex(4)}"
    application = connections["default"].settings_dict["USER"]
    parts = {"table": sql.Identifier(name), "role": sql.Identifier(application)}
    with psycopg.connect(DATABASE_URLS.owner, autocommit=True) as owner:
        owner.execute(
            sql.SQL(
                "CREATE TABLE {table} (word text, tenant_id uuid NOT NULL "
                "DEFAULT NULLIF(current_setting('millicent.tenant', true), '')::uuid)"
            ).format(**parts)
        )
        for statement in (*_ROW_SECURITY, "GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {role}"):
            owner.execute(sql.SQL(statement).format(**parts))
        yield name
        owner.execute(sql.SQL("DROP TABLE {table} CASCADE").format(**parts))


def run(statement: str, *arguments: object) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(statement, arguments)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def two_tenants(table):
    ours, theirs = a_tenant(), a_tenant()
    for tenant, word in ((ours, "ours"), (theirs, "theirs")):
        with tenant_scope(tenant):
            run(f"INSERT INTO {table} (word) VALUES (%s)", word)
    yield ours, theirs
    connections.close_all()


def test_a_scope_sees_its_own_rows_only(table, two_tenants):
    for tenant, word in zip(two_tenants, ("ours", "theirs"), strict=True):
        with tenant_scope(tenant):
            assert run(f"SELECT word FROM {table}") == [(word,)]


def test_without_a_scope_there_are_no_rows_and_nothing_can_be_inserted(table, two_tenants):
    assert run(f"SELECT word FROM {table}") == []
    with pytest.raises(Exception, match="row-level security"), transaction.atomic():
        run(f"INSERT INTO {table} (word, tenant_id) VALUES ('stray', %s)", two_tenants[0])
    with pytest.raises(Exception, match=r"not-null|row-level security"), transaction.atomic():
        run(f"INSERT INTO {table} (word) VALUES ('stray')")


def test_a_row_for_another_tenant_is_refused_and_leaves_no_trace(table, two_tenants):
    ours, theirs = two_tenants

    with pytest.raises(Exception, match="violates row-level security policy"), tenant_scope(ours):
        run(f"INSERT INTO {table} (word, tenant_id) VALUES ('planted', %s)", theirs)
    with pytest.raises(Exception, match="violates row-level security policy"), tenant_scope(ours):
        run(f"UPDATE {table} SET tenant_id = %s", theirs)

    with tenant_scope(theirs):
        assert run(f"SELECT word FROM {table}") == [("theirs",)]
    with tenant_scope(ours):
        assert run(f"SELECT word FROM {table}") == [("ours",)]


def test_updates_and_deletes_do_not_reach_another_tenant(table, two_tenants):
    ours, theirs = two_tenants

    with tenant_scope(ours):
        run(f"UPDATE {table} SET word = 'changed'")
        run(f"DELETE FROM {table}")

    with tenant_scope(theirs):
        assert run(f"SELECT word FROM {table}") == [("theirs",)]


def test_the_owner_of_the_table_is_held_too(table, two_tenants):
    with psycopg.connect(DATABASE_URLS.owner) as owner:
        assert owner.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


def test_a_superuser_would_see_everything_which_is_why_start_up_refuses_one(table, two_tenants):
    with psycopg.connect(admin_url()) as admin:
        admin.execute("SELECT set_config('millicent.tenant', %s, true)", [str(two_tenants[0])])
        assert admin.execute(f"SELECT count(*) >= 2 FROM {table}").fetchone() == (True,)


def test_a_connection_that_is_used_again_carries_no_tenant_over(table, two_tenants):
    with tenant_scope(two_tenants[0]):
        (backend,) = run("SELECT pg_backend_pid()")

    assert run("SELECT pg_backend_pid()") == [backend]
    assert run("SELECT coalesce(current_setting('millicent.tenant', true), '')") == [("",)]
    assert run(f"SELECT word FROM {table}") == []


def test_a_scope_that_fails_leaves_no_tenant_behind(table, two_tenants):
    with pytest.raises(ZeroDivisionError), tenant_scope(two_tenants[0]):
        raise ZeroDivisionError

    assert run(f"SELECT word FROM {table}") == []


def test_one_transaction_cannot_serve_two_tenants(two_tenants):
    ours, theirs = two_tenants

    with pytest.raises(OneTransactionTwoTenants), tenant_scope(ours), tenant_scope(theirs):
        pass
    with tenant_scope(ours), tenant_scope(ours):
        assert run("SELECT current_setting('millicent.tenant')") == [(str(ours),)]


def test_tenants_in_two_threads_do_not_meet(table, two_tenants):
    seen = {}

    def look(tenant):
        try:
            for _ in range(20):
                with tenant_scope(tenant):
                    seen.setdefault(tenant, set()).update(run(f"SELECT word FROM {table}"))
        finally:
            connections.close_all()

    threads = [Thread(target=look, args=[tenant]) for tenant in two_tenants]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert seen == {two_tenants[0]: {("ours",)}, two_tenants[1]: {("theirs",)}}


@pytest.mark.parametrize(
    ("view", "leaks"),
    [
        ("VIEW {view} AS SELECT * FROM {table}", True),
        ("MATERIALIZED VIEW {view} AS SELECT * FROM {table}", True),
        ("VIEW {view} WITH (security_invoker = true) AS SELECT * FROM {table}", False),
    ],
)
def test_a_view_that_would_show_other_tenants_rows_is_noticed(table, view, leaks):
    name = f"view_{secrets.token_hex(4)}"
    parts = {"view": sql.Identifier(name), "table": sql.Identifier(table)}
    kind = "MATERIALIZED VIEW" if view.startswith("MATERIALIZED") else "VIEW"
    with psycopg.connect(DATABASE_URLS.owner, autocommit=True) as owner:
        owner.execute(sql.SQL("CREATE " + view).format(**parts))
        try:
            assert (name in leaking_views()) == leaks
        finally:
            owner.execute(sql.SQL("DROP " + kind + " {view}").format(**parts))
