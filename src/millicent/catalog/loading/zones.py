"""Zone maps: prefixes as written, and prefixes of countries from their numbering plans."""

import re
from dataclasses import dataclass, field

from millicent.catalog.loading.nodes import Node
from millicent.catalog.loading.reading import Reading, Section
from millicent.catalog.numbering import NUMBER_TYPES, calling_codes, prefixes_of
from millicent.catalog.types import Zone, ZoneMap

_PREFIX = re.compile(r"[1-9][0-9]{0,14}|short:[0-9*#]{1,15}")


@dataclass(slots=True, kw_only=True)
class _Claims:
    """Who has which prefix within one map. What is written wins over what a numbering plan gives."""

    reading: Reading
    written: dict[str, str] = field(default_factory=dict)
    planned: dict[str, str] = field(default_factory=dict)

    def write(self, prefix: str, *, zone: str, node: Node) -> None:
        holder = self.written.setdefault(prefix, zone)
        if holder != zone:
            self.reading.fault(node, f"prefix {prefix!r} stands in zone {holder!r} too", "Keep it in one zone.")

    def plan(self, prefix: str, *, zone: str, node: Node) -> None:
        if self.written.get(prefix, zone) != zone:
            return
        holder = self.planned.setdefault(prefix, zone)
        if holder != zone:
            self.reading.fault(
                node,
                f"{node.text} gives prefix {prefix!r}, which zone {holder!r} has too",
                "Put both countries in one zone, or name the prefix under `except:`.",
            )

    def of(self, zone: str) -> tuple[str, ...]:
        own = {prefix for prefix, holder in self.planned.items() if holder == zone and prefix not in self.written}
        return tuple(sorted(own | {prefix for prefix, holder in self.written.items() if holder == zone}))


def read_zone_map(section: Section) -> ZoneMap:
    claims = _Claims(reading=section.reading)
    parts = section.sections("zones")
    for part in parts:
        _claim_written(part, claims)
    for part in parts:
        _claim_countries(part, claims)
    for part in parts:
        if part.flag("rest_of_world"):
            _claim_rest(part, claims)
    zones = tuple(
        Zone(code=part.text("code"), names=part.names(), prefixes=claims.of(part.text("code")), where=part.where)
        for part in parts
    )
    for zone, part in zip(zones, parts, strict=True):
        if not zone.prefixes:
            part.fault("code", f"zone {zone.code!r} has no prefix", "Add `prefixes:` or `countries:`.")
    return ZoneMap(code=section.text("code"), zones=zones)


def _claim_written(section: Section, claims: _Claims) -> None:
    for node in section.nodes("prefixes"):
        prefix = node.text.removeprefix("+").replace(" ", "")
        if not _PREFIX.fullmatch(prefix):
            section.reading.fault(
                node, f"{node.text!r} is not a prefix", 'Write E.164 digits ("+34"), or a short code as "short:112".'
            )
            continue
        claims.write(prefix, zone=section.text("code"), node=node)


def _claim_countries(section: Section, claims: _Claims) -> None:
    types = tuple(node.text for node in section.nodes("number_types") if _known_type(section, node))
    unwanted = {word.removeprefix("+") for word in section.words("except")}
    for node in section.nodes("countries"):
        for prefix in _planned(section, node, types):
            if prefix not in unwanted:
                claims.plan(prefix, zone=section.text("code"), node=node)


def _planned(section: Section, node: Node, types: tuple[str, ...]) -> list[str]:
    reading, country = section.reading, node.text
    question = f"prefixes {country} {'+'.join(types) or 'all'}"
    nothing: list[str] = []
    return reading.attempt(
        node, lambda: reading.derived.ask(question, lambda: prefixes_of(country, types)), stand_in=nothing
    )


def _known_type(section: Section, node: Node) -> bool:
    if node.text in NUMBER_TYPES:
        return True
    section.reading.fault(node, f"{node.text!r} is not a number type", f"Use one of: {', '.join(NUMBER_TYPES)}.")
    return False


def _claim_rest(section: Section, claims: _Claims) -> None:
    codes = section.reading.derived.ask("calling codes", lambda: [str(code) for code in calling_codes()])
    taken = claims.written.keys() | claims.planned.keys()
    for code in codes:
        if code not in taken:
            claims.plan(code, zone=section.text("code"), node=section.field("rest_of_world"))
