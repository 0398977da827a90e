"""A declared mapping: an operator says in YAML (or JSON) what the columns of a switch's files mean. No code.

The guide with a tested example is docs/how-to/add-a-switch.md.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from millicent.kit.clock import zone_named
from millicent.kit.declarations import read_declaration
from millicent.kit.errors import BadInput
from millicent.mediation.types import DECODED_EXTRA_COLUMNS, Part
from millicent.network.files.fields import DURATION_UNITS, EPOCHS, ISO_PATTERN, VOLUME_UNITS, time_steps
from millicent.network.files.options import DIRECTIONS, IDENTIFIER_KINDS
from millicent.rating.types import USAGE_COLUMNS

# What a mapping may fill, and how each is read.
TIMES: Final = ("occurred_at", "ended_at")
DURATIONS: Final = ("duration",)
VOLUMES: Final = ("uplink", "downlink")
COUNTS: Final = ("events", "sequence_number", "content_nanos")
FLAGS: Final = ("answered",)
TEXTS: Final = (
    "service", "direction", "call_type", "identifier_kind", "identifier", "other_party", "origin_number",
    "visited_network", "supplier", "event_id", "part", "correlation_key",
)  # fmt: skip
TARGETS: Final = TIMES + DURATIONS + VOLUMES + COUNTS + FLAGS + TEXTS
_ALLOWED: Final[Mapping[str, Sequence[str]]] = {
    "direction": DIRECTIONS,
    "identifier_kind": IDENTIFIER_KINDS,
    "part": tuple(part.value for part in Part),
}
_RULE_KEYS: Final = {"column", "columns", "value", "time", "zone", "unit", "map", "default", "required"}
_TOP_KEYS: Final = {"columns", "header", "separator", "quote", "backslash", "multiline", "comment", "fields",
                    "attributes", "not_usage"}  # fmt: skip
_WHERE = "mapping"

assert set(TEXTS) <= set(USAGE_COLUMNS) | set(DECODED_EXTRA_COLUMNS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Where one value comes from: columns (the first that is filled, or all of them for an id), or a constant."""

    columns: tuple[str, ...] = ()
    constant: str = ""
    time: str = ISO_PATTERN
    zone: str = ""
    unit: str = ""
    values: Mapping[str, str] | None = None
    default: str = ""
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredMapping:
    """A whole mapping, checked."""

    columns: tuple[str, ...]  # () where the header line or JSON itself names them
    header: bool
    separator: str
    quote: str
    backslash: bool
    multiline: bool
    comment: str
    fields: Mapping[str, Rule]
    attributes: Mapping[str, str]
    not_usage: tuple[tuple[str, frozenset[str]], ...]

    @property
    def used(self) -> tuple[str, ...]:
        """Every column that the mapping reads, once, in order."""
        named = [column for rule in self.fields.values() for column in rule.columns]
        return tuple(dict.fromkeys([*named, *self.attributes.values(), *(column for column, _ in self.not_usage)]))


def read_mapping(text: str) -> DeclaredMapping:
    """Read and check a mapping. A fault is a BadInput that names the key."""
    document = read_declaration(text, where=_WHERE)
    if not isinstance(document, dict):
        raise BadInput("there is no mapping", where=_WHERE, cure="Give the option `mapping` as YAML with `fields:`.")
    _refuse_strangers(document, _TOP_KEYS, _WHERE)
    fields = {str(name): _rule(str(name), rule) for name, rule in _table(document, "fields").items()}
    for needed in ("occurred_at", "identifier"):
        if needed not in fields:
            raise BadInput(f"{needed} is not mapped", where=f"{_WHERE}.fields", cure=f"Add {needed}: {{column: ...}}.")
    return DeclaredMapping(
        columns=tuple(map(str, document.get("columns") or ())),
        header=bool(document.get("header", False)),
        separator=_one_character(document, "separator", ","),
        quote=_one_character(document, "quote", '"', empty=True),
        backslash=bool(document.get("backslash", False)),
        multiline=bool(document.get("multiline", False)),
        comment=_one_character(document, "comment", "", empty=True),
        fields=fields,
        attributes={str(name): str(column) for name, column in _table(document, "attributes").items()},
        not_usage=tuple(_filters(document.get("not_usage") or ())),
    )


