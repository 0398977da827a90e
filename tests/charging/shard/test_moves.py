"""A subscription moves to another payer or pool in mid-session: what was granted stays held until it is reported."""

from tests.charging.shard.builders import DAY, HOUR, World, a_flat_program, result
from tests.rating.builders import CENT, EURO, NOON, a_card, a_program, a_rule, a_slot, a_tariff, an_allowance

from millicent.catalog.types import CounterScope, TierLadder, TierModel, TierStep
from millicent.charging.shard import Shard
from millicent.charging.types import NOT_SAID, NoticeKind, Status, Verb
from millicent.rating.services import TariffProgram


def two_payers(program: TariffProgram | None = None) -> World:
    """Account 10 has a euro in bucket 100, account 20 ten in bucket 200."""
    world = World(program or a_flat_program(CENT))
    world.account(20)
    world.top_up(EURO, bucket=100)
    world.top_up(10 * EURO, bucket=200, account_id=20)
    return world


def charged_to(world: World) -> list[tuple[int, int, int]]:
    return [(int(row["account_id"]), int(row["units"]), int(row["amount_nanos"])) for row in world.charges()]


def test_what_was_granted_stays_held_by_the_payer_who_granted_it():
    world = two_payers()
    world.open()
    world.units(request=1, asked=60)
    world.subscriber(2)
    world.open("two", subscription=2)

    world.subscriber(1, account_id=20)

    assert (world.reserved(100), world.reserved(200)) == (60 * CENT, 0)
    assert world.units("two", request=1, asked=100)["granted_units"] == 40
    assert int(NoticeKind.REAUTHORISE) in world.notices()


def test_usage_within_the_grant_is_paid_by_the_old_payer_and_the_next_slice_by_the_new_one():
    world = two_payers()
    world.open()
    world.units(request=1, used=10, asked=60)
    world.subscriber(1, account_id=20)

    answer = world.units(request=2, used=60, asked=30)

    assert (answer["charged_nanos"], answer["uncollected_nanos"], answer["available_nanos"]) == (
        60 * CENT, 0, 10 * EURO - 30 * CENT)  # fmt: skip
    assert (world.remaining(100), world.reserved(100)) == (30 * CENT, 0)
    assert (world.remaining(200), world.reserved(200)) == (10 * EURO, 30 * CENT)
    assert charged_to(world) == [(10, 70, 70 * CENT)]
    world.units(request=3, used=30, final=True)
    assert charged_to(world)[1:] == [(20, 30, 30 * CENT)]
    world.check_conservation()


def test_what_was_used_beyond_the_grant_is_the_new_payers():
    for service in ("voice", "data"):
        world = two_payers()
        world.open()
        world.units(request=1, asked=60, service=service)
        world.subscriber(1, account_id=20)

        answer = world.units(request=2, used=75, service=service, final=True)

        assert answer["charged_nanos"] == 75 * CENT
        assert (world.remaining(100), world.remaining(200)) == (40 * CENT, 10 * EURO - 15 * CENT)
        assert charged_to(world) == [(10, 60, 60 * CENT), (20, 15, 15 * CENT)]
        world.check_conservation()


def test_a_top_up_that_comes_first_does_not_pay_for_what_another_bucket_holds():
    world = two_payers()
    world.open()
    world.units(request=1, asked=60)
    world.subscriber(1, account_id=20)
    world.top_up(EURO, bucket=101, priority=9)

    world.units(request=2, used=60, final=True)

    assert (world.remaining(100), world.remaining(101)) == (40 * CENT, EURO)


def test_a_session_that_ends_or_is_swept_after_the_move_gives_back_to_the_old_payer():
    for ends in (lambda world: world.end(), lambda world: world.tick(at=NOON + 2 * HOUR)):
        world = two_payers()
        world.open()
        world.units(request=1, used=10, asked=60)
        world.subscriber(1, account_id=20)

        ends(world)

        assert (world.remaining(100), world.reserved(100)) == (90 * CENT, 0)
        assert charged_to(world) == [(10, 10, 10 * CENT)]
        assert int(world.shard.tables()["meta"]["first_left"][0]) == 0
        world.check_conservation()


