"""A segment refers to so many buckets at most: more of them cost nobody money, and what ended is not drawn again."""

from tests.charging.shard.builders import DAY, HOUR, World, a_flat_program, result
from tests.rating.builders import CENT, a_card, a_program, a_rule, a_tariff, an_allowance

from millicent.charging.types import FinalAction, Verb
from millicent.rating.services import TariffProgram

MANY = 16  # buckets: more than one segment has places for


def in_small_coins(world: World, *, nanos: int) -> None:
    for number in range(MANY):
        world.top_up(nanos, bucket=100 + number)


def with_allowances(*, member_cap: int | None = None) -> TariffProgram:
    allowances = (an_allowance(100, code="included", member_cap=member_cap),)
    return a_program(a_tariff(a_rule(card=a_card(CENT))), allowances=allowances)


def test_a_slice_that_is_granted_is_held_to_the_last_nano():
    world = World(a_flat_program(CENT))
    in_small_coins(world, nanos=10 * CENT)
    world.open("one")
    world.open("two")

    first = world.units("one", request=1, asked=160)
    second = world.units("two", request=1, asked=160)

    assert (first["granted_units"], second["granted_units"]) == (120, 40)
    assert (first["final"], second["final"]) == (FinalAction.NONE, FinalAction.TERMINATE)
    assert sum(world.reserved(100 + number) for number in range(MANY)) == 160 * CENT
    assert world.units("one", request=2, used=120)["uncollected_nanos"] == 0
    assert world.units("two", request=2, used=40)["uncollected_nanos"] == 0


def test_money_that_is_there_is_taken_however_many_buckets_it_lies_in():
    world = World(a_flat_program(CENT))
    in_small_coins(world, nanos=10 * CENT)
    world.open()

    answer = world.units(request=1, used=115)

    assert (answer["charged_nanos"], answer["uncollected_nanos"], answer["available_nanos"]) == (
        115 * CENT,
        0,
        45 * CENT,
    )
    world.check_conservation()


def test_data_go_on_when_bucket_after_bucket_is_used_up():
    world = World(with_allowances())
    for number in range(MANY):
        world.grant(10, bucket=200 + number)
    world.open()
    granted = []

    for request in range(1, 20):
        used = granted[-1] if granted else None
        answer = world.units(request=request, used=used, asked=15, service="data", number="")
        granted.append(max(0, int(answer["granted_units"])))

    assert sum(granted) == MANY * 10
    assert all(charge["reason"] == 0 for charge in world.charges())


def test_what_comes_back_to_a_bucket_that_ended_is_lost():
    world = World(with_allowances())
    world.grant(50, bucket=200, until_ms=world.now_ms + HOUR)
    world.open()
    world.units(request=1, asked=30)
    world.later(HOUR)
    world.tick()
    assert world.remaining(200) == 30  # reserved: whoever was granted it may use it

    world.units(request=2, used=0)
    world.tick()

    assert 200 not in world.shard.tables()["bucket"]["bucket_id"][world.shard.tables()["bucket"]["state"] > 0]
    world.check_conservation()


def test_who_left_a_pool_begins_at_nothing_with_another_bucket():
    world = World(with_allowances(member_cap=40))
    world.subscriber(1, pool="p")
    world.grant(100, bucket=200, scope=2, pool="p", until_ms=world.now_ms + DAY)
    world.event(Verb.RECORD, key="before", service="data", units=30, number="")
    world.subscriber(1)  # leaves the pool, and the bucket goes while nobody is there
    world.subscriber(1, pool="")
    world.later(DAY)
    world.tick()

    world.subscriber(1, pool="p")
    world.grant(100, bucket=201, scope=2, pool="p")
    world.top_up(CENT)
    answer = world.event(Verb.RECORD, key="after", service="data", units=40, number="")

    assert (result(answer), answer["price_nanos"], world.remaining(201)) == ("DONE", 0, 60)


def test_the_same_commands_leave_the_same_bytes_between_the_fields_too():
    batches = []
    for _ in range(2):
        world = World(a_flat_program(CENT))
        world.top_up(100 * CENT)
        world.open()
        world.units(request=1, used=30, asked=20)
        world.end(request=2)
        batches.append([
            each.tobytes()
            for batch in world.batches
            for each in (batch.movements, batch.charges, batch.notices, *(image.images for image in batch.images))
        ])  # fmt: skip

    assert batches[0] == batches[1]
