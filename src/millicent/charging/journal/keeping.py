"""Which snapshots are kept, and what may leave the journal because of them."""

from pathlib import Path

from millicent.charging.journal.connection import Connection
from millicent.charging.journal.read import BEGINNING_LOCK
from millicent.charging.journal.snapshots import KEPT, Snapshot, drop_old_snapshots


def keep_snapshot(connection: Connection, snapshot: Snapshot, *, shard: int, folder: Path, taken_at_ms: int) -> None:
    """Enter a finished snapshot into the catalogue; take the oldest out of it, and then off the disk."""
    with connection.transaction():
        connection.execute(
            "INSERT INTO charging_snapshot (shard, sequence, folder, size_bytes, digest, taken_at_ms) "
            "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (tenant_id, shard, sequence) DO UPDATE "
            "SET folder = excluded.folder, size_bytes = excluded.size_bytes, digest = excluded.digest",
            [shard, snapshot.sequence, str(snapshot.folder), snapshot.size_bytes, snapshot.digest, taken_at_ms],
        )
        connection.execute(
            "DELETE FROM charging_snapshot WHERE shard = %s AND sequence NOT IN "
            "(SELECT sequence FROM charging_snapshot WHERE shard = %s ORDER BY sequence DESC LIMIT %s)",
            [shard, shard, KEPT],
        )
    drop_old_snapshots(folder)


def prune_journal(connection: Connection, *, shard: int, kept_batches: int) -> int:
    """Let batches leave that nobody needs: older than the oldest kept snapshot, read by all, and not of the newest.

    `kept_batches`: so many of the newest stay in any case, for traces and statements. Returns how many left.
    None leaves while somebody new begins to read: where it will stand cannot be seen yet, and nobody waits here.
    """
    with connection.transaction():
        alone = connection.execute(f"SELECT pg_try_advisory_xact_lock({BEGINNING_LOCK})", [str(shard)]).fetchone()
        return _prune(connection, shard=shard, kept_batches=kept_batches) if alone == (True,) else 0


def _prune(connection: Connection, *, shard: int, kept_batches: int) -> int:
    row = connection.execute(
        "SELECT least((SELECT min(sequence) FROM charging_snapshot WHERE shard = %(shard)s), "
        "(SELECT max(sequence) FROM charging_journal WHERE shard = %(shard)s) - %(kept)s, "
        "(SELECT min(sequence) FROM charging_reader WHERE shard = %(shard)s)), "
        "(SELECT count(*) FROM charging_snapshot WHERE shard = %(shard)s)",
        {"shard": shard, "kept": max(kept_batches, 1)},
    ).fetchone()
    assert row is not None, "an aggregate always answers"
    until, snapshots = row
    if not snapshots or until is None or until < 1:
        return 0
    pruned = connection.execute("SELECT charging_prune_journal(%s, %s)", [shard, until]).fetchone()
    assert pruned is not None, "the function answers with a number"
    return int(pruned[0])
