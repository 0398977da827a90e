"""A table that people bring is read whole or refused with its reason."""

import pytest

from millicent.kit import intake
from millicent.kit.errors import BadInput
from millicent.kit.intake import read_text_table


def a_file(folder, content):
    path = folder / "accounts.csv"
    path.write_bytes(content)
    return path


def test_a_file_of_the_largest_size_is_read_and_one_byte_more_is_refused(tmp_path, monkeypatch):
    columns = [intake.Column(name="code", parse=str, cure="Write a code.")]
    monkeypatch.setattr(intake, "LARGEST_TABLE_BYTES", 7)

    assert read_text_table(a_file(tmp_path, b"code\na\n"), columns=columns).rows.rows() == [(2, "a")]
    with pytest.raises(BadInput, match="is larger than"):
        read_text_table(a_file(tmp_path, b"code\nab\n"), columns=columns)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"code\n\xff\n", "byte 5 is not UTF-8"),
        (b"code\n" + b"x" * 200_000, "is not CSV: field larger than field limit (131072)"),
        (b"code,code\na,b\n", "column 'code' stands twice"),
        (b"colour\nred\n", "there is no column 'colour'"),
    ],
)
def test_what_is_no_table_of_ours_is_refused(tmp_path, content, what):
    columns = [intake.Column(name="code", parse=str, cure="Write a code.")]

    with pytest.raises(BadInput) as refusal:
        read_text_table(a_file(tmp_path, content), columns=columns)

    assert refusal.value.what == what
