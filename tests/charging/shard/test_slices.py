"""What a slice is: as much as asked, as can be paid, held to the last nano."""

import pytest
from tests.charging.shard.builders import DAY, HOUR, MINUTE, World, a_flat_program, result
from tests.rating.builders import (
    CENT,
    EURO,
    NOON,
    a_card,
    a_program,
    a_rule,
    a_tariff,
    an_allowance,
    at,
)

from millicent.catalog.types import AllowanceKind, CounterScope, Match, Slot, TierLadder, TierModel, TierStep
from millicent.charging.types import NO_LIMIT, NOT_SAID, FinalAction, Flag, NoticeKind, Unit, Verb
from millicent.rating.types import Reason


def test_a_slice_holds_exactly_what_it_may_cost_and_moves_nothing():
    world = World()
    world.top_up(EURO)
    world.open()

    answer = world.units(request=1, asked=30)

    assert (answer["granted_units"], answer["price_nanos"], answer["charged_nanos"]) == (30, 30 * CENT, 0)
    assert answer["available_nanos"] == 70 * CENT
    assert world.reserved(100) == 30 * CENT
    assert world.remaining(100) == EURO
    assert len(world.batches[-1].movements) == 0


def test_as_much_as_can_be_paid_is_granted_and_it_is_the_last_slice():
    world = World(a_flat_program(CENT, per=60, increment=60))
    world.top_up(3 * CENT)
    world.open()

    answer = world.units(request=1, asked=3600)

    assert (answer["granted_units"], answer["final"]) == (180, FinalAction.TERMINATE)
    assert answer["available_nanos"] == 0


def test_an_empty_balance_refuses_and_leaves_no_trace():
    world = World()
    world.open()
    before = {name: world.state()[name] for name in ("bucket", "subscriber", "account")}

    answer = world.units(request=1, asked=30)

    assert (result(answer), answer["granted_units"]) == ("INSUFFICIENT", NOT_SAID)
    assert {name: world.state()[name] for name in before} == before


def test_what_is_used_is_taken_and_the_rest_of_the_hold_goes_back():
    world = World()
    world.top_up(EURO)
    world.open()
    world.units(request=1, asked=30)

    answer = world.units(request=2, used=12, asked=30)

    assert (answer["charged_nanos"], answer["session_nanos"]) == (12 * CENT, 12 * CENT)
    assert world.remaining(100) == 88 * CENT
    assert world.reserved(100) == 30 * CENT
    movement = world.batches[-1].movements[0]
    assert (movement["change"], movement["remaining"], movement["cause"]) == (-12 * CENT, 88 * CENT, NOT_SAID)


def test_the_last_report_charges_closes_and_releases():
    world = World()
    world.top_up(EURO)
    world.open()
    world.units(request=1, asked=30)
    world.later(20_000)

    answer = world.units(request=2, used=20, final=True)
    end = world.end()

    assert answer["charged_nanos"] == 20 * CENT
    charge = world.charges()[0]
    assert (charge["units"], charge["amount_nanos"], charge["uncollected_nanos"]) == (20, 20 * CENT, 0)
    assert (charge["occurred_at_ms"], charge["ended_at_ms"]) == (NOON, NOON + 20_000)
    assert (charge["subscription_id"], charge["account_id"], charge["release"]) == (1, 10, 1)
    assert end["session_nanos"] == 20 * CENT
    assert (world.reserved(100), world.remaining(100)) == (0, 80 * CENT)
    world.check_conservation()


def test_ending_a_session_closes_the_groups_that_are_still_open():
    world = World()
    world.top_up(EURO)
    world.open()
    world.units(request=1, asked=30, group=1)
    world.units(request=2, asked=10, group=2, service="sms")
    world.units(request=3, used=5, asked=5, group=1)

    world.end()

    assert [(row["group"], row["units"], row["amount_nanos"]) for row in world.charges()] == [(1, 5, 5 * CENT)]
    assert world.reserved(100) == 0
    world.check_conservation()


def test_usage_beyond_the_slice_is_charged_as_far_as_money_reaches_and_the_rest_is_told():
    world = World()
    world.top_up(10 * CENT)
    world.open()
    world.units(request=1, asked=5)

    answer = world.units(request=2, used=25, final=True)

    assert (answer["charged_nanos"], answer["uncollected_nanos"]) == (10 * CENT, 15 * CENT)
    assert (world.charges()[0]["amount_nanos"], world.charges()[0]["uncollected_nanos"]) == (25 * CENT, 15 * CENT)
    assert world.remaining(100) == 0
    assert int(NoticeKind.UNCOLLECTED) in world.notices()
    world.check_conservation()