def test_a_payer_who_is_gone_still_pays_for_what_it_granted():
    world = two_payers()
    world.open()
    world.units(request=1, asked=60)
    world.subscriber(1, account_id=20)
    world.account(10, amount=Status.GONE)
    world.do(world.row(Verb.EXPIRE, bucket_id=100))

    answer = world.units(request=2, used=60, asked=30)

    assert (result(answer), answer["charged_nanos"], answer["granted_units"]) == ("DONE", 60 * CENT, 30)
    assert charged_to(world) == [(10, 60, 60 * CENT)]
    assert (world.remaining(200), world.reserved(200)) == (10 * EURO, 30 * CENT)
    world.tick()
    assert 100 not in world.shard.tables()["bucket"]["bucket_id"][world.shard.tables()["bucket"]["state"] > 0]
    world.check_conservation()


def test_a_new_payer_who_is_gone_grants_nothing_and_the_old_one_pays_what_it_granted():
    world = two_payers()
    world.open()
    world.units(request=1, asked=60)
    world.account(20, amount=Status.GONE)
    world.subscriber(1, account_id=20)

    answer = world.units(request=2, used=50, asked=30)

    assert (result(answer), answer["charged_nanos"]) == ("NOT_SERVED", 50 * CENT)
    assert (world.remaining(100), world.reserved(100), world.remaining(200)) == (50 * CENT, 0, 10 * EURO)


def test_every_rating_group_keeps_what_it_was_granted():
    world = two_payers()
    world.open()
    world.units(request=1, asked=30, group=1)
    world.units(request=1, asked=40, group=2, service="data")
    world.units(request=1, used=5, group=3, service="data")
    world.subscriber(1, account_id=20)
    assert world.reserved(100) == 70 * CENT
    assert charged_to(world) == [(10, 5, 5 * CENT)]  # nothing was granted to group 3: what it used is final

    world.units(request=2, used=40, asked=10, group=2, service="data")
    assert (world.reserved(100), world.reserved(200)) == (30 * CENT, 10 * CENT)
    world.units(request=3, used=30, final=True, group=1)
    world.units(request=4, used=7, final=True, group=3, service="data")
    world.end(request=5)

    assert (world.remaining(100), world.remaining(200)) == (25 * CENT, 10 * EURO - 7 * CENT)
    world.check_conservation()


def test_whoever_moves_twice_or_comes_back_still_uses_what_was_granted_first():
    for second in (30, 10):
        world = two_payers()
        world.account(30)
        world.top_up(EURO, bucket=300, account_id=30)
        world.open()
        world.units(request=1, asked=60)
        world.subscriber(1, account_id=20)
        world.subscriber(1, account_id=second)

        world.units(request=2, used=60, asked=40)
        world.end(request=3)

        assert (world.remaining(100), world.remaining(200), world.remaining(300)) == (40 * CENT, 10 * EURO, EURO)
        world.check_conservation()


def a_pool(*, cap: int = 60) -> World:
    allowance = an_allowance(100, code="included", scope=CounterScope.POOL, member_cap=cap)
    world = two_payers(a_program(a_tariff(a_rule(card=a_card(CENT))), allowances=(allowance,)))
    world.subscriber(1, pool="family")
    world.subscriber(2, pool="family")
    world.grant(100, bucket=7, scope=2, pool="family", until_ms=NOON + DAY)
    return world


def test_what_a_pool_granted_stays_held_for_a_member_who_leaves():
    world = a_pool()
    world.open()
    world.open("two", subscription=2)
    world.units(request=1, asked=60, service="data")
    world.subscriber(1)

    assert (world.reserved(7), world.units("two", request=1, asked=60, service="data")["granted_units"]) == (60, 60)
    assert world.reserved(100) == 20 * CENT  # 40 of the pool, the rest by money
    answer = world.units(request=2, used=50, asked=10, service="data")

    assert (answer["charged_nanos"], answer["price_nanos"]) == (0, 10 * CENT)
    assert (world.remaining(7), world.reserved(7)) == (50, 40)
    world.end(request=3)
    world.end("two", request=3)
    world.check_conservation()


