"""What is bounded stays sound at its bound: rings of answers, room that grows in the middle of a batch."""

import numpy as np
from tests.charging.shard.builders import MINUTE, World, a_flat_program, result
from tests.rating.builders import CENT, EURO, NOON, a_card, a_program, a_rule, a_tariff, an_allowance

from millicent.catalog.types import CounterScope, TierLadder, TierModel, TierStep
from millicent.charging.server.looking import session_texts
from millicent.charging.shard import Shard
from millicent.charging.types import NameKind, NoticeKind, Verb
from millicent.rating.services import TariffProgram

RING = 64  # the smallest ring there is


def counting_program(scope: CounterScope) -> TariffProgram:
    """The first ten of a cycle cost 1 cent each, all others 2."""
    ladder = TierLadder(
        model=TierModel.GRADUATED, counter="texts", scope=scope,
        steps=(TierStep(floor_units=0, amount_nanos=CENT), TierStep(floor_units=10, amount_nanos=2 * CENT)),
    )  # fmt: skip
    return a_program(a_tariff(a_rule(card=a_card(slots=(), ladder=ladder))))


def test_the_traffic_of_sessions_does_not_push_out_the_answer_to_a_top_up():
    world = World(bounds={"stored": RING})
    world.top_up(EURO, key="voucher")
    world.open()
    for request in range(1, 3 * RING):
        world.units(request=request, asked=1)

    again = world.top_up(EURO, key="voucher")

    assert (again["stored"], world.remaining(100)) == (1, EURO)
    world.check_conservation()


def test_the_oldest_answer_goes_when_a_ring_is_full():
    world = World(bounds={"lasting": RING})
    for number in range(RING):
        world.top_up(CENT, key=f"top-up {number}")

    newest, oldest = world.top_up(CENT, key=f"top-up {RING - 1}"), world.top_up(CENT, key="top-up 0")

    assert (newest["stored"], oldest["stored"]) == (1, 0)
    assert world.shard.tables()["lasting"].shape == (RING,)
    world.check_conservation()


def test_a_deed_that_was_pushed_out_cannot_be_given_back():
    world = World(bounds={"deed": RING})
    world.top_up(EURO)
    for number in range(RING):
        world.event(Verb.DEBIT, key=f"event {number}")

    assert result(world.refund("event 0", key="r0")) == "UNKNOWN_SESSION"
    assert result(world.refund(f"event {RING - 1}", key="r1")) == "DONE"
    world.check_conservation()


def test_rings_are_the_same_after_a_replay():
    world = World(bounds={"lasting": RING, "stored": RING})
    for number in range(RING + 5):
        world.top_up(CENT, key=f"top-up {number}")
        world.event(Verb.CHECK, key=f"check {number}")
    other = Shard([(0, 1, a_flat_program())], bounds={"lasting": RING, "stored": RING})
    for batch in world.batches:
        other.replay(batch.images, batch.names)

    answers = other.apply(world.row(Verb.TOP_UP, key=f"top-up {RING}", account_id=10, bucket_id=100, amount=CENT))

    assert answers.answers["stored"].tolist() == [1]


def test_a_notice_of_a_swept_session_has_its_id_though_others_begin_in_the_same_batch():
    world = World()
    world.open("old")
    texts = b"oldnew"
    rows = [world.row(Verb.TICK, at=NOON + 10_000 * MINUTE)]
    rows += [world.opening("new", at=NOON + 10_000 * MINUTE, text_offset=3, text_length=3)]

    batch = world.apply(np.concatenate(rows), texts)

    swept = batch.notices[batch.notices["kind"] == NoticeKind.SWEPT]
    assert session_texts(world.shard.tables(), swept["session"]) == ["old"]
    assert session_texts(world.shard.tables(), batch.answers["session"][1:]) == ["new"]


def test_rows_of_sessions_that_ended_are_used_again():
    world = World()
    for number in range(300):
        world.open(f"session {number}")
        world.end(f"session {number}")

    assert len(world.shard.tables()["session"]) <= 4


def test_a_session_id_may_have_as_many_bytes_as_a_diameter_peer_sends_and_no_more():
    world = World()

    fits = world.open("i" * 260)
    too_long = world.open("j" * 261)

    assert (result(fits), result(too_long)) == ("DONE", "INVALID")
    assert session_texts(world.shard.tables(), [int(fits["session"])]) == ["i" * 260]


