"""Processes start when the tables are current, without owner rights, and say what to do when they are not."""

import json
import os
import subprocess
import sys

import psycopg
import pytest
from django.db import connection, connections
from psycopg import sql

from millicent.config import setup
from millicent.config.django import DATABASE_URLS
from millicent.kit.tenancy import TenantTable, unprotected_tables

URL_MODE = {"MILLICENT_DATABASE_URL": DATABASE_URLS.application}


@pytest.fixture
def forget_one_migration():
    """The database of the day before: its newest migration is not recorded."""
    with psycopg.connect(DATABASE_URLS.owner, autocommit=True) as owner:
        row = owner.execute("SELECT id, app, name, applied FROM django_migrations ORDER BY id DESC LIMIT 1").fetchone()
        assert row is not None
        owner.execute("DELETE FROM django_migrations WHERE id = %s", [row[0]])
        yield f"{row[1]}.{row[2]}"
        owner.execute("INSERT INTO django_migrations (id, app, name, applied) VALUES (%s, %s, %s, %s)", row)


def run_tenant_list(**environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if "DATABASE_URL" not in name}
    command = [sys.executable, "-m", "millicent", "tenant", "list", "--json"]
    return subprocess.run(command, env={**clean, **environment}, capture_output=True, text=True, check=False)


def test_nothing_is_pending_after_migrating():
    assert setup.pending_changes() == []


def test_an_application_process_starts_without_the_owner():
    done = run_tenant_list(**URL_MODE)

    assert (done.returncode, done.stderr) == (0, "")


def test_an_application_process_refuses_stale_tables_and_changes_nothing(forget_one_migration):
    assert setup.pending_changes() == [forget_one_migration]

    done = run_tenant_list(**URL_MODE, MILLICENT_OWNER_DATABASE_URL=DATABASE_URLS.owner)

    assert done.returncode == 3
    assert f"(1 changes, first {forget_one_migration}). Run `millicent migrate`" in done.stderr
    assert setup.pending_changes() == [forget_one_migration]


def test_a_role_that_owns_the_tables_is_refused_at_start():
    done = run_tenant_list(MILLICENT_DATABASE_URL=DATABASE_URLS.owner)

    assert done.returncode == 3
    assert "owns tables; Millicent will not start with it." in done.stderr


def test_a_silent_database_is_an_outage(tmp_path):
    done = run_tenant_list(MILLICENT_DATABASE_URL=f"postgresql://app@/db?host={tmp_path}")

    assert done.returncode == 4
    assert json.loads(done.stderr)["error"]["code"] == "database_silent"


def test_migrating_without_the_owners_url_is_refused(monkeypatch):
    monkeypatch.setattr(connections, "settings", {"default": connections.settings["default"]})

    with pytest.raises(setup.OwnerNeeded):
        setup.migrate_tables()


def test_a_table_that_lost_its_protection_is_pending_and_migrating_restores_it():
    table = next(model._meta.db_table for model in _tenant_models())
    with psycopg.connect(DATABASE_URLS.owner, autocommit=True) as owner:
        owner.execute(sql.SQL("ALTER TABLE {} NO FORCE ROW LEVEL SECURITY").format(sql.Identifier(table)))

    assert setup.pending_changes() == [table]
    setup.migrate_tables()

    assert unprotected_tables() == []


def test_the_application_can_neither_change_nor_delete_what_is_append_only():
    tables = [model._meta.db_table for model in _tenant_models() if model.append_only]

    with connection.cursor() as cursor:
        for table in tables:
            for right, allowed in (("SELECT", True), ("INSERT", True), ("UPDATE", False), ("DELETE", False)):
                cursor.execute("SELECT has_table_privilege(%s, %s)", [table, right])
                assert cursor.fetchone() == (allowed,), (table, right)
    assert tables != []


def test_each_tenant_has_a_lake_of_its_own():
    first, second = (setup.tenant_id_of(code, create=True) for code in ("lake-one", "lake-two"))

    assert setup.tenant_lake(first).root != setup.tenant_lake(second).root
    assert setup.tenant_lake(first).root.endswith(str(first))


def _tenant_models():
    from django.apps import apps

    return [model for model in apps.get_models() if issubclass(model, TenantTable)]


def test_others_can_neither_list_nor_change_a_new_home(tmp_path):
    home = tmp_path / "home"

    done = run_tenant_list(MILLICENT_HOME=str(home))

    assert done.returncode == 0, done.stderr
    assert home.stat().st_mode & 0o066 == 0


def test_a_home_in_use_keeps_the_rights_that_its_operator_gave_it(tmp_path):
    (tmp_path / "lake").mkdir()
    tmp_path.chmod(0o755)

    assert run_tenant_list(MILLICENT_HOME=str(tmp_path)).returncode == 0
    assert tmp_path.stat().st_mode & 0o777 == 0o755
