"""What is told before it is too late: an end that is near, and every state that a policy counter enters."""

import numpy as np
import pytest
from tests.charging.shard.builders import DAY, HOUR, World, a_flat_program, result
from tests.rating.builders import CENT, EURO, NOON, an_allowance

from millicent.catalog.types import CounterScope
from millicent.charging.shard import Shard
from millicent.charging.types import COMMAND, NOT_SAID, Flag, NameKind, NoticeKind, Status, Verb


def a_world(*, scope: CounterScope = CounterScope.SUBSCRIPTION) -> World:
    return World(a_flat_program(CENT, allowances=(an_allowance(100, code="included", scope=scope),)))


def thresholds(world: World, *, percent: int = 80, money: int = 3 * 86_400, units: int = 0) -> str:
    row = world.row(Verb.THRESHOLDS)
    row["asked"][0, :3] = percent, money, units
    return result(world.do(row))


def told(world: World, kind: NoticeKind) -> list[tuple[int, int, int]]:
    """Bucket, what is left, when it ends."""
    return [
        (int(row["bucket_id"]), int(row["amount"]), int(row["until_ms"]))
        for batch in world.batches
        for row in batch.notices
        if row["kind"] == kind
    ]


# ------------------------------------------------------------ an end that is near


def test_money_that_ends_soon_is_told_once_and_again_when_a_top_up_gave_it_another_end():
    world = a_world()
    thresholds(world)
    world.top_up(EURO, until_ms=NOON + 10 * DAY)

    for day in (6, 7, 8):
        world.tick(at=NOON + day * DAY)
    world.now_ms = NOON + 8 * DAY
    world.top_up(EURO, until_ms=NOON + 20 * DAY)
    for day in (9, 18):
        world.tick(at=NOON + day * DAY)

    assert told(world, NoticeKind.EXPIRY_NEAR) == [
        (100, EURO, NOON + 10 * DAY), (100, 2 * EURO, NOON + 20 * DAY)]  # fmt: skip
    (notice,) = world.batches[-1].notices
    assert (notice["account_id"], notice["subscription_id"]) == (10, NOT_SAID)


def test_what_is_empty_or_lasts_no_longer_than_the_lead_is_not_told():
    world = a_world()
    thresholds(world)
    world.top_up(EURO, bucket=100, until_ms=NOON + 2 * DAY)  # a day pass
    world.top_up(EURO, bucket=101, until_ms=NOON + 10 * DAY)
    world.do(world.row(Verb.ADJUST, bucket_id=101, amount=-EURO))
    world.credit(EURO)

    world.tick(at=NOON + DAY)
    world.tick(at=NOON + 8 * DAY)

    assert told(world, NoticeKind.EXPIRY_NEAR) == []


def test_allowances_are_told_when_the_operator_wants_it():
    for seconds, expected in ((0, []), (3600, [(7, 100, NOON + 10 * DAY)])):
        world = a_world()
        thresholds(world, units=seconds)
        world.grant(100, bucket=7, until_ms=NOON + 10 * DAY)

        world.tick(at=NOON + 9 * DAY)
        world.tick(at=NOON + 10 * DAY - HOUR)

        assert told(world, NoticeKind.EXPIRY_NEAR) == expected


def test_what_is_near_its_end_when_the_lead_is_declared_is_told_with_the_next_tick():
    world = a_world()
    world.top_up(EURO, until_ms=NOON + 2 * DAY)
    world.tick()
    assert told(world, NoticeKind.EXPIRY_NEAR) == []

    thresholds(world)
    world.tick()

    assert told(world, NoticeKind.EXPIRY_NEAR) == [(100, EURO, NOON + 2 * DAY)]


def test_as_many_as_one_tick_tells_and_the_rest_with_the_next():
    world = a_world()
    thresholds(world)
    rows = np.repeat(world.row(Verb.TOP_UP, account_id=10, amount=1, until_ms=NOON + 10 * DAY), 1_100)
    rows["bucket_id"] = np.arange(1_100)
    world.apply(rows)

    counts = []
    for minute in range(3):
        world.tick(at=NOON + 8 * DAY + minute)
        counts.append(len(world.batches[-1].notices))

    assert counts == [1_024, 76, 0]


