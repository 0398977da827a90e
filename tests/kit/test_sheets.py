"""What comes from outside is never run by the spreadsheet of who opens it."""

import csv

import polars as pl
import pytest

from millicent.kit.sheets import write_sheet


def written(frame, path):
    write_sheet(frame, path)
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize(
    "text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1+1", "+49 30 =x"]
)
def test_a_text_that_would_run_is_kept_as_text(tmp_path, text):
    assert written(pl.DataFrame({"name": [text]}), tmp_path / "out.csv") == [["name"], ["'" + text]]


def test_amounts_numbers_and_ordinary_texts_are_written_as_they_are(tmp_path):
    texts = ["-0.125", "+4930123456", "Anna = Bob", "", None, "x-1", "0049"]

    rows = written(pl.DataFrame({"text": texts, "amount_nanos": [-1, 2, 3, 4, 5, 6, 7]}), tmp_path / "out.csv")

    assert rows == [
        ["text", "amount_nanos"], ["-0.125", "-1"], ["+4930123456", "2"], ["Anna = Bob", "3"],
        ["", "4"], ["", "5"], ["x-1", "6"], ["0049", "7"],
    ]  # fmt: skip
