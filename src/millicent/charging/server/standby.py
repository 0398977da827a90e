"""A second process, warm: it follows the journal, and takes over when the lease runs out."""

import threading
import time

import psycopg

from millicent.charging.journal.connection import Connection
from millicent.charging.journal.lease import Lease, holder_name, take_lease
from millicent.charging.journal.restore import Restored, replay_journal, restore_shard
from millicent.charging.journal.shard_port import JournalledShard
from millicent.charging.server.opening import ShardPlace
from millicent.kit.errors import Outage

LOOK_MS = 200
_NS_PER_MS = 1_000_000


def follow_until_lease(
    shard: JournalledShard, *, place: ShardPlace, stop: threading.Event
) -> tuple[Lease, Restored] | None:
    """Keep a new shard at the end of the journal until its lease can be taken; None when told to stop first.

    What the former holder committed last is replayed by `open_shard`, after the lease was taken. While PostgreSQL is
    silent nothing can be taken and nothing is lost: it goes on when PostgreSQL does.
    """
    reached: Restored | None = None
    while not stop.is_set():
        try:
            with place.store.connect() as connection:
                if reached is None:
                    reached = restore_shard(shard, connection, number=place.number, folder=place.snapshots)
                taken = _watch(shard, connection, place=place, reached=reached, stop=stop)
        except (Outage, psycopg.Error):
            stop.wait(1)
            continue
        if taken is not None:
            return taken
    return None


def _watch(
    shard: JournalledShard, connection: Connection, *, place: ShardPlace, reached: Restored, stop: threading.Event
) -> tuple[Lease, Restored] | None:
    at = reached.sequence
    with connection.cursor() as cursor:
        while not stop.is_set():
            next_look_ns = time.monotonic_ns() + LOOK_MS * _NS_PER_MS
            at = replay_journal(shard, cursor, number=place.number, after=at)
            lease = take_lease(connection, shard=place.number, holder=holder_name(), address=str(place.socket))
            if lease is not None:
                restored = Restored(
                    sequence=at, snapshot_sequence=reached.snapshot_sequence, replayed=at - reached.snapshot_sequence
                )
                return lease, restored
            stop.wait(max(next_look_ns - time.monotonic_ns(), 0) / (1000 * _NS_PER_MS))
    return None
