"""How commands speak: a table for people, one JSON document for programs, progress with ETA on a terminal only."""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from millicent.kit.errors import BadInput

JSON_OPTION = typer.Option(False, "--json", help="Print one JSON document instead of a table.")
YES_OPTION = typer.Option(False, "--yes", help="Do not ask; needed where there is no terminal.")
_WIDTH_WITHOUT_TERMINAL = 160

# Colours, NO_COLOR and FORCE_COLOR are rich's own rules: https://no-color.org
_AMOUNT = re.compile(r"-?[0-9]+(\.[0-9]+)?")

_out = Console(width=None if sys.stdout.isatty() else _WIDTH_WITHOUT_TERMINAL)
_err = Console(stderr=True)


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, as_json: bool) -> None:
    """Rows under named columns; numbers are right-aligned."""
    if as_json:
        show_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    table = Table(title=title, title_justify="left", header_style="bold")
    for place, column in enumerate(columns):
        numeric = bool(rows) and all(_is_number(row[place]) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(cell) for cell in row))
    _out.print(table)


def _is_number(cell: object) -> bool:
    """Counts, and amounts written out: both are read from their last digit."""
    return isinstance(cell, int) or (isinstance(cell, str) and _AMOUNT.fullmatch(cell) is not None)


def _cell(cell: object) -> str:
    """Texts come from files and customers: never read as markup."""
    grouped = isinstance(cell, int) and not isinstance(cell, bool)
    return f"{cell:,}" if grouped else escape(str(cell))


def show_record(title: str, record: Mapping[str, object], *, as_json: bool) -> None:
    """One thing: its fields under each other."""
    if as_json:
        show_json(record)
        return
    show_table(title, ("what", "value"), [(key, str(value)) for key, value in record.items()], as_json=False)


def show_json(document: object) -> None:
    """One JSON document on standard output, and nothing else there."""
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2, default=str))


def say(text: str) -> None:
    """A sentence for a person, on standard error so that it never mixes with what a program reads."""
    _err.print(text, highlight=False)


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something that cannot be undone; without a terminal nobody is asked and `--yes` is needed."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise BadInput(f"{question} Nobody can answer: there is no terminal", cure="Add --yes to go on.")
    typer.confirm(question, abort=True, err=True)


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
