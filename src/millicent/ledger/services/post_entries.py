"""Post entries: all of a call or none, each once, in one chain."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

import polars as pl

from millicent.kit.bulk import insert_frame
from millicent.kit.clock import to_ms
from millicent.ledger.chain_head import current_tenant, lock_chain, read_head
from millicent.ledger.errors import ReferenceReused
from millicent.ledger.models import DeclaredLedgerAccount, LedgerEntry, LedgerHead, LedgerPeriodClose
from millicent.ledger.rules import chained_hash, check_entry, content_hash
from millicent.ledger.types import ChainHead, Entry, PostedEntry


def post_entries(entries: Sequence[Entry], *, now: datetime) -> list[PostedEntry]:
    """Post entries in the caller's transaction, in this order, and say where each stands.

    A reference that was posted before with the same content finds the first (`repeated`); with other content it is
    refused. One refused entry refuses the call. The chain of a tenant has one writer at a time, and waits for the
    caller's commit: post last in a transaction. Raises the `EntryRefused` family of `ledger.errors`.
    """
    tenant_id = current_tenant()
    lock_chain(tenant_id)
    contents = _distinct_contents(entries)
    places = _places_of_earlier_posts(contents)
    fresh = _first_of_each(entries, known=places)
    _check_all(fresh)
    head = read_head(tenant_id)
    posted = _link(fresh, contents=contents, head=head, recorded_at_ms=to_ms(now))
    if posted:
        _store(posted, contents=contents)
    by_reference = {place.entry.reference: place for place in posted}
    return [_answer(entry, posted=by_reference, earlier=places) for entry in entries]


def _distinct_contents(entries: Sequence[Entry]) -> dict[str, bytes]:
    """Reference to content hash. The same reference twice in one call must say the same."""
    contents: dict[str, bytes] = {}
    for entry in entries:
        content = content_hash(entry)
        if contents.setdefault(entry.reference, content) != content:
            raise _reused(entry.reference)
    return contents


def _places_of_earlier_posts(contents: Mapping[str, bytes]) -> dict[str, LedgerEntry]:
    found = LedgerEntry.objects.filter(reference__in=list(contents)) if contents else ()
    places = {row.reference: row for row in found}
    for reference, row in places.items():
        if bytes(row.content_hash) != contents[reference]:
            raise _reused(reference)
    return places


def _reused(reference: str) -> ReferenceReused:
    return ReferenceReused(f"{reference} was posted before with other content", reference=reference)


def _first_of_each(entries: Sequence[Entry], *, known: Mapping[str, LedgerEntry]) -> list[Entry]:
    return list({entry.reference: entry for entry in entries if entry.reference not in known}.values())


def _check_all(entries: Sequence[Entry]) -> None:
    own = frozenset(DeclaredLedgerAccount.objects.values_list("path", flat=True))
    closed = LedgerPeriodClose.objects.order_by("-closed_until_ms").first()
    for entry in entries:
        check_entry(entry, own_accounts=own, closed_until_ms=closed.closed_until_ms if closed else None)


def _link(
    entries: Sequence[Entry], *, contents: Mapping[str, bytes], head: ChainHead, recorded_at_ms: int
) -> list[PostedEntry]:
    """Chain entries to the head, in order. Pure."""
    posted, previous = [], head.hash
    for sequence, entry in enumerate(entries, start=head.sequence + 1):
        previous = chained_hash(
            previous=previous, sequence=sequence, recorded_at_ms=recorded_at_ms, content=contents[entry.reference]
        )
        posted.append(PostedEntry(entry=entry, sequence=sequence, recorded_at_ms=recorded_at_ms, hash=previous))
    return posted


def _store(posted: Sequence[PostedEntry], *, contents: Mapping[str, bytes]) -> None:
    """Entries first, then postings (their trigger looks for the entry), then the new head."""
    insert_frame(_entry_frame(posted, contents=contents), table="ledger_entry")
    insert_frame(_posting_frame(posted), table="ledger_posting")
    LedgerHead.objects.create(
        first_sequence=posted[0].sequence,
        last_sequence=posted[-1].sequence,
        hash=posted[-1].hash,
        recorded_at_ms=posted[-1].recorded_at_ms,
    )


def _entry_frame(posted: Sequence[PostedEntry], *, contents: Mapping[str, bytes]) -> pl.DataFrame:
    """One row an entry; hashes as PostgreSQL reads them in text."""
    return pl.DataFrame(
        {
            "sequence": [place.sequence for place in posted],
            "template": [place.entry.template for place in posted],
            "reference": [place.entry.reference for place in posted],
            "currency": [place.entry.currency for place in posted],
            "occurred_at_ms": [place.entry.occurred_at_ms for place in posted],
            "recorded_at_ms": [place.recorded_at_ms for place in posted],
            "facts": [json.dumps(dict(place.entry.facts), ensure_ascii=False) for place in posted],
            "posting_count": [len(place.entry.postings) for place in posted],
            "content_hash": ["\\x" + contents[place.entry.reference].hex() for place in posted],
            "hash": ["\\x" + place.hash.hex() for place in posted],
        }
    )


def _posting_frame(posted: Sequence[PostedEntry]) -> pl.DataFrame:
    rows = [
        (place.sequence, number, side.ledger_account, place.entry.currency, side.amount_nanos, side.billing_account_id)
        for place in posted
        for number, side in enumerate(place.entry.postings)
    ]
    return pl.DataFrame(rows, schema=_POSTING_COLUMNS, orient="row")


_POSTING_COLUMNS = {
    "entry_sequence": pl.Int64,
    "place": pl.Int32,
    "ledger_account": pl.String,
    "currency": pl.String,
    "amount_nanos": pl.Int64,
    "billing_account_id": pl.Int64,
}


def _answer(entry: Entry, *, posted: Mapping[str, PostedEntry], earlier: Mapping[str, LedgerEntry]) -> PostedEntry:
    row = earlier.get(entry.reference)
    if row is None:
        return posted[entry.reference]
    return PostedEntry(
        entry=entry,
        sequence=row.sequence,
        recorded_at_ms=row.recorded_at_ms,
        hash=bytes(row.hash),
        repeated=True,
    )
