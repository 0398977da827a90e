"""Lints on the rules of one tariff: what can never be used, what is ambiguous, what has no price."""

from collections import defaultdict
from collections.abc import Iterator

from millicent.catalog.errors import Fault, Severity
from millicent.catalog.lints.coverage import (
    Ground,
    covers,
    covers_beside_zones,
    ground_of,
    meets,
    starts_alike,
    uncovered,
    zone_codes,
)
from millicent.catalog.lints.places import remark
from millicent.catalog.types import Catalogue, Tariff, TariffCalendar, TariffRule


def base_grounds(tariff: Tariff, *, catalogue: Catalogue) -> list[Ground]:
    return [ground_of(rule, catalogue=catalogue) for rule in tariff.rules if not rule.surcharge]


def unreachable_prices(catalogue: Catalogue) -> Iterator[Fault]:
    """A rule that another one always wins over: by priority, or because bands that fill the week win over no band."""
    for tariff in catalogue.tariffs.values():
        grounds = base_grounds(tariff, catalogue=catalogue)
        calendar = catalogue.calendars[tariff.calendar]
        for ground in grounds:
            winner = _winner(ground, grounds=grounds, calendar=calendar)
            if winner is not None:
                yield remark(
                    "unreachable_price",
                    ground.rule.where,
                    f"rule {ground.rule.code!r} is never used: {winner} wins for all that it is for",
                    "Remove it, narrow the other, or raise its priority.",
                )


def _winner(ground: Ground, *, grounds: list[Ground], calendar: TariffCalendar) -> str | None:
    wider = [each for each in grounds if each is not ground and covers(each, ground)]
    for each in wider:
        if each.rule.priority > ground.rule.priority and _bands_cover(each, ground):
            return f"rule {each.rule.code!r}"
    if ground.match.bands:
        return None
    banded = [each for each in wider if each.match.bands and each.rule.priority >= ground.rule.priority]
    bands = {band for each in banded for band in each.match.bands}
    if banded and not uncovered(bands, calendar=calendar):
        return "rules " + ", ".join(repr(each.rule.code) for each in banded)
    return None


def _bands_cover(wide: Ground, narrow: Ground) -> bool:
    return not wide.match.bands or (bool(narrow.match.bands) and set(narrow.match.bands) <= set(wide.match.bands))


def overlapping_rules(catalogue: Catalogue) -> Iterator[Fault]:
    """Two rules for the same usage at the same prefix, priority and band start: nothing says which one prices it."""
    for tariff in catalogue.tariffs.values():
        grounds = base_grounds(tariff, catalogue=catalogue)
        calendar = catalogue.calendars[tariff.calendar]
        for place, one in enumerate(grounds):
            for other in grounds[place + 1 :]:
                if one.rule.priority != other.rule.priority or not meets(one, other):
                    continue
                if starts_alike(one.match.bands, other.match.bands, calendar=calendar):
                    yield _overlap(one, other)


def _overlap(one: Ground, other: Ground) -> Fault:
    return remark(
        "overlap",
        other.rule.where,
        f"rules {one.rule.code!r} ({one.rule.where}) and {other.rule.code!r} can both price the same usage",
        "Give one of them a higher `priority:`, or tell them apart under `when:`.",
        severity=Severity.FAULT,
    )


def zones_without_price(catalogue: Catalogue) -> Iterator[Fault]:
    """A tariff that uses a map and leaves zones of it out: calls there fall to a shorter prefix, or to nothing."""
    for tariff in catalogue.tariffs.values():
        named = {code for rule in tariff.rules for code in zone_codes(rule.match.zones, catalogue=catalogue)}
        for name in sorted({code.partition("/")[0] for code in named}):
            zones = catalogue.zone_maps[name].zones
            missing = [zone.code for zone in zones if f"{name}/{zone.code}" not in named]
            if missing and not tariff.decks and not _has_rest(tariff, name=name):
                yield remark(
                    "zone_without_price",
                    tariff.where,
                    f"tariff {tariff.code!r} uses map {name!r} but has no price for: {', '.join(missing)}",
                    "Add rules for these zones; `blocked: true` if they are not served.",
                )


def _has_rest(tariff: Tariff, *, name: str) -> bool:
    """One rule without a zone prices what is left of the services that the map is used for."""
    using = [rule for rule in _base(tariff) if any(zone.partition("/")[0] == name for zone in rule.match.zones)]
    services = {service for rule in using for service in rule.match.services}
    return any(
        not rule.match.zones
        and _prices_outgoing(rule.match.directions)
        and (not rule.match.services or services <= set(rule.match.services))
        for rule in _base(tariff)
    )


def _base(tariff: Tariff) -> Iterator[TariffRule]:
    return (rule for rule in tariff.rules if not rule.surcharge)


def _prices_outgoing(directions: tuple[str, ...]) -> bool:
    return not directions or "originating" in directions


def band_gaps(catalogue: Catalogue) -> Iterator[Fault]:
    """Rules that differ in their bands only, and together leave part of some day without a price."""
    for tariff in catalogue.tariffs.values():
        grounds = base_grounds(tariff, catalogue=catalogue)
        calendar = catalogue.calendars[tariff.calendar]
        for family in _families(grounds):
            bands = {band for each in family for band in each.match.bands}
            gaps = uncovered(bands, calendar=calendar)
            first = family[0]
            if not gaps or any(not each.match.bands and _falls_back(each, first) for each in grounds):
                continue
            day, spans = next(iter(gaps.items()))
            yield remark(
                "band_gap",
                first.rule.where,
                f"{', '.join(repr(each.rule.code) for each in family)} leave {_clock(spans[0][0])}-"
                f"{_clock(spans[0][1])} on a {day.name.lower()} without a price"
                + (f" (and {len(gaps) - 1} more kinds of day)" if len(gaps) > 1 else ""),
                "Add a rule without `band:` for the rest, or let the bands fill the day.",
            )


def _families(grounds: list[Ground]) -> list[list[Ground]]:
    """Banded rules by all that they ask for but their bands."""
    families: dict[object, list[Ground]] = defaultdict(list)
    for ground in grounds:
        if ground.match.bands:
            asked = ground.match
            rest = (asked.services, asked.directions, asked.call_types, asked.visited_zones, asked.segments)
            values = tuple(sorted((name, tuple(sorted(each))) for name, each in asked.attributes.items()))
            families[(rest, values, ground.prefixes, ground.origins)].append(ground)
    return list(families.values())


def _falls_back(wide: Ground, narrow: Ground) -> bool:
    return (not wide.prefixes or narrow.prefixes <= wide.prefixes) and covers_beside_zones(wide, narrow)


def _clock(second: int) -> str:
    return f"{second // 3600:02}:{second % 3600 // 60:02}"
