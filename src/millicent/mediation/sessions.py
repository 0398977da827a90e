"""Open sessions in PostgreSQL, read and written in bulk inside the running transaction."""

from collections.abc import Sequence

import polars as pl
from django.db import connection

from millicent.kit.bulk import read_frame
from millicent.mediation.rules.correlation import COUNTERS, SESSION_COLUMNS

_COLUMNS = ", ".join(SESSION_COLUMNS)
# COPY writes a boolean as t or f, which no reader of CSV knows.
_READ = ", ".join(f"{name}::text" if kind == pl.Boolean else name for name, kind in SESSION_COLUMNS.items())
_KEPT = [name for name in SESSION_COLUMNS if name != "correlation_key"]


def without_nul(column: str) -> pl.Expr:
    """PostgreSQL's text holds every character but one."""
    return pl.col(column).str.replace_all("\x00", "\ufffd", literal=True)


def sessions_of(keys: Sequence[str], *, family: str) -> pl.DataFrame:
    """What is known of these sessions, locked until the transaction ends."""
    query = f"SELECT {_READ} FROM mediation_open_session WHERE family = %s AND correlation_key = ANY(%s)"  # noqa: S608
    return read_frame(query, [family, list(keys)], schema=SESSION_COLUMNS)


def lost_sessions(*, source_id: int, silent_since_ms: int, limit: int) -> pl.DataFrame:
    """Sessions of a source of which nothing was heard since that instant or that were given up, oldest first."""
    query = (
        f"SELECT {_READ} FROM mediation_open_session WHERE source_id = %s AND is_open "  # noqa: S608
        "AND (last_part_at_ms < %s OR is_given_up) "
        "ORDER BY last_part_at_ms, correlation_key LIMIT %s"
    )
    return read_frame(query, [source_id, silent_since_ms, limit], schema=SESSION_COLUMNS)


def keep_sessions(sessions: pl.DataFrame, *, family: str, source_id: int) -> None:
    """Write sessions over what was known of them."""
    if sessions.is_empty():
        return
    columns = f"family, source_id, {_COLUMNS}"
    changes = ", ".join(f"{name} = EXCLUDED.{name}" for name in _KEPT)
    rows = sessions.select(
        pl.lit(family).alias("family"),
        pl.lit(source_id).alias("source_id"),
        *(without_nul(name) if kind == pl.String else pl.col(name) for name, kind in SESSION_COLUMNS.items()),
    )
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS waiting_sessions")
        cursor.execute(
            f"CREATE TEMP TABLE waiting_sessions ON COMMIT DROP AS SELECT {columns} FROM mediation_open_session "  # noqa: S608
            "WITH NO DATA"
        )
        with cursor.copy(f"COPY waiting_sessions ({columns}) FROM STDIN (FORMAT csv)") as copy:
            for piece in rows.iter_slices(50_000):
                copy.write(piece.write_csv(include_header=False).encode())
        cursor.execute(
            f"INSERT INTO mediation_open_session ({columns}) SELECT {columns} FROM waiting_sessions "  # noqa: S608
            f"ON CONFLICT (tenant_id, family, correlation_key) DO UPDATE SET source_id = EXCLUDED.source_id, {changes}"
        )


def give_up_sessions(ended: pl.DataFrame, *, family: str) -> None:
    """Open sessions with these attributes, last heard of before these instants, will not be heard of again."""
    with connection.cursor() as cursor:
        for attribute, value, occurred_at_ms in ended.select("attribute", "value", "occurred_at_ms").iter_rows():
            cursor.execute(
                "UPDATE mediation_open_session SET is_given_up = true WHERE family = %s AND is_open "
                "AND last_part_at_ms <= %s AND CASE WHEN attributes = '' THEN false "
                "ELSE attributes::json ->> %s = %s END",
                [family, occurred_at_ms, attribute, value],
            )


def close_sessions(keys: Sequence[str], *, family: str) -> None:
    """Say that all that was reported so far became usage; a later report counts only beyond that."""
    settled = ", ".join(f"settled_{name} = {name}" for name in COUNTERS)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE mediation_open_session SET is_open = false, {settled} "  # noqa: S608
            "WHERE family = %s AND correlation_key = ANY(%s)",
            [family, list(keys)],
        )


def forget_sessions(*, source_id: int, closed_before_ms: int) -> int:
    """Delete closed sessions of which a late part is no longer expected. Returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM mediation_open_session WHERE source_id = %s AND NOT is_open AND last_part_at_ms < %s",
            [source_id, closed_before_ms],
        )
        return int(cursor.rowcount)
