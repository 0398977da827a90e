"""The demo operator's catalogue is clean, keeps its own promises, and shows every price model there is."""

from functools import cache
from pathlib import Path

import millicent.config
from millicent.catalog.expectations import check_expectations
from millicent.catalog.loading import examine_folder
from millicent.catalog.types import AllowanceKind, ChargeKind, CounterScope, FairUse, Proration, TierModel
from millicent.config.commands.catalog_prices import price_expectations
from millicent.kit.rounding import RoundingMode

DEMO = Path(millicent.config.__file__).parent / "demo" / "catalogue"


@cache
def demo():
    examination = examine_folder(DEMO)
    assert examination.catalogue is not None, examination.faults
    return examination


def rules():
    return [rule for tariff in demo().catalogue.tariffs.values() for rule in tariff.rules]


def allowances():
    return [each for offering in demo().catalogue.offerings.values() for each in offering.allowances]


def test_it_has_neither_faults_nor_warnings():
    assert demo().faults == ()


def test_every_price_it_expects_comes_out():
    assert len(demo().catalogue.expectations) >= 20
    assert check_expectations(demo().catalogue, pricer=price_expectations) == []


def test_every_row_of_its_decks_is_taken():
    assert [(deck.code, deck.rows_in == deck.accepted > 5_000) for deck in demo().decks] == [
        ("aurora-a-z", True),
        ("meridian-a-z", True),
    ]


def test_every_text_is_there_in_english_spanish_and_french():
    catalogue = demo().catalogue
    named = [*catalogue.specifications.values(), *catalogue.tariffs.values(), *catalogue.offerings.values()]
    named += [*catalogue.discounts.values(), *catalogue.taxes.values(), *allowances()]
    named += [zone for zone_map in catalogue.zone_maps.values() for zone in zone_map.zones]
    for offering in catalogue.offerings.values():
        named += [*offering.recurring, *offering.one_time, *offering.commitments]

    assert {each.code for each in named if not {"en", "es", "fr"} <= each.names.keys()} == set()


def test_it_exercises_every_price_model():
    cards = [rule.card for rule in rules()]

    assert {card.ladder.model for card in cards if card.ladder} == set(TierModel)
    assert {card.ladder.scope for card in cards if card.ladder} == set(CounterScope)
    assert any(card.percentage for card in cards)
    assert any(card.connect_nanos for card in cards)
    assert any(card.unanswered_nanos for card in cards)
    assert any(card.discount for card in cards)
    assert any(card.minimum_charge_nanos for card in cards)
    assert any(card.maximum_charge_nanos and card.maximum_limits_quantity for card in cards)
    assert any(card.maximum_charge_nanos and not card.maximum_limits_quantity for card in cards)
    assert any(len(card.slots) > 1 and card.slots[0].amount_nanos != card.slots[1].amount_nanos for card in cards)
    assert any(rule.surcharge for rule in rules())
    assert any(rule.blocked for rule in rules())
    assert any(rule.valid_until_ms for rule in rules())


def test_it_exercises_every_selector():
    matches = [rule.match for rule in rules()]

    for selector in ("services", "directions", "call_types", "zones", "origin_zones", "visited_zones", "bands"):
        assert any(getattr(match, selector) for match in matches), selector
    assert {name for match in matches for name in match.attributes} >= {"qos_5qi", "s_nssai", "friend", "endpoint"}
    assert {tariff.band_by_start for tariff in demo().catalogue.tariffs.values()} == {True, False}
    assert {RoundingMode.HALF_UP, RoundingMode.HALF_EVEN} <= {
        tariff.rounding for tariff in demo().catalogue.tariffs.values()
    }


def test_it_exercises_every_kind_of_allowance():
    held = allowances()

    assert {each.kind for each in held} == set(AllowanceKind)
    assert {each.scope for each in held} == set(CounterScope)
    assert {each.fair_use for each in held} == set(FairUse)
    assert {each.rollover.cycles for each in held if each.rollover} == {0, 1}
    assert any(each.member_cap for each in held)
    assert any(each.factor != 1 and each.price for each in held)
    assert any(each.blocker for each in held)
    assert any(each.window for each in held)
    assert any(each.validity_days for each in held)
    assert any(each.prorate_first_cycle for each in held)
    assert any(each.whole_increments for each in held)


def test_it_exercises_what_a_bill_has_beside_usage():
    catalogue = demo().catalogue
    recurring = [each for offering in catalogue.offerings.values() for each in offering.recurring]

    assert {each.proration for each in recurring} == set(Proration)
    assert {each.in_advance for each in recurring} == {True, False}
    assert {each.currency for each in recurring} == {"EUR", "USD"}
    assert any(offering.children for offering in catalogue.offerings.values())
    assert {kind for each in catalogue.discounts.values() for kind in each.scope.kinds} >= {ChargeKind.USAGE}
    assert any(each.coupon for each in catalogue.discounts.values())
    assert any(tax.on_top_of for tax in catalogue.taxes.values())
    assert any(tax.reverse_charge for tax in catalogue.taxes.values())
    assert any(tax.fixed_nanos for tax in catalogue.taxes.values())
    assert catalogue.supplier_tariffs
    assert catalogue.reseller_tariffs
