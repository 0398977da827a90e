"""YAML with its places: text becomes nodes that know their file, line and column.

Only composition is used, never construction, so no tag can make an object. Scalars are read our own way: `NO` is
Norway, `08:00` is a time and `0.10` keeps its digits; only `true`, `false`, whole numbers and empty are special.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from millicent.catalog.errors import Fault

Scalar = str | int | bool | None
Plain = Scalar | list["Plain"] | dict[str, "Plain"]

_WHOLE_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DEEPEST = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One value of a YAML file. `key_line` and `key_column` are those of its key, where it has one."""

    file: str
    line: int
    column: int
    key_line: int
    key_column: int
    value: "Scalar | list[Node] | dict[str, Node]"

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    @property
    def fields(self) -> "dict[str, Node]":
        return self.value if isinstance(self.value, dict) else {}

    @property
    def parts(self) -> "list[Node]":
        return self.value if isinstance(self.value, list) else []

    @property
    def text(self) -> str:
        """A scalar as it was written, near enough: true and false in small letters, nothing as ""."""
        if self.value is None:
            return ""
        if isinstance(self.value, bool):
            return "true" if self.value else "false"
        return str(self.value)

    def plain(self) -> Plain:
        """The same as bare Python, for the schema."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def at(self, path: Iterator[str | int] | list[str | int]) -> "Node":
        """Walk down a path of keys and places; as far as it exists."""
        node = self
        for step in path:
            if isinstance(step, int) and step < len(node.parts):
                node = node.parts[step]
            elif isinstance(step, str) and step in node.fields:
                node = node.fields[step]
        return node


class _Broken(Exception):
    def __init__(self, mark: yaml.Mark, message: str, cure: str) -> None:
        super().__init__(message)
        self.mark, self.message, self.cure = mark, message, cure


def read_documents(file: str, content: bytes) -> tuple[list[Node], list[Fault]]:
    """Every document of one file; or the fault that stops it from being read at all."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return [], [_fault(file, line, 1, "this is not UTF-8 text", "Save the file as UTF-8.")]
    try:
        composed = [node for node in yaml.compose_all(text, Loader=_LOADER) if node is not None]
        return [_Converter(file).convert(node, key=node) for node in composed], []
    except yaml.MarkedYAMLError as error:
        return [], [_syntax_fault(file, error)]
    except yaml.YAMLError as error:
        return [], [_fault(file, 1, 1, f"this is not YAML: {error}", "Remove control characters from the file.")]
    except _Broken as broken:
        return [], [_fault(file, broken.mark.line + 1, broken.mark.column + 1, broken.message, broken.cure)]
    except RecursionError:
        return [], [_fault(file, 1, 1, "this file is nested too deeply", f"Stay within {DEEPEST} levels.")]


def _fault(file: str, line: int, column: int, message: str, cure: str) -> Fault:
    return Fault(code="syntax", file=file, line=line, column=column, message=message, cure=cure)


def _syntax_fault(file: str, error: yaml.MarkedYAMLError) -> Fault:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    message = f"this is not YAML: {error.problem or error.context or 'unreadable'}"
    return _fault(file, line, column, message, "Check indentation, colons and quotes on this line and the one above.")


class _Converter:
    """Composed nodes to ours. A node met twice came through an alias: refused, so that no file can grow on reading."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.seen: set[int] = set()

    def convert(self, node: yaml.Node, *, key: yaml.Node, depth: int = 0) -> Node:
        if id(node) in self.seen:
            raise _Broken(node.start_mark, "anchors and aliases are not used here", "Write the value out again.")
        if depth > DEEPEST:
            raise _Broken(node.start_mark, "this file is nested too deeply", f"Stay within {DEEPEST} levels.")
        self.seen.add(id(node))
        return Node(
            file=self.file,
            line=node.start_mark.line + 1,
            column=node.start_mark.column + 1,
            key_line=key.start_mark.line + 1,
            key_column=key.start_mark.column + 1,
            value=self._value(node, depth=depth + 1),
        )

    def _value(self, node: yaml.Node, *, depth: int) -> "Scalar | list[Node] | dict[str, Node]":
        if isinstance(node, yaml.MappingNode):
            return self._fields(node, depth=depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.convert(child, key=child, depth=depth) for child in node.value]
        assert isinstance(node, yaml.ScalarNode), "YAML has three kinds of node"
        return _scalar(node)

    def _fields(self, node: yaml.MappingNode, *, depth: int) -> dict[str, Node]:
        fields: dict[str, Node] = {}
        for key, child in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _Broken(key.start_mark, "a key must be a word", "Put the key in quotes if it is meant as text.")
            if key.value in fields:
                raise _Broken(key.start_mark, f"{key.value!r} stands here twice", "Keep one of the two.")
            fields[key.value] = self.convert(child, key=key, depth=depth)
        return fields


def _scalar(node: yaml.ScalarNode) -> Scalar:
    text = str(node.value)
    if node.style:  # quoted or block: text as it stands
        return text
    if text in ("", "~", "null"):
        return None
    if text in ("true", "false"):
        return text == "true"
    return int(text) if _WHOLE_NUMBER.fullmatch(text) else text
