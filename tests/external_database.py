"""The same suite on a PostgreSQL of yours: fresh roles and a fresh database for each test process, removed after."""

import atexit
import os
import secrets

import psycopg
from psycopg import sql

from millicent.kit.postgres import url_for


def prepare_external_database(admin_url: str) -> None:
    """Make owner, application and backup roles and a database, and point Millicent's settings at them."""
    mark = secrets.token_hex(4)
    database = f"millicent_test_{mark}"
    roles = {kind: f"millicent_test_{kind}_{mark}" for kind in ("owner", "app", "backup")}
    password = secrets.token_hex(16)
    with psycopg.connect(admin_url, autocommit=True) as admin:
        for kind, role in roles.items():
            rights = "BYPASSRLS IN ROLE pg_read_all_data" if kind == "backup" else "NOBYPASSRLS"
            admin.execute(
                sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE {} PASSWORD {}").format(
                    sql.Identifier(role), sql.SQL(rights), sql.Literal(password)
                )
            )
        admin.execute(
            sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8'").format(
                sql.Identifier(database), sql.Identifier(roles["owner"])
            )
        )
    atexit.register(_remove, admin_url, database, list(roles.values()))
    for kind, variable in (("app", ""), ("owner", "OWNER_"), ("backup", "BACKUP_")):
        url = url_for(admin_url, database=database, user=roles[kind], password=password)
        os.environ[f"MILLICENT_{variable}DATABASE_URL"] = url


def _remove(admin_url: str, database: str, roles: list[str]) -> None:
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))
        for role in roles:
            admin.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))
