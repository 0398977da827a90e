"""Which usage a rule is for, compared with another: the shared ground of the lints on rules."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from millicent.catalog.types import Catalogue, DayType, Match, TariffCalendar, TariffRule

_SELECTORS = ("services", "directions", "call_types", "visited_zones", "segments")
Span = tuple[int, int]
END_OF_DAY = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """One rule with its zones opened up."""

    rule: TariffRule
    prefixes: frozenset[str]  # of its destination zones; empty when it asks for none
    origins: frozenset[str]

    @property
    def match(self) -> Match:
        return self.rule.match


def ground_of(rule: TariffRule, *, catalogue: Catalogue) -> Ground:
    return Ground(
        rule=rule,
        prefixes=prefixes_of_zones(rule.match.zones, catalogue=catalogue),
        origins=frozenset(zone_codes(rule.match.origin_zones, catalogue=catalogue)),
    )


def zone_codes(zones: Sequence[str], *, catalogue: Catalogue) -> list[str]:
    """ "map" opened up to all its zones."""
    found: list[str] = []
    for code in zones:
        if code in catalogue.zone_maps:
            found.extend(f"{code}/{zone.code}" for zone in catalogue.zone_maps[code].zones)
        else:
            found.append(code)
    return found


def prefixes_of_zones(zones: Sequence[str], *, catalogue: Catalogue) -> frozenset[str]:
    prefixes: set[str] = set()
    for code in zone_codes(zones, catalogue=catalogue):
        name, _, zone = code.partition("/")
        zone_map = catalogue.zone_maps.get(name)
        for each in zone_map.zones if zone_map else ():
            if each.code == zone:
                prefixes.update(each.prefixes)
    return frozenset(prefixes)


def covers(wide: Ground, narrow: Ground) -> bool:
    """Whatever the narrow rule is for, apart from time, the wide one is for too, at the same prefixes."""
    if bool(wide.prefixes) != bool(narrow.prefixes) or not narrow.prefixes <= wide.prefixes:
        return False
    return covers_beside_zones(wide, narrow)


def covers_beside_zones(wide: Ground, narrow: Ground) -> bool:
    for name in _SELECTORS:
        ours, theirs = set(getattr(wide.match, name)), set(getattr(narrow.match, name))
        if ours and (not theirs or not theirs <= ours):
            return False
    if wide.origins and (not narrow.origins or not narrow.origins <= wide.origins):
        return False
    for name, values in wide.match.attributes.items():
        asked = set(narrow.match.attributes.get(name, ()))
        if not asked or not asked <= set(values):
            return False
    return _covers_validity(wide.rule, narrow.rule)


def meets(one: Ground, other: Ground) -> bool:
    """Some usage is for both rules at the same prefix, apart from time of day."""
    if bool(one.prefixes) != bool(other.prefixes):
        return False
    if one.prefixes and one.prefixes.isdisjoint(other.prefixes):
        return False
    pairs = [(set(getattr(one.match, name)), set(getattr(other.match, name))) for name in _SELECTORS]
    pairs.append((set(one.origins), set(other.origins)))
    shared = one.match.attributes.keys() & other.match.attributes.keys()
    pairs.extend((set(one.match.attributes[name]), set(other.match.attributes[name])) for name in shared)
    if any(ours and theirs and not ours & theirs for ours, theirs in pairs):
        return False
    return _start(one.rule) < _end(other.rule) and _start(other.rule) < _end(one.rule)


def _covers_validity(wide: TariffRule, narrow: TariffRule) -> bool:
    return _start(wide) <= _start(narrow) and _end(wide) >= _end(narrow)


def _start(rule: TariffRule) -> int:
    return -(2**63) if rule.valid_from_ms is None else rule.valid_from_ms


def _end(rule: TariffRule) -> int:
    return 2**63 if rule.valid_until_ms is None else rule.valid_until_ms


def uncovered(bands: Iterable[str], *, calendar: TariffCalendar) -> Mapping[DayType, list[Span]]:
    """What the bands leave open, by kind of day."""
    wanted = set(bands)
    gaps: dict[DayType, list[Span]] = {}
    for day in DayType:
        spans = sorted(
            (band.start_second, band.end_second) for band in calendar.bands if band.code in wanted and day in band.days
        )
        open_spans, reached = [], 0
        for start, end in spans:
            if start > reached:
                open_spans.append((reached, start))
            reached = max(reached, end)
        if reached < END_OF_DAY:
            open_spans.append((reached, END_OF_DAY))
        if open_spans:
            gaps[day] = open_spans
    return gaps


def starts_alike(one: Sequence[str], other: Sequence[str], *, calendar: TariffCalendar) -> bool:
    """Two sets of bands that the latest start cannot tell apart: on some day two of them begin together."""
    if not one or not other:
        return not one and not other
    ours = [band for band in calendar.bands if band.code in one]
    theirs = [band for band in calendar.bands if band.code in other]
    return any(left.start_second == right.start_second and left.days & right.days for left in ours for right in theirs)
