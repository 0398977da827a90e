"""PostgreSQL: the one inside the wheel, or yours by URL; and the two roles that every installation has.

The *owner* role owns the tables and runs migrations. The *application* role is what every other process uses: it
owns nothing, is not a superuser and cannot bypass row-level security. `refuse_privileged_role` checks that.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from millicent.kit.embedded import use_server
from millicent.kit.errors import Outage, Refusal

APPLICATION_ROLE = "millicent_app"
OWNER_ROLE = "millicent_owner"
DATABASE = "millicent"
OLDEST_SERVER_VERSION = 150_000
_ROLES_LOCK = 7_261_001


class PrivilegedRole(Refusal):
    """The application role could see every tenant's rows: it is a superuser, bypasses row security or owns tables."""

    code = "privileged_role"


class ServerTooOld(Refusal):
    """The PostgreSQL server is older than version 15."""

    code = "database_too_old"


class DatabaseSilent(Outage):
    """PostgreSQL does not answer, or refuses the connection."""

    code = "database_silent"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseUrls:
    """Where the database is, by role. `owner` and `admin` are "" where this process was not given them.

    `admin` may read every tenant's rows; only backups use it.
    """

    application: str
    owner: str = ""
    admin: str = ""


def start_embedded(folder: Path) -> DatabaseUrls:
    """Start (or find running) the PostgreSQL of the wheel with its data in `folder`; make database and roles once."""
    server = use_server(folder)
    with connect(server.admin_url(), autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [_ROLES_LOCK])  # several processes may start at once
        for role in (OWNER_ROLE, APPLICATION_ROLE):
            _make_role(connection, role)
        _make_database(connection, DATABASE, owner=OWNER_ROLE)
    return DatabaseUrls(
        application=url_for(server.admin_url(), database=DATABASE, user=APPLICATION_ROLE),
        owner=url_for(server.admin_url(), database=DATABASE, user=OWNER_ROLE),
        admin=server.admin_url(DATABASE),
    )


def _make_role(connection: psycopg.Connection, role: str) -> None:
    known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
    if known is None:
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE").format(sql.Identifier(role))
        )


def _make_database(connection: psycopg.Connection, name: str, *, owner: str) -> None:
    known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
    if known is None:
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(owner)))


def url_for(url: str, *, database: str | None = None, user: str | None = None, password: str = "") -> str:
    """The same server with another database or another role."""
    parts = urlsplit(url)
    login, _, host = parts.netloc.rpartition("@")
    if user:
        login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    path = f"/{quote(database, safe='')}" if database else parts.path
    return urlunsplit((parts.scheme, f"{login}@{host}" if login else host, path, parts.query, ""))


def without_password(url: str) -> str:
    """The URL as it may be shown to people and written to logs."""
    parts = urlsplit(url)
    login, _, host = parts.netloc.rpartition("@")
    query = urlencode([(key, value) for key, value in parse_qsl(parts.query) if key != "password"], safe="/")
    user = login.partition(":")[0]
    return urlunsplit((parts.scheme, f"{user}@{host}" if user else host, parts.path, query, ""))


@contextmanager
def connect(url: str, *, autocommit: bool = False) -> Iterator[psycopg.Connection]:
    """A connection outside Django, for COPY and for administration. Silence of the server is an Outage."""
    try:
        connection = psycopg.connect(url, autocommit=autocommit, connect_timeout=10)
    except psycopg.OperationalError as silence:
        raise DatabaseSilent(f"PostgreSQL does not answer: {silence}") from silence
    with connection:
        yield connection


def refuse_privileged_role(url: str) -> None:
    """Start-up guard: with such a role row-level security protects nobody (PostgreSQL, "Row Security Policies").

    A role that may create roles can make itself a member of the owner; a replication role can copy every row.
    """
    with connect(url) as connection:
        row = connection.execute(_ROLE_FAULTS_SQL).fetchone()
        version = connection.info.server_version
    assert row is not None, "every connection has a current user"
    name, *faults = row
    found = [text for wrong, text in zip(faults, _FAULT_TEXTS, strict=True) if wrong]
    if found:
        raise PrivilegedRole(
            f"the application role {name} {' and '.join(found)}; Millicent will not start with it. "
            f"Use a role made with: CREATE ROLE {APPLICATION_ROLE} LOGIN NOSUPERUSER NOBYPASSRLS",
            role=name,
            faults=found,
        )
    if version < OLDEST_SERVER_VERSION:
        raise ServerTooOld(
            f"the PostgreSQL server is version {version // 10_000}; Millicent needs 15 or newer", version=version
        )


_FAULT_TEXTS = ("is a superuser", "bypasses row security", "may create roles", "may replicate", "owns tables")
_ROLE_FAULTS_SQL = """
    SELECT r.rolname, r.rolsuper, r.rolbypassrls, r.rolcreaterole AND NOT r.rolsuper,
           r.rolreplication AND NOT r.rolsuper,
           NOT r.rolsuper AND EXISTS (
               SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'v', 'm')
                 AND pg_has_role(r.oid, c.relowner, 'MEMBER'))
    FROM pg_roles r WHERE r.rolname = current_user
"""
