"""The reference pages of docs/reference/, made from the code: settings, errors, reasons, tables, metrics, commands."""

import inspect
import os
from collections.abc import Iterator, Sequence
from dataclasses import fields
from enum import IntEnum
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import millicent
from millicent.config.settings import Settings
from millicent.kit.errors import MillicentError

_NEED_AN_EXTRA = ("millicent.mediation.sftp_store",)  # paramiko; it declares nothing that the pages show
MADE_BY = "<!-- Made by `millicent docs` from the code. Do not edit: change the code, then run `make docs`. -->"


def write_pages(folder: Path) -> dict[str, int]:
    """Write every page; returns how many lines each has."""
    folder.mkdir(parents=True, exist_ok=True)
    lengths = {}
    for name, text in reference_pages().items():
        (folder / name).write_text(text, encoding="utf-8")
        lengths[name] = text.count("\n")
    return lengths


def reference_pages() -> dict[str, str]:
    """Every page by its file name."""
    import_everything()
    return {
        "settings.md": _settings_page(),
        "errors.md": _errors_page(),
        "reasons.md": _reasons_page(),
        "tables.md": _tables_page(),
        "metrics.md": _metrics_page(),
        "cli.md": _cli_page(),
    }


def import_everything() -> None:
    """Import every module of Millicent, so that each error, reason and table is known. Starts no server."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "millicent.config.django_frame")
    import django

    django.setup()
    left_out = {"millicent.config.django", *_NEED_AN_EXTRA}
    for module in walk_packages(millicent.__path__, "millicent."):
        if module.name not in left_out and ".migrations" not in module.name:
            import_module(module.name)


def error_classes() -> list[type[MillicentError]]:
    """Every error of Millicent, parents first, then by code."""

    def below(parent: type[MillicentError]) -> Iterator[type[MillicentError]]:
        yield parent
        for child in sorted(parent.__subclasses__(), key=lambda each: (each.code, each.__name__)):
            yield from below(child)

    return [each for each in below(MillicentError) if each.__module__.startswith("millicent.")]


def reason_enums() -> list[type[IntEnum]]:
    """The enums of reasons: integers that stand in arrays and in suspense."""
    return sorted((each for each in _int_enums() if each.__name__.endswith("Reason")), key=lambda each: each.__module__)


def _int_enums() -> Iterator[type[IntEnum]]:
    for each in IntEnum.__subclasses__():
        if each.__module__.startswith("millicent."):
            yield each


def _page(title: str, *blocks: str) -> str:
    return "\n\n".join((f"# {title}", MADE_BY, *blocks)) + "\n"


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "| " + " | ".join("---" for _ in columns) + " |"]
    lines += ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _cell(cell: object) -> str:
    return " ".join(str(cell).split()).replace("|", "\\|")


def _promise(thing: Any) -> str:
    """The first paragraph of a docstring."""
    return (inspect.getdoc(thing) or "").split("\n\n")[0]


def _settings_page() -> str:
    rows = [
        (
            f"`{each.metadata['environment']}`",
            "whole number" if isinstance(each.default, int) else " or ".join(each.metadata["choices"]) or "text",
            f"`{each.default}`" if each.default != "" else "",
            each.metadata["help"],
        )
        for each in fields(Settings)
    ]
    return _page(
        "Settings",
        "Environment variables, read once at start. There are no others; prices and taxes are catalogue content.",
        _table(("variable", "type", "default", "what it is"), rows),
    )


def _errors_page() -> str:
    rows = [
        (f"`{each.code}`", _family(each), each.exit_status, _promise(each))
        for each in error_classes()
        if each is not MillicentError
    ]
    statuses = _table(
        ("exit status", "meaning"),
        (
            (0, "done"),
            (1, "ended early: aborted, a check failed, or the reader of the output went away"),
            (2, "what was given is wrong: the command line, a setting or a file"),
            (3, "the business says no; nothing was changed"),
            (4, "something needed is silent; the same call may succeed later"),
            (70, "a defect of Millicent; what was being done is rolled back"),
            (130, "interrupted from the keyboard"),
        ),
    )
    return _page(
        "Errors",
        "Codes are stable and never reused. With `--json` an error is one JSON object on standard error: "
        '`{"error": {"code": ..., "message": ..., "facts": {...}}}`.',
        statuses,
        _table(("code", "family", "exit status", "what it says"), rows),
    )


def _family(error: type[MillicentError]) -> str:
    families = [each.__name__ for each in error.__mro__ if each.__module__ == "millicent.kit.errors"]
    return "/".join(reversed([name for name in families if name != "MillicentError"])) or error.__name__


def _reasons_page() -> str:
    blocks = ["Why a record could not go on. A number is never reused: it stands in stored usage and in suspense."]
    for each in reason_enums():
        rows = [(member.value, f"`{member.name.lower()}`") for member in each]
        blocks.append(f"## {each.__module__.removeprefix('millicent.')}.{each.__name__}")
        blocks.append(_promise(each))
        blocks.append(_table(("number", "reason"), rows))
    return _page("Reasons", *blocks)


def _tables_page() -> str:
    from django.apps import apps

    blocks = ["Tables of the database. Every one with a tenant has forced row-level security."]
    for model in sorted(apps.get_models(), key=lambda each: each._meta.db_table):
        blocks.append(f"## {model._meta.db_table}")
        blocks.append(_promise(model) + (" *Append-only.*" if getattr(model, "append_only", False) else ""))
        rows = [
            (f"`{each.column}`", _column_type(each), "yes" if each.null else "") for each in model._meta.local_fields
        ]
        blocks.append(_table(("column", "type", "may be null"), rows))
        rules = sorted(each.name for each in model._meta.constraints)
        if rules:
            blocks.append("Always: " + "; ".join(rule.replace("_", " ") for rule in rules) + ".")
    return _page("Tables", *blocks)


def _column_type(column: Any) -> str:
    relation = getattr(column, "related_model", None)
    return f"→ {relation._meta.db_table}" if relation else str(column.get_internal_type())


def _metrics_page() -> str:
    from millicent.kit.metrics import REGISTRY

    rows = [
        (f"`{each.name}`", each.type, each.documentation) for each in sorted(REGISTRY.collect(), key=lambda e: e.name)
    ]
    return _page(
        "Metrics",
        "What `millicent up` shows under /metrics, in Prometheus' text format; counters end in `_total`.",
        _table(("name", "type", "what it counts"), rows),
    )


def _cli_page() -> str:
    from millicent.config.cli import COMMANDS, load_command

    blocks = ["Every command has `--help`; those that print something have `--json`. Exit statuses: see errors.md."]
    for name in COMMANDS:
        if _is_there(name):
            blocks += list(_command_blocks(f"millicent {name}", load_command(name)))
    return _page("Commands", *blocks)


def _is_there(name: str) -> bool:
    from millicent.config.cli import COMMANDS

    module = COMMANDS[name][0]
    folder = Path(__file__).parent / "commands"
    return (folder / f"{module}.py").exists() or (folder / module).is_dir()


def _command_blocks(path: str, command: Any) -> Iterator[str]:
    yield f"## {path}"
    yield _promise_of_help(command.help)
    rows = [_parameter_row(each) for each in command.params if each.name != "help"]
    if rows:
        yield _table(("argument or option", "default", "what it is"), rows)
    for name, child in getattr(command, "commands", {}).items():
        yield from _command_blocks(f"{path} {name}", child)


def _promise_of_help(text: str | None) -> str:
    return "\n\n".join(" ".join(part.split()) for part in (text or "").split("\n\n"))


def _parameter_row(parameter: Any) -> tuple[str, str, str]:
    options = ", ".join(f"`{option}`" for option in (*parameter.opts, *parameter.secondary_opts))
    is_argument = parameter.param_type_name == "argument"
    default = "" if parameter.default in (None, False, "", ...) or callable(parameter.default) else parameter.default
    shown = f"`{parameter.name.upper()}`" if is_argument else options
    return (shown, str(default), getattr(parameter, "help", "") or "")
