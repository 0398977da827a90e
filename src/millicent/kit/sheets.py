"""CSV that people open in a spreadsheet. A spreadsheet runs a text that begins like a formula; ours stay texts."""

from pathlib import Path

import polars as pl

_FORMULA = r"^\s*[=+\-@＝＋－＠]"
_NUMBER = r"^[+-]?[0-9]+([.][0-9]+)?$"


def write_sheet(frame: pl.DataFrame, path: Path) -> None:
    """Write a CSV file with a header. A text that a spreadsheet would run gets an apostrophe in front; numbers do not.

    Names, numbers called and values that were refused come from outside, so any of them may be "=HYPERLINK(...)".
    See ASVS 5.0 1.2.10.
    """
    frame.with_columns(_as_text(name) for name in frame.select(pl.col(pl.String)).columns).write_csv(path)


def _as_text(name: str) -> pl.Expr:
    column = pl.col(name)
    runs = column.str.contains(_FORMULA) & ~column.str.contains(_NUMBER)
    return pl.when(runs).then("'" + column).otherwise(column).alias(name)