def test_what_one_session_holds_another_cannot_have():
    world = World()
    world.top_up(10 * CENT)
    world.open("a")
    world.open("b")

    first = world.units("a", request=1, asked=7)
    second = world.units("b", request=1, asked=7)

    assert (first["granted_units"], first["final"]) == (7, FinalAction.NONE)
    assert (second["granted_units"], second["final"]) == (3, FinalAction.TERMINATE)


def test_an_allowance_serves_first_then_money_pays():
    world = World(a_flat_program(CENT, allowances=(an_allowance(),)))
    world.top_up(EURO)
    world.grant(100, bucket=7)
    world.open()

    answer = world.units(request=1, asked=130)
    held = (world.reserved(7), world.reserved(100))
    after = world.units(request=2, used=110, final=True)

    assert (answer["granted_units"], answer["price_nanos"]) == (130, 30 * CENT)
    assert held == (100, 30 * CENT)
    assert after["charged_nanos"] == 10 * CENT
    assert (world.remaining(7), world.remaining(100)) == (0, 90 * CENT)
    assert [int(kind) for kind in world.notices()] == [NoticeKind.ALL_USED]
    world.check_conservation()


def test_the_connect_fee_is_taken_once_whatever_the_slices():
    world = World(a_program(a_tariff(a_rule(card=a_card(CENT, connect_nanos=10 * CENT)))))
    world.top_up(EURO)
    world.open()
    world.units(request=1, asked=10)

    charged = [world.units(request=2 + number, used=10, asked=10)["charged_nanos"] for number in range(3)]

    assert charged == [20 * CENT, 10 * CENT, 10 * CENT]


def test_money_is_taken_by_priority_then_earliest_end_then_oldest_and_credit_last():
    world = World()
    world.credit(EURO)
    world.top_up(10 * CENT, bucket=1)
    world.top_up(10 * CENT, bucket=2, until_ms=NOON + DAY)
    world.top_up(10 * CENT, bucket=3, priority=5)
    world.open()

    world.units(request=1, used=35, asked=1)

    taken = [(int(row["bucket_id"]), int(row["change"])) for row in world.batches[-1].movements]
    assert taken == [(3, -10 * CENT), (2, -10 * CENT), (1, -10 * CENT), (-12, -5 * CENT)]


def test_a_credit_limit_is_what_may_be_owed():
    world = World()
    world.credit(20 * CENT)
    world.open()

    answer = world.units(request=1, asked=100)

    assert (answer["granted_units"], answer["final"]) == (20, FinalAction.TERMINATE)
    world.units(request=2, used=20, final=True)
    assert world.remaining(-12) == 0
    assert world.credit(30 * CENT)["available_nanos"] == 10 * CENT


def test_a_lower_limit_takes_nothing_back_and_lets_nothing_more_be_taken():
    world = World()
    world.credit(20 * CENT)
    world.open()
    world.units(request=1, used=20, asked=0)

    world.credit(5 * CENT)
    answer = world.units(request=2, used=0, asked=1)

    assert world.remaining(-12) == -15 * CENT
    assert result(answer) == "INSUFFICIENT"


def test_a_spend_limit_is_a_gate_on_what_is_taken_in_a_cycle():
    world = World()
    world.credit(NO_LIMIT)
    world.subscriber(1, spend_limit=10 * CENT)
    world.open()

    first = world.units(request=1, asked=100)
    second = world.units(request=2, used=10, asked=10)
    world.do(world.row(Verb.ROLL, subscription_id=1))
    third = world.units(request=3, used=0, asked=4)

    assert (first["granted_units"], first["final"]) == (10, FinalAction.TERMINATE)
    assert result(second) == "INSUFFICIENT"
    assert third["granted_units"] == 4
    assert world.notices().count(NoticeKind.ALL_USED) == 1


