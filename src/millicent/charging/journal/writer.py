"""The thread that makes batches durable, one commit each, in their order, and keeps the lease meanwhile.

While PostgreSQL is away the same insert is tried until it succeeds: what was applied is never taken back. Fenced, it
stops at once. The thread calls back from itself; the loop's side of the call is `loop.call_soon_threadsafe`.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from queue import Empty, SimpleQueue
from threading import Event, Thread

import psycopg
import structlog

from millicent.charging.journal.connection import Connection, JournalStore, is_passing
from millicent.charging.journal.errors import Fenced, JournalRefused
from millicent.charging.journal.insert import JournalRow, insert_row, journal_row
from millicent.charging.journal.lease import RENEW_MS, Lease, release_lease, renew_lease
from millicent.charging.types import Batch
from millicent.kit.errors import MillicentError, Outage

_NS_PER_MS = 1_000_000
_RENEW_NS = RENEW_MS * _NS_PER_MS
_FIRST_PAUSE_MS, _LONGEST_PAUSE_MS = 20, 500
_NS_PER_SECOND = 1_000_000_000
_STOP = None
_STOP_SECONDS = 10

Waiting = tuple[int, Batch] | None


class JournalWriter:
    """Makes batches durable in the order they are put. `on_durable(sequence)` and `on_end(why)` run in its thread."""

    def __init__(
        self,
        *,
        store: JournalStore,
        lease: Lease,
        on_durable: Callable[[int], None],
        on_end: Callable[[MillicentError | None], None],
    ) -> None:
        self.lease = lease
        self.silent_since_ns = 0  # monotonic; 0 while PostgreSQL answers
        self._asked_at_ns = 0  # monotonic; 0 while it is asked nothing
        self._store = store
        self._on_durable = on_durable
        self._on_end = on_end
        self._queue: SimpleQueue[Waiting] = SimpleQueue()
        self._leave = Event()
        self._connection: Connection | None = None
        self._known_layouts: set[int] = set()
        self._renew_at_ns = 0
        self._log = structlog.get_logger("millicent.charging")
        self._thread = Thread(target=self._run, name=f"charging-journal-{lease.shard}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def silent_ms(self) -> int:
        """How long PostgreSQL has not answered what it was asked; 0 while nothing is asked."""
        asked_ns = self.silent_since_ns or self._asked_at_ns
        return (time.monotonic_ns() - asked_ns) // _NS_PER_MS if asked_ns else 0

    def put(self, sequence: int, batch: Batch) -> None:
        """Hand over a batch. It belongs to the writer from now on: nobody changes its arrays."""
        self._queue.put((sequence, batch))

    def stop(self, *, wait: bool = True) -> None:
        """Make durable what was put, release the lease, end. Without `wait` leave everything as it is.

        PostgreSQL that stays away is waited for a bounded time: what is not durable was not answered.
        """
        if not wait:
            self._leave.set()
        self._queue.put(_STOP)
        if wait:
            self._thread.join(timeout=_STOP_SECONDS)
            self._leave.set()

    def _run(self) -> None:
        why: MillicentError | None = None
        try:
            while (waiting := self._next()) is not _STOP:
                sequence, batch = waiting
                row = journal_row(batch, shard=self.lease.shard, sequence=sequence)
                self._until_done(partial(self._insert, row=row))
                self._on_durable(sequence)
            self._let_go()
        except MillicentError as error:
            why = error
        except Exception as fault:  # a thread that ends in silence would leave everybody waiting
            why = JournalRefused(f"the journal's writer failed: {type(fault).__name__}: {fault}")
        finally:
            if self._connection is not None:
                self._connection.close()
            self._on_end(why)

    def _next(self) -> Waiting:
        """The next batch; the lease is renewed when it is due, also while nothing comes."""
        while not self._leave.is_set():
            left_ns = self._renew_at_ns - time.monotonic_ns()
            if left_ns <= 0:
                self._until_done(self._renew)
                continue
            try:
                return self._queue.get(timeout=left_ns / _NS_PER_SECOND)
            except Empty:
                continue
        return _STOP

    def _insert(self, connection: Connection, *, row: JournalRow) -> None:
        insert_row(connection, row, lease=self.lease, known_layouts=self._known_layouts)

    def _renew(self, connection: Connection) -> None:
        if not renew_lease(connection, self.lease):
            raise Fenced(f"shard {self.lease.shard} was taken over from epoch {self.lease.epoch}")
        self._renew_at_ns = time.monotonic_ns() + _RENEW_NS

    def _let_go(self) -> None:
        if not self._leave.is_set():
            self._until_done(lambda connection: release_lease(connection, self.lease))

    def _until_done(self, work: Callable[[Connection], None]) -> None:
        """Do it, however long PostgreSQL is away; other errors are ours and end the thread."""
        pause_ms = _FIRST_PAUSE_MS
        self._asked_at_ns = time.monotonic_ns()
        while not self._leave.is_set():
            try:
                work(self._live_connection())
            except Fenced:
                raise
            except (psycopg.Error, Outage) as error:
                if isinstance(error, psycopg.Error) and not is_passing(error):
                    raise JournalRefused(f"PostgreSQL will never take this batch: {error}") from error
                self._lost(error)
                self._leave.wait(timedelta(milliseconds=pause_ms).total_seconds())
                pause_ms = min(2 * pause_ms, _LONGEST_PAUSE_MS)
            else:
                self.silent_since_ns = self._asked_at_ns = 0
                return

    def _live_connection(self) -> Connection:
        if self._connection is None:
            if self.silent_since_ns:
                self._store.revive()
            self._connection = self._store.connect()
        return self._connection

    def _lost(self, error: Exception) -> None:
        if not self.silent_since_ns:
            self.silent_since_ns = time.monotonic_ns()
            self._log.error("journal not durable", shard=self.lease.shard, message=str(error).strip())
        if self._connection is not None:
            self._connection.close()
            self._connection = None
