"""Who may write: one row for each shard, and an epoch that rises whenever another process takes over.

All instants are the database's: the clocks of two machines are never compared. A lease that ran out still holds until
somebody takes it. Taking it waits for a journal insert that is under way, because that insert holds the row for share;
afterwards no insert of an older epoch finds its row.
"""

from dataclasses import dataclass

from millicent.charging.journal.connection import Connection

LEASE_SECONDS = 3
RENEW_MS = 750


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to write a shard's journal as long as nobody has a higher epoch."""

    shard: int
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseState:
    """What the lease's row says now."""

    epoch: int
    holder: str
    address: str
    is_live: bool


def take_lease(
    connection: Connection, *, shard: int, holder: str, address: str = "", seconds: int = LEASE_SECONDS
) -> Lease | None:
    """Take the lease when nobody has it or it ran out; None while somebody holds it."""
    row = connection.execute(_TAKE_SQL, [shard, holder, seconds, address]).fetchone()
    return Lease(shard=shard, epoch=row[0]) if row else None


_TAKE_SQL = """
    INSERT INTO charging_lease AS held (shard, epoch, holder, expires_at, address)
    VALUES (%s, 1, %s, clock_timestamp() + make_interval(secs => %s), %s)
    ON CONFLICT (tenant_id, shard) DO UPDATE
    SET epoch = held.epoch + 1, holder = excluded.holder, expires_at = excluded.expires_at, address = excluded.address
    WHERE held.expires_at < clock_timestamp()
    RETURNING epoch
"""


def renew_lease(connection: Connection, lease: Lease, *, seconds: int = LEASE_SECONDS) -> bool:
    """Hold it longer. False: somebody else took it, and this process is fenced."""
    done = connection.execute(
        "UPDATE charging_lease SET expires_at = clock_timestamp() + make_interval(secs => %s) "
        "WHERE shard = %s AND epoch = %s",
        [seconds, lease.shard, lease.epoch],
    )
    return done.rowcount == 1


def release_lease(connection: Connection, lease: Lease) -> None:
    """Let the next one take it at once."""
    connection.execute(
        "UPDATE charging_lease SET expires_at = clock_timestamp() - interval '1 second' "
        "WHERE shard = %s AND epoch = %s",
        [lease.shard, lease.epoch],
    )


def lease_state(connection: Connection, *, shard: int) -> LeaseState | None:
    """Who holds the lease, None before its first taking."""
    row = connection.execute(
        "SELECT epoch, holder, address, expires_at > clock_timestamp() FROM charging_lease WHERE shard = %s", [shard]
    ).fetchone()
    return LeaseState(epoch=row[0], holder=row[1], address=row[2], is_live=row[3]) if row else None
