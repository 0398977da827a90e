"""Reads the text options of a source: each has a type and a default, and a name nobody knows is refused."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from millicent.kit.errors import BadInput
from millicent.mediation.types import FormatOptions

# Options that every format understands.
COMMON_OPTIONS = frozenset(
    {
        "service",
        "direction",
        "call_type",
        "identifier",
        "identifier_kind",
        "supplier",
        "events",
        "not_usage",
        "growing",
        "chunk_bytes",
        "chunk_records",
        "record_limit_bytes",
    }
)
DIRECTIONS = ("originating", "terminating", "forwarded")
IDENTIFIER_KINDS = ("msisdn", "imsi", "sip_user", "radius_user", "ip", "device")

_SMALLEST_BLOCK, _LARGEST_BLOCK = 1_024, 512 * 1024 * 1024


class OptionReader:
    """Typed access to `FormatOptions.options`. Every fault is a BadInput naming the option."""

    def __init__(self, options: FormatOptions, *, known: Collection[str]) -> None:
        self._texts: Mapping[str, str] = options.options
        strange = sorted(set(self._texts) - COMMON_OPTIONS - set(known))
        if strange:
            names = ", ".join(sorted(COMMON_OPTIONS | set(known)))
            raise BadInput(f"unknown option {strange[0]!r}", where="source options", cure=f"Known are: {names}.")

    def text(self, name: str, default: str = "") -> str:
        return str(self._texts.get(name, default))

    def names(self, name: str, default: str = "") -> tuple[str, ...]:
        """A list written with commas."""
        return tuple(part.strip() for part in self.text(name, default).split(",") if part.strip())

    def choice(self, name: str, allowed: Collection[str], default: str) -> str:
        text = self.text(name, default)
        if text not in allowed:
            raise BadInput(f"{text!r} is not allowed", where=name, cure=f"Use one of: {', '.join(allowed)}.")
        return text

    def flag(self, name: str, *, default: bool = False) -> bool:
        return self.choice(name, ("true", "false"), "true" if default else "false") == "true"

    def number(self, name: str, default: int, *, least: int = 0, most: int = 2**31 - 1) -> int:
        text = self.text(name, str(default))
        if not text.isdigit() or not least <= int(text) <= most:
            raise BadInput(f"{text!r} is not a number from {least} to {most}", where=name, cure="Mend the option.")
        return int(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonOptions:
    """What every source may declare, whatever its format."""

    service: str
    direction: str
    call_type: str
    identifier: tuple[str, ...]  # columns, the first that is not empty says who it was
    identifier_kind: str
    supplier: str  # a column, or "" where suppliers are not known
    events: int
    not_usage: tuple[tuple[str, frozenset[str]], ...]  # a record with one of these values in the column is no usage
    growing: bool  # the file is still written to: an unfinished last record is left for the next read
    chunk_bytes: int
    chunk_records: int
    record_limit_bytes: int


def common_options(
    reader: OptionReader,
    *,
    service: str,
    identifier: str,
    identifier_kind: str,
    supplier: str = "",
    direction: str = "originating",
    events: int = 0,
) -> CommonOptions:
    """The common options with the defaults of one format."""
    limit = reader.number("record_limit_bytes", 65_536, least=64, most=16 * 1024 * 1024)
    return CommonOptions(
        service=reader.text("service", service),
        direction=reader.choice("direction", DIRECTIONS, direction),
        call_type=reader.text("call_type"),
        identifier=reader.names("identifier", identifier),
        identifier_kind=reader.choice("identifier_kind", IDENTIFIER_KINDS, identifier_kind),
        supplier=reader.text("supplier", supplier),
        events=reader.number("events", events),
        not_usage=_filters(reader.text("not_usage")),
        growing=reader.flag("growing"),
        chunk_bytes=reader.number("chunk_bytes", 64 * 1024 * 1024, least=_SMALLEST_BLOCK, most=_LARGEST_BLOCK),
        chunk_records=reader.number("chunk_records", 250_000, least=1, most=4_000_000),
        record_limit_bytes=limit,
    )


def _filters(text: str) -> tuple[tuple[str, frozenset[str]], ...]:
    """`context=internal|test; lastapp=Playback` -> (("context", {"internal", "test"}), ...)."""
    filters = []
    for part in filter(None, (piece.strip() for piece in text.split(";"))):
        column, equals, values = part.partition("=")
        if not equals or not column.strip():
            raise BadInput(f"{part!r} is not a filter", where="not_usage", cure="Write column=value|value; ...")
        filters.append((column.strip(), frozenset(values.split("|"))))
    return tuple(filters)
