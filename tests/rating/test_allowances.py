"""Buckets: their order, their filters, what they give, and that a refused usage takes nothing."""

from fractions import Fraction

import polars as pl
import pytest
from tests.rating.builders import (
    CENT,
    EURO,
    LATE,
    NOON,
    a_call,
    a_card,
    a_program,
    a_rule,
    a_slot,
    a_tariff,
    amounts,
    an_allowance,
    at,
    grants_of,
    holdings_of,
    priced,
    reasons,
    usage_of,
)

from millicent.catalog.types import AllowanceKind, CounterScope, FairUse, Match
from millicent.rating.rules import opening_units
from millicent.rating.services import price_usage

BY_THE_SECOND = a_tariff(a_rule(card=a_card(CENT)))


def remaining(result) -> list[int]:
    return result.grants["remaining"].to_list()


def test_a_bucket_serves_the_first_part_and_the_tariff_the_rest():
    result = priced(a_program(BY_THE_SECOND, allowances=(an_allowance(),)), a_call(130), grants=grants_of({}))

    assert amounts(result) == [30 * CENT]
    assert remaining(result) == [0]
    assert result.draws.select("event_key_low", "bucket_id", "units", "taken", "amount_nanos").rows() == [
        (1, 1, 100, 100, 0)
    ]


def test_the_frames_given_are_not_changed():
    program, grants = a_program(BY_THE_SECOND, allowances=(an_allowance(),)), grants_of({})

    priced(program, a_call(130), grants=grants)

    assert grants["remaining"].to_list() == [100]


def test_most_specific_first_then_priority_then_earliest_expiry_then_oldest():
    zoned = an_allowance(code="zoned", match=Match(zones=("world/spain",)))
    voice = an_allowance(code="voice", match=Match(services=("voice",)), priority=5)
    plain = an_allowance(code="plain")
    urgent = an_allowance(code="urgent", priority=1)
    rows = [
        {"allowance": "plan/plain", "remaining": 1, "granted_at_ms": 9},
        {"allowance": "plan/plain", "remaining": 1, "granted_at_ms": 8},
        {"allowance": "plan/plain", "remaining": 1, "valid_until_ms": LATE - 1},
        {"allowance": "plan/urgent", "remaining": 1},
        {"allowance": "plan/voice", "remaining": 1},
        {"allowance": "plan/zoned", "remaining": 1},
    ]
    program = a_program(BY_THE_SECOND, allowances=(zoned, voice, plain, urgent))

    order = []
    for seconds in range(1, 7):
        result = priced(program, a_call(seconds), grants=grants_of(*rows))
        order.append(remaining(result).index(0) + 1 if seconds == 1 else remaining(result).count(0))
        order[-1] = {number + 1 for number, left in enumerate(remaining(result)) if left == 0}

    taken_at_step = [after - before for before, after in zip([set(), *order], order, strict=False)]
    assert taken_at_step == [{6}, {5}, {4}, {3}, {2}, {1}]


def test_an_allowance_for_a_zone_does_not_serve_a_longer_prefix_of_another_zone():
    spain = an_allowance(match=Match(zones=("world/spain",)))

    result = priced(a_program(BY_THE_SECOND, allowances=(spain,)), a_call(10, to="34803123"), grants=grants_of({}))

    assert amounts(result) == [10 * CENT]


def test_whole_increments_leave_the_odd_units_in_the_bucket():
    tariff = a_tariff(a_rule(card=a_card(CENT, increment=60)))
    allowance = an_allowance(whole_increments=True)

    result = priced(a_program(tariff, allowances=(allowance,)), a_call(90), grants=grants_of({}))

    assert (amounts(result), remaining(result)) == ([60 * CENT], [40])


@pytest.mark.parametrize(("factor", "left", "charged"), [(Fraction(3, 2), 1, 4), (Fraction(1, 2), 65, 0)])
def test_a_factor_takes_more_or_less_than_is_used(factor, left, charged):
    """70 seconds: at three for two, 66 fit into 100 and take 99; at one for two all take 35."""
    result = priced(
        a_program(BY_THE_SECOND, allowances=(an_allowance(factor=factor),)), a_call(70), grants=grants_of({})
    )

    assert (remaining(result), amounts(result)) == ([left], [charged * CENT])


