"""Who may write: one row for each shard, and an epoch that rises whenever another process takes over.

All instants are the database's: the clocks of two machines are never compared. A lease that ran out still holds until
somebody takes it. Taking it waits for a journal insert that is under way, because that insert holds the row for share;
afterwards no insert of an older epoch finds its row.
"""

import os
import socket
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

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
    """Take the lease when nobody has it, it ran out, or its holder was a process of this machine that is dead.

    None while somebody holds it. Taking it too early would be safe all the same: the former epoch can write no more.
    """
    held = lease_state(connection, shard=shard)
    dead_epoch = held.epoch if held is not None and is_dead_here(held.holder) else 0
    row = connection.execute(_TAKE_SQL, [shard, holder, seconds, address, dead_epoch]).fetchone()
    return Lease(shard=shard, epoch=row[0]) if row else None


_TAKE_SQL = """
    INSERT INTO charging_lease AS held (shard, epoch, holder, expires_at, address)
    VALUES (%s, 1, %s, clock_timestamp() + make_interval(secs => %s), %s)
    ON CONFLICT (tenant_id, shard) DO UPDATE
    SET epoch = held.epoch + 1, holder = excluded.holder, expires_at = excluded.expires_at, address = excluded.address
    WHERE held.expires_at < clock_timestamp() OR held.epoch = %s
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


def holder_name() -> str:
    """Who we are: host, process, when it started, and which machine and container that is a process of."""
    return f"{socket.gethostname()} {os.getpid()} {_started(os.getpid())} {_machine()}"


def is_dead_here(holder: str) -> bool:
    """Whether a holder is known to be dead: it was of this machine and container, and has no such process now."""
    words = holder.split(" ")
    if len(words) != 4 or not words[3] or words[3] != _machine() or not words[1].isdigit():
        return False
    return _started(int(words[1])) != words[2]


def _machine() -> str:
    """The running kernel and the process namespace: process numbers mean something within these only."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_bytes()
        namespace = os.fsencode(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""  # nothing is known to be of this machine
    return blake2b(boot + namespace, digest_size=6).hexdigest()


def _started(process_id: int) -> str:
    """In ticks since the machine started; "dead" where there is no such process, or nobody has buried it."""
    try:
        fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "dead"
    return "dead" if fields[0] in "ZX" else fields[19]