def test_the_part_that_is_told_is_the_operators():
    world = a_world()
    assert thresholds(world, percent=50) == "DONE"
    assert thresholds(world, percent=0) == thresholds(world, units=-2) == "INVALID"
    world.subscriber(1, spend_limit=EURO)
    world.top_up(EURO)
    world.grant(100, bucket=7)
    world.open()

    world.units(request=1, used=49)
    before = world.notices()
    world.units(request=2, used=1)
    world.units(request=3, used=100)

    assert before == []
    assert [(int(row["kind"]), int(row["percent"])) for batch in world.batches for row in batch.notices] == [
        (NoticeKind.PART_USED, 50), (NoticeKind.ALL_USED, 100), (NoticeKind.PART_USED, 50)]  # fmt: skip


# ------------------------------------------------------------ policy counters


def a_counter(world: World, *percents: int, name: str = "bundle", allowance: str = "plan/included") -> str:
    row = world.row(
        Verb.COUNTER,
        name=world.number(NameKind.POLICY_COUNTER, name),
        other_name=world.number(NameKind.ALLOWANCE, allowance) if allowance else NOT_SAID,
    )
    row["asked"][0, : len(percents)] = percents
    return result(world.do(row))


def state(world: World, *, name: str = "bundle", subscription: int = 1, flags: int = 0) -> int:
    row = world.row(Verb.STATUS, subscription_id=subscription, flags=flags,
                    name=world.number(NameKind.POLICY_COUNTER, name))  # fmt: skip
    answer = world.do(row)
    assert result(answer) == "DONE"
    return int(answer["granted_units"])


def changes(world: World) -> list[tuple[int, int]]:
    """Subscription and state, of every notice of a status."""
    return [
        (int(row["subscription_id"]), int(row["amount"]))
        for batch in world.batches
        for row in batch.notices
        if row["kind"] == NoticeKind.STATUS
    ]


def test_a_counter_goes_through_its_states_and_each_is_told_once():
    world = a_world()
    a_counter(world, 50, 80, 100)
    world.top_up(EURO)
    world.grant(100, bucket=7)
    world.open()
    states = [state(world, flags=Flag.ASKED)]

    for request, used in enumerate((49, 1, 10, 20, 30), 1):
        world.units(request=request, used=used)
        states.append(state(world))

    assert states == [0, 0, 1, 1, 2, 3]
    assert changes(world) == [(1, 1), (1, 2), (1, 3)]


def test_who_is_not_watched_is_not_told_and_who_no_longer_is_neither():
    world = a_world()
    a_counter(world, 50)
    world.grant(100, bucket=7)
    world.open()
    world.units(request=1, used=60)
    assert changes(world) == []

    state(world, flags=Flag.ASKED)
    world.do(world.row(Verb.ADJUST, bucket_id=7, amount=40))
    state(world, flags=Flag.FINAL)
    world.do(world.row(Verb.ADJUST, bucket_id=7, amount=-40))

    assert changes(world) == [(1, 0)]


def test_reserving_changes_no_state_and_reporting_does():
    world = a_world()
    a_counter(world, 50)
    world.grant(100, bucket=7)
    world.open()

    world.units(request=1, asked=90)
    reserved = state(world)
    world.units(request=2, used=90)

    assert (reserved, state(world)) == (0, 1)


def test_another_bucket_of_the_allowance_brings_the_counter_back():
    world = a_world()
    a_counter(world, 50, 100)
    world.grant(100, bucket=7, until_ms=NOON + DAY)
    world.open()
    world.units(request=1, used=100)
    state(world, flags=Flag.ASKED)

    world.grant(100, bucket=8, until_ms=NOON + 9 * DAY)
    both = state(world)
    world.do(world.row(Verb.EXPIRE, bucket_id=8))

    assert (both, state(world)) == (0, 2)
    assert changes(world) == [(1, 0), (1, NOT_SAID)]


