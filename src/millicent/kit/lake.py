"""The lake: usage as Delta Lake tables, in a local folder or an object store.

A commit carries (writer, sequence) as a Delta application transaction. The same pair again is a no-op, so a writer
that was killed may simply write again: exactly once, whatever happened. Other writers may commit to the same table at
the same time: an append that loses a race is tried again, a bounded number of times.

Local commits are forced to the disk before `append` returns, because what follows (a progress row in PostgreSQL) is.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

import polars as pl
from deltalake import CommitProperties, DeltaTable, Field, Schema, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, SchemaMismatchError, TableNotFoundError

from millicent.kit.errors import Defect, Outage

ATTEMPTS = 20
DEFAULT_FILE_BYTES = 128 * 1024 * 1024
Compression = Literal["UNCOMPRESSED", "SNAPPY", "LZ4_RAW", "ZSTD"]


class SequenceGoesBack(Defect):
    """A writer came with a sequence older than its last committed one: two processes share one writer name."""

    code = "lake_sequence_goes_back"


class LakeSchemaDrift(Defect):
    """Rows do not have the columns of their table. Nothing is cast, dropped or filled in silence."""

    code = "lake_schema_drift"


class LakeBusy(Outage):
    """Other writers won every race for this table. The same append may succeed later."""

    code = "lake_busy"


class LakeSilent(Outage):
    """The folder or object store of the lake does not answer, is full, or refuses."""

    code = "lake_silent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tidied:
    """What `tidy` did to one table."""

    files_before: int
    files_after: int
    files_deleted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lake:
    """All tables of one tenant under one root. `storage_options` go to the object store unchanged.

    `root` is a folder, `file://`, or a URL that delta-rs knows: `s3://`, `az://`, `gs://`.
    """

    root: str
    storage_options: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold secrets

    def table_url(self, table: str) -> str:
        return f"{self.root.rstrip('/')}/{table}"

    def committed_sequence(self, table: str, *, writer: str) -> int | None:
        """The last sequence this writer committed to the table, None before its first."""
        found = self.open_table(table)
        return found.transaction_version(writer) if found is not None else None

    def append(
        self,
        table: str,
        rows: pl.DataFrame,
        *,
        writer: str,
        sequence: int,
        partition_by: Sequence[str] = (),
        added: Sequence[str] = (),
        compression: Compression = "ZSTD",
        file_bytes: int = DEFAULT_FILE_BYTES,
    ) -> bool:
        """Commit rows once. Returns False when this (writer, sequence) was committed before: nothing is written.

        `partition_by` counts when the table is made by this append; later appends follow the table. `added` are columns
        that a table of an older release may lack: it has them from now on, null in the rows that are there.
        """
        for _ in range(ATTEMPTS):
            found = self.open_table(table)
            if found is not None and _is_committed(found, table=table, writer=writer, sequence=sequence):
                return False
            version = -1 if found is None else found.version()
            try:
                if found is not None:
                    self._widen(found, rows, added=added)
                _refuse_drift(rows, found=found, table=table)
                self._write(
                    found if found is not None else self.table_url(table),
                    rows if found is None else rows.select(each.name for each in found.schema().fields),
                    transaction=Transaction(app_id=writer, version=sequence),
                    partition_by=list(partition_by) or None if found is None else None,
                    writing=WriterProperties(compression=compression),
                    file_bytes=file_bytes,
                )
            except CommitFailedError:
                continue  # lost a race; whether the winner was this very commit is seen at the next attempt
            self.force_to_disk(table, after_version=version)
            return True
        raise LakeBusy(f"{table}: lost {ATTEMPTS} races against other writers", table=table, writer=writer)

    def scan(self, table: str) -> pl.LazyFrame | None:
        """A lazy view of the table as of now, or None when nothing was ever written to it.

        Filters on partition columns skip whole folders; filters on others skip files by their statistics.
        """
        found = self.open_table(table)
        if found is None:
            return None
        return pl.scan_delta(found, storage_options=dict(self.storage_options) or None)

    def tidy(self, table: str, *, keep_hours: int = 168, file_bytes: int = DEFAULT_FILE_BYTES) -> Tidied:
        """Join small files and delete those that no version younger than `keep_hours` needs. Rows stay the same.

        Readers and writers may go on meanwhile, provided none reads one version for longer than `keep_hours`.
        """
        found = self.open_table(table)
        if found is None:
            return Tidied(files_before=0, files_after=0, files_deleted=0)
        files_before, version = len(found.file_uris()), found.version()
        try:
            found.optimize.compact(target_size=file_bytes)
            found.create_checkpoint()
            deleted = found.vacuum(retention_hours=keep_hours, dry_run=False, enforce_retention_duration=False)
        except CommitFailedError as race:
            raise LakeBusy(f"{table}: another writer changed the same files; try again", table=table) from race
        self.force_to_disk(table, after_version=version)
        return Tidied(files_before=files_before, files_after=len(found.file_uris()), files_deleted=len(deleted))

    def open_table(self, table: str) -> DeltaTable | None:
        """The table at its newest version, None when it was never written to."""
        try:
            return DeltaTable(self.table_url(table), storage_options=dict(self.storage_options) or None)
        except TableNotFoundError:
            return None
        except (DeltaError, OSError) as fault:
            raise LakeSilent(f"{table} cannot be opened: {fault}", table=table) from fault

    def _write(
        self,
        target: DeltaTable | str,
        rows: pl.DataFrame,
        *,
        transaction: Transaction,
        partition_by: list[str] | None,
        writing: WriterProperties,
        file_bytes: int,
    ) -> None:
        try:
            write_deltalake(
                target,
                rows.to_arrow(),
                mode="append",
                partition_by=partition_by,
                storage_options=dict(self.storage_options) or None,
                commit_properties=CommitProperties(app_transactions=[transaction]),
                writer_properties=writing,
                target_file_size=file_bytes,
            )
        except (CommitFailedError, SchemaMismatchError):
            raise
        except (DeltaError, OSError) as fault:
            raise LakeSilent(f"the lake refused a commit: {fault}", writer=transaction.app_id) from fault

    def _widen(self, found: DeltaTable, rows: pl.DataFrame, *, added: Sequence[str]) -> None:
        """Add columns that the table does not have yet."""
        known = {each.name for each in found.schema().fields}
        wanted = [name for name in added if name not in known and name in rows.columns]
        if not wanted:
            return
        fields = [Field(each.name, each.type, nullable=True)
                  for each in Schema.from_arrow(rows.select(wanted).head(0).to_arrow().schema).fields]  # fmt: skip
        try:
            found.alter.add_columns(fields)
        except CommitFailedError:
            raise
        except (DeltaError, OSError) as fault:
            raise LakeSilent(f"the lake refused new columns: {fault}", columns=wanted) from fault

    def force_to_disk(self, table: str, *, after_version: int) -> None:
        """fsync every commit since `after_version`: ours is among them, whoever else came between."""
        folder = local_folder(self.table_url(table))
        if folder is None:
            return
        found = self.open_table(table)
        assert found is not None, "only a table that was just committed to is forced to disk"
        log = folder / "_delta_log"
        entries = [log / f"{version:020}.json" for version in range(after_version + 1, found.version() + 1)]
        files = [folder / path for entry in entries for path in _files_added_by(entry)]
        for each in (*files, *entries, *{file.parent for file in files}, log, folder):
            _fsync(each)


def _is_committed(found: DeltaTable, *, table: str, writer: str, sequence: int) -> bool:
    last = found.transaction_version(writer)
    if last is not None and last > sequence:
        raise SequenceGoesBack(f"{writer} committed {last} to {table} and now brings {sequence}", table=table)
    return last == sequence


def _refuse_drift(rows: pl.DataFrame, *, found: DeltaTable | None, table: str) -> None:
    unsigned = [name for name, kind in rows.schema.items() if kind.is_unsigned_integer()]
    if unsigned:
        raise LakeSchemaDrift(
            f"{table}: Delta Lake has no unsigned integers: {', '.join(unsigned)}. Reinterpret them as signed first",
            table=table,
        )
    if found is None:
        return
    expected = {each.name: str(each.type) for each in found.schema().fields}
    brought = {each.name: str(each.type) for each in Schema.from_arrow(rows.head(0).to_arrow().schema).fields}
    if expected != brought:
        missing = sorted(expected.keys() - brought.keys())
        unknown = sorted(brought.keys() - expected.keys())
        changed = sorted(name for name in expected.keys() & brought.keys() if expected[name] != brought[name])
        raise LakeSchemaDrift(
            f"{table}: missing columns {missing}, unknown columns {unknown}, other types {changed}", table=table
        )


def local_folder(url: str) -> Path | None:
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return Path(url) if len(parts.scheme) == 0 else None


def _files_added_by(log_entry: Path) -> list[str]:
    actions = [json.loads(line) for line in log_entry.read_text().splitlines()]
    return [unquote(action["add"]["path"]) for action in actions if "add" in action]


def _fsync(path: Path) -> None:
    try:
        opened = os.open(path, os.O_RDONLY)
    except FileNotFoundError:  # another writer's tidy has already replaced it
        return
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
