"""Reading one catalogue: faults are collected, references are written down and followed at the end.

A `Section` is a mapping of a file seen through the reading. Its methods never raise: what cannot be read becomes a
fault at its place and a harmless stand-in, so that one pass finds everything. A catalogue with faults is not used.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import Enum
from fractions import Fraction
from typing import TypeVar
from zoneinfo import ZoneInfo

from millicent.catalog.errors import Fault, Severity
from millicent.catalog.loading import units
from millicent.catalog.loading.derived import Derived
from millicent.catalog.loading.nodes import Node
from millicent.catalog.types import ANY, LocalizedText
from millicent.kit.clock import zone_named
from millicent.kit.errors import BadInput

Answer = TypeVar("Answer")
Choice = TypeVar("Choice", bound=Enum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    kind: str
    code: str
    node: Node


@dataclass(slots=True, kw_only=True)
class Reading:
    """Everything that accumulates while the files of one catalogue are read."""

    files: Mapping[str, bytes]
    derived: Derived
    faults: list[Fault] = field(default_factory=list)
    declared: dict[str, dict[str, Node]] = field(default_factory=dict)
    references: list[Reference] = field(default_factory=list)
    counted: set[str] = field(default_factory=lambda: set(units.COUNTED))
    currency: str = "EUR"  # of the operator, once operator.yaml is read
    zone: str = "UTC"

    @property
    def sound(self) -> bool:
        return not any(fault.severity is Severity.FAULT for fault in self.faults)

    def fault(
        self, node: Node, message: str, cure: str, *, code: str = "meaning", severity: Severity = Severity.FAULT
    ) -> None:
        self.faults.append(
            Fault(
                code=code,
                file=node.file,
                line=node.line,
                column=node.column,
                message=message,
                cure=cure,
                severity=severity,
            )
        )

    def attempt(self, node: Node, parse: Callable[[], Answer], *, stand_in: Answer) -> Answer:
        """Do one reading step; a BadInput becomes a fault at `node`."""
        try:
            return parse()
        except BadInput as wrong:
            self.fault(node, wrong.what, wrong.cure, code="value")
            return stand_in

    def declare(self, kind: str, code: str, node: Node) -> bool:
        """Note that `code` exists. A second one of the same kind is a fault."""
        known = self.declared.setdefault(kind, {})
        if code in known:
            self.fault(
                node,
                f"{kind} {code!r} was already declared at {known[code].where}",
                "Give one of them another code.",
                code="twice",
            )
            return False
        known[code] = node
        return True

    def refer(self, kind: str, code: str, node: Node) -> str:
        self.references.append(Reference(kind=kind, code=code, node=node))
        return code

    def follow_references(self) -> None:
        """Every code that is named must exist; the nearest name is offered."""
        for each in self.references:
            known = self.declared.get(each.kind, {})
            if each.code in known or each.code == ANY:
                continue
            near = get_close_matches(each.code, known, n=1)
            cure = f"Did you mean {near[0]!r}?" if near else f"Declare the {each.kind} first, or correct the code."
            self.fault(each.node, f"there is no {each.kind} {each.code!r}", cure, code="unknown_code")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One mapping of a file, read field by field."""

    node: Node
    reading: Reading

    @property
    def where(self) -> str:
        return f"{self.node.file}:{self.node.line}"

    def has(self, key: str) -> bool:
        return key in self.node.fields and self.node.fields[key].value is not None

    def field(self, key: str) -> Node:
        return self.node.fields.get(key, self.node)

    def fault(self, key: str, message: str, cure: str) -> None:
        self.reading.fault(self.field(key), message, cure)

    def text(self, key: str, default: str = "") -> str:
        return self.field(key).text if self.has(key) else default

    def words(self, key: str) -> tuple[str, ...]:
        """One word or a list of them."""
        if not self.has(key):
            return ()
        return tuple(node.text for node in self.nodes(key))

    def nodes(self, key: str) -> list[Node]:
        if not self.has(key):
            return []
        node = self.field(key)
        return node.parts if isinstance(node.value, list) else [node]

    def names(self, key: str = "names") -> LocalizedText:
        """Words for people by language. A bare text is English."""
        node = self.field(key) if self.has(key) else None
        if node is None:
            return {"en": self.text("code")}
        if not node.fields:
            return {"en": node.text}
        names = {language: words.text for language, words in node.fields.items()}
        if "en" not in names:
            self.reading.fault(node, "the English name is missing", "Add `en:`; other languages are optional.")
        return names

    def whole(self, key: str, default: int = 0) -> int:
        value = self.field(key).value if self.has(key) else default
        return value if isinstance(value, int) else default

    def flag(self, key: str, default: bool = False) -> bool:
        value = self.field(key).value if self.has(key) else default
        return value if isinstance(value, bool) else default

    def choice(self, key: str, kind: type[Choice], default: Choice) -> Choice:
        """One of an enum, by its name in small letters."""
        wanted = self.text(key).upper()
        return kind[wanted] if wanted in kind.__members__ else default

    def parsed(self, key: str, parse: Callable[[str], Answer], *, default: Answer) -> Answer:
        if not self.has(key):
            return default
        return self.reading.attempt(self.field(key), lambda: parse(self.text(key)), stand_in=default)

    def money(self, key: str, *, currency: str, default: int = 0) -> int:
        return self.parsed(key, lambda text: units.parse_money(text, currency=currency), default=default)

    def maybe_money(self, key: str, *, currency: str) -> int | None:
        return self.money(key, currency=currency) if self.has(key) else None

    def quantity(self, key: str, *, kinds: Collection[units.UnitKind], default: int = 0) -> int:
        """Units of what the rule counts; written without a unit they are taken as such."""

        def parse(text: str) -> int:
            quantity = units.parse_quantity(text, counted=self.reading.counted)
            self.expect_kind(quantity.kind, kinds=kinds, text=text)
            return quantity.units

        return self.parsed(key, parse, default=default)

    def expect_kind(self, kind: units.UnitKind, *, kinds: Collection[units.UnitKind], text: str) -> None:
        if kinds and kind is not units.UnitKind.BARE and kind not in kinds:
            counted = " or ".join(sorted(each.value for each in kinds))
            raise BadInput(
                f"{text!r} is a measure of {kind.value}, the service here counts {counted}", cure="Mend the unit."
            )

    def fraction(self, key: str, default: Fraction = Fraction(0)) -> Fraction:
        return self.parsed(key, units.parse_fraction, default=default)

    def instant_ms(self, key: str, *, zone: str) -> int | None:
        nothing: int | None = None
        place = self.time_zone(zone)
        return self.parsed(key, lambda text: units.parse_instant_ms(text, zone=place), default=nothing)

    def time_zone(self, name: str) -> ZoneInfo:
        return self.reading.attempt(self.node, lambda: zone_named(name), stand_in=ZoneInfo("UTC"))

    def section(self, key: str) -> "Section":
        """A nested mapping; empty where there is none."""
        if self.has(key):
            return Section(node=self.field(key), reading=self.reading)
        here = self.node
        empty = Node(
            file=here.file,
            line=here.line,
            column=here.column,
            key_line=here.key_line,
            key_column=here.key_column,
            value={},
        )
        return Section(node=empty, reading=self.reading)

    def sections(self, key: str) -> "list[Section]":
        return [Section(node=node, reading=self.reading) for node in self.nodes(key)]

    def entries(self) -> "list[tuple[str, Section]]":
        """A mapping of code to mapping, each as a section."""
        return [(code, Section(node=node, reading=self.reading)) for code, node in self.node.fields.items()]

    def refer(self, kind: str, key: str, default: str = "") -> str:
        if not self.has(key):
            return default
        return self.reading.refer(kind, self.text(key), self.field(key))

    def refer_all(self, kind: str, key: str) -> tuple[str, ...]:
        return tuple(self.reading.refer(kind, node.text, node) for node in self.nodes(key))
