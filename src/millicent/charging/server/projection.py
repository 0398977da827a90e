"""Live balances in PostgreSQL for screens and lists: a moment behind the shard, written by the shard's own process.

Buckets that a batch touched are marked; a chore writes what the marked ones hold, with the batch up to which that is
true. A start marks what the journal touched since the batch that was written last; after a long absence, everything.
What waits is one mark a bucket, however often it changed: the lag is bounded by the number of buckets.
"""

import asyncio
from typing import Any

import numpy as np

from millicent.charging.journal.connection import Connection
from millicent.charging.journal.payload import decode_images
from millicent.charging.journal.read import Cursor, Layouts, journal_pages, register_reader
from millicent.charging.kernel.layout import BUCKET_LIVE
from millicent.charging.server.opening import OpenShard
from millicent.charging.shard import Shard
from millicent.charging.types import Batch, BucketKind, NameKind, Rows
from millicent.kit.kernels import Int64s

READER = "projection"
ROWS_AT_ONCE = 20_000
EVERY_SECONDS = 1
_LONGEST_GAP = 2_000  # batches; beyond it everything is written anew
_SUBSCRIPTION, _ACCOUNT, _POOL = range(3)  # scope of a bucket
_COLUMNS = {
    "bucket_id": "bigint", "billing_account_id": "bigint", "subscription_id": "bigint", "kind": "smallint",
    "currency": "text", "allowance": "text", "remaining": "bigint", "reserved": "bigint", "valid_from_ms": "bigint",
    "valid_until_ms": "bigint",
}  # fmt: skip
_UPSERT_SQL = (
    f"INSERT INTO charging_balance (shard, sequence, {', '.join(_COLUMNS)}) SELECT %s, %s, * "  # noqa: S608 - own names
    f"FROM unnest({', '.join(f'%s::{kind}[]' for kind in _COLUMNS.values())}) "
    "ON CONFLICT (tenant_id, shard, bucket_id) DO UPDATE SET sequence = excluded.sequence, "
    + ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name != "bucket_id")
)


