"""What is written is true: reference pages, READMEs, decisions, and the commands they name."""

import re
import shlex
import subprocess
import sys
from collections import Counter
from dataclasses import fields
from functools import cache

import pytest
from tests.architecture.source import PACKAGE, ROOT, STAGES

from millicent.config.cli import COMMANDS
from millicent.config.reference import error_classes, import_everything, reason_enums, reference_pages
from millicent.config.settings import Settings

HEADINGS = ["Owns", "Does not own", "Words", "Promises", "Doors"]
REFERENCE = ROOT / "docs" / "reference"
DOCUMENTS = sorted(path for path in ROOT.rglob("*.md") if not {".venv", "node_modules"} & {*path.parts})


@cache
def pages() -> dict[str, str]:
    return reference_pages()


@pytest.mark.parametrize("name", ["settings.md", "errors.md", "reasons.md", "tables.md", "metrics.md", "cli.md"])
def test_the_reference_page_says_what_the_code_says(name):
    assert (REFERENCE / name).read_text(encoding="utf-8") == pages()[name], "run `make docs` and commit the pages"


def test_every_setting_has_its_own_variable_and_says_what_it_is():
    names = [each.metadata["environment"] for each in fields(Settings)]

    assert [name for name, count in Counter(names).items() if count > 1] == []
    assert [each.name for each in fields(Settings) if len(each.metadata["help"]) < 20] == []


def test_every_error_has_a_code_of_its_own_and_says_what_happened():
    import_everything()
    errors = error_classes()

    assert [code for code, count in Counter(each.code for each in errors).items() if count > 1] == []
    assert [each.__name__ for each in errors if not (each.__doc__ or "").strip()] == []
    assert [each.code for each in errors if not re.fullmatch(r"[a-z][a-z0-9_]*", each.code)] == []


def test_no_reason_has_two_numbers_or_two_names():
    import_everything()

    assert reason_enums() != []
    for each in reason_enums():
        assert len(each.__members__) == len(list(each)), f"{each.__name__} has two names for one number"


@pytest.mark.parametrize("stage", [stage for stage in STAGES if any((PACKAGE / stage).rglob("[a-z]*.py"))])
def test_a_stage_says_what_it_owns_and_promises(stage):
    text = (PACKAGE / stage / "README.md").read_text(encoding="utf-8")

    assert re.findall(rf"^(?:## |\*\*)({'|'.join(HEADINGS)})\b", text, flags=re.MULTILINE) == HEADINGS


def test_decisions_have_numbers_of_their_own():
    numbers = Counter(path.name[:4] for path in (ROOT / "docs" / "decisions").glob("*.md"))

    assert [number for number, count in numbers.items() if count > 1] == []


def test_links_between_documents_lead_somewhere():
    broken = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in DOCUMENTS
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
        if "://" not in target and not (path.parent / target).exists()
    ]

    assert broken == []


def shell_commands() -> list[tuple[str, str]]:
    """Every line in a shell block, and every `millicent ...` or `make ...` in a sentence, of the documents."""
    found = []
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        blocks = re.findall(r"```(?:sh|bash|console)\n(.*?)```", text, flags=re.DOTALL)
        lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
        lines += re.findall(r"`((?:millicent|make) [^`]+)`", text)
        found += [(str(path.relative_to(ROOT)), line) for line in lines if line.strip()]
    return found


def test_the_shell_can_read_every_command_in_the_documents():
    for where, line in shell_commands():
        command = ["bash", "-n", "-c", line.replace("...", "")]
        checked = subprocess.run(command, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, f"{where}: {line}: {checked.stderr}"


def test_every_command_that_a_document_names_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    unknown = []
    for where, line in shell_commands():
        words = [word for word in shlex.split(line.replace("...", ""), comments=True) if "=" not in word]
        words = [word for word in words if not word.startswith("-")]
        if words[:1] == ["make"] and len(words) > 1 and words[1] not in targets:
            unknown.append(f"{where}: {line}")
        if words[:1] == ["millicent"] and len(words) > 1 and words[1] not in COMMANDS:
            unknown.append(f"{where}: {line}")

    assert unknown == []


def test_every_command_of_the_table_has_its_module():
    folder = PACKAGE / "config" / "commands"
    modules = {module for module, _ in COMMANDS.values()}
    written = {path.stem for path in folder.glob("*.py")} | {path.name for path in folder.iterdir() if path.is_dir()}

    assert modules - written == set()


def test_help_imports_neither_a_stage_nor_anything_heavy():
    program = (
        "import sys; from millicent.config.cli import app; app(['--help'], standalone_mode=False); print(*sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    loaded = set(printed.splitlines()[-1].split())

    heavy = {"django", "numba", "numpy", "polars", "pyarrow", "deltalake", "psycopg", "structlog", "typst", "holidays"}
    assert heavy & loaded == set()
    assert {name for name in loaded if name.startswith("millicent.")} <= {
        "millicent.config",
        "millicent.config.cli",
        "millicent.kit",
        "millicent.kit.errors",
    }