def test_a_bucket_may_have_its_own_price():
    allowance = an_allowance(price=a_slot(CENT // 10, increment=60))

    result = priced(a_program(BY_THE_SECOND, allowances=(allowance,)), a_call(61), grants=grants_of({}))

    assert amounts(result) == [120 * CENT // 10]
    assert result.draws["amount_nanos"].to_list() == [120 * CENT // 10]


def test_a_used_up_blocker_stops_the_usage_and_nothing_is_taken():
    first = an_allowance(code="first", match=Match(services=("voice",)))
    blocker = an_allowance(code="blocker", blocker=True)
    grants = grants_of({"allowance": "plan/first", "remaining": 10}, {"allowance": "plan/blocker", "remaining": 20})

    result = priced(a_program(BY_THE_SECOND, allowances=(first, blocker)), a_call(31), a_call(30), grants=grants)

    assert reasons(result) == ["BUCKET_BLOCKED", "PRICED"]
    assert amounts(result) == [0, 0]
    assert remaining(result) == [0, 0]
    assert result.draws["event_key_low"].to_list() == [2, 2]


def test_a_window_serves_only_inside_its_bands_and_its_edge_ends_a_span():
    allowance = an_allowance(window=("peak",))

    result = priced(
        a_program(BY_THE_SECOND, allowances=(allowance,)),
        a_call(60, when=at("2026-10-07T19:59:45")),
        a_call(60, when=at("2026-10-08T07:59:30")),
        grants=grants_of({}),
    )

    assert result.rated["bucket_units"].to_list() == [15, 30]


def test_a_shared_bucket_keeps_each_member_below_its_cap():
    pool = an_allowance(scope=CounterScope.POOL, member_cap=40)
    holdings = holdings_of({"pool": "family"}, {"subscription_id": 2, "billing_account_id": 20, "pool": "family"})
    grants = grants_of({"scope": "pool", "owner_id": -1, "pool": "family"})

    result = priced(
        a_program(BY_THE_SECOND, allowances=(pool,)),
        a_call(30),
        a_call(30),
        a_call(90, subscription_id=2, billing_account_id=20),
        holdings=holdings,
        grants=grants,
    )

    assert result.rated["bucket_units"].to_list() == [30, 10, 40]
    assert remaining(result) == [20]


def test_a_shared_bucket_is_drawn_in_the_order_things_happened():
    shared = an_allowance(scope=CounterScope.ACCOUNT)
    holdings = holdings_of({}, {"subscription_id": 2})

    result = priced(
        a_program(BY_THE_SECOND, allowances=(shared,)),
        a_call(80, when=NOON + 5),
        a_call(80, when=NOON, subscription_id=2),
        holdings=holdings,
        grants=grants_of({"scope": "account", "owner_id": 10}),
    )

    assert result.rated["bucket_units"].to_list() == [20, 80]


@pytest.mark.parametrize(
    ("fair_use", "expected", "throttled"),
    [(FairUse.THROTTLE, [0, 0], [False, True]), (FairUse.CHARGE, [0, 20 * CENT], [False, False])],
)
def test_beyond_fair_use_usage_is_flagged_or_charged(fair_use, expected, throttled):
    allowance = an_allowance(unlimited=True, fair_use=fair_use, fair_use_units=100)
    assert opening_units(allowance) == 100

    result = priced(
        a_program(BY_THE_SECOND, allowances=(allowance,)), a_call(60), a_call(60), grants=grants_of({"remaining": 100})
    )

    assert amounts(result) == expected
    assert result.rated["throttled"].to_list() == throttled


def test_a_money_balance_pays_after_the_one_rounding():
    bonus = an_allowance(EURO, kind=AllowanceKind.MONEY)

    result = priced(
        a_program(BY_THE_SECOND, allowances=(bonus,)), a_call(70), a_call(70), grants=grants_of({"remaining": EURO})
    )

    assert amounts(result) == [0, 40 * CENT]
    assert remaining(result) == [0]
    assert result.draws.select("units", "taken").rows() == [(0, 70 * CENT), (0, 30 * CENT)]


def test_a_bucket_counts_only_while_it_is_valid():
    grants = grants_of({"valid_until_ms": NOON}, {"valid_from_ms": NOON + 1})

    result = priced(a_program(BY_THE_SECOND, allowances=(an_allowance(),)), a_call(1), grants=grants)

    assert amounts(result) == [CENT]


def test_a_release_change_in_the_cycle_goes_on_with_the_same_buckets():
    old = a_program(BY_THE_SECOND, allowances=(an_allowance(),))
    new = a_program(a_tariff(a_rule(card=a_card(2 * CENT))), allowances=(an_allowance(),))

    result = price_usage(
        programs=[(0, 1, old), (NOON, 2, new)],
        usage=usage_of(a_call(80, when=NOON - 1), a_call(30)),
        holdings=holdings_of(),
        grants=grants_of({}),
    )

    assert amounts(result) == [0, 10 * 2 * CENT]


def test_more_draws_than_there_was_room_for_are_all_written():
    rows = [{"remaining": 1, "granted_at_ms": number} for number in range(50)]

    result = priced(a_program(BY_THE_SECOND, allowances=(an_allowance(),)), *[a_call(10)] * 6, grants=grants_of(*rows))

    assert amounts(result) == [0, 0, 0, 0, 0, 10 * CENT]
    assert len(result.draws) == 50
    assert result.draws.group_by("event_key_low").agg(pl.len())["len"].to_list() == [10] * 5
