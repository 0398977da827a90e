"""Tables that people bring: read as text, parsed column by column; every fault says row, column, value and cure.

Rows are counted as a spreadsheet shows them: the header is row 1. Nothing here knows what the columns mean.
"""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import polars as pl

from millicent.kit.clock import local_midnight_ms, to_ms
from millicent.kit.errors import BadInput

FAULT_SCHEMA = {
    "file": pl.String,
    "row": pl.Int64,
    "column": pl.String,
    "value": pl.String,
    "problem": pl.String,
    "cure": pl.String,
}
FREE_PREFIX = "characteristic:"
LARGEST_TABLE_BYTES = 512 * 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTable:
    """A file's sound rows: an Int64 column `row`, then one String column for each of the header's names."""

    file: str
    rows: pl.DataFrame
    faults: pl.DataFrame  # rows that have not as many fields as the header


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """How one column is read. `parse` gets text that is not empty and answers None when it is wrong."""

    name: str
    parse: Callable[[str], Any]
    cure: str
    into: pl.DataType | type[pl.DataType] = pl.String
    required: bool = False
    default: object = ""  # where the field is empty or the column is absent


def read_text_table(path: Path, *, columns: Sequence[Column]) -> TextTable:
    """Read a CSV file in UTF-8, separated by comma, semicolon or tab. An unknown or missing column refuses the file."""
    try:
        if path.stat().st_size > LARGEST_TABLE_BYTES:
            limit = LARGEST_TABLE_BYTES // 1024**2
            raise BadInput(f"is larger than {limit} MiB", where=str(path), cure="Split it: an import can be repeated.")
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as wrong:
        raise BadInput(
            f"byte {wrong.start} is not UTF-8", where=str(path), cure="Save the file as CSV UTF-8."
        ) from None
    except OSError as wrong:
        raise BadInput(f"cannot be read: {wrong.strerror}", where=str(path), cure="Check the path.") from None
    if not text.strip():
        raise BadInput("is empty", where=str(path), cure="The first row names the columns.")
    separator = max(",;\t", key=text.partition("\n")[0].count)
    try:
        table = list(csv.reader(StringIO(text, newline=""), delimiter=separator))
    except csv.Error as wrong:
        raise BadInput(f"is not CSV: {wrong}", where=str(path), cure="Check quotes and separators.") from None
    header = [name.strip() for name in table[0]]
    _refuse_header(header, columns=columns, where=f"{path}:1")
    return _text_table(table, header=header, file=path.name)


def _refuse_header(header: Sequence[str], *, columns: Sequence[Column], where: str) -> None:
    known = {column.name for column in columns}
    for name in header:
        if header.count(name) > 1:
            raise BadInput(f"column {name!r} stands twice", where=where, cure="Keep one of them.")
        if name not in known and not name.startswith(FREE_PREFIX):
            raise BadInput(
                f"there is no column {name!r}",
                where=where,
                cure=f"Columns are: {', '.join(sorted(known))}, and {FREE_PREFIX}<name> for your own.",
            )
    for column in columns:
        if column.required and column.name not in header:
            raise BadInput(f"column {column.name!r} is missing", where=where, cure=f"{column.cure}")


def _text_table(table: Sequence[Sequence[str]], *, header: Sequence[str], file: str) -> TextTable:
    """Part the rows that fit the header from those that do not; rows without any text are no rows."""
    fitting: list[tuple[int, Sequence[str]]] = []
    ragged: list[dict[str, object]] = []
    for row, fields in enumerate(table[1:], start=2):
        if not any(fields):
            continue
        if len(fields) == len(header):
            fitting.append((row, fields))
        else:
            problem = f"has {len(fields)} fields where the header names {len(header)}"
            ragged.append(_fault(file, row, "", "", problem, "Check quotes and separators."))
    columns = list(zip(*(fields for _, fields in fitting), strict=True)) or [()] * len(header)
    rows = pl.DataFrame(
        {"row": [row for row, _ in fitting]} | dict(zip(header, columns, strict=True)),
        schema={"row": pl.Int64} | dict.fromkeys(header, pl.String),
    )
    return TextTable(
        file=file,
        rows=rows.with_columns(pl.col(pl.String).str.strip_chars()),
        faults=pl.DataFrame(ragged, schema=FAULT_SCHEMA),
    )


