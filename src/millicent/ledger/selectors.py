"""Reading the ledger. Balances are sums of postings; none is stored, so none can drift."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from django.db import connection

from millicent.ledger.chain_head import current_tenant, read_head
from millicent.ledger.chart import BUILT_IN, LedgerAccount
from millicent.ledger.models import DeclaredLedgerAccount, LedgerEntry, LedgerPeriodClose, LedgerPosting
from millicent.ledger.types import ChainHead, Entry, PostedEntry, Posting, TrialBalanceRow

_TRIAL_BALANCE = """
SELECT p.ledger_account, p.currency,
       coalesce(sum(p.amount_nanos) FILTER (WHERE p.amount_nanos > 0), 0)::numeric,
       coalesce(-sum(p.amount_nanos) FILTER (WHERE p.amount_nanos < 0), 0)::numeric
FROM ledger_posting p JOIN ledger_entry e ON e.tenant_id = p.tenant_id AND e.sequence = p.entry_sequence
WHERE (%s::bigint IS NULL OR e.occurred_at_ms < %s) AND (%s::text[] IS NULL OR e.template = ANY(%s))
GROUP BY p.ledger_account, p.currency
ORDER BY p.currency, p.ledger_account
"""


def trial_balance(*, until_ms: int | None = None, templates: Sequence[str] | None = None) -> list[TrialBalanceRow]:
    """Every ledger account in every currency, over all entries that happened before `until_ms`.

    With `templates` only over the entries that were made from these. In each currency debits equal credits.
    """
    chosen = None if templates is None else list(templates)
    with connection.cursor() as cursor:
        cursor.execute(_TRIAL_BALANCE, [until_ms, until_ms, chosen, chosen])
        return [
            TrialBalanceRow(
                ledger_account=path,
                currency=currency,
                debit_nanos=int(debit),
                credit_nanos=int(credit),
                balance_nanos=int(debit) - int(credit),
            )
            for path, currency, debit, credit in cursor.fetchall()
        ]


def account_balance(
    *, ledger_account: str, currency: str, billing_account_id: int | None = None, until_ms: int | None = None
) -> int:
    """Debits minus credits of one ledger account, in nanos; of one billing account when it is given."""
    query = """
        SELECT coalesce(sum(p.amount_nanos), 0) FROM ledger_posting p
        JOIN ledger_entry e ON e.tenant_id = p.tenant_id AND e.sequence = p.entry_sequence
        WHERE p.ledger_account = %s AND p.currency = %s
          AND (%s::bigint IS NULL OR p.billing_account_id = %s)
          AND (%s::bigint IS NULL OR e.occurred_at_ms < %s)
    """
    with connection.cursor() as cursor:
        cursor.execute(query, [ledger_account, currency, billing_account_id, billing_account_id, until_ms, until_ms])
        (total,) = cursor.fetchone()
    return int(total)


def entries_of(
    *,
    reference: str | None = None,
    billing_account_id: int | None = None,
    from_ms: int | None = None,
    until_ms: int | None = None,
    limit: int | None = None,
) -> list[PostedEntry]:
    """Entries in posting order: of one reference, of one billing account, of a half-open span of time."""
    chosen = LedgerEntry.objects.order_by("sequence")
    if reference is not None:
        chosen = chosen.filter(reference=reference)
    if from_ms is not None:
        chosen = chosen.filter(occurred_at_ms__gte=from_ms)
    if until_ms is not None:
        chosen = chosen.filter(occurred_at_ms__lt=until_ms)
    if billing_account_id is not None:
        touched = LedgerPosting.objects.filter(billing_account_id=billing_account_id)
        chosen = chosen.filter(sequence__in=touched.values("entry_sequence"))
    rows = list(chosen if limit is None else chosen[:limit])
    return list(with_postings(rows))


def with_postings(rows: Sequence[LedgerEntry]) -> Iterator[PostedEntry]:
    """Stored entries as values, each with its postings, in the order given."""
    stored = LedgerPosting.objects.filter(entry_sequence__in=[row.sequence for row in rows])
    sides = {
        sequence: tuple(
            Posting(
                ledger_account=side.ledger_account,
                amount_nanos=side.amount_nanos,
                billing_account_id=side.billing_account_id,
            )
            for side in group
        )
        for sequence, group in groupby(stored.order_by("entry_sequence", "place"), key=lambda side: side.entry_sequence)
    }
    for row in rows:
        entry = Entry(
            template=row.template,
            reference=row.reference,
            currency=row.currency,
            occurred_at_ms=row.occurred_at_ms,
            postings=sides.get(row.sequence, ()),
            facts=row.facts,
        )
        yield PostedEntry(entry=entry, sequence=row.sequence, recorded_at_ms=row.recorded_at_ms, hash=bytes(row.hash))


def chain_head() -> ChainHead:
    """Where the chain ends now. Kept outside, it proves later that nothing was cut off or rewritten."""
    return read_head(current_tenant())


def closed_until_ms() -> int | None:
    """Nothing that happened before this instant is posted any more; None when no period is closed."""
    last = LedgerPeriodClose.objects.order_by("-closed_until_ms").first()
    return None if last is None else last.closed_until_ms


def chart_of_accounts() -> list[LedgerAccount]:
    """Every ledger account by path: the built-in ones and those that the operator declared."""
    own = DeclaredLedgerAccount.objects.values_list("path", flat=True)
    declared = [LedgerAccount(path=path, meaning="declared by the operator") for path in own]
    return sorted([*BUILT_IN.values(), *declared], key=lambda account: account.path)
