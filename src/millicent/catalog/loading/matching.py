"""`when:` of rules and allowances to Match, and which unit its services count."""

from collections.abc import Collection

from millicent.catalog.loading.reading import Reading, Section
from millicent.catalog.loading.units import UnitKind
from millicent.catalog.types import Match, Measure, ServiceSpecification

DIRECTIONS = ("originating", "terminating", "forwarded")
_KINDS = {
    Measure.DURATION: UnitKind.TIME,
    Measure.TOTAL_VOLUME: UnitKind.VOLUME,
    Measure.UPLINK_VOLUME: UnitKind.VOLUME,
    Measure.DOWNLINK_VOLUME: UnitKind.VOLUME,
    Measure.EVENTS: UnitKind.COUNT,
}

Specifications = dict[str, ServiceSpecification]


def unit_kinds(services: Collection[str], specifications: Specifications) -> frozenset[UnitKind]:
    """What the units of these services measure; of all services where none is named."""
    named = [specifications[code] for code in services or specifications if code in specifications]
    return frozenset(_KINDS[each.measure] for each in named)


def read_match(section: Section, *, specifications: Specifications, bands: str) -> Match:
    """`bands` is the kind of reference that band codes are: of one calendar, or of any."""
    directions = section.words("direction")
    for node in section.nodes("direction"):
        if node.text not in DIRECTIONS:
            section.reading.fault(node, f"{node.text!r} is not a direction", f"Use one of: {', '.join(DIRECTIONS)}.")
    return Match(
        services=section.refer_all("specification", "service"),
        directions=directions,
        call_types=section.words("call_type"),
        zones=section.refer_all("zone", "zone"),
        origin_zones=section.refer_all("zone", "origin_zone"),
        visited_zones=section.refer_all("network zone", "visited"),
        bands=section.refer_all(bands, "band"),
        segments=section.words("segment"),
        attributes=_attributes(section, specifications=specifications),
    )


def _attributes(section: Section, *, specifications: Specifications) -> dict[str, tuple[str, ...]]:
    asked = section.section("attributes")
    services = section.words("service")
    declared: dict[str, set[str]] = {}
    for code in services or specifications:
        if code in specifications:
            for name, values in specifications[code].attributes.items():
                declared.setdefault(name, set()).update(values)
    for name, node in asked.node.fields.items():
        if name not in declared:
            _undeclared(section.reading, asked, name)
            continue
        for value in asked.nodes(name):
            if declared[name] and value.text not in declared[name]:
                allowed = ", ".join(sorted(declared[name]))
                section.reading.fault(node, f"{value.text!r} is not a value of {name!r}", f"Use one of: {allowed}.")
    return {name: asked.words(name) for name in asked.node.fields}


def _undeclared(reading: Reading, asked: Section, name: str) -> None:
    reading.fault(
        asked.field(name),
        f"no service here declares the attribute {name!r}",
        "Declare it under `attributes:` of the service in specifications.yaml.",
        code="unknown_code",
    )
