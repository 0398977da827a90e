"""Verify the chain: every entry is as it was posted, in its place, and none is missing."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import connection
from django.db.models import Count, F, Max, Sum

from millicent.ledger.chain_head import current_tenant
from millicent.ledger.models import LedgerEntry, LedgerHead, LedgerPeriodClose, LedgerPosting
from millicent.ledger.rules import chained_hash, content_hash, genesis_hash
from millicent.ledger.selectors import with_postings
from millicent.ledger.types import BrokenLink, ChainHead, ChainReport, PostedEntry

_PAGE = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Extent:
    """What the tables say of themselves, read in one statement so that a writer at work does not look like a thief."""

    last_entry: int
    last_head: int


def verify_chain(*, expected_head: ChainHead | None = None) -> ChainReport:
    """Walk the whole chain and name the first link that does not hold.

    Found: anything altered, deleted, inserted or reordered, and a cut tail. Whoever can rewrite every table at once
    could also rewrite the heads: keep a head elsewhere and pass it as `expected_head`, then that shows too.
    """
    extent = _read_extent()
    head = ChainHead(sequence=0, hash=genesis_hash(current_tenant()))
    entries = postings = 0
    for place in _walk(until=extent.last_entry):
        fault = _fault_of_link(place, previous=head, expected=expected_head)
        if fault is not None:
            return ChainReport(entries=entries, postings=postings, head=head, broken=fault)
        head = ChainHead(sequence=place.sequence, hash=place.hash)
        entries += 1
        postings += len(place.entry.postings)
    fault = _fault_of_end(head, extent=extent, postings=postings, expected=expected_head)
    return ChainReport(entries=entries, postings=postings, head=head, broken=fault)


def _read_extent() -> _Extent:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce((SELECT max(sequence) FROM ledger_entry), 0),"
            " coalesce((SELECT max(last_sequence) FROM ledger_head), 0)"
        )
        last_entry, last_head = cursor.fetchone()
    return _Extent(last_entry=last_entry, last_head=last_head)


def _walk(*, until: int) -> Iterator[PostedEntry]:
    after = -(2**63)
    while True:
        chosen = LedgerEntry.objects.filter(sequence__gt=after, sequence__lte=until).order_by("sequence")
        rows = list(chosen[:_PAGE])
        if not rows:
            return
        yield from with_postings(rows)
        after = rows[-1].sequence


def _fault_of_link(place: PostedEntry, *, previous: ChainHead, expected: ChainHead | None) -> BrokenLink | None:
    wanted = previous.sequence + 1
    if place.sequence != wanted:
        return BrokenLink(sequence=wanted, reference="", fault=f"entry {wanted} is missing")
    computed = chained_hash(
        previous=previous.hash,
        sequence=place.sequence,
        recorded_at_ms=place.recorded_at_ms,
        content=content_hash(place.entry),
    )
    if computed != place.hash:
        text = "its content or its place is not what was posted"
    elif sum(side.amount_nanos for side in place.entry.postings):
        text = "its postings do not sum to zero"
    elif expected is not None and expected.sequence == place.sequence and expected.hash != place.hash:
        text = "its hash is not the one that was kept elsewhere"
    else:
        return None
    return BrokenLink(sequence=place.sequence, reference=place.entry.reference, fault=text)


def _fault_of_end(head: ChainHead, *, extent: _Extent, postings: int, expected: ChainHead | None) -> BrokenLink | None:
    """What only shows once the walk is over: a cut tail, heads or seals that disagree, postings without an entry."""
    claims = [extent.last_head, _last_seal(), expected.sequence if expected else 0]
    if max(claims) > head.sequence:
        return _broken_after(head, f"the chain ends here, but entry {max(claims)} was recorded: the tail was cut")
    if extent.last_head < head.sequence:
        return BrokenLink(sequence=extent.last_head + 1, reference="", fault="no head was recorded for this entry")
    return _fault_of_heads(head) or _fault_of_strays(head, postings=postings)


def _broken_after(head: ChainHead, text: str) -> BrokenLink:
    return BrokenLink(sequence=head.sequence + 1, reference="", fault=text)


def _last_seal() -> int:
    return int(LedgerPeriodClose.objects.aggregate(last=Max("head_sequence"))["last"] or 0)


_DISAGREEING = """
SELECT s.sequence, s.fault FROM (
    SELECT last_sequence AS sequence, hash, 'the recorded head disagrees' AS fault FROM ledger_head
    UNION ALL
    SELECT head_sequence, head_hash, 'the seal of a closed period disagrees' FROM ledger_period_close
    WHERE head_sequence > 0
) s LEFT JOIN ledger_entry e ON e.sequence = s.sequence
WHERE s.sequence <= %s AND e.hash IS DISTINCT FROM s.hash ORDER BY s.sequence LIMIT 1
"""


def _fault_of_heads(head: ChainHead) -> BrokenLink | None:
    """Every recorded head and seal repeats the hash of its entry, and the heads cover the chain without a hole."""
    with connection.cursor() as cursor:
        cursor.execute(_DISAGREEING, [head.sequence])
        disagreeing = cursor.fetchone()
    if disagreeing is not None:
        return BrokenLink(sequence=disagreeing[0], reference="", fault=disagreeing[1])
    heads = LedgerHead.objects.filter(last_sequence__lte=head.sequence)
    covered = heads.aggregate(entries=Sum(F("last_sequence") - F("first_sequence") + 1))["entries"] or 0
    if covered != head.sequence:
        return BrokenLink(sequence=head.sequence, reference="", fault=f"recorded heads cover {covered} entries only")
    return None


def _fault_of_strays(head: ChainHead, *, postings: int) -> BrokenLink | None:
    stored = LedgerPosting.objects.filter(entry_sequence__lte=head.sequence).aggregate(count=Count("place"))["count"]
    if stored == postings:
        return None
    return BrokenLink(sequence=0, reference="", fault=f"{stored - postings} postings belong to no entry")
