"""A connection of the journal's own: outside Django, for one tenant, every statement a commit, every commit on disk.

The tenant is set for the session, so it needs a direct connection: a pooler that shares sessions between clients would
mix tenants. `revive` is asked before each attempt to connect again: it starts the embedded server if that was killed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg

from millicent.kit.postgres import DatabaseSilent

CONNECT_TIMEOUT_SECONDS = 5
_WEAK_COMMITS = ("off", "local")  # "local" would answer before a synchronous standby has the batch
# What comes and goes: connection, resources, operator's intervention, system error, recovery, serialisation, locks.
_PASSING_CLASSES = frozenset({"08", "25", "40", "53", "55", "57", "58"})

Connection = psycopg.Connection[tuple[Any, ...]]


def _nothing_to_revive() -> None:
    return


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalStore:
    """Where the journal of one tenant's shard is."""

    url: str
    tenant_id: UUID
    shard: int = 0
    revive: Callable[[], None] = _nothing_to_revive

    def connect(self) -> Connection:
        """A new connection; silence of the server is an Outage."""
        try:
            connection = psycopg.connect(
                self.url,
                autocommit=True,
                connect_timeout=CONNECT_TIMEOUT_SECONDS,
                application_name=f"millicent charging {self.shard}",
                keepalives_idle=5,
                keepalives_interval=2,
                keepalives_count=3,
            )
            _prepare(connection, self.tenant_id)
        except psycopg.Error as silence:
            raise DatabaseSilent(f"PostgreSQL does not answer: {silence}") from silence
        return connection


def _prepare(connection: Connection, tenant_id: UUID) -> None:
    connection.execute("SELECT set_config('millicent.tenant', %s, false)", [str(tenant_id)])
    row = connection.execute("SELECT current_setting('synchronous_commit')").fetchone()
    if row is not None and row[0] in _WEAK_COMMITS:
        connection.execute("SELECT set_config('synchronous_commit', 'on', false)")


def is_passing(error: psycopg.Error) -> bool:
    """Whether the same statement may succeed later: the server is away, full or starting."""
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return True
    return (error.sqlstate or "")[:2] in _PASSING_CLASSES
