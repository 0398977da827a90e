"""How commands speak: a table for people, one JSON document for programs, progress with ETA on a terminal only."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

JSON_OPTION = typer.Option(False, "--json", help="Print one JSON document instead of a table.")

_out = Console()
_err = Console(stderr=True)


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, as_json: bool) -> None:
    """Rows under named columns; numbers are right-aligned."""
    if as_json:
        show_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    table = Table(title=title, title_justify="left", header_style="bold")
    for place, column in enumerate(columns):
        numeric = bool(rows) and isinstance(rows[0][place], int)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row))
    _out.print(table)


def show_record(title: str, record: Mapping[str, object], *, as_json: bool) -> None:
    """One thing: its fields under each other."""
    if as_json:
        show_json(record)
        return
    show_table(title, ("what", "value"), [(key, str(value)) for key, value in record.items()], as_json=False)


def show_json(document: object) -> None:
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2, default=str))


def say(text: str) -> None:
    """A sentence for a person, on standard error so that it never mixes with what a program reads."""
    _err.print(text, highlight=False)


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Any]:
    """Yields `advance(count)`. Silent unless standard error is a terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=_err, disable=not _err.is_terminal, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count=1: bar.advance(task, count)
