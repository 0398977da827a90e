"""Entries as a bill posts them, and what a thief with the owner's rights can do."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from django.db import connections, transaction

from millicent.kit.models import Tenant
from millicent.ledger.types import Entry, Posting

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOVEMBER_MS = 1_793_491_200_000  # 2026-11-01T00:00Z
EURO = 1_000_000_000


def debit(ledger_account: str, nanos: int, *, billing_account_id: int | None = None) -> Posting:
    return Posting(ledger_account=ledger_account, amount_nanos=nanos, billing_account_id=billing_account_id)


def credit(ledger_account: str, nanos: int) -> Posting:
    return Posting(ledger_account=ledger_account, amount_nanos=-nanos)


def a_bill_entry(reference: str = "bill:A-1", *, net: int = 100 * EURO, tax: int = 21 * EURO, **changes: Any) -> Entry:
    fields: dict[str, Any] = {
        "template": "bill_issued",
        "reference": reference,
        "currency": "EUR",
        "occurred_at_ms": NOVEMBER_MS,
        "postings": (
            debit("asset:receivable", net + tax, billing_account_id=7),
            credit("revenue:usage", net),
            credit("liability:tax:vat_es", tax),
        ),
    }
    return Entry(**{**fields, **changes})


def a_tenant() -> UUID:
    """For property tests: one for each example."""
    tenant = Tenant.objects.create(code=f"test-{uuid4().hex[:12]}", created_at=NOW)
    return UUID(str(tenant.id))


@contextmanager
def a_thief(tenant_id: UUID) -> Iterator[Any]:
    """A cursor of the role that owns the tables, with their triggers switched off."""
    tables = ("ledger_entry", "ledger_posting", "ledger_head", "ledger_period_close")
    with transaction.atomic(using="owner"), connections["owner"].cursor() as cursor:
        cursor.execute("SELECT set_config('millicent.tenant', %s, true)", [str(tenant_id)])
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        yield cursor
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
