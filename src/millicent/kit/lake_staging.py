"""Files first, visibility later: how a decision made in PostgreSQL becomes lake rows exactly once.

`stage` writes data files that no reader sees. Their names go into a PostgreSQL row together with everything else that
was decided. `publish` then makes them visible under (writer, sequence); after a crash it is simply called again with
what the row says. So the rows of a commit are never computed twice, and cannot differ from what was counted.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake._internal import DeltaFileSystemHandler
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, RemoveAction

from millicent.kit.lake import ATTEMPTS, Lake, LakeBusy, LakeSchemaDrift, LakeSilent, SequenceGoesBack, local_folder

ROW_GROUPS = 16
SMALLEST_ROW_GROUP = 8_192
_PIECE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedFile:
    """One data file, written and durable, not yet part of its table."""

    path: str  # relative to the table
    size_bytes: int
    rows: int
    partition: Mapping[str, str]
    statistics: str  # Delta's JSON
    schema: str  # of the whole table, Delta's JSON

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def stage(
    lake: Lake, table: str, rows: pl.DataFrame, *, name: str, partition: Mapping[str, str], ranged: Sequence[str] = ()
) -> StagedFile:
    """Write rows (without their partition columns) to a file of the table and force it to the disk.

    `ranged` names integer columns whose smallest and largest value readers may skip files by. A file of the same name
    left by a killed attempt is written over: nobody has seen it.
    """
    folders = "/".join(f"{column}={value}" for column, value in partition.items())
    path = f"{folders}/{name}.parquet" if folders else f"{name}.parquet"
    columns = _arrow_table(rows)
    try:
        size = _write(lake, table, path, columns)
    except OSError as fault:
        raise LakeSilent(f"{table}: a file could not be written: {fault}", table=table) from fault
    whole = rows.head(0).with_columns(pl.lit("").alias(column) for column in partition)
    return StagedFile(
        path=path,
        size_bytes=size,
        rows=rows.height,
        partition=dict(partition),
        statistics=_statistics(rows, ranged=ranged),
        schema=Schema.from_arrow(whole.to_arrow(compat_level=pl.CompatLevel.oldest()).schema).to_json(),
    )


def publish(lake: Lake, table: str, files: Sequence[StagedFile], *, writer: str, sequence: int) -> bool:
    """Make staged files part of their table, once. False when this (writer, sequence) was published before."""
    schema = Schema.from_json(files[0].schema)
    actions: list[AddAction | RemoveAction] = [
        AddAction(
            quote(each.path, safe="/="), each.size_bytes, each.partition, int(time.time() * 1000), True, each.statistics
        )
        for each in files
    ]
    partition_by = list(files[0].partition) or None
    for _ in range(ATTEMPTS):
        found = lake.open_table(table) or _create(lake, table, schema, partition_by=partition_by)
        last = found.transaction_version(writer)
        if last is not None and last > sequence:
            raise SequenceGoesBack(f"{writer} published {last} to {table} and now brings {sequence}", table=table)
        if last == sequence:
            return False
        if _columns(found.schema()) != _columns(schema):
            raise LakeSchemaDrift(f"{table}: staged files have other columns than the table", table=table)
        version = found.version()
        try:
            found.create_write_transaction(
                actions,
                mode="append",
                schema=found.schema(),
                partition_by=partition_by,
                commit_properties=CommitProperties(app_transactions=[Transaction(app_id=writer, version=sequence)]),
            )
        except CommitFailedError:
            continue  # lost a race; whether the winner was this very commit is seen at the next attempt
        except (DeltaError, OSError) as fault:
            raise LakeSilent(f"{table}: a commit was refused: {fault}", table=table) from fault
        lake.force_to_disk(table, after_version=version)
        return True
    raise LakeBusy(f"{table}: lost {ATTEMPTS} races against other writers", table=table, writer=writer)


def _create(lake: Lake, table: str, schema: Schema, *, partition_by: list[str] | None) -> DeltaTable:
    return DeltaTable.create(
        lake.table_url(table),
        schema,
        mode="ignore",
        partition_by=partition_by,
        storage_options=dict(lake.storage_options) or None,
    )


def _columns(schema: Schema) -> dict[str, str]:
    return {each.name: str(each.type) for each in schema.fields}


def _arrow_table(rows: pl.DataFrame) -> pa.Table:
    """Constant text columns go as dictionaries of one: most of a usage's columns are, and cost nothing so."""
    arrays = []
    for column in rows.iter_columns():
        constant = column.dtype == pl.String and column.len() > 1 and (column == column[0]).all()
        if constant:
            codes = pa.array(pl.zeros(column.len(), pl.Int32, eager=True).to_arrow())
            arrays.append(pa.DictionaryArray.from_arrays(codes, pa.array([column[0]], pa.large_string())))
        else:
            arrays.append(column.to_arrow(compat_level=pl.CompatLevel.oldest()))
    return pa.table(arrays, names=rows.columns)


def _write(lake: Lake, table: str, path: str, columns: pa.Table) -> int:
    """Write a file, forced to the disk or taken by the object store; returns its true size."""
    folder = local_folder(lake.table_url(table))
    if folder is None:
        return _upload(lake, table, path, columns)
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    _write_parquet(columns, file, compression="lz4")
    with file.open("rb") as written:
        os.fsync(written.fileno())
    return file.stat().st_size


def _upload(lake: Lake, table: str, path: str, columns: pa.Table) -> int:
    """Through memory, so that the size is known; smaller than on a disk, because the way there is longer."""
    sink = pa.BufferOutputStream()
    _write_parquet(columns, sink, compression="zstd")
    content = sink.getvalue()
    store = DeltaFileSystemHandler(lake.table_url(table), dict(lake.storage_options) or None)
    stream = store.open_output_stream(path)
    for start in range(0, content.size, _PIECE_BYTES):
        stream.write(content.slice(start, min(_PIECE_BYTES, content.size - start)).to_pybytes())
    stream.close()  # type: ignore[attr-defined]
    return int(content.size)


def _write_parquet(columns: pa.Table, target: Path | pa.BufferOutputStream, *, compression: str) -> None:
    pq.write_table(
        columns,
        target,
        compression=compression,
        row_group_size=max(-(-columns.num_rows // ROW_GROUPS), SMALLEST_ROW_GROUP),
        use_dictionary=[
            name
            for name, kind in zip(columns.column_names, columns.schema.types, strict=True)
            if pa.types.is_dictionary(kind)
        ],
        store_schema=False,
        write_statistics=True,
    )


def _statistics(rows: pl.DataFrame, *, ranged: Sequence[str]) -> str:
    return json.dumps(
        {
            "numRecords": rows.height,
            "minValues": {name: rows[name].min() for name in ranged},
            "maxValues": {name: rows[name].max() for name in ranged},
            "nullCount": dict.fromkeys(ranged, 0),
        }
    )
