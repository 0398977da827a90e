"""The shape of a document against the published schema; what is wrong is said at its line, with a cure."""

from collections.abc import Iterator
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from millicent.catalog.errors import Fault
from millicent.catalog.loading.nodes import Node
from millicent.catalog.schema import DOCUMENTS


@lru_cache(maxsize=32)
def _validator(kind: str) -> Draft202012Validator:
    return Draft202012Validator(DOCUMENTS[kind])


def shape_faults(kind: str, document: Node) -> list[Fault]:
    """Every place where the document does not have the shape of its kind."""
    return [fault for error in _validator(kind).iter_errors(document.plain()) for fault in _faults(error, document)]


def _faults(error: ValidationError, document: Node) -> Iterator[Fault]:
    path: list[str | int] = list(error.absolute_path)
    node = document.at(path)
    match error.validator:
        case "additionalProperties":
            yield from _unknown_keys(error, node)
        case "required":
            missing = [key for key in error.validator_value if key not in node.fields]
            yield from (_at(node, f"{key!r} is missing", _cure(error, key)) for key in missing[:1])
        case "enum":
            yield _at(node, f"{node.text!r} is not one of the choices", _choices(node.text, error.validator_value))
        case "type":
            yield _at(node, f"{_kind_of(node)} does not fit here", _expected(error))
        case "pattern" | "minLength" | "maxLength" | "minimum" | "maximum":
            yield _at(node, f"{str(error.instance)!r} does not fit here", _expected(error))
        case _:
            yield _at(node, error.message, _expected(error))


def _unknown_keys(error: ValidationError, node: Node) -> Iterator[Fault]:
    known = list(error.schema.get("properties", {}))
    for key, child in node.fields.items():
        if key not in known:
            yield Fault(
                code="schema",
                file=child.file,
                line=child.key_line,
                column=child.key_column,
                message=f"{key!r} is not known here",
                cure=_choices(key, known),
            )


def _at(node: Node, message: str, cure: str) -> Fault:
    return Fault(code="schema", file=node.file, line=node.line, column=node.column, message=message, cure=cure)


def _cure(error: ValidationError, key: str) -> str:
    part: dict[str, Any] = error.schema.get("properties", {}).get(key, {})
    return f"Add `{key}:`. {part.get('description', '')}".strip()


def _choices(given: str, known: list[str]) -> str:
    near = get_close_matches(given, known, n=1)
    listed = ", ".join(str(each) for each in known)
    return f"Did you mean {near[0]!r}?" if near else f"Use one of: {listed}."


def _expected(error: ValidationError) -> str:
    description = str(error.schema.get("description", "")) if isinstance(error.schema, dict) else ""
    if description:
        return description
    return str(error.message)


def _kind_of(node: Node) -> str:
    if isinstance(node.value, dict):
        return "a mapping"
    if isinstance(node.value, list):
        return "a list"
    return repr(node.text) if node.text else "nothing"