def test_a_policy_sizes_slices():
    world = World()
    world.top_up(EURO)
    world.policy("voice", slice_units=20, most=25, validity=100, holding=7, percent=10)
    world.open()

    small = world.units(request=1, asked=NOT_SAID)
    bounded = world.units(request=2, asked=60)

    assert (small["granted_units"], small["validity_seconds"], small["holding_seconds"]) == (20, 100, 7)
    assert small["threshold_units"] == 2
    assert bounded["granted_units"] == 25


def test_slices_get_smaller_as_the_balance_ends_but_not_below_the_least():
    world = World()
    world.top_up(40 * CENT)
    world.policy("voice", slice_units=20, least=5, share=4)
    world.open()

    granted = []
    request = 0
    while True:
        request += 1
        answer = world.units(request=request, used=granted[-1] if granted else 0, asked=NOT_SAID)
        if result(answer) != "DONE":
            break
        granted.append(int(answer["granted_units"]))

    assert granted == [10, 7, 5, 5, 5, 5, 3]
    assert sum(granted) == 40


def test_a_plan_that_blocks_what_is_asked_is_not_priced():
    world = World(a_program(a_tariff(a_rule("blocked", blocked=True))))
    world.top_up(EURO)
    world.open()

    answer = world.units(request=1, asked=10)

    assert (result(answer), answer["reason"]) == ("NOT_PRICED", Reason.BLOCKED)
    assert world.reserved(100) == 0


@pytest.mark.parametrize(("service", "reason"), [("fax", Reason.UNKNOWN_SERVICE)])
def test_a_service_that_nobody_sells_is_not_priced(service, reason):
    world = World()
    world.top_up(EURO)
    world.open()
    row = world.unit_row(request=1, asked=10)
    row["traffic"] = world.number("traffic", f"{service}\x1foriginating\x1f\x1f\x1f")

    answer = world.do(row)

    assert (result(answer), answer["reason"]) == ("NOT_PRICED", reason)


def test_a_subscription_without_a_plan_has_no_tariff():
    world = World()
    world.subscriber(2, tariff="")
    world.open(subscription=2)

    answer = world.units(request=1, asked=10)

    assert (result(answer), answer["reason"]) == ("NOT_PRICED", Reason.NO_TARIFF)


def test_a_tariff_in_another_currency_than_the_account_is_refused():
    world = World()
    world.account(11, currency="USD")
    world.subscriber(2, account_id=11)
    world.open(subscription=2)

    assert result(world.units(request=1, asked=10)) == "CURRENCY_DIFFERS"


def test_a_counter_of_tiers_is_held_with_the_slice_and_moves_with_the_usage():
    ladder = TierLadder(
        model=TierModel.GRADUATED,
        counter="minutes",
        scope=CounterScope.SUBSCRIPTION,
        steps=(TierStep(floor_units=0, amount_nanos=10 * CENT), TierStep(floor_units=100, amount_nanos=CENT)),
    )
    world = World(a_program(a_tariff(a_rule(card=a_card(slots=(), ladder=ladder)))))
    world.credit(NO_LIMIT)
    world.open("a")
    world.open("b")

    first = world.units("a", request=1, asked=90)
    second = world.units("b", request=1, asked=20)
    settled = world.units("a", request=2, used=90, final=True)

    assert first["price_nanos"] == 900 * CENT
    assert second["price_nanos"] == 10 * 10 * CENT + 10 * CENT
    assert settled["charged_nanos"] == 90 * 10 * CENT - 20 * 9 * CENT + 10 * 9 * CENT
    world.check_conservation()


def test_a_cycle_that_begins_during_a_call_leaves_the_call_in_the_old_one():
    ladder = TierLadder(
        model=TierModel.GRADUATED,
        counter="minutes",
        scope=CounterScope.SUBSCRIPTION,
        steps=(TierStep(floor_units=0, amount_nanos=10 * CENT), TierStep(floor_units=100, amount_nanos=CENT)),
    )
    world = World(a_program(a_tariff(a_rule(card=a_card(slots=(), ladder=ladder)))))
    world.credit(NO_LIMIT)
    world.open("old")
    world.units("old", request=1, used=95, asked=100)
    world.do(world.row(Verb.ROLL, subscription_id=1))

    answer = world.units("old", request=2, used=10, final=True)
    world.open("new")
    fresh = world.units("new", request=1, used=10, final=True)

    assert answer["charged_nanos"] == 5 * 10 * CENT + 5 * CENT
    assert fresh["charged_nanos"] == 10 * 10 * CENT
    world.check_conservation()


