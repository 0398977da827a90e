"""The end of the chain: who may add to it, and where it stands."""

from uuid import UUID

from django.db import connection

from millicent.ledger.models import LedgerHead
from millicent.ledger.rules import genesis_hash
from millicent.ledger.types import ChainHead


def current_tenant() -> UUID:
    """The tenant of the running transaction; the ledger is only touched inside a `tenant_scope`."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('millicent.tenant', true)")
        (text,) = cursor.fetchone()
    assert text, "the ledger is touched inside a tenant scope only"
    return UUID(text)


def lock_chain(tenant_id: UUID) -> None:
    """Become the only one who adds to this tenant's chain, until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"ledger chain of {tenant_id}"])


def read_head(tenant_id: UUID) -> ChainHead:
    last = LedgerHead.objects.order_by("-last_sequence").first()
    if last is None:
        return ChainHead(sequence=0, hash=genesis_hash(tenant_id))
    return ChainHead(sequence=last.last_sequence, hash=bytes(last.hash))
