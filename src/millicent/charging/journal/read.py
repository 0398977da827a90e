"""Reading the journal: by restart, by the standby, and by readers that keep a position of their own."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from django.db import connection as django_connection

from millicent.charging.journal.errors import JournalDamaged, NothingToReplay
from millicent.charging.journal.layouts import layout_of
from millicent.charging.journal.payload import decode_batch, payload_checksum
from millicent.charging.types import Batch

PAGE_ROWS = 32
READ_AT_ONCE = 256

# Where the journal begins: shared by readers that come, held alone by whoever lets batches leave.
BEGINNING_LOCK = "hashtextextended('charging_journal begins ' || current_setting('millicent.tenant') || ' ' || %s, 0)"


class Cursor(Protocol):
    """What psycopg's and Django's cursors share."""

    def execute(self, query: Any, params: Any = None, /) -> Any: ...
    def fetchall(self) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalPage:
    """One row of the journal, as it stands there; its checksum has been seen to hold."""

    sequence: int
    epoch: int
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalledBatch:
    """One batch with its place."""

    sequence: int
    epoch: int
    batch: Batch


class Layouts:
    """Layouts by digest, fetched once each."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._known: dict[int, np.dtype[Any]] = {}

    def __call__(self, digest: int) -> "np.dtype[Any]":
        if digest not in self._known:
            # as text: jsonb arrives as a document from one cursor and as text from another
            self._cursor.execute("SELECT description::text FROM charging_layout WHERE digest = %s", [digest])
            rows = self._cursor.fetchall()
            if not rows:
                raise JournalDamaged(f"no layout {digest} is known, though the journal names it")
            self._known[digest] = layout_of(_document(rows[0][0]))
        return self._known[digest]


def journal_ends(cursor: Cursor, *, shard: int) -> tuple[int, int]:
    """First and last sequence that the journal holds; (0, 0) when it is empty."""
    cursor.execute(
        "SELECT coalesce(min(sequence), 0), coalesce(max(sequence), 0) FROM charging_journal WHERE shard = %s", [shard]
    )
    ((first, last),) = cursor.fetchall()
    return first, last


def journal_pages(
    cursor: Cursor, *, shard: int, after: int, until: int | None = None, page_rows: int = PAGE_ROWS
) -> Iterator[JournalPage]:
    """Every batch after a sequence, in order, a bounded number in memory. A gap or a wrong checksum is a Defect.

    Ends at what was last when the last page was asked for; batches that come later are for the next call.
    """
    while True:
        rows = _page(cursor, shard=shard, after=after, until=until, page_rows=page_rows)
        for sequence, epoch, payload, checksum in rows:
            if sequence != after + 1:
                raise JournalDamaged(f"batch {after + 1} of shard {shard} is missing before {sequence}")
            content = bytes(payload)
            if payload_checksum(content, shard=shard, sequence=sequence) != bytes(checksum):
                raise JournalDamaged(f"batch {sequence} of shard {shard} does not have its checksum")
            after = sequence
            yield JournalPage(sequence=sequence, epoch=epoch, payload=content)
        if len(rows) < page_rows:
            return


def _page(cursor: Cursor, *, shard: int, after: int, until: int | None, page_rows: int) -> list[tuple[Any, ...]]:
    cursor.execute(
        "SELECT sequence, epoch, payload, checksum FROM charging_journal "
        "WHERE shard = %s AND sequence > %s AND sequence <= %s ORDER BY sequence LIMIT %s",
        [shard, after, until if until is not None else 2**62, page_rows],
    )
    return list(cursor.fetchall())


def journal_batches(
    cursor: Cursor, *, shard: int, after: int, until: int | None = None, layouts: Layouts | None = None
) -> Iterator[JournalledBatch]:
    """The same, decoded."""
    layouts = layouts or Layouts(cursor)
    for page in journal_pages(cursor, shard=shard, after=after, until=until):
        batch = decode_batch(page.payload, layout_for=layouts)
        yield JournalledBatch(sequence=page.sequence, epoch=page.epoch, batch=batch)


def read_once(
    *, reader: str, take: Callable[[Sequence[JournalledBatch]], None], shard: int = 0, at_most: int = READ_AT_ONCE
) -> int:
    """Give a reader the batches after its position and move it, in the caller's `tenant_scope`. Returns how many.

    Exactly once: what `take` writes with Django and the new position are one commit. Two of one name wait for each
    other. A reader that is new begins with the oldest batch the journal has.
    """
    with django_connection.cursor() as cursor:
        position = locked_position(cursor, reader=reader, shard=shard)
        found = list(journal_batches(cursor, shard=shard, after=position, until=position + at_most))
        if found:
            take(found)
            move_reader(cursor, reader=reader, shard=shard, sequence=found[-1].sequence)
    return len(found)


def register_reader(cursor: Cursor, *, reader: str, shard: int = 0) -> None:
    """Keep a reader's place from now on: nothing that it has not read leaves the journal. Within a transaction.

    Until that ends nothing leaves the journal at all: whoever prunes cannot see yet who is coming.
    """
    cursor.execute("SELECT 1 FROM charging_reader WHERE shard = %s AND name = %s", [shard, reader])
    if cursor.fetchall():
        return
    cursor.execute(f"SELECT pg_advisory_xact_lock_shared({BEGINNING_LOCK})", [str(shard)])
    cursor.execute(
        "INSERT INTO charging_reader (shard, name, sequence) SELECT %s, %s, "
        "coalesce((SELECT min(sequence) - 1 FROM charging_journal WHERE shard = %s), 0) ON CONFLICT DO NOTHING",
        [shard, reader, shard],
    )


def locked_position(cursor: Cursor, *, reader: str, shard: int) -> int:
    """Where a reader stands; its row stays locked. Raises NothingToReplay where batches it needs are gone."""
    register_reader(cursor, reader=reader, shard=shard)
    cursor.execute("SELECT sequence FROM charging_reader WHERE shard = %s AND name = %s FOR UPDATE", [shard, reader])
    ((sequence,),) = cursor.fetchall()
    first, last = journal_ends(cursor, shard=shard)
    if last and sequence + 1 < first:
        raise NothingToReplay(f"{reader} stands at batch {sequence}, and the journal begins with {first}")
    return int(sequence)


def move_reader(cursor: Cursor, *, reader: str, shard: int, sequence: int) -> None:
    """What a reader took is taken: in the transaction that locked its position."""
    cursor.execute("UPDATE charging_reader SET sequence = %s WHERE shard = %s AND name = %s", [sequence, shard, reader])


def _document(text: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(text)
    return document
