"""Exact amounts for each price model and selector, one claim a test."""

from dataclasses import replace
from datetime import date
from fractions import Fraction

import pytest
from tests.rating.builders import (
    CENT,
    EURO,
    EVERY_DAY,
    NOON,
    a_calendar,
    a_call,
    a_card,
    a_catalogue,
    a_deck,
    a_program,
    a_rule,
    a_slot,
    a_tariff,
    amounts,
    at,
    holdings_of,
    priced,
    reasons,
    usage_of,
)

from millicent.catalog.types import (
    CounterScope,
    DayType,
    Match,
    PriceCard,
    TierLadder,
    TierModel,
    TierStep,
    TimeBand,
)
from millicent.kit.errors import BadInput
from millicent.kit.rounding import RoundingMode
from millicent.rating.services import compile_catalogue, price_stateless, price_usage

# ---------------------------------------------------------------- destination


def test_the_longest_prefix_wins_over_priority():
    program = a_program(
        a_tariff(
            a_rule("spain", a_card(CENT), match=Match(zones=("world/spain",)), priority=9),
            a_rule("mobile", a_card(2 * CENT), match=Match(zones=("world/mobile",))),
        )
    )

    result = priced(program, a_call(1, to="34911"), a_call(1, to="34655"))

    assert amounts(result) == [CENT, 2 * CENT]
    assert result.rated["rule"].to_list() == ["spain", "mobile"]
    assert result.rated["zone"].to_list() == ["world/spain", "world/mobile"]


def test_a_number_shorter_than_a_prefix_does_not_match_it():
    program = a_program(
        a_tariff(
            a_rule("spain", a_card(CENT), match=Match(zones=("world/spain",))),
            a_rule("premium", a_card(9 * CENT), match=Match(zones=("world/premium",))),
        )
    )

    assert amounts(priced(program, a_call(1, to="3480"), a_call(1, to="34803"))) == [CENT, 9 * CENT]


def test_a_short_code_is_not_a_number_that_begins_with_the_same_digits():
    program = a_program(a_tariff(a_rule(match=Match(zones=("world/premium",)))))

    assert reasons(priced(program, a_call(to="short:11850"), a_call(to="11850"))) == ["PRICED", "NO_DESTINATION"]


def test_without_a_price_in_force_the_next_shorter_prefix_answers():
    program = a_program(
        a_tariff(
            a_rule("spain", a_card(CENT), match=Match(zones=("world/spain",))),
            a_rule("mobile_peak", a_card(5 * CENT), match=Match(zones=("world/mobile",), bands=("peak",))),
        )
    )
    night = at("2026-10-07T23:00:00")

    result = priced(program, a_call(1, to="34655"), a_call(1, to="34655", when=night))

    assert result.rated["rule"].to_list() == ["mobile_peak", "spain"]


