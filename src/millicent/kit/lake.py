"""The lake: usage as Delta Lake tables, in a local folder or an object store.

A commit carries (writer, sequence) as a Delta application transaction. The same pair again is a no-op, so a writer
that was killed may simply write again: exactly once, whatever happened.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import TableNotFoundError

from millicent.kit.errors import Defect


class SequenceGoesBack(Defect):
    """A writer came with a sequence older than its last committed one: two processes share one writer name."""

    code = "lake_sequence_goes_back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lake:
    """All tables of one tenant under one root. `storage_options` go to the object store unchanged."""

    root: str
    storage_options: Mapping[str, str] = field(default_factory=dict)

    def table_url(self, table: str) -> str:
        return f"{self.root.rstrip('/')}/{table}"

    def committed_sequence(self, table: str, *, writer: str) -> int | None:
        """The last sequence this writer committed to the table, None before its first."""
        found = self._open(table)
        return found.transaction_version(writer) if found is not None else None

    def append(
        self, table: str, rows: pl.DataFrame, *, writer: str, sequence: int, partition_by: Sequence[str] = ()
    ) -> bool:
        """Commit rows once. Returns False when this (writer, sequence) was committed before: nothing is written."""
        last = self.committed_sequence(table, writer=writer)
        if last is not None and last == sequence:
            return False
        if last is not None and last > sequence:
            raise SequenceGoesBack(f"{writer} committed {last} to {table} and now brings {sequence}")
        write_deltalake(
            self.table_url(table),
            rows.to_arrow(),
            mode="append",
            partition_by=list(partition_by) or None,
            storage_options=dict(self.storage_options) or None,
            commit_properties=CommitProperties(app_transactions=[Transaction(app_id=writer, version=sequence)]),
        )
        return True

    def scan(self, table: str) -> pl.LazyFrame | None:
        """A lazy view of the table as of now, or None when nothing was ever written to it."""
        found = self._open(table)
        return None if found is None else pl.scan_delta(found)

    def _open(self, table: str) -> DeltaTable | None:
        try:
            return DeltaTable(self.table_url(table), storage_options=dict(self.storage_options) or None)
        except TableNotFoundError:
            return None