def test_the_price_changes_of_volume_are_announced_and_usage_after_them_has_the_new_price():
    peak = a_rule("peak", a_card(10 * CENT), match=Match(bands=("peak",)))
    world = World(a_program(a_tariff(peak, a_rule("else", a_card(CENT)))))
    world.now_ms = at("2026-10-07T19:30:00")
    world.credit(NO_LIMIT)
    world.open()

    announced = world.units(request=1, asked=1000, service="data")
    world.later(HOUR)
    answer = world.units(request=2, used=30, after=10, asked=1000, service="data")

    assert announced["tariff_change_ms"] == at("2026-10-07T20:00:00")
    assert answer["charged_nanos"] == 20 * 10 * CENT + 10 * CENT
    assert [(row["units"], row["amount_nanos"]) for row in world.charges()] == [(20, 200 * CENT)]
    assert world.charges()[0]["ended_at_ms"] == at("2026-10-07T20:00:00")
    assert answer["tariff_change_ms"] == NOT_SAID


def test_a_call_is_one_usage_over_a_change_of_price():
    peak = a_rule("peak", a_card(10 * CENT), match=Match(bands=("peak",)))
    world = World(a_program(a_tariff(peak, a_rule("else", a_card(CENT)))))
    world.now_ms = at("2026-10-07T19:59:50")
    world.credit(NO_LIMIT)
    world.open()
    world.units(request=1, asked=60)

    world.units(request=2, used=30, final=True)

    assert [(row["units"], row["amount_nanos"]) for row in world.charges()] == [(30, (100 + 20) * CENT)]


def test_a_bucket_granted_during_a_data_session_serves_from_the_next_report_on():
    world = World(a_flat_program(CENT, allowances=(an_allowance(),)))
    world.credit(NO_LIMIT)
    world.open()
    world.units(request=1, asked=50, service="data")
    world.later(MINUTE)
    world.grant(100, bucket=7, from_ms=world.now_ms)

    first = world.units(request=2, used=40, asked=50, service="data")
    second = world.units(request=3, used=50, asked=50, service="data")

    assert first["charged_nanos"] == 40 * CENT
    assert (first["price_nanos"], second["charged_nanos"]) == (0, 0)
    assert [(row["units"], row["amount_nanos"]) for row in world.charges()] == [(40, 40 * CENT)]


def test_a_bucket_that_ended_still_serves_what_it_had_reserved():
    world = World(a_flat_program(CENT, allowances=(an_allowance(),)))
    world.grant(100, bucket=7, until_ms=NOON + HOUR)
    world.open()
    world.units(request=1, asked=60)
    world.later(HOUR)
    world.tick()
    lost = world.batches[-1].movements

    answer = world.units(request=2, used=60, final=True)

    assert [(int(row["change"]), int(row["remaining"])) for row in lost] == [(-40, 60)]
    assert (answer["charged_nanos"], answer["uncollected_nanos"]) == (0, 0)
    assert int(NoticeKind.EXPIRED) in world.notices()
    world.check_conservation()


def test_money_that_ended_still_pays_for_what_it_was_held_for():
    world = World()
    world.top_up(EURO, until_ms=NOON + HOUR)
    world.open()
    world.units(request=1, asked=60)
    world.later(HOUR)
    world.tick()

    answer = world.units(request=2, used=60, final=True)

    assert (answer["charged_nanos"], answer["uncollected_nanos"]) == (60 * CENT, 0)
    assert answer["available_nanos"] == 0
    world.check_conservation()


def test_a_pool_is_shared_and_no_member_takes_more_than_its_cap():
    allowance = an_allowance(scope=CounterScope.POOL, member_cap=60)
    world = World(a_flat_program(CENT, allowances=(allowance,)))
    world.subscriber(1, pool="family")
    world.subscriber(2, pool="family")
    world.grant(100, bucket=7, scope=2, pool="family")
    world.open("a")
    world.open("b", subscription=2)

    first = world.units("a", request=1, asked=80)
    second = world.units("b", request=1, asked=80)

    assert (first["granted_units"], second["granted_units"]) == (60, 40)
    world.units("a", request=2, used=10, final=True)
    assert world.units("b", request=2, used=40, asked=80)["granted_units"] == 20
    world.check_conservation()


