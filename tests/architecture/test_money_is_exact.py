"""No float touches money, rates or quantities: the code of the stages is read for it."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.source import PACKAGE, name_of, source_files, tree_of

UNITS_LAST = ("_nanos", "_units", "_ms", "_seconds", "_bytes", "amount", "quantity", "rate")
# What is about a picture, a progress bar or a measurement, and not about an amount. Each says what it is.
FLOATS_ALLOWED = {
    "kit/metrics.py": "bucket bounds of a duration histogram",
    "mediation/ahead.py": "seconds between two looks at a queue",
}


def is_allowed(path: Path) -> bool:
    name = name_of(path)
    pictures_and_dice = ("billing/documents/", "config/demo/records/")
    return name in FLOATS_ALLOWED or name.endswith(("bench.py", "load.py")) or name.startswith(pictures_and_dice)


def inexact_places(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Float literals, calls of float(), and true division on what is named like an amount."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            yield node.lineno, f"the float {node.value}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float":
            yield node.lineno, "float()"
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            for side in (node.left, node.right):
                name = getattr(side, "id", getattr(side, "attr", ""))
                if name.endswith(UNITS_LAST):
                    yield node.lineno, f"true division of {name}"


def test_the_reader_sees_each_kind_of_inexactness():
    tree = ast.parse("a = 0.5\nb = float(a)\nc = price_nanos / 2\nd = x.granted_units / y\ne = 7 // 2\n")

    assert sorted(inexact_places(tree)) == [
        (1, "the float 0.5"),
        (2, "float()"),
        (3, "true division of price_nanos"),
        (4, "true division of granted_units"),
    ]


def test_no_float_touches_money_rates_or_quantities():
    found = [
        f"{name_of(path)}:{line}: {what}"
        for path in source_files()
        if not is_allowed(path)
        for line, what in inexact_places(tree_of(path))
    ]

    assert found == []


def test_every_exemption_is_about_a_file_that_exists():
    assert [name for name in FLOATS_ALLOWED if not (PACKAGE / name).exists()] == []
