"""Functions and files stay small enough to be read in one go."""

from statistics import median

from tests.architecture.source import code_lines, functions_of, name_of, source_files

LONGEST_FUNCTION = 60
LONGEST_FILE = 400
# A kernel is one loop on purpose; each entry says why the rest of us may not shorten it.
LONG_FUNCTIONS: dict[str, str] = {}
LONG_FILES = {
    "catalog/types.py": "the vocabulary of the catalogue stands on one page",
    "catalog/schema/documents.py": "the published schema is read next to itself",
}


def is_kernel(name: str) -> bool:
    return "/kernel/" in name


def test_functions_are_at_most_sixty_lines_long():
    long = {
        f"{name_of(path)}:{function.name}": code_lines(function)
        for path in source_files()
        if not is_kernel(name_of(path))
        for function in functions_of(path)
        if code_lines(function) > LONGEST_FUNCTION
    }

    assert {name: lines for name, lines in long.items() if name not in LONG_FUNCTIONS} == {}
    assert LONG_FUNCTIONS.keys() <= long.keys(), "an exemption that is no longer needed is taken away"


def test_half_of_the_functions_are_shorter_than_twelve_lines():
    assert median(code_lines(function) for path in source_files() for function in functions_of(path)) < 12


def test_files_are_shorter_than_four_hundred_lines():
    long = {
        name_of(path): lines
        for path in source_files()
        if (lines := path.read_text(encoding="utf-8").count("\n")) >= LONGEST_FILE and not is_kernel(name_of(path))
    }

    assert {name: lines for name, lines in long.items() if name not in LONG_FILES} == {}
    assert LONG_FILES.keys() <= long.keys(), "an exemption that is no longer needed is taken away"
