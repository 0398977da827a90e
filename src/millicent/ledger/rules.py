"""Whether an entry may be posted, and what its hash is. No tables, no clock."""

import hashlib
import json
from collections.abc import Collection, Iterable
from uuid import UUID

from millicent.ledger.chart import is_declared
from millicent.ledger.errors import (
    EntryRefused,
    NonsensicalPosting,
    PeriodIsClosed,
    UnbalancedEntry,
    UndeclaredAccount,
    UnknownTemplate,
)
from millicent.ledger.templates import TEMPLATES, allows
from millicent.ledger.types import Entry, Posting

LONGEST_REFERENCE = 200


def check_entry(entry: Entry, *, own_accounts: Collection[str], closed_until_ms: int | None) -> None:
    """Refuse an entry that is unbalanced, nonsensical, outside the chart or in a closed period."""
    _check_shape(entry)
    template = TEMPLATES.get(entry.template)
    if template is None:
        raise UnknownTemplate(f"{entry.reference}: no template {entry.template!r}", reference=entry.reference)
    if closed_until_ms is not None and entry.occurred_at_ms < closed_until_ms:
        raise PeriodIsClosed(
            f"{entry.reference} happened in a closed period; post a correction in an open one",
            reference=entry.reference,
            occurred_at_ms=entry.occurred_at_ms,
            closed_until_ms=closed_until_ms,
        )
    for posting in entry.postings:
        _check_posting(posting, entry=entry, own_accounts=own_accounts)


def _check_shape(entry: Entry) -> None:
    if not 0 < len(entry.reference) <= LONGEST_REFERENCE:
        raise EntryRefused(f"a reference has 1 to {LONGEST_REFERENCE} characters", reference=entry.reference)
    if len(entry.currency) != 3 or not entry.currency.isascii() or not entry.currency.isupper():
        raise EntryRefused(f"{entry.reference}: {entry.currency!r} is no currency code", reference=entry.reference)
    if len(entry.postings) < 2 or any(posting.amount_nanos == 0 for posting in entry.postings):
        raise EntryRefused(
            f"{entry.reference}: an entry has two postings or more, none of them zero", reference=entry.reference
        )
    total_nanos = sum(posting.amount_nanos for posting in entry.postings)
    if total_nanos:
        raise UnbalancedEntry(
            f"{entry.reference}: debits and credits differ by {total_nanos} nanos of {entry.currency}",
            reference=entry.reference,
            difference_nanos=total_nanos,
        )


def _check_posting(posting: Posting, *, entry: Entry, own_accounts: Collection[str]) -> None:
    template = TEMPLATES[entry.template]
    side, allowed = ("debit", template.debits) if posting.amount_nanos > 0 else ("credit", template.credits)
    if not allows(allowed, posting.ledger_account):
        raise NonsensicalPosting(
            f"{entry.reference}: {entry.template} does not {side} {posting.ledger_account}",
            reference=entry.reference,
            ledger_account=posting.ledger_account,
        )
    if not is_declared(posting.ledger_account, own=own_accounts):
        raise UndeclaredAccount(
            f"{entry.reference}: {posting.ledger_account} is not in the chart; declare it first",
            reference=entry.reference,
            ledger_account=posting.ledger_account,
        )


def genesis_hash(tenant_id: UUID) -> bytes:
    """What the first entry of a tenant is chained to."""
    return hashlib.sha256(b"millicent ledger of " + tenant_id.bytes).digest()


def content_hash(entry: Entry) -> bytes:
    """SHA-256 of what an entry says, in one canonical form: the same content has the same hash, for ever."""
    content = [
        entry.template,
        entry.reference,
        entry.currency,
        entry.occurred_at_ms,
        [[posting.ledger_account, posting.amount_nanos, posting.billing_account_id] for posting in entry.postings],
        sorted(entry.facts.items()),
    ]
    return hashlib.sha256(json.dumps(content, ensure_ascii=True, separators=(",", ":")).encode()).digest()


def chained_hash(*, previous: bytes, sequence: int, recorded_at_ms: int, content: bytes) -> bytes:
    """SHA-256 that holds an entry in its place: what came before, where it stands, when it was posted, what it says."""
    return hashlib.sha256(previous + b"%d;%d;" % (sequence, recorded_at_ms) + content).digest()


def total_postings(entries: Iterable[Entry]) -> int:
    return sum(len(entry.postings) for entry in entries)