def test_a_member_who_comes_back_finds_what_it_used_meanwhile_counted_against_its_cap():
    world = a_pool()
    world.open()
    world.units(request=1, asked=50, service="data")
    world.subscriber(1)
    world.units(request=2, used=45, final=True, service="data")
    world.subscriber(1, pool="family")

    answer = world.units(request=3, asked=60, service="data")

    assert answer["price_nanos"] == 45 * CENT  # 15 of its 60 are left
    assert world.reserved(7) == 15


def test_a_pools_bucket_that_ended_still_serves_what_it_granted():
    world = a_pool()
    world.open()
    world.units(request=1, asked=60, service="data")
    world.subscriber(1)
    world.later(DAY // 2)
    world.tick(at=NOON + HOUR)  # nothing is due
    world.do(world.row(Verb.EXPIRE, bucket_id=7))

    answer = world.units(request=2, used=60, final=True, service="data")

    assert (answer["charged_nanos"], world.remaining(100)) == (0, EURO)
    world.check_conservation()


def with_tiers_of_the_account() -> TariffProgram:
    ladder = TierLadder(
        model=TierModel.GRADUATED,
        counter="month",
        scope=CounterScope.ACCOUNT,
        steps=(
            TierStep(floor_units=0, amount_nanos=CENT, per_units=1, flat_nanos=0),
            TierStep(floor_units=50, amount_nanos=3 * CENT, per_units=1, flat_nanos=0),
        ),
    )
    return a_program(a_tariff(a_rule(card=a_card(slots=(a_slot(0),), ladder=ladder))))


def test_the_tiers_of_the_old_account_count_what_it_granted():
    world = two_payers(with_tiers_of_the_account())
    world.open()
    world.units(request=1, asked=60)
    world.subscriber(1, account_id=20)

    answer = world.units(request=2, used=60, asked=10)

    assert answer["charged_nanos"] == (50 + 3 * 10) * CENT
    assert answer["price_nanos"] == 10 * CENT  # the new account has counted nothing yet
    counter = world.shard.tables()["counter"][1:]
    assert sorted(counter["units"].tolist()) == [10, 60]


def test_a_cycle_of_the_old_account_that_begins_meanwhile_leaves_the_call_in_the_old_one():
    world = two_payers(with_tiers_of_the_account())
    world.open()
    world.units(request=1, used=20, asked=40)
    world.subscriber(1, account_id=20)
    world.do(world.row(Verb.ROLL, account_id=10))
    world.do(world.row(Verb.ROLL, account_id=20))

    answer = world.units(request=2, used=40, final=True)

    assert answer["charged_nanos"] == (30 + 3 * 10) * CENT
    assert world.shard.tables()["counter"]["units"].tolist()[1:] == [0]
    world.check_conservation()


def test_an_account_of_another_currency_grants_nothing_and_the_old_one_pays():
    world = two_payers()
    world.account(30, currency="USD")
    world.open()
    world.units(request=1, asked=60)
    world.subscriber(1, account_id=30)

    answer = world.units(request=2, used=60, asked=30)

    assert (result(answer), answer["charged_nanos"]) == ("CURRENCY_DIFFERS", 60 * CENT)
    assert (world.remaining(100), world.reserved(100)) == (40 * CENT, 0)


def test_a_shard_that_was_replayed_knows_who_pays_for_what_was_left():
    world = two_payers()
    world.open()
    world.open("second")
    world.units(request=1, asked=40)
    world.units("second", request=1, asked=50)
    world.subscriber(1, account_id=20)
    replayed = Shard([(0, 1, a_flat_program())])
    for batch in world.batches:
        replayed.replay(batch.images, batch.names)
    assert {name: rows.tobytes() for name, rows in replayed.tables().items()} == world.state()
    world.shard = replayed

    world.units(request=2, used=40, asked=NOT_SAID)
    world.end("second", request=2)

    assert (world.remaining(100), world.reserved(100)) == (60 * CENT, 0)
    world.check_conservation()
