"""YAML from outside becomes plain values or a refusal that says where."""

import pytest

from millicent.kit.declarations import LARGEST_DECLARATION_BYTES, read_declaration
from millicent.kit.errors import BadInput

LAUGHS = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"


def test_values_are_plain():
    assert read_declaration("name: exchange\noptions: {delimiter: ';', header: yes}\n", where="f.yaml") == {
        "name": "exchange",
        "options": {"delimiter": ";", "header": True},
    }


@pytest.mark.parametrize(
    ("text", "what", "where"),
    [
        (LAUGHS, "has an alias", "f.yaml, line 2"),
        ("a: !!python/object/apply:os.system ['true']", "is not YAML", "f.yaml, line 1"),
        ("a: 1\nb: [", "is not YAML", "f.yaml, line 3"),
        ("[" * 5_000, "is nested too deeply", "f.yaml, line 1"),
        ("a: 2026-99-99", "is not YAML: month must be in 1..12", "f.yaml"),
        ("a: \x00", "is not YAML", "f.yaml"),
        ("#" * (LARGEST_DECLARATION_BYTES + 1), "is longer than 1,000,000 bytes", "f.yaml"),
    ],
)
def test_what_is_no_sound_declaration_is_refused_with_its_place(text, what, where):
    with pytest.raises(BadInput) as refusal:
        read_declaration(text, where=where.partition(",")[0])

    assert refusal.value.where == where
    assert refusal.value.what.startswith(what)
