"""The catalogue's values become a tariff program."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from millicent.catalog.types import Catalogue, Match, PriceCard, RateDeck, Slot, Tariff, TariffRule
from millicent.kit.errors import BadInput
from millicent.kit.kernels import Int32s, Int64s, UInt8s
from millicent.kit.money import nano_digits
from millicent.rating.compile.allowances import CompiledAllowance, compile_allowances, window_of
from millicent.rating.compile.calendars import calendar_arrays
from millicent.rating.compile.cards import CardTables
from millicent.rating.compile.places import ZoneTables, checked_keys, zone_tables
from millicent.rating.compile.prefixes import DeckRows, PrefixTables
from millicent.rating.compile.rational import common_denominator
from millicent.rating.compile.schedules import ScheduleTables
from millicent.rating.compile.selection import CompiledRule, CompiledTariff, Selector, empty_cases, used_zone_sets
from millicent.rating.compile.tables import Names, Table
from millicent.rating.kernel.arrays import ALLOWANCE_COLUMNS, NOTHING, TARIFF_COLUMNS, Prices
from millicent.rating.program import TariffProgram


@dataclass(frozen=True, slots=True, kw_only=True)
class _CompiledDeck:
    rows: DeckRows
    denominators: frozenset[int]


@dataclass(slots=True)
class _Builder:
    """Tables of one program while they grow."""

    catalogue: Catalogue
    zones: ZoneTables
    prefixes: PrefixTables
    cards: CardTables
    cases: Table[np.int32]
    rules: Names[tuple[str, str]]  # (tariff, rule)
    zone_names: Names[str]
    decks: dict[str, _CompiledDeck]
    surcharge_matches: list[Match]
    rule_zones: dict[int, list[int]]


def compile_catalogue(catalogue: Catalogue) -> TariffProgram:
    """Compile one release. Raises BadInput, naming the rule, where a price cannot be exact in int64."""
    builder = _new_builder(catalogue)
    allowances = compile_allowances(catalogue)
    calendar_numbers = {code: number for number, code in enumerate(catalogue.calendars)}
    schedules = ScheduleTables(calendars=tuple(catalogue.calendars.values()))
    tariff_rows = Table(TARIFF_COLUMNS, np.int64)
    tariffs = []
    prices_per = {each.price_per for each in allowances}
    for number, tariff in enumerate(catalogue.tariffs.values()):
        rules, denominators = _compile_rules(builder, tariff)
        decks = [_deck(builder, code) for code in tariff.decks]
        for deck in decks:
            _refuse_other_currency(catalogue, tariff)
            denominators |= deck.denominators
        calendar = calendar_numbers[tariff.calendar]
        tariffs.append(CompiledTariff(tariff=tariff, number=number, calendar=calendar, rules=rules))
        tariff_rows.add(
            (
                builder.prefixes.add(tariff.decks, [deck.rows for deck in decks]),
                calendar,
                common_denominator(denominators | prices_per, where=tariff.code),
                int(tariff.rounding),
                10 ** max(0, nano_digits(tariff.currency) - tariff.decimals),
                int(tariff.band_by_start),
                int(bool(tariff.decks) or any(each.placements for each in rules)),
            )
        )
    matches = [each.allowance.match for each in allowances]
    selector = Selector(
        tariffs=tariffs,
        schedules=schedules,
        cases=builder.cases,
        zones=builder.zones,
        network_zones=dict(catalogue.network_zones),
        allowance_matches=matches,
        attribute_names=_attribute_names(catalogue, matches),
    )
    return TariffProgram(
        prefixes=builder.prefixes.arrays(),
        calendars=calendar_arrays(catalogue.calendars.values()),
        prices=_price_arrays(builder, tariff_rows.array(), selector, allowances),
        selector=selector,
        specifications=dict(catalogue.specifications),
        tariff_numbers={code: number for number, code in enumerate(catalogue.tariffs)},
        tariff_codes=list(catalogue.tariffs),
        currencies=[tariff.currency for tariff in catalogue.tariffs.values()],
        rule_names=[rule for _, rule in builder.rules.names],
        rule_tariffs=[tariff for tariff, _ in builder.rules.names],
        zone_names=builder.zone_names.names,
        rule_zones=builder.rule_zones,
        allowances=allowances,
        allowance_numbers={each.code: number for number, each in enumerate(allowances)},
        counters=[(name, scope.value) for name, scope in builder.cards.counters.names],
        supplier_tariffs=dict(catalogue.supplier_tariffs),
        reseller_tariffs=dict(catalogue.reseller_tariffs),
        asks_origin=any(match.origin_zones for match in _all_matches(catalogue, matches)),
    )


def _price_arrays(
    builder: _Builder, tariff_rows: Int64s, selector: Selector, allowances: list[CompiledAllowance]
) -> Prices:
    """The arrays that the kernel reads while it prices, from tables that have stopped growing."""
    return Prices(
        tariff=tariff_rows,
        card=builder.cards.card.array(),
        slot=builder.cards.slot.array(),
        step=builder.cards.step.array(),
        allowance=np.array([each.row for each in allowances], np.int64).reshape(-1, ALLOWANCE_COLUMNS),
        place_allowance=_place_table(builder.zones, selector.allowance_matches),
        place_surcharge=_place_table(builder.zones, builder.surcharge_matches),
        tariff_zone_set=used_zone_sets(selector.tariffs, len(builder.zones.zone_sets)),
        window=_windows(allowances, selector.schedules),
    )


def _new_builder(catalogue: Catalogue) -> _Builder:
    zones = zone_tables(catalogue)
    prefixes = PrefixTables(zones=zones, maps=len(catalogue.zone_maps))
    prefixes.add((), [])
    zone_names: Names[str] = Names()
    for name in zones.zones.names:
        zone_names.of(name)
    return _Builder(
        catalogue=catalogue,
        zones=zones,
        prefixes=prefixes,
        cards=CardTables(),
        cases=empty_cases(),
        rules=Names(),
        zone_names=zone_names,
        decks={},
        surcharge_matches=[],
        rule_zones={},
    )


def _compile_rules(builder: _Builder, tariff: Tariff) -> tuple[tuple[CompiledRule, ...], set[int]]:
    """The rules of one tariff, and the denominators that their amounts need."""
    compiled: list[CompiledRule] = []
    denominators: set[int] = set()
    for order, rule in enumerate(tariff.rules):
        card, needed = builder.cards.add(rule.card, where=rule.where or f"{tariff.code}/{rule.code}")
        denominators |= needed
        number = builder.rules.of((tariff.code, rule.code))
        compiled.append(_place_rule(builder, rule, order=order, card=card, number=number))
    return tuple(compiled), denominators


def _place_rule(builder: _Builder, rule: TariffRule, *, order: int, card: int, number: int) -> CompiledRule:
    placements: dict[int, int] = {}
    places_row = NOTHING
    root_case = NOTHING
    if rule.surcharge:
        places_row = len(builder.surcharge_matches)
        builder.surcharge_matches.append(rule.match)
    case = builder.cases.add((card, number, NOTHING, int(rule.blocked)))
    if rule.match.zones and not rule.surcharge:
        for zone in builder.zones.expand(rule.match.zones):
            builder.rule_zones.setdefault(number, []).append(zone)
            for zone_set in builder.zones.zone_sets_of_zone.get(zone, ()):
                placements.setdefault(zone_set, case)
    else:
        root_case = case
    return CompiledRule(
        rule=rule, order=order, placements=tuple(placements.items()), root_case=root_case, places_row=places_row
    )


def _refuse_other_currency(catalogue: Catalogue, tariff: Tariff) -> None:
    for code in tariff.decks:
        deck = catalogue.decks[code]
        if deck.currency != tariff.currency:
            raise BadInput(
                f"deck {code} is in {deck.currency}, its tariff in {tariff.currency}",
                where=tariff.code,
                cure="Give the deck in the currency of the tariff.",
            )


def _deck(builder: _Builder, code: str) -> _CompiledDeck:
    if code not in builder.decks:
        builder.decks[code] = _compile_deck(builder, builder.catalogue.decks[code])
    return builder.decks[code]


def _compile_deck(builder: _Builder, deck: RateDeck) -> _CompiledDeck:
    """One card for each distinct price of the deck, one case for each distinct price and destination."""
    where = f"deck {deck.code}"
    key, digits = checked_keys(deck.prefixes, where=where)
    columns = (deck.rate_nanos, deck.connect_nanos, deck.first_increment, deck.next_increment)
    priced, of_row = np.unique(
        np.stack([column.astype(np.int64) for column in columns], 1), axis=0, return_inverse=True
    )
    cards: list[int] = []
    denominators: set[int] = set()
    for rate, connect, first, following in priced.tolist():
        card = deck_card(rate=rate, connect=connect, first=first, following=following, per_units=deck.per_units)
        row, needed = builder.cards.add(card, where=where)
        cards.append(row)
        denominators |= needed
    zones = np.array([builder.zone_names.of(name) for name in deck.destinations], np.int64)
    rule = builder.rules.of(("", f"deck/{deck.code}"))
    card_of_row = np.array(cards, np.int64)[of_row.reshape(-1)]
    cased, case_of_row = np.unique(
        np.stack([card_of_row, np.full(len(zones), rule), zones, deck.blocked.astype(np.int64)], 1),
        axis=0,
        return_inverse=True,
    )
    first_case = builder.cases.add_block(cased)
    entry = np.stack([first_case + case_of_row.reshape(-1), deck.valid_from_ms, deck.valid_until_ms], 1)
    rows = DeckRows(key=key, digits=digits, entry=np.ascontiguousarray(entry, np.int64))
    return _CompiledDeck(rows=rows, denominators=frozenset(denominators))


def deck_card(*, rate: int, connect: int, first: int, following: int, per_units: int) -> PriceCard:
    """The card of a deck row: the first increment, then the next ones, at one rate."""
    slots = [Slot(start_units=0, increment_units=first, amount_nanos=rate, per_units=per_units)]
    if following != first:
        slots.append(Slot(start_units=first, increment_units=following, amount_nanos=rate, per_units=per_units))
    return PriceCard(slots=tuple(slots), connect_nanos=connect)


def _all_matches(catalogue: Catalogue, matches: list[Match]) -> list[Match]:
    return [*matches, *(rule.match for tariff in catalogue.tariffs.values() for rule in tariff.rules)]


def _attribute_names(catalogue: Catalogue, matches: list[Match]) -> tuple[str, ...]:
    return tuple(sorted({name for match in _all_matches(catalogue, matches) for name in match.attributes}))


def _place_table(zones: ZoneTables, matches: Sequence[Match]) -> UInt8s:
    columns = [zones.places_within(match.zones) for match in matches]
    table = np.stack(columns, 1) if columns else np.zeros((len(zones.places), 0), np.uint8)
    return np.ascontiguousarray(table)


def _windows(allowances: list[CompiledAllowance], schedules: ScheduleTables) -> Int32s:
    rows = [
        [window_of(each.allowance, calendar=calendar, schedules=schedules) for each in allowances]
        for calendar in range(len(schedules.calendars))
    ]
    return np.array(rows, np.int32).reshape(len(schedules.calendars), len(allowances))
