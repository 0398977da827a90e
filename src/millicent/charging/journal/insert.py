"""One batch into the journal: once, in one commit, and only under the epoch that holds the lease."""

from dataclasses import dataclass, field

from millicent.charging.journal.connection import Connection
from millicent.charging.journal.errors import Fenced, JournalDamaged
from millicent.charging.journal.layouts import description_text
from millicent.charging.journal.lease import Lease
from millicent.charging.journal.payload import encode_batch, payload_checksum
from millicent.charging.types import Batch

_INSERT_SQL = """
    WITH held AS MATERIALIZED (SELECT 1 FROM charging_lease WHERE shard = %s AND epoch = %s FOR SHARE)
    INSERT INTO charging_journal (shard, sequence, epoch, command_count, payload, checksum)
    SELECT %s, %s, %s, %s, %b, %b FROM held
    ON CONFLICT (tenant_id, shard, sequence) DO NOTHING
"""
_LAYOUT_SQL = "INSERT INTO charging_layout (digest, description) VALUES (%s, %s::jsonb) ON CONFLICT DO NOTHING"
_NAME_SQL = (
    "INSERT INTO charging_name (shard, kind, number, text, sequence) VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalRow:
    """A batch as it goes into the journal; `layouts` and `names` go with it in the same commit."""

    sequence: int
    command_count: int
    payload: bytes
    checksum: bytes
    layouts: dict[int, str]  # digest -> description
    names: list[tuple[str, int, str]] = field(default_factory=list)


def journal_row(batch: Batch, *, shard: int, sequence: int) -> JournalRow:
    encoded = encode_batch(batch)
    return JournalRow(
        sequence=sequence,
        command_count=len(batch.commands),
        payload=encoded.payload,
        checksum=payload_checksum(encoded.payload, shard=shard, sequence=sequence),
        layouts={digest: description_text(dtype) for digest, dtype in encoded.layouts.items()},
        names=list(batch.names),
    )


def insert_row(connection: Connection, row: JournalRow, *, lease: Lease, known_layouts: set[int]) -> None:
    """Commit one row. The same row again is found and left alone. Raises Fenced when another epoch holds the shard."""
    fresh = {digest: text for digest, text in row.layouts.items() if digest not in known_layouts}
    if fresh or row.names:
        with connection.transaction():
            for digest, text in fresh.items():
                connection.execute(_LAYOUT_SQL, [digest, text])
            _insert_names(connection, row, lease=lease)
            _insert_or_find(connection, row, lease=lease)
    else:
        _insert_or_find(connection, row, lease=lease)
    known_layouts.update(fresh)


def _insert_names(connection: Connection, row: JournalRow, *, lease: Lease) -> None:
    if row.names:
        rows = [(lease.shard, str(kind), number, text, row.sequence) for kind, number, text in row.names]
        with connection.cursor() as cursor:
            cursor.executemany(_NAME_SQL, rows)


def _insert_or_find(connection: Connection, row: JournalRow, *, lease: Lease) -> None:
    place = [lease.shard, row.sequence, lease.epoch, row.command_count]
    done = connection.execute(
        _INSERT_SQL, [lease.shard, lease.epoch, *place, row.payload, row.checksum], prepare=True, binary=True
    )
    if done.rowcount == 1:
        return
    found = connection.execute(
        "SELECT epoch, checksum FROM charging_journal WHERE shard = %s AND sequence = %s", [lease.shard, row.sequence]
    ).fetchone()
    if found == (lease.epoch, row.checksum):
        return  # an earlier attempt was committed and its answer was lost
    held = connection.execute("SELECT epoch FROM charging_lease WHERE shard = %s", [lease.shard]).fetchone()
    if held != (lease.epoch,):
        raise Fenced(f"shard {lease.shard} was taken over: epoch {held and held[0]} holds it, not {lease.epoch}")
    raise JournalDamaged(f"batch {row.sequence} of shard {lease.shard} is already another one", found=found)