class Projection:
    """Follows one open shard. `mark` hears every batch; `write` is the chore."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self._marked: set[int] = set()
        self._ended: set[int] = set()  # bucket ids
        self._written_anew_from: int | None = None
        self._begun = False

    def mark(self, sequence: int, batch: Batch) -> None:
        for image in batch.images:
            if image.table == "bucket":
                self._mark(image.rows, image.images)

    def _mark(self, rows: Int64s, images: Rows) -> None:
        self._marked.update(rows.tolist())
        self._ended.update(images["bucket_id"][images["state"] != BUCKET_LIVE].tolist())

    async def write(self, opened: OpenShard) -> None:
        """Bring a bounded number of marked buckets to PostgreSQL."""
        if not self._begun:
            await asyncio.to_thread(self._begin, opened)
            self._begun = True
        engine = opened.engine
        if not self._marked and not self._ended:
            return
        rows = np.array(sorted(self._marked)[:ROWS_AT_ONCE], np.int64)
        ended, self._ended = self._ended, set()
        self._marked.difference_update(rows.tolist())
        columns = balance_columns(self._shard, rows)
        sequence = engine.sequence if not self._marked else None
        await engine.settled()  # what is shown has happened
        try:
            await asyncio.to_thread(self._write, opened, columns, ended, engine.durable_sequence, sequence)
        except BaseException:
            self._marked.update(rows.tolist())
            self._ended |= ended
            raise

    def _begin(self, opened: OpenShard) -> None:
        """Mark what was touched since the last write of the process before."""
        number, until = opened.place.number, opened.restored.sequence
        with opened.place.store.connect() as connection, connection.cursor() as cursor:
            known = connection.execute(
                "SELECT sequence FROM charging_reader WHERE shard = %s AND name = %s", [number, READER]
            ).fetchone()
            with connection.transaction():
                register_reader(cursor, reader=READER, shard=number)
            if known is None or until - known[0] > _LONGEST_GAP:
                self._marked.update(range(1, len(self._shard.tables()["bucket"])))
                self._written_anew_from = until
            else:
                self._mark_journal(cursor, number=number, after=known[0], until=until)

    def _mark_journal(self, cursor: Cursor, *, number: int, after: int, until: int) -> None:
        layouts = Layouts(cursor)
        for page in journal_pages(cursor, shard=number, after=after, until=until):
            for image in decode_images(page.payload, layout_for=layouts)[0]:
                if image.table == "bucket":
                    self._mark(image.rows, image.images)

    def _write(
        self, opened: OpenShard, columns: dict[str, list[Any]], ended: set[int], as_of: int, reached: int | None
    ) -> None:
        """One commit. `reached`: no mark is left before that batch, so the next start may begin there."""
        number = opened.place.number
        with opened.place.store.connect() as connection, connection.transaction():
            if ended:
                connection.execute(
                    "DELETE FROM charging_balance WHERE shard = %s AND bucket_id = ANY(%s)", [number, sorted(ended)]
                )
            if columns["bucket_id"]:
                connection.execute(_UPSERT_SQL, [number, as_of, *columns.values()])
            if reached is not None:
                self._reach(connection, number=number, sequence=reached)

    def _reach(self, connection: Connection, *, number: int, sequence: int) -> None:
        if self._written_anew_from is not None:
            connection.execute(
                "DELETE FROM charging_balance WHERE shard = %s AND sequence < %s", [number, self._written_anew_from]
            )
            self._written_anew_from = None
        connection.execute(
            "UPDATE charging_reader SET sequence = greatest(sequence, %s) WHERE shard = %s AND name = %s",
            [sequence, number, READER],
        )

    @property
    def waiting(self) -> int:
        """Buckets that are marked and not written."""
        return len(self._marked)


def balance_columns(shard: Shard, rows: Int64s) -> dict[str, list[Any]]:
    """What live buckets hold, whose they are, in which currency. Called between two batches."""
    tables = shard.tables()
    bucket = tables["bucket"][rows[rows < len(tables["bucket"])]]
    bucket = bucket[bucket["state"] == BUCKET_LIVE]
    account, subscription = _owners(bucket, tables)
    is_money = bucket["kind"] != BucketKind.UNITS
    currencies = tables["account"]["currency"][account]
    return {
        "bucket_id": bucket["bucket_id"].tolist(),
        "billing_account_id": tables["account"]["account_id"][account].tolist(),
        "subscription_id": [each if each >= 0 else None for each in subscription.tolist()],
        "kind": bucket["kind"].tolist(),
        "currency": [
            shard.text_of(NameKind.CURRENCY, int(each)) if money else ""
            for each, money in zip(currencies, is_money, strict=True)
        ],
        "allowance": [
            shard.text_of(NameKind.ALLOWANCE, int(each)) if each >= 0 else "" for each in bucket["allowance"]
        ],
        "remaining": (bucket["free"] + bucket["reserved"]).tolist(),
        "reserved": bucket["reserved"].tolist(),
        "valid_from_ms": bucket["valid_from_ms"].tolist(),
        "valid_until_ms": np.maximum(bucket["valid_until_ms"], bucket["valid_from_ms"]).tolist(),
    }


def _owners(bucket: Rows, tables: dict[str, Rows]) -> tuple[Int64s, Int64s]:
    """Account row and subscription id (-1: not one's own) of each bucket; a pool's account is its first member's."""
    owner, scope = bucket["owner"], bucket["scope"]
    subscriber = np.where(scope == _SUBSCRIPTION, owner, 0)
    pools = scope == _POOL
    subscriber[pools] = tables["pool"]["first_subscriber"][owner[pools]]
    account = np.where(scope == _ACCOUNT, owner, tables["subscriber"]["account"][subscriber])
    subscription = np.where(scope == _SUBSCRIPTION, tables["subscriber"]["subscription_id"][subscriber], -1)
    return account, subscription