def _rule(name: str, written: Any) -> Rule:
    where = f"{_WHERE}.fields.{name}"
    if name not in TARGETS:
        raise BadInput(f"{name!r} cannot be filled", where=where, cure=f"Known are: {', '.join(TARGETS)}.")
    rule = {"column": written} if isinstance(written, str) else written
    if not isinstance(rule, dict) or not {"column", "columns", "value"} & set(rule):
        raise BadInput("it has no column and no value", where=where, cure="Write {column: name} or {value: text}.")
    _refuse_strangers(rule, _RULE_KEYS, where)
    made = Rule(
        columns=tuple(map(str, rule["columns"])) if "columns" in rule else tuple(filter(None, [rule.get("column")])),
        constant=_plain(rule.get("value", "")),
        time=str(rule.get("time", ISO_PATTERN)),
        zone=str(rule.get("zone", "")),
        unit=str(rule.get("unit", "")),
        values={_plain(key): _plain(value) for key, value in rule["map"].items()} if "map" in rule else None,
        default=_plain(rule.get("default", "")),
        required=bool(rule.get("required", name in ("occurred_at", "identifier"))),
    )
    _check(name, made, where)
    return made


def _check(name: str, rule: Rule, where: str) -> None:
    if name in TIMES and rule.time not in EPOCHS:
        time_steps(rule.time)
    if rule.zone:
        zone_named(rule.zone, where=f"{where}.zone")
    units = DURATION_UNITS if name in DURATIONS else VOLUME_UNITS if name in VOLUMES else {"": (1, 1)}
    if rule.unit and rule.unit not in units:
        raise BadInput(f"{rule.unit!r} is not a unit here", where=f"{where}.unit", cure=f"Use: {', '.join(units)}.")
    allowed = _ALLOWED.get(name)
    for value in filter(None, (rule.constant, rule.default, *(rule.values or {}).values())):
        if allowed and value not in allowed:
            raise BadInput(f"{value!r} is not allowed", where=where, cure=f"Use one of: {', '.join(allowed)}.")


def _filters(written: Any) -> Iterator[tuple[str, frozenset[str]]]:
    for place, rule in enumerate(written):
        where = f"{_WHERE}.not_usage[{place}]"
        if not isinstance(rule, dict) or set(rule) != {"column", "values"} or not isinstance(rule["values"], list):
            raise BadInput("it is no filter", where=where, cure="Write {column: name, values: [a, b]}.")
        yield str(rule["column"]), frozenset(map(_plain, rule["values"]))


def _table(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    table = document.get(key) or {}
    if not isinstance(table, dict):
        raise BadInput(f"{key} is no table", where=f"{_WHERE}.{key}", cure="Write name: value lines below it.")
    return table


def _refuse_strangers(table: Mapping[Any, Any], known: set[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise BadInput(f"{key!r} is not known", where=where, cure=f"Known are: {', '.join(sorted(known))}.")


def _one_character(document: Mapping[str, Any], key: str, default: str, *, empty: bool = False) -> str:
    text = str(document.get(key, default))
    if (len(text) != 1 or not text.isascii()) and not (empty and text == ""):
        raise BadInput(
            f"{text!r} is not one ASCII character", where=f"{_WHERE}.{key}", cure='Write it as "\\t" or ";".'
        )
    return text


def _plain(value: object) -> str:
    """YAML reads yes, no, 007 and 1.0 as values; a mapping compares text, so write such keys in quotes."""
    return str(value).lower() if isinstance(value, bool) else str(value)