def test_a_deck_row_prices_its_prefix_in_first_and_next_increments():
    deck = a_deck([{"prefix": "44", "rate": 6 * CENT, "first": 30, "following": 6, "destination": "UK"}])
    program = a_program(a_tariff(decks=("deck",)), decks={"deck": deck})

    result = priced(program, a_call(10, to="4420"), a_call(31, to="4420"))

    assert amounts(result) == [3 * CENT, 36 * CENT // 10]
    assert result.rated["charged_units"].to_list() == [30, 36]
    assert result.rated["zone"].to_list() == ["UK", "UK"]
    assert result.rated["rule"].to_list() == ["deck/deck", "deck/deck"]


def test_a_deck_row_counts_only_while_it_is_valid_and_a_blocked_one_is_refused():
    deck = a_deck(
        [
            {"prefix": "44", "rate": CENT, "valid_until": NOON},
            {"prefix": "44", "rate": 2 * CENT, "valid_from": NOON},
            {"prefix": "447", "blocked": 1},
        ]
    )
    program = a_program(a_tariff(decks=("deck",)), decks={"deck": deck})

    result = priced(program, a_call(60, to="4420", when=NOON - 1), a_call(60, to="4420"), a_call(60, to="4477"))

    assert amounts(result) == [CENT, 2 * CENT, 0]
    assert reasons(result) == ["PRICED", "PRICED", "BLOCKED"]


# ---------------------------------------------------------------- spans


def test_a_span_is_rounded_up_and_the_excess_is_taken_from_what_follows():
    """Off-peak from 20:00 in steps of 60: the call crosses at its second 90, the first span bills 120."""
    program = a_program(
        a_tariff(
            a_rule("day", a_card(6 * CENT, per=60, increment=60), match=Match(bands=("peak",))),
            a_rule("night", a_card(CENT, per=60, increment=60), priority=-1),
        )
    )

    result = priced(program, a_call(200, when=at("2026-10-07T19:58:30")))

    assert amounts(result) == [2 * 6 * CENT + 2 * CENT]
    assert result.rated["charged_units"].to_list() == [240]


def test_slots_count_from_the_start_of_the_usage():
    card = PriceCard(slots=(a_slot(60 * CENT, per=60, increment=60), a_slot(30 * CENT, per=60, start=60)))
    program = a_program(a_tariff(a_rule(card=card)))

    assert amounts(priced(program, a_call(30), a_call(61), a_call(120))) == [
        60 * CENT,
        60 * CENT + CENT // 2,
        90 * CENT,
    ]


def test_a_tariff_may_price_the_whole_call_by_the_band_at_its_start():
    rules = (
        a_rule("day", a_card(2 * CENT), match=Match(bands=("peak",))),
        a_rule("night", a_card(CENT), priority=-1),
    )
    call = a_call(7200, when=at("2026-10-07T19:59:59"))

    split = priced(a_program(a_tariff(*rules)), call)
    by_start = priced(a_program(a_tariff(*rules, band_by_start=True)), call)

    assert amounts(split) == [2 * CENT + 7199 * CENT]
    assert amounts(by_start) == [7200 * 2 * CENT]


def test_among_bands_the_one_that_began_last_wins():
    bands = (
        TimeBand(code="long", days=EVERY_DAY, start_second=0, end_second=86_400),
        TimeBand(code="lunch", days=EVERY_DAY, start_second=11 * 3600, end_second=13 * 3600),
    )
    program = a_program(
        a_tariff(
            a_rule("long", a_card(2 * CENT), match=Match(bands=("long",))),
            a_rule("lunch", a_card(CENT), match=Match(bands=("lunch",))),
        ),
        calendars={"calendar": a_calendar(*bands)},
    )

    result = priced(program, a_call(1), a_call(1, when=at("2026-10-07T13:00:00")))

    assert result.rated["rule"].to_list() == ["lunch", "long"]


def test_a_holiday_is_not_its_weekday():
    bands = (TimeBand(code="feast", days=frozenset({DayType.HOLIDAY}), start_second=0, end_second=86_400),)
    program = a_program(
        a_tariff(a_rule("feast", a_card(CENT), match=Match(bands=("feast",))), a_rule("else", a_card(2 * CENT))),
        calendars={"calendar": a_calendar(*bands, holidays=frozenset({date(2026, 10, 12)}))},
    )

    feast, day_after = at("2026-10-12T23:59:59"), at("2026-10-13T00:00:00")

    assert amounts(priced(program, a_call(1, when=feast), a_call(1, when=day_after))) == [CENT, 2 * CENT]
    assert amounts(priced(program, a_call(3, when=feast))) == [CENT + 2 * 2 * CENT]


@pytest.mark.parametrize(
    ("started", "seconds", "expected"),
    [
        # 29 March 2026: 02:00 becomes 03:00, so from 01:59:30 the band [02:30, 04:00) begins after 30 seconds
        (at("2026-03-29T01:59:30"), 60, 30 * 2 * CENT + 30 * CENT),
        # 25 October 2026: 03:00 becomes 02:00 again: the band comes, goes and comes back
        (at("2026-10-25T02:29:50"), 20, 10 * 2 * CENT + 10 * CENT),
        (at("2026-10-25T02:59:50"), 20, 10 * CENT + 10 * 2 * CENT),
        (at("2026-10-25T02:29:50", fold=1), 20, 10 * 2 * CENT + 10 * CENT),
        # 29 February 2028 exists, and so does the last second of the month
        (at("2028-02-29T23:59:59"), 2, 2 * 2 * CENT),
        (at("2026-10-31T23:59:59"), 1, 2 * CENT),
    ],
)
def test_bands_follow_local_time_through_both_changes_and_leap_days(started, seconds, expected):
    night = TimeBand(code="night", days=EVERY_DAY, start_second=2 * 3600 + 1800, end_second=4 * 3600)
    program = a_program(
        a_tariff(a_rule("night", a_card(CENT), match=Match(bands=("night",))), a_rule("day", a_card(2 * CENT))),
        calendars={"calendar": a_calendar(night)},
    )

    assert amounts(priced(program, a_call(seconds, when=started))) == [expected]


def test_volumes_are_never_split_by_band():
    program = a_program(
        a_tariff(
            a_rule("peak", a_card(2 * CENT, per=1024, increment=1024), match=Match(bands=("peak",))),
            a_rule("off", a_card(CENT, per=1024)),
        )
    )
    session = {"service": "data", "uplink_bytes": 1000, "downlink_bytes": 1049, "occurred_at_ms": NOON}

    result = priced(program, session)

    assert amounts(result) == [3 * 2 * CENT]
    assert result.rated["charged_units"].to_list() == [3072]


# ---------------------------------------------------------------- parts of a card


def test_the_connect_fee_is_due_once_and_only_for_usage():
    program = a_program(a_tariff(a_rule(card=a_card(CENT, connect_nanos=EURO, unanswered_nanos=3 * CENT))))

    result = priced(program, a_call(2), a_call(0), a_call(0, answered=False))

    assert amounts(result) == [EURO + 2 * CENT, 0, 3 * CENT]


def test_a_discount_lowers_the_whole_charge_of_the_card():
    program = a_program(a_tariff(a_rule(card=a_card(CENT, connect_nanos=EURO, discount=Fraction(1, 10)))))

    assert amounts(priced(program, a_call(10))) == [(EURO + 10 * CENT) * 9 // 10]


def test_a_percentage_is_taken_of_the_content_amount():
    card = PriceCard(percentage=Fraction(115, 100))
    program = a_program(a_tariff(a_rule(card=card)))
    content = {"service": "content", "events": 1, "content_nanos": 2 * EURO, "occurred_at_ms": NOON}

    assert amounts(priced(program, content)) == [2 * EURO * 115 // 100]


def test_minimum_units_minimum_charge_and_a_maximum_that_caps():
    card = a_card(CENT, minimum_units=30, minimum_charge_nanos=EURO, maximum_charge_nanos=2 * EURO)
    program = a_program(a_tariff(a_rule(card=card)))

    result = priced(program, a_call(1), a_call(150), a_call(900))

    assert amounts(result) == [EURO, 150 * CENT, 2 * EURO]
    assert result.rated["charged_units"].to_list() == [30, 150, 900]


def test_a_maximum_that_limits_stops_at_whole_increments_and_says_what_was_not_served():
    card = a_card(CENT, increment=10, maximum_charge_nanos=25 * CENT, maximum_limits_quantity=True)
    program = a_program(a_tariff(a_rule(card=card)))

    result = priced(program, a_call(60))

    assert amounts(result) == [20 * CENT]
    assert result.rated["charged_units"].to_list() == [20]
    assert result.rated["unserved_units"].to_list() == [40]


def test_a_limit_that_allows_nothing_is_a_reason():
    card = a_card(EURO, maximum_charge_nanos=CENT, maximum_limits_quantity=True)

    assert reasons(priced(a_program(a_tariff(a_rule(card=card))), a_call(5))) == ["LIMIT_REACHED"]


def test_every_matching_surcharge_is_added_over_the_same_usage():
    program = a_program(
        a_tariff(
            a_rule("base", a_card(CENT)),
            a_rule("offnet", a_card(CENT), match=Match(call_types=("offnet",)), surcharge=True),
            a_rule("mobile", PriceCard(connect_nanos=EURO), match=Match(zones=("world/mobile",)), surcharge=True),
            a_rule("spain", PriceCard(connect_nanos=EURO), match=Match(zones=("world/spain",)), surcharge=True),
        )
    )

    assert amounts(priced(program, a_call(10, to="34655", call_type="offnet"))) == [20 * CENT + EURO]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (RoundingMode.UP, -2 * CENT),
        (RoundingMode.DOWN, -CENT),
        (RoundingMode.HALF_UP, -2 * CENT),
        (RoundingMode.HALF_EVEN, -2 * CENT),
    ],
)
def test_a_negative_amount_is_rounded_like_its_size(mode, expected):
    program = a_program(a_tariff(a_rule(card=a_card(-3 * CENT, per=2)), rounding=mode, decimals=2))

    assert amounts(priced(program, a_call(1))) == [expected]


def test_a_third_of_a_nano_is_kept_until_the_one_rounding():
    program = a_program(a_tariff(a_rule(card=a_card(1, per=3)), decimals=9, rounding=RoundingMode.DOWN))

    assert amounts(priced(program, a_call(2), a_call(3), a_call(3 * 10**9))) == [0, 1, 10**9]


# ---------------------------------------------------------------- accumulated tiers


def a_ladder(model: TierModel, *steps: TierStep, **parts) -> PriceCard:
    return PriceCard(ladder=TierLadder(model=model, counter="c", scope=CounterScope.SUBSCRIPTION, steps=steps, **parts))


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        # 60 then 60 seconds: the first hundred at a cent, the rest at half a cent and a euro on entry
        (
            a_ladder(
                TierModel.GRADUATED,
                TierStep(floor_units=0, amount_nanos=CENT),
                TierStep(floor_units=100, amount_nanos=CENT // 2, flat_nanos=EURO),
            ),
            [60 * CENT, 40 * CENT + 10 * CENT + EURO],
        ),
        # the second usage brings the total to the cheaper step: all units at its price
        (
            a_ladder(
                TierModel.VOLUME,
                TierStep(floor_units=0, amount_nanos=CENT),
                TierStep(floor_units=100, amount_nanos=CENT // 4),
            ),
            [60 * CENT, 30 * CENT - 60 * CENT],
        ),
        (
            a_ladder(
                TierModel.STAIRS,
                TierStep(floor_units=0, amount_nanos=0, flat_nanos=EURO),
                TierStep(floor_units=100, amount_nanos=0, flat_nanos=3 * EURO),
            ),
            [EURO, 2 * EURO],
        ),
        (
            a_ladder(TierModel.PACKAGE, TierStep(floor_units=0, amount_nanos=0, flat_nanos=EURO), package_units=50),
            [2 * EURO, EURO],
        ),
    ],
    ids=["graduated", "volume", "stairs", "package"],
)
def test_tiers_charge_what_a_usage_adds_to_the_cycle(card, expected):
    result = priced(a_program(a_tariff(a_rule(card=card))), a_call(60), a_call(60, when=NOON + 1))

    assert amounts(result) == expected
    assert result.counters.rows() == [("c", "subscription", 1, "", 120)]


# ---------------------------------------------------------------- selectors


@pytest.mark.parametrize(
    ("match", "fits", "not_so"),
    [
        (Match(services=("voice",)), {}, {"service": "sms", "events": 1}),
        (Match(directions=("terminating",)), {"direction": "terminating"}, {}),
        (Match(call_types=("onnet",)), {"call_type": "onnet"}, {"call_type": "offnet"}),
        (Match(visited_zones=("abroad",)), {"visited_network": "20801"}, {"visited_network": "21407"}),
        (Match(visited_zones=("abroad",)), {"visited_network": "26201"}, {"visited_network": "26202"}),
        (Match(origin_zones=("world/mobile",)), {"origin_number": "34655"}, {"origin_number": "34911"}),
        (Match(attributes={"qos_5qi": ("1", "2")}), {"attributes": '{"qos_5qi": "2"}'}, {"attributes": ""}),
        (Match(attributes={"qos_5qi": ("9",)}), {"attributes": '{"x": 1, "qos_5qi": 9}'}, {"attributes": '{"x": 9}'}),
    ],
)
def test_a_selector_asks_and_everything_else_goes_by(match, fits, not_so):
    program = a_program(a_tariff(a_rule("asks", a_card(CENT), match=match, priority=1), a_rule("else", a_card(EURO))))

    result = priced(program, a_call(1, **fits), a_call(1, **not_so))

    assert result.rated["rule"].to_list() == ["asks", "else"]


def test_a_segment_comes_from_the_holding_and_a_rule_counts_only_while_it_is_valid():
    program = a_program(
        a_tariff(
            a_rule("new", a_card(CENT), match=Match(segments=("business",)), priority=2, valid_from_ms=NOON),
            a_rule("old", a_card(2 * CENT), priority=1, valid_until_ms=NOON),
            a_rule("else", a_card(3 * CENT)),
        )
    )
    calls = (a_call(1, when=NOON - 1), a_call(1))

    assert amounts(priced(program, *calls)) == [2 * CENT, 3 * CENT]
    assert amounts(priced(program, *calls, holdings=holdings_of({"segment": "business"}))) == [2 * CENT, CENT]


# ---------------------------------------------------------------- reasons and refusals


def test_what_cannot_be_priced_has_a_reason_and_costs_nothing():
    program = a_program(a_tariff(a_rule(match=Match(zones=("world/spain",), services=("voice",)))))

    result = priced(
        program,
        a_call(to="4420"),
        a_call(to="34911", service="sms", events=1),
        a_call(service="fax"),
        a_call(-5),
        a_call(subscription_id=-1),
        a_call(subscription_id=99),
    )

    assert reasons(result) == [
        "NO_DESTINATION",
        "NO_RULE",
        "UNKNOWN_SERVICE",
        "QUANTITY_NEGATIVE",
        "NO_SUBSCRIPTION",
        "NO_TARIFF",
    ]
    assert amounts(result) == [0] * 6


def test_an_amount_out_of_range_is_a_reason_never_a_wrap():
    program = a_program(a_tariff(a_rule(card=a_card(2**50, per=1))))
    session = {"service": "data", "uplink_bytes": 2**40, "occurred_at_ms": NOON}

    assert reasons(priced(program, session, {**session, "uplink_bytes": 2**62})) == ["AMOUNT_OVERFLOW"] * 2
    assert amounts(priced(program, {**session, "uplink_bytes": 2**9})) == [576_460_752_303_400_000]


def test_a_price_that_int64_cannot_hold_exactly_is_refused_when_compiling():
    with pytest.raises(BadInput, match="too large to be exact"):
        compile_catalogue(a_catalogue(a_tariff(a_rule(card=a_card(10**12 + 1, per=2**40)))))


def test_a_month_long_call_is_priced_exactly():
    program = a_program(a_tariff(a_rule(card=a_card(CENT, increment=1))))

    assert amounts(priced(program, a_call(30 * 86_400))) == [30 * 86_400 * CENT]


# ---------------------------------------------------------------- releases, holdings, list prices


def test_the_release_in_force_when_the_usage_began_prices_it():
    old = a_program(a_tariff(a_rule(card=a_card(CENT))))
    new = a_program(a_tariff(a_rule(card=a_card(2 * CENT))))
    calls = usage_of(a_call(1, when=NOON + 5), a_call(1, when=NOON - 1), a_call(1, when=5))

    result = price_usage(programs=[(NOON, 2, new), (1000, 1, old)], usage=calls, holdings=holdings_of())

    assert amounts(result) == [2 * CENT, CENT, 0]
    assert result.rated["catalog_release"].to_list() == [2, 1, -1]
    assert reasons(result) == ["PRICED", "PRICED", "NO_RELEASE"]


def test_the_holding_at_the_time_of_the_usage_decides_the_tariff():
    program = a_program(a_tariff(a_rule(card=a_card(CENT))), a_tariff(a_rule(card=a_card(EURO)), code="dear"))
    holdings = holdings_of(
        {"effective_until_ms": NOON}, {"effective_from_ms": NOON, "effective_until_ms": NOON + 10, "tariff": "dear"}
    )

    result = priced(program, a_call(1, when=NOON - 1), a_call(1), a_call(1, when=NOON + 10), holdings=holdings)

    assert amounts(result) == [CENT, EURO, 0]
    assert reasons(result)[2] == "NO_TARIFF"


def test_the_list_price_takes_no_allowance_and_begins_each_tier_at_nothing():
    card = a_ladder(
        TierModel.GRADUATED, TierStep(floor_units=0, amount_nanos=CENT), TierStep(floor_units=50, amount_nanos=0)
    )
    program = a_program(a_tariff(a_rule(card=card)))
    usage = usage_of(a_call(40), a_call(40))

    listed = price_stateless(programs=[(0, 1, program)], usage=usage, holdings=holdings_of())

    assert listed["amount_nanos"].to_list() == [40 * CENT, 40 * CENT]


def test_an_empty_batch_is_answered_with_empty_frames():
    program = a_program(a_tariff(a_rule()))

    result = price_usage(programs=[(0, 1, program)], usage=usage_of(a_call()).clear(), holdings=holdings_of())

    assert len(result.rated) == len(result.draws) == len(result.counters) == 0


# ---------------------------------------------------------------- legs


def test_every_leg_is_priced_in_one_pass_and_margins_run_down_the_chain():
    tariffs = [a_tariff(a_rule(card=a_card(price)), code=code) for code, price in
               (("tariff", 10 * CENT), ("r1", 6 * CENT), ("r2", 5 * CENT), ("cost", 2 * CENT))]  # fmt: skip
    dollars = replace(a_tariff(a_rule(card=a_card(CENT)), code="dollars"), currency="USD")
    program = a_program(
        *tariffs,
        dollars,
        reseller_tariffs={"near": "r1", "far": "r2"},
        supplier_tariffs={"carrier": "cost", "yankee": "dollars"},
    )

    result = priced(
        program,
        a_call(1, supplier="carrier"),
        a_call(1, supplier="yankee"),
        a_call(1, supplier="unknown"),
        holdings=holdings_of({"reseller": "near/far"}),
    )

    by_leg = result.rated.select("event_key_low", "leg", "leg_party", "amount_nanos", "margin_nanos").rows()
    assert by_leg[:4] == [
        (1, 0, "", 10 * CENT, 4 * CENT),
        (1, 1, "carrier", 2 * CENT, None),
        (1, 2, "near", 6 * CENT, CENT),
        (1, 3, "far", 5 * CENT, 3 * CENT),
    ]
    assert by_leg[7] == (2, 3, "far", 5 * CENT, None)
    assert reasons(result)[9] == "NO_TARIFF"


def test_a_usage_has_the_legs_of_the_release_in_force_when_it_began():
    def released(reseller: str, supplier: str):
        tariffs = [a_tariff(a_rule(card=a_card(price)), code=code) for code, price in
                   (("tariff", 10 * CENT), ("dear", 6 * CENT), ("cheap", 5 * CENT), ("cost", 2 * CENT))]  # fmt: skip
        return a_program(*tariffs, reseller_tariffs={"near": reseller}, supplier_tariffs={supplier: "cost"})

    result = price_usage(
        programs=[(0, 1, released("dear", "carrier")), (NOON, 2, released("cheap", "other"))],
        usage=usage_of(a_call(1, when=NOON - 1, supplier="carrier"), a_call(1, when=NOON, supplier="carrier")),
        holdings=holdings_of({"reseller": "near"}),
    )

    assert result.rated.select("event_key_low", "leg_party", "tariff", "amount_nanos", "margin_nanos").rows() == [
        (1, "", "tariff", 10 * CENT, 4 * CENT),
        (1, "carrier", "cost", 2 * CENT, None),
        (1, "near", "dear", 6 * CENT, 4 * CENT),
        (2, "", "tariff", 10 * CENT, 5 * CENT),
        (2, "carrier", "", 0, None),
        (2, "near", "cheap", 5 * CENT, None),
    ]


@pytest.mark.parametrize("scope", CounterScope)
def test_two_ladders_of_one_usage_do_not_count_on_each_other_also_where_nobody_keeps_count(scope):
    def first_minute_costs(counter: str) -> PriceCard:
        steps = (TierStep(floor_units=0, amount_nanos=CENT), TierStep(floor_units=60, amount_nanos=0))
        return PriceCard(ladder=TierLadder(model=TierModel.GRADUATED, counter=counter, scope=scope, steps=steps))

    program = a_program(
        a_tariff(
            a_rule("base", first_minute_costs("a")),
            a_rule("extra", first_minute_costs("b"), surcharge=True),
        )
    )
    listed = price_stateless(programs=[(0, 1, program)], usage=usage_of(a_call(60)), holdings=holdings_of())

    assert amounts(priced(program, a_call(60))) == [120 * CENT]
    assert listed["amount_nanos"].to_list() == [120 * CENT]
