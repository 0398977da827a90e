"""What import-linter cannot say: no relative imports, kernels without any framework, late imports only in config."""

import ast
from collections.abc import Iterator

from tests.architecture.source import name_of, source_files, tree_of

KERNELS_MAY_USE = {"numpy", "numba", "millicent", "typing", "collections", "enum", "dataclasses"}


def imported_modules(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_no_import_is_relative():
    relative = [
        f"{name_of(path)}:{node.lineno}"
        for path in source_files()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ImportFrom) and node.level > 0
    ]

    assert relative == []


def test_kernels_know_numpy_and_numba_and_nothing_else():
    strangers = {
        f"{name_of(path)}: {module}"
        for path in source_files()
        if "/kernel/" in name_of(path)
        for module in imported_modules(tree_of(path))
        if module.split(".")[0] not in KERNELS_MAY_USE
    }

    assert strangers == set()


def test_outside_kernels_numba_is_used_in_one_place():
    users = {
        name_of(path)
        for path in source_files()
        if any(module.split(".")[0] == "numba" for module in imported_modules(tree_of(path)))
        and "/kernel/" not in name_of(path)
    }

    assert users == {"kit/kernels.py"}


def test_the_machines_clock_is_read_in_one_place():
    readers = {
        name_of(path)
        for path in source_files()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute)
        and node.attr in ("now", "utcnow", "today")
        and isinstance(node.value, ast.Name)
        and node.value.id in ("datetime", "date", "timezone")
    }

    assert readers == {"kit/clock.py"}
