"""One process at a time works on a source family: event keys and sessions have a single writer."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from uuid import UUID

from django.db import OperationalError, connection

from millicent.kit.errors import Outage

_LOCK_NOT_AVAILABLE = "55P03"


class FamilyBusy(Outage):
    """Another process has been working on the source family for longer than the caller would wait."""

    code = "source_family_busy"


@contextmanager
def family_lock(*, tenant_id: UUID, family: str, patience_ms: int = 0) -> Iterator[None]:
    """Wait for the family and hold it; PostgreSQL lets go by itself when this process dies.

    `patience_ms` bounds the wait, 0 does not. Whoever holds it may take it again.
    """
    digest = blake2b(f"{tenant_id}/{family}".encode(), digest_size=8).digest()
    name = int.from_bytes(digest, "big", signed=True)
    with connection.cursor() as cursor:
        try:
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [str(patience_ms)])
            cursor.execute("SELECT pg_advisory_lock(%s)", [name])
        except OperationalError as fault:
            if getattr(fault.__cause__, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                raise
            raise FamilyBusy(f"source family {family!r} is being collected", family=family) from None
        finally:
            if not connection.needs_rollback and connection.is_usable():
                cursor.execute("SELECT set_config('lock_timeout', '0', false)")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [name])