def test_a_bonus_of_the_catalogue_pays_before_the_account():
    bonus = an_allowance(50 * CENT, code="bonus", kind=AllowanceKind.MONEY)
    world = World(a_flat_program(CENT, allowances=(bonus,)))
    world.top_up(EURO)
    world.grant(50 * CENT, bucket=7, allowance="plan/bonus")
    world.open()

    answer = world.units(request=1, used=60, asked=100)

    assert answer["charged_nanos"] == 10 * CENT
    assert world.remaining(7) == 0
    world.check_conservation()


def test_a_change_of_plan_ends_the_segment_of_a_call_too():
    world = World(a_program(a_tariff(a_rule(card=a_card(CENT))), a_tariff(a_rule(card=a_card(5 * CENT)), code="dear")))
    world.top_up(EURO)
    world.open()
    world.units(request=1, asked=5)
    world.later(MINUTE)
    world.subscriber(1, tariff="dear")

    answer = world.units(request=2, used=5, asked=4)

    assert (answer["charged_nanos"], answer["price_nanos"]) == (5 * CENT, 20 * CENT)
    assert [(row["units"], row["amount_nanos"]) for row in world.charges()] == [(5, 5 * CENT)]
    assert int(NoticeKind.REAUTHORISE) in world.notices()


def test_a_session_keeps_its_release_and_a_new_segment_takes_the_newest():
    old, new = a_flat_program(CENT), a_flat_program(3 * CENT)
    world = World(programs=[(0, 1, old)])
    world.top_up(EURO)
    world.open("call")
    world.open("data")
    world.units("call", request=1, asked=5)
    world.units("data", request=1, asked=5, service="data")
    world.later(MINUTE)
    world.shard.adopt(2, new, NOON + 1)

    call = world.units("call", request=2, used=5, asked=5)
    world.grant(1, bucket=70, allowance="plan/none", from_ms=world.now_ms)
    data = world.units("data", request=2, used=5, asked=5, service="data")
    world.open("later")
    later = world.units("later", request=1, asked=5)

    assert (call["price_nanos"], data["price_nanos"], later["price_nanos"]) == (5 * CENT, 15 * CENT, 15 * CENT)
    assert world.charges()[0]["release"] == 1


def test_totals_since_the_session_began_are_understood():
    world = World()
    world.top_up(EURO)
    world.open()
    row = lambda request, used, **parts: world.units(  # noqa: E731
        request=request, used=used, asked=NOT_SAID, flags=Flag.CUMULATIVE, service="data", **parts
    )
    world.policy("data", slice_units=10)

    charged = [row(number, total)["charged_nanos"] for number, total in enumerate((0, 7, 7, 20), 1)]

    assert charged == [0, 7 * CENT, 0, 13 * CENT]


def test_uplink_and_downlink_add_up_where_the_total_is_not_said():
    world = World()
    world.top_up(EURO)
    world.open()
    row = world.unit_row(request=1, asked=10, service="data")
    row["used"][0, Unit.INPUT_OCTETS], row["used"][0, Unit.OUTPUT_OCTETS] = 3, 4

    answer = world.do(row)
    world.end()

    assert answer["charged_nanos"] == 7 * CENT
    assert (world.charges()[0]["input_octets"], world.charges()[0]["output_octets"]) == (3, 4)


def test_an_attempt_that_nobody_answered_costs_what_the_tariff_says():
    card = a_card(CENT, unanswered_nanos=2 * CENT)
    world = World(a_program(a_tariff(a_rule(card=card))))
    world.top_up(EURO)
    world.open()
    world.units(request=1, asked=10)

    answer = world.units(request=2, used=0, final=True, flags=Flag.UNANSWERED)

    assert answer["charged_nanos"] == 2 * CENT
    assert world.charges()[0]["amount_nanos"] == 2 * CENT


def test_the_price_of_a_maximum_stops_the_slice():
    card = a_card(slots=(Slot(start_units=0, increment_units=1, amount_nanos=CENT, per_units=1),),
                  maximum_charge_nanos=30 * CENT, maximum_limits_quantity=True)  # fmt: skip
    world = World(a_program(a_tariff(a_rule(card=card))))
    world.credit(NO_LIMIT)
    world.open()

    answer = world.units(request=1, asked=100)

    assert (answer["granted_units"], answer["final"]) == (30, FinalAction.TERMINATE)
