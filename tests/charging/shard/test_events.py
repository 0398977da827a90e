"""One-time events are paid at once or not at all, and given back exactly."""

from tests.charging.shard.builders import World, a_flat_program, result
from tests.rating.builders import CENT, EURO, a_program, a_rule, a_tariff, an_allowance

from millicent.charging.types import NO_LIMIT, Verb
from millicent.rating.types import Reason


def test_a_debit_takes_the_price_and_says_what_it_took():
    world = World()
    world.top_up(EURO)

    answer = world.event(Verb.DEBIT, key="e", units=3)

    assert (answer["charged_nanos"], answer["granted_units"], answer["available_nanos"]) == (3 * CENT, 3, 97 * CENT)
    charge = world.charges()[0]
    assert (charge["units"], charge["amount_nanos"]) == (3, 3 * CENT)
    world.check_conservation()


def test_a_debit_that_cannot_be_paid_takes_nothing():
    world = World(a_flat_program(CENT, allowances=(an_allowance(),)))
    world.top_up(2 * CENT)
    world.grant(2, bucket=7)

    answer = world.event(Verb.DEBIT, key="e", units=5)

    assert (result(answer), answer["price_nanos"]) == ("INSUFFICIENT", 3 * CENT)
    assert (world.remaining(7), world.remaining(100), world.charges()) == (2, 2 * CENT, [])


def test_a_debit_with_its_own_price_takes_money_only():
    world = World(a_flat_program(CENT, allowances=(an_allowance(),)))
    world.top_up(EURO)
    world.grant(100, bucket=7)

    answer = world.event(Verb.DEBIT, key="e", units=None, nanos=42 * CENT)

    assert (answer["charged_nanos"], world.remaining(7)) == (42 * CENT, 100)
    world.check_conservation()


def test_a_refund_gives_back_what_was_taken_to_where_it_was_taken():
    world = World(a_flat_program(CENT, allowances=(an_allowance(),)))
    world.top_up(EURO)
    world.grant(2, bucket=7)
    world.event(Verb.DEBIT, key="e", units=5)

    answer = world.refund("e", key="r")

    assert answer["charged_nanos"] == -3 * CENT
    assert (world.remaining(7), world.remaining(100)) == (2, EURO)
    assert world.refund("e", key="r")["stored"] == 1
    assert result(world.refund("e", key="second")) == "ALREADY"
    assert result(world.refund("never", key="other")) == "UNKNOWN_SESSION"
    assert [int(row["amount_nanos"]) for row in world.charges()] == [3 * CENT, -3 * CENT]
    world.check_conservation()


def test_a_refund_of_an_amount_pays_what_is_owed_first():
    world = World()
    world.credit(EURO)
    world.event(Verb.DEBIT, key="e", units=10)
    world.top_up(EURO)

    world.do(world.row(Verb.REFUND, key="r", subscription_id=1, amount=15 * CENT))

    assert (world.remaining(-12), world.remaining(100)) == (EURO, EURO + 5 * CENT)
    world.check_conservation()


def test_checking_and_enquiring_change_nothing():
    world = World()
    world.top_up(10 * CENT)
    before = world.state()

    enough = world.event(Verb.CHECK, units=10)
    too_much = world.event(Verb.CHECK, units=11)
    open_ended = world.event(Verb.CHECK, units=None, service="voice")
    price = world.event(Verb.ENQUIRE, units=30)

    assert (result(enough), enough["granted_units"]) == ("DONE", 10)
    assert (result(too_much), too_much["granted_units"]) == ("INSUFFICIENT", 10)
    assert (result(open_ended), open_ended["granted_units"]) == ("DONE", 10)
    assert (price["price_nanos"], price["charged_nanos"]) == (30 * CENT, 0)
    assert world.state() == before


def test_offline_usage_is_charged_whatever_is_left():
    world = World()
    world.top_up(2 * CENT)

    answer = world.event(Verb.RECORD, key="e", units=5)

    assert (result(answer), answer["charged_nanos"], answer["uncollected_nanos"]) == ("DONE", 2 * CENT, 3 * CENT)
    world.check_conservation()


def test_offline_usage_without_a_price_is_counted_with_its_reason():
    world = World(a_program(a_tariff(a_rule("no", blocked=True))))
    world.credit(NO_LIMIT)

    answer = world.event(Verb.RECORD, key="e", units=5)

    assert (result(answer), answer["reason"]) == ("NOT_PRICED", Reason.BLOCKED)
    assert [(int(row["units"]), int(row["amount_nanos"]), int(row["reason"])) for row in world.charges()] == [
        (5, 0, Reason.BLOCKED)]  # fmt: skip


def test_a_repeated_event_is_answered_from_the_stored_answer():
    world = World()
    world.top_up(EURO)
    world.event(Verb.DEBIT, key="e", units=3)

    again = world.event(Verb.DEBIT, key="e", units=3)

    assert (again["stored"], again["charged_nanos"]) == (1, 3 * CENT)
    assert world.remaining(100) == 97 * CENT
