"""One process at a time works on a source family: event keys and sessions have a single writer."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from uuid import UUID

from django.db import connection


@contextmanager
def family_lock(*, tenant_id: UUID, family: str) -> Iterator[None]:
    """Wait for the family and hold it; PostgreSQL lets go by itself when this process dies."""
    digest = blake2b(f"{tenant_id}/{family}".encode(), digest_size=8).digest()
    name = int.from_bytes(digest, "big", signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [name])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [name])
