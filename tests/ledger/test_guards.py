"""PostgreSQL keeps the ledger true, whatever program writes to it and whoever owns the tables."""

import pytest
from django.db import IntegrityError, connection, connections, transaction
from django.db.utils import DatabaseError, ProgrammingError
from tests.ledger.builders import NOVEMBER_MS, NOW, a_bill_entry

from millicent.kit.tenancy import tenant_scope
from millicent.ledger.models import LedgerEntry, LedgerPosting
from millicent.ledger.selectors import trial_balance
from millicent.ledger.services.close_period import close_period
from millicent.ledger.services.post_entries import post_entries


def _write_entry(amounts: list[int], *, posting_count: int = 2, currency: str = "EUR", occurred_at_ms: int = 1) -> None:
    LedgerEntry.objects.create(
        sequence=1,
        template="bill_issued",
        reference="by hand",
        currency="EUR",
        occurred_at_ms=occurred_at_ms,
        recorded_at_ms=1,
        posting_count=posting_count,
        content_hash=b"x",
        hash=b"y",
    )
    LedgerPosting.objects.bulk_create(
        [
            LedgerPosting(
                entry_sequence=1, place=place, ledger_account="asset:bank", currency=currency, amount_nanos=amount
            )
            for place, amount in enumerate(amounts)
        ]
    )


@pytest.mark.parametrize("amounts", [[5, -4], [5], []])
def test_an_entry_that_does_not_sum_to_zero_cannot_be_committed(tenant_id, amounts):
    with pytest.raises(IntegrityError, match="ledger entry 1 has"), tenant_scope(tenant_id):
        _write_entry(amounts)

    with tenant_scope(tenant_id):
        assert not LedgerEntry.objects.exists()


def test_a_balanced_entry_written_by_hand_can_be_committed(tenant_id):
    with tenant_scope(tenant_id):
        _write_entry([5, -5])

    with tenant_scope(tenant_id):
        assert [row.balance_nanos for row in trial_balance()] == [0]


@pytest.mark.parametrize("fault", [{"amounts": [5, -4, -1]}, {"amounts": [5, -5], "currency": "USD"}])
def test_a_posting_that_its_entry_did_not_announce_is_refused(tenant, fault):
    with pytest.raises(IntegrityError, match="has no place in it"), transaction.atomic():
        _write_entry(**fault)


def test_postings_that_balance_each_other_cannot_join_an_entry_later(tenant_id):
    with tenant_scope(tenant_id):
        post_entries([a_bill_entry()], now=NOW)

    with pytest.raises(IntegrityError, match="has no place in it"), tenant_scope(tenant_id):
        LedgerPosting.objects.bulk_create(
            [
                LedgerPosting(
                    entry_sequence=1, place=place, ledger_account="asset:bank", currency="EUR", amount_nanos=amount
                )
                for place, amount in ((3, 9), (4, -9))
            ]
        )


def test_an_entry_of_a_closed_period_cannot_be_written_by_hand(tenant):
    close_period(until_ms=NOVEMBER_MS, now=NOW)

    with pytest.raises(IntegrityError, match="closed period"), transaction.atomic():
        _write_entry([5, -5], occurred_at_ms=NOVEMBER_MS - 1)


CHANGES = (
    "UPDATE ledger_posting SET amount_nanos = amount_nanos * 2",
    "DELETE FROM ledger_entry",
    "UPDATE ledger_head SET hash = hash",
    "TRUNCATE ledger_posting",
    "TRUNCATE ledger_entry CASCADE",
    "DELETE FROM ledger_period_close",
)


@pytest.mark.parametrize("statement", CHANGES)
def test_the_application_may_not_change_the_ledger(tenant, statement):
    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        connection.cursor().execute(statement)


@pytest.mark.parametrize("statement", CHANGES)
def test_even_the_owner_of_the_tables_may_not_change_the_ledger(tenant_id, statement):
    with tenant_scope(tenant_id):
        post_entries([a_bill_entry()], now=NOW)

    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(using="owner"):
        connections["owner"].cursor().execute(statement)

    with tenant_scope(tenant_id):
        assert len(trial_balance()) == 3
