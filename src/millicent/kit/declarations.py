"""YAML that people bring, read as plain values: no object is built, and no file grows on reading."""

from typing import Any

import yaml

from millicent.kit.errors import BadInput

LARGEST_DECLARATION_BYTES = 1_000_000
_DEEPEST = 20
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _ExactLoader(_LOADER):  # type: ignore[misc, valid-type]
    """The safe loader, for which 0.30 and 2026-03-01 are the texts that were written: no amount becomes a fraction."""


_AS_WRITTEN = ("tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp")
_ExactLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _AS_WRITTEN]
    for first, resolvers in _LOADER.yaml_implicit_resolvers.items()
}


def read_declaration(text: str, *, where: str, decimals_as_text: bool = False) -> Any:
    """The values of one YAML document. Raises BadInput, with the line where there is one.

    An alias is refused: ten lines of aliases to aliases stand for more values than any memory holds. With
    `decimals_as_text` numbers with a point and dates stay as they were written: for declarations that hold amounts.
    """
    if len(text.encode("utf-8", "surrogatepass")) > LARGEST_DECLARATION_BYTES:
        raise BadInput(f"is longer than {LARGEST_DECLARATION_BYTES:,} bytes", where=where, cure="Split the file.")
    try:
        for depth, event in _nested(text):
            if isinstance(event, yaml.AliasEvent):
                raise BadInput("has an alias", where=_line(where, event.start_mark), cure="Write the value out again.")
            if depth > _DEEPEST:
                cure = f"Stay within {_DEEPEST} levels."
                raise BadInput("is nested too deeply", where=_line(where, event.start_mark), cure=cure)
        loader = _ExactLoader if decimals_as_text else _LOADER
        return yaml.load(text, Loader=loader)  # noqa: S506 - the safe loader, in C where it is there
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        raise BadInput("is not YAML", where=_line(where, mark), cure="Mend the line.") from fault
    except (yaml.YAMLError, ValueError) as fault:
        raise BadInput(f"is not YAML: {fault}", where=where, cure="Mend the file.") from fault


def _nested(text: str) -> Any:
    """Every event of the text with how deep it stands; stops where the caller does, before deeper ones are read."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        yield depth, event


def _line(where: str, mark: Any) -> str:
    return f"{where}, line {mark.line + 1}" if mark else where
