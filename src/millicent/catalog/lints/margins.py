"""Prices below cost: against the cost floor beside a price, and against what a supplier charges at the same prefix."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

import polars as pl

from millicent.catalog.errors import Fault
from millicent.catalog.lints.coverage import zone_codes
from millicent.catalog.lints.places import remark
from millicent.catalog.types import Catalogue, RateDeck, Tariff, TariffRule, TierModel
from millicent.kit.money import format_plain

_LONGEST_PREFIX = 15
_CURE = "Raise the price, or mend the cost."


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The dearest destination of a zone at one supplier."""

    prefix: str
    destination: str
    nanos_per_unit: Fraction


def prices_below_cost(catalogue: Catalogue) -> Iterator[Fault]:
    """A unit price under the `cost:` written beside it."""
    for tariff in catalogue.tariffs.values():
        for rule in tariff.rules:
            floor, lowest = rule.card.cost_floor_nanos_per_unit, lowest_price(rule)
            if floor is not None and lowest is not None and lowest < floor:
                yield remark(
                    "price_below_cost",
                    rule.where,
                    f"rule {rule.code!r} sells at {_per_minute(lowest, tariff)}, "
                    f"its cost is {_per_minute(floor, tariff)}",
                    _CURE,
                )


def prices_below_supplier(catalogue: Catalogue) -> Iterator[Fault]:
    """A call price under what a supplier's deck charges for some destination of the zone. A price of zero is a
    decision, not a slip: flat rates have one."""
    suppliers = set(catalogue.supplier_tariffs.values())
    for supplier, code in catalogue.supplier_tariffs.items():
        supply = catalogue.tariffs[code]
        for deck in (catalogue.decks[each] for each in supply.decks):
            for name in catalogue.zone_maps:
                costs = zone_costs(deck, name=name, catalogue=catalogue)
                for tariff in catalogue.tariffs.values():
                    if tariff.code not in suppliers and tariff.currency == supply.currency:
                        yield from _below_supplier(tariff, costs=costs, supplier=supplier, catalogue=catalogue)
            for tariff in catalogue.tariffs.values():
                if tariff.code not in suppliers and tariff.currency == supply.currency:
                    yield from _deck_below_supplier(tariff, supply=deck, supplier=supplier, catalogue=catalogue)


def _below_supplier(
    tariff: Tariff, *, costs: Mapping[str, Cost], supplier: str, catalogue: Catalogue
) -> Iterator[Fault]:
    for rule in tariff.rules:
        lowest = lowest_price(rule)
        if rule.surcharge or lowest is None or tariff.deck_service not in rule.match.services or not _outgoing(rule):
            continue
        for zone in zone_codes(rule.match.zones, catalogue=catalogue):
            cost = costs.get(zone)
            if cost is not None and 0 < lowest < cost.nanos_per_unit:
                yield remark(
                    "price_below_cost",
                    rule.where,
                    f"rule {rule.code!r} sells zone {zone!r} at {_per_minute(lowest, tariff)}; {supplier} charges "
                    f"{_per_minute(cost.nanos_per_unit, tariff)} for {cost.prefix} {cost.destination}".rstrip(),
                    _CURE,
                )


def _deck_below_supplier(tariff: Tariff, *, supply: RateDeck, supplier: str, catalogue: Catalogue) -> Iterator[Fault]:
    for code in tariff.decks:
        deck = catalogue.decks[code]
        below = (
            _frame(deck)
            .join(_frame(supply), on="prefix", suffix="_cost")
            .filter(pl.col("rate") * supply.per_units < pl.col("rate_cost") * deck.per_units)
        )
        if below.height:
            yield remark(
                "price_below_cost",
                tariff.where,
                f"deck {code!r} sells {below.height} prefixes below what {supplier} charges, first {below[0, 0]}",
                _CURE,
            )


def _frame(deck: RateDeck) -> pl.DataFrame:
    """Open rows only; rates as Int128 so that cross-multiplying cannot overflow."""
    rates = pl.Series(deck.rate_nanos).cast(pl.Int128)
    blocked = pl.Series(deck.blocked)
    frame = pl.DataFrame({"prefix": list(deck.prefixes), "rate": rates, "blocked": blocked})
    return frame.filter(pl.col("blocked") == 0).select("prefix", "rate")


def zone_costs(deck: RateDeck, *, name: str, catalogue: Catalogue) -> dict[str, Cost]:
    """The dearest row of the deck in each zone of a map, by the longest prefix that the map has for the row."""
    holder = {prefix: f"{name}/{zone.code}" for zone in catalogue.zone_maps[name].zones for prefix in zone.prefixes}
    dearest: dict[str, int] = {}
    for place, prefix in enumerate(deck.prefixes):
        zone = next((holder[prefix[:size]] for size in range(len(prefix), 0, -1) if prefix[:size] in holder), None)
        if zone is None or deck.blocked[place]:
            continue
        if zone not in dearest or deck.rate_nanos[place] > deck.rate_nanos[dearest[zone]]:
            dearest[zone] = place
    return {
        zone: Cost(
            prefix=deck.prefixes[place],
            destination=deck.destinations[place],
            nanos_per_unit=Fraction(int(deck.rate_nanos[place]), deck.per_units),
        )
        for zone, place in dearest.items()
    }


def lowest_price(rule: TariffRule) -> Fraction | None:
    """The least that one more unit costs under a rule; None where no unit has a price."""
    if rule.blocked or rule.card.percentage is not None:
        return None
    ladder = rule.card.ladder
    if ladder is None:
        prices = [Fraction(slot.amount_nanos, slot.per_units) for slot in rule.card.slots]
    elif ladder.model is TierModel.PACKAGE:
        prices = [Fraction(ladder.steps[0].flat_nanos, max(ladder.package_units, 1))]
    elif ladder.model is TierModel.STAIRS:
        return None
    else:
        prices = [Fraction(step.amount_nanos, step.per_units) for step in ladder.steps]
    return min(prices) * (1 - rule.card.discount) if prices else None


def _outgoing(rule: TariffRule) -> bool:
    return not rule.match.directions or "originating" in rule.match.directions


def _per_minute(nanos_per_unit: Fraction, tariff: Tariff) -> str:
    """For people: rounded to a whole nano for a minute's worth of units."""
    return f"{format_plain(round(nanos_per_unit * 60), tariff.currency)} {tariff.currency} per 60 units"
