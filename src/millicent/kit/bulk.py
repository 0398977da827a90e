"""Many rows in, many rows out: polars frames over PostgreSQL's COPY, inside the running tenant's transaction."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import count
from typing import Any

import polars as pl
from django.db import connection
from psycopg import sql

_names = count()


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenRows:
    """Rows as the text that COPY reads: what one process hands to another that only has to insert them."""

    columns: tuple[str, ...]
    text: bytes
    height: int


def write_rows(frame: pl.DataFrame) -> WrittenRows:
    """The frame as `insert_rows` takes it."""
    return WrittenRows(columns=tuple(frame.columns), text=_csv(frame), height=frame.height)


def insert_rows(rows: WrittenRows, *, table: str) -> int:
    """The same as `insert_frame`, of rows that were written before."""
    return _insert([rows.text], columns=rows.columns, height=rows.height, table=table)


def insert_frame(frame: pl.DataFrame, *, table: str) -> int:
    """Insert every row of the frame into a table, or none. Returns how many.

    COPY refuses tables with row security, so the rows go to a temporary table first and from there in one INSERT,
    which obeys it. Columns that the frame does not have get the table's defaults; null is NULL, "" is "".
    """
    pieces = (_csv(piece) for piece in frame.iter_slices(50_000))
    return _insert(pieces, columns=frame.columns, height=frame.height, table=table)


def _csv(frame: pl.DataFrame) -> bytes:
    return frame.write_csv(include_header=False).encode()


def _insert(pieces: Iterable[bytes], *, columns: Sequence[str], height: int, table: str) -> int:
    if not height:
        return 0
    waiting = sql.Identifier(f"waiting_rows_{next(_names)}")
    named = sql.SQL(", ").join(sql.Identifier(name) for name in columns)
    parts = {"waiting": waiting, "target": sql.Identifier(table), "columns": named}
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("CREATE TEMP TABLE {waiting} ON COMMIT DROP AS SELECT {columns} FROM {target} WITH NO DATA").format(
                **parts
            )
        )
        with cursor.copy(sql.SQL("COPY {waiting} ({columns}) FROM STDIN (FORMAT csv)").format(**parts)) as copy:
            for piece in pieces:
                copy.write(piece)
        cursor.execute(
            sql.SQL("INSERT INTO {target} ({columns}) SELECT {columns} FROM {waiting}").format(**parts),
        )
        inserted = cursor.rowcount
        cursor.execute(sql.SQL("DROP TABLE {waiting}").format(**parts))
    assert inserted == height, f"{table} took {inserted} of {height} rows"
    return height


def read_frame(query: str, parameters: Sequence[Any] = (), *, schema: Mapping[str, type[pl.DataType]]) -> pl.DataFrame:
    """Answer a query as a frame with exactly these column names and types; a million rows take about a second."""
    with connection.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT csv)", parameters) as copy:
        text = b"".join(copy)
    if not text:
        return pl.DataFrame(schema=schema)
    return pl.read_csv(BytesIO(text), has_header=False, schema=schema)


def read_rows(query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Answer a query as tuples; jsonb arrives as text."""
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return list(cursor.fetchall())


def reserve_ids(table: str, *, how_many: int) -> pl.Series:
    """Take fresh primary keys of a table, so that rows which refer to each other can be written in bulk."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)", [table, how_many]
        )
        return pl.Series("id", [row[0] for row in cursor.fetchall()], dtype=pl.Int64)


def refresh_statistics(*tables: str) -> None:
    """Tell the planner how many rows these tables have now. After a bulk insert, before large reads of it.

    Holds a lock until the transaction ends that lets everybody read and write, but only one refresh at a time.
    """
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute("SELECT kit_refresh_statistics(%s::regclass)", [table])
