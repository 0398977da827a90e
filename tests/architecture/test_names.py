"""One word, one meaning; names that mean nothing are used for nothing."""

import ast
import re
from collections import Counter
from collections.abc import Iterator

from tests.architecture.source import ROOT, name_of, source_files, tree_of

WORDS = (ROOT / "docs" / "words.md").read_text(encoding="utf-8")
MEANINGLESS = frozenset(re.findall(r"`(\w+)`", WORDS.partition("## Names that mean nothing")[2]))


def defined_words() -> list[str]:
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", WORDS, flags=re.MULTILINE)
    return [word.strip() for word, _ in rows if word.strip() not in ("word", "---")]


def names_bound_by(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.lineno, node.name


def test_every_word_is_defined_once():
    assert [word for word, count in Counter(defined_words()).items() if count > 1] == []
    assert len(defined_words()) > 50


def test_the_list_of_meaningless_names_is_read():
    assert {"data", "info", "obj", "item", "process", "handle", "manager", "helper", "util"} == MEANINGLESS


def test_no_name_means_nothing():
    found = [
        f"{name_of(path)}:{line}: {name}"
        for path in source_files()
        for line, name in names_bound_by(tree_of(path))
        if name.lower() in MEANINGLESS
    ]

    assert found == []


def test_no_module_or_folder_is_a_room_for_everything():
    rooms = {"core", "utils", "util", "extras", "common", "helpers", "misc", "base", "shared"}

    assert [name_of(path) for path in source_files() if rooms & {*path.parts, path.stem}] == []