def test_members_join_a_pool_one_after_the_other_in_one_batch():
    allowance = an_allowance(scope=CounterScope.POOL, member_cap=60)
    world = World(a_flat_program(CENT, allowances=(allowance,)))
    world.subscriber(1, pool="family")
    for bucket in range(1, 40):
        world.grant(100, bucket=bucket, scope=2, pool="family")
    pool, plan = world.number(NameKind.POOL, "family"), world.number(NameKind.PLAN, "tariff\x1f")
    rows = [
        world.row(Verb.SUBSCRIBER, subscription_id=member, account_id=10, name=plan, other_name=pool)
        for member in range(2, 30)
    ]
    assert set(world.apply(np.concatenate(rows)).answers["result"].tolist()) == {0}
    other = Shard([(0, 1, a_flat_program(CENT, allowances=(allowance,)))])
    for batch in world.batches:
        other.replay(batch.images, batch.names)

    assert {name: rows.tobytes() for name, rows in other.tables().items()} == world.state()
    assert len(world.shard.tables()["member"]) == 1 + 29 * 39


def test_what_getting_ready_named_travels_with_the_next_batch():
    shard = Shard([(0, 1, a_flat_program())])

    shard.ready()
    batch = shard.apply(World().row(Verb.TICK))

    assert [(kind, number) for kind, number, _ in batch.names][:2] == [("cause", 0), ("cause", 1)]


def test_a_charge_names_its_rule():
    world = World(a_program(a_tariff(a_rule(code="day", card=a_card(CENT)))))
    world.top_up(EURO)
    world.open()

    world.units(request=1, used=5, final=True)

    charge = world.charges()[0]
    assert world.shard.text_of(NameKind.RULE, int(charge["rule"])) == "day"
    assert int(charge["zone"]) == -1
    assert ("rule", int(charge["rule"]), "day") in world.batches[-1].names


def test_what_was_taken_of_a_bucket_that_is_gone_comes_back_as_money_but_not_as_units():
    world = World(a_flat_program(CENT, allowances=(an_allowance(),)))
    world.top_up(EURO, bucket=100, until_ms=NOON + MINUTE)
    world.grant(2, bucket=7, until_ms=NOON + MINUTE)
    world.event(Verb.DEBIT, key="e", units=5)
    world.later(MINUTE)
    world.tick()
    world.top_up(EURO, bucket=101)

    answer = world.refund("e", key="r")

    assert (result(answer), answer["charged_nanos"], world.remaining(101)) == ("DONE", -3 * CENT, EURO + 3 * CENT)
    world.check_conservation()


def test_a_cycle_of_a_pool_begins_again_for_all_its_members():
    world = World(counting_program(CounterScope.POOL))
    world.top_up(100 * EURO)
    pool = world.number(NameKind.POOL, "family")
    world.subscriber(1, pool="family")
    world.subscriber(2, pool="family")
    before = world.event(Verb.RECORD, key="a", units=10, subscription=1)
    beyond = world.event(Verb.RECORD, key="b", units=10, subscription=2)

    rolled = world.do(world.row(Verb.ROLL, other_name=pool))
    after = world.event(Verb.RECORD, key="c", units=10, subscription=2)

    assert result(rolled) == "DONE"
    assert [int(each["charged_nanos"]) for each in (before, beyond, after)] == [10 * CENT, 20 * CENT, 10 * CENT]
    world.check_conservation()


def test_a_cycle_of_an_account_begins_again_and_once_for_one_key():
    world = World(counting_program(CounterScope.ACCOUNT))
    world.top_up(100 * EURO)
    world.event(Verb.RECORD, key="a", units=10)

    world.do(world.row(Verb.ROLL, key="cycle", account_id=10))
    first = world.event(Verb.RECORD, key="b", units=10)
    again = world.do(world.row(Verb.ROLL, key="cycle", account_id=10))
    second = world.event(Verb.RECORD, key="c", units=10)

    assert (int(first["charged_nanos"]), int(again["stored"])) == (10 * CENT, 1)
    assert int(second["charged_nanos"]) == 20 * CENT


def test_a_rule_that_begins_later_prices_what_begins_later():
    rules = (
        a_rule(code="old", card=a_card(CENT), valid_until_ms=NOON + MINUTE),
        a_rule(code="new", card=a_card(3 * CENT), valid_from_ms=NOON + MINUTE),
    )
    world = World(a_program(a_tariff(*rules)))
    world.top_up(100 * EURO)

    before = world.event(Verb.DEBIT, key="a")
    world.later(MINUTE)
    after = world.event(Verb.DEBIT, key="b")

    assert (int(before["charged_nanos"]), int(after["charged_nanos"])) == (CENT, 3 * CENT)
