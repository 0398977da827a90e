"""Lines of a CSV file to columns of text. Each line is one row: a quote that never closes damages its own row only."""

import csv

import polars as pl

from millicent.catalog.decks.types import REFUSED_COLUMNS, DeckFormat, DeckRows, RowRefusal
from millicent.kit.errors import BadInput

Refused = list[tuple[int, str, str, str]]


def split_rows(content: bytes, *, layout: DeckFormat) -> DeckRows:
    """Split the file. Raises BadInput only when it is not text, or has no usable header."""
    lines = _lines(content, layout=layout)
    place = next((number for number, line in enumerate(lines) if line.strip()), None)
    if place is None:
        raise BadInput("the file is empty", where=layout.file, cure="Put a header and rows in it.")
    header = _split(lines[place], delimiter=layout.delimiter)
    if header is None:
        raise BadInput("the header's quotes do not close", where=f"{layout.file}:{place + 1}", cure="Mend the quotes.")
    names = tuple(name.strip() for name in header)
    _check_header(names, layout=layout, line=place + 1)
    kept: list[list[str]] = []
    numbers: list[int] = []
    refused: Refused = []
    for number, line in enumerate(lines[place + 1 :], start=place + 2):
        if not line.strip():
            continue
        cells = _split(line, delimiter=layout.delimiter)
        if cells is None:
            refused.append((number, "", RowRefusal.DAMAGED, line[:80]))
        elif len(cells) != len(names):
            few = len(cells) < len(names)
            reason = RowRefusal.TOO_FEW_COLUMNS if few else RowRefusal.TOO_MANY_COLUMNS
            refused.append((number, "", reason, f"{len(cells)} instead of {len(names)}"))
        else:
            kept.append(cells)
            numbers.append(number)
    columns = list(zip(*kept, strict=True)) if kept else [()] * len(names)
    frame = pl.DataFrame({"row": pl.Series(numbers, dtype=pl.Int64)}).with_columns(
        pl.Series(f"c{at}", values, dtype=pl.String) for at, values in enumerate(columns)
    )
    return DeckRows(
        header=names,
        rows=frame,
        refused=pl.DataFrame(refused, schema=REFUSED_COLUMNS, orient="row"),
        rows_in=len(kept) + len(refused),
    )


def _lines(content: bytes, *, layout: DeckFormat) -> list[str]:
    encoding = "utf-8-sig" if layout.encoding == "utf-8" else layout.encoding
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadInput(
            f"this is not {layout.encoding} text",
            where=f"{layout.file}:{line}",
            cure="Save the file as UTF-8, or name its `encoding:`.",
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _split(line: str, *, delimiter: str) -> list[str] | None:
    """Cells of one line, None when its quotes do not close. Without quotes there is nothing but delimiters."""
    if '"' not in line:
        return line.split(delimiter)
    try:
        return next(csv.reader((line,), delimiter=delimiter, strict=True), [])
    except csv.Error:
        return None


def _check_header(names: tuple[str, ...], *, layout: DeckFormat, line: int) -> None:
    for ours, theirs in layout.columns.items():
        if names.count(theirs) != 1:
            found = "no column" if theirs not in names else "more than one column"
            raise BadInput(
                f"the file has {found} {theirs!r} for `{ours}`",
                where=f"{layout.file}:{line}",
                cure=f"Its columns are: {', '.join(names)}. Check `columns:` and `delimiter:`.",
            )