def parse_columns(table: TextTable, *, columns: Sequence[Column]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Turn text into values: (rows with `row` and every column, null where wrong; the faults)."""
    parsed = [table.rows["row"]]
    faults = [table.faults]
    for column in columns:
        if column.name not in table.rows.columns:
            parsed.append(
                pl.Series(column.name, [column.default], dtype=column.into).new_from_index(0, table.rows.height)
            )
            continue
        texts = table.rows[column.name]
        values, wrong = _parse_texts(texts, column=column)
        parsed.append(values)
        if wrong:
            problem = pl.when(pl.col(column.name) == "").then(pl.lit("is empty")).otherwise(pl.lit("cannot be read"))
            bad = table.rows.filter(texts.is_in(list(wrong)))
            faults.append(fault_rows(bad, file=table.file, column=column.name, problem=problem, cure=column.cure))
    return pl.DataFrame(parsed), pl.concat(faults)


def _parse_texts(texts: pl.Series, *, column: Column) -> tuple[pl.Series, set[str]]:
    """Each different text is parsed once."""
    meaning: dict[str, Any] = {}
    wrong: set[str] = set()
    for text in texts.unique().to_list():
        value = column.parse(text) if text else (None if column.required else column.default)
        meaning[text] = value
        if value is None and (text or column.required):
            wrong.add(text)
    values = pl.Series(column.name, [meaning[text] for text in texts.to_list()], dtype=column.into)
    return values, wrong


def fault_rows(bad: pl.DataFrame, *, file: str, column: str, problem: str | pl.Expr, cure: str) -> pl.DataFrame:
    """One fault for each of these rows, with the value that stands in the column."""
    value = pl.col(column).cast(pl.String) if column in bad.columns else pl.lit("")
    return bad.select(
        file=pl.lit(file),
        row="row",
        column=pl.lit(column),
        value=value,
        problem=problem if isinstance(problem, pl.Expr) else pl.lit(problem),
        cure=pl.lit(cure),
    )


def no_faults() -> pl.DataFrame:
    return pl.DataFrame(schema=FAULT_SCHEMA)


def _fault(file: str, row: int, column: str, value: str, problem: str, cure: str) -> dict[str, object]:
    return {"file": file, "row": row, "column": column, "value": value, "problem": problem, "cure": cure}


def free_columns(table: TextTable) -> pl.Series:
    """The columns of the bringer's own as one JSON object a row: "characteristic:colour" becomes {"colour": ...}."""
    names = [name for name in table.rows.columns if name.startswith(FREE_PREFIX)]
    if not names:
        return pl.Series("characteristics", ["{}"], dtype=pl.String).new_from_index(0, table.rows.height)
    return pl.Series(
        "characteristics",
        [_object(values, names=names) for values in table.rows.select(names).iter_rows()],
        dtype=pl.String,
    )


def _object(values: Sequence[str], *, names: Sequence[str]) -> str:
    filled: Mapping[str, str] = {
        name.removeprefix(FREE_PREFIX): value for name, value in zip(names, values, strict=True) if value
    }
    return json.dumps(filled, ensure_ascii=False, sort_keys=True)


def parse_instant(text: str, *, zone: str) -> int | None:
    """Milliseconds of "2026-10-01" (local midnight in the zone) or "2026-10-01T08:00:00+02:00"; None when neither."""
    try:
        if len(text) == 10:
            return local_midnight_ms(date.fromisoformat(text), zone)
        instant = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        return None
    return to_ms(instant) if instant.tzinfo is not None else None


def parse_instants(rows: pl.DataFrame, *, column: str, zone: str) -> tuple[pl.Series, pl.Series]:
    """The column as instants by the zone that stands in another column: (Int64, null where empty or wrong; wrong)."""
    pairs = list(zip(rows[column].to_list(), rows[zone].to_list(), strict=True))
    meaning = {pair: parse_instant(pair[0], zone=pair[1]) for pair in set(pairs) if pair[0] and pair[1]}
    instants = pl.Series(column, [meaning.get(pair) for pair in pairs], dtype=pl.Int64)
    wrong = instants.is_null() & (rows[column] != "") & (rows[zone] != "")
    return instants, wrong


def parse_flag(text: str) -> bool | None:
    return {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}.get(text.lower())


def parse_whole(text: str, *, smallest: int, largest: int) -> int | None:
    """A whole number in digits, from `smallest` to `largest`."""
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        return None
    return int(text) if smallest <= int(text) <= largest else None


def sorted_objects(texts: pl.Series) -> pl.Series:
    """jsonb keeps keys in an order of its own: JSON as `free_columns` writes it, to be compared as text."""
    meaning = {
        text: json.dumps(json.loads(text), ensure_ascii=False, sort_keys=True) for text in texts.unique().to_list()
    }
    return pl.Series(texts.name, [meaning[text] for text in texts.to_list()], dtype=pl.String)