def test_every_watched_member_of_a_pool_is_told():
    world = a_world(scope=CounterScope.POOL)
    a_counter(world, 50)
    for subscription in (1, 2, 3):
        world.subscriber(subscription, pool="family")
    world.grant(100, bucket=7, scope=2, pool="family")
    for subscription in (1, 3):
        state(world, subscription=subscription, flags=Flag.ASKED)

    world.event(Verb.RECORD, subscription=2, units=60)

    assert sorted(changes(world)) == [(1, 1), (3, 1)]
    assert [state(world, subscription=subscription) for subscription in (1, 2, 3)] == [1, 1, 1]


def test_more_members_than_there_is_room_for_are_told_of_at_once():
    world = a_world(scope=CounterScope.POOL)
    a_counter(world, 50)
    world.subscriber(1, pool="company")
    many = 9_000
    rows = np.repeat(world.batches[-1].commands.view(COMMAND), many)
    rows["subscription_id"] = np.arange(many)
    world.apply(rows)
    world.grant(100, bucket=7, scope=2, pool="company")
    rows["verb"], rows["flags"] = Verb.STATUS, Flag.ASKED
    world.apply(rows)

    world.event(Verb.RECORD, subscription=2, units=60)

    subscriptions = [each for each, _ in changes(world)]
    assert len(subscriptions) < many
    assert subscriptions[-1] == NOT_SAID


def test_what_is_spent_of_a_limit_is_a_counter_too():
    world = a_world()
    a_counter(world, 50, 100, name="spending", allowance="")
    world.top_up(10 * EURO)
    assert state(world, name="spending") == NOT_SAID  # no limit
    world.subscriber(1, spend_limit=EURO)
    states = [state(world, name="spending", flags=Flag.ASKED)]
    world.open()

    world.units(request=1, used=60)
    states.append(state(world, name="spending"))
    world.subscriber(1, spend_limit=10 * EURO)
    states.append(state(world, name="spending"))
    world.subscriber(1, spend_limit=EURO // 2)
    states.append(state(world, name="spending"))
    world.do(world.row(Verb.ROLL, subscription_id=1))
    states.append(state(world, name="spending"))

    assert states == [0, 1, 0, 2, 0]
    assert changes(world) == [(1, 1), (1, 0), (1, 2), (1, 0)]


def test_who_moves_or_goes_is_asked_again():
    world = a_world(scope=CounterScope.POOL)
    a_counter(world, 50)
    world.subscriber(1, pool="family")
    world.grant(100, bucket=7, scope=2, pool="family")
    state(world, flags=Flag.ASKED)

    world.subscriber(1)
    alone = state(world)
    world.subscriber(1, amount=Status.GONE)

    assert alone == NOT_SAID
    assert changes(world) == [(1, NOT_SAID)] * 2
    gone = world.do(world.row(Verb.STATUS, subscription_id=1, name=0))
    assert result(gone) == "UNKNOWN_SUBSCRIBER"


def test_a_counter_that_is_declared_late_knows_what_was_used_and_one_without_thresholds_is_gone():
    world = a_world()
    world.grant(100, bucket=7)
    world.open()
    world.units(request=1, used=60)

    assert a_counter(world, 50, 90) == "DONE"
    late = state(world)
    assert a_counter(world) == "DONE"

    assert (late, state(world)) == (1, NOT_SAID)


@pytest.mark.parametrize("percents", [(80, 50), (50, 50), (501,), (0, 50)])
def test_thresholds_rise_and_have_an_end(percents):
    world = a_world()

    assert a_counter(world, *percents) == "INVALID"


def test_a_shard_that_was_replayed_knows_who_is_watched_and_in_which_state():
    world = a_world()
    a_counter(world, 50, 100)
    thresholds(world)
    world.grant(100, bucket=7)
    world.top_up(EURO, until_ms=NOON + 10 * DAY)
    state(world, flags=Flag.ASKED)
    world.open()
    world.units(request=1, used=60)
    replayed = Shard([(0, 1, world.shard._programs[0].program)])
    for batch in world.batches:
        replayed.replay(batch.images, batch.names)
    assert {name: rows.tobytes() for name, rows in replayed.tables().items()} == world.state()
    world.shard = replayed

    world.units(request=2, used=60)
    world.tick(at=NOON + 8 * DAY)

    assert changes(world) == [(1, 1), (1, 2)]
    assert told(world, NoticeKind.EXPIRY_NEAR) == [(100, 80 * CENT, NOON + 10 * DAY)]
