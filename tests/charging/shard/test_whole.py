"""However it is sliced, replayed or shared: the parts are the whole, and nothing is spent twice."""

import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.charging.shard.builders import MINUTE, NUMBER, World, a_flat_program, result
from tests.rating.builders import CENT, NOON, an_allowance, grants_of, holdings_of, usage_of
from tests.rating.strategies import bucket_rows, catalogues

from millicent.catalog.types import CounterScope
from millicent.charging.shard import Shard
from millicent.charging.types import NO_LIMIT, NOT_SAID
from millicent.rating.services import compile_catalogue, price_usage

REDUCED = os.environ.get("MILLICENT_JUDGE_REDUCED") == "1"
CALM = {"deadline": None, "suppress_health_check": list(HealthCheck)}
SCOPES = {"subscription": 0, "account": 1, "pool": 2}


@st.composite
def sliced_usages(draw):
    catalogue = draw(catalogues())
    codes = [f"plan/{each.code}" for each in catalogue.offerings["plan"].allowances]
    rows = [row for row in draw(bucket_rows(codes)) if row.get("scope", "subscription") == "subscription"]
    service = draw(st.sampled_from(("voice", "data", "sms")))
    number = draw(st.sampled_from((NUMBER, "34655", "3480312", "442071234567", "")))
    reports = draw(st.lists(st.integers(0, 90), min_size=1, max_size=6))
    asked = draw(st.lists(st.one_of(st.none(), st.integers(1, 200)), min_size=len(reports), max_size=len(reports)))
    return catalogue, rows, service, number, reports, asked


def a_world_of(catalogue, rows) -> World:
    world = World(compile_catalogue(catalogue))
    world.endless = set(range(1_000))
    world.credit(NO_LIMIT)
    for bucket, row in enumerate(rows, 1):
        world.grant(row.get("remaining", 100), bucket=bucket, allowance=row["allowance"],
                    from_ms=row.get("valid_from_ms", 0), until_ms=row.get("valid_until_ms", 2**63 - 1),
                    instant_ms=row.get("granted_at_ms", 0))  # fmt: skip
    return world


def whole_price(catalogue, rows, *, service: str, number: str, units: int):
    """What the record of the whole usage costs."""
    usage = {"service": service, "occurred_at_ms": NOON, "other_party": number, "duration_ms": units * 1000,
             "downlink_bytes": units, "events": units}  # fmt: skip
    return price_usage(
        programs=[(0, 1, compile_catalogue(catalogue))],
        usage=usage_of(usage),
        holdings=holdings_of(),
        grants=grants_of(*rows) if rows else None,
    )


@settings(max_examples=15 if REDUCED else 60, **CALM)
@given(sliced_usages())
def test_any_slicing_adds_up_to_the_price_of_the_record(case):
    catalogue, rows, service, number, reports, asked = case
    world = a_world_of(catalogue, rows)
    world.open()
    refused = False
    for request, (used, more) in enumerate(zip(reports, asked, strict=True), 1):
        answer = world.units(request=request, used=used, asked=more, service=service, number=number)
        refused = refused or (used > 0 and result(answer) == "NOT_PRICED")
    world.units(request=100, used=0, final=True, service=service, number=number)

    whole = whole_price(catalogue, rows, service=service, number=number, units=sum(reports))

    world.check_conservation()
    if refused or whole.rated["reason"][0] or sum(reports) == 0:
        return  # a usage that stops being served has no whole
    charges = world.charges()
    assert len(charges) == 1
    for ours, theirs in (("amount_nanos", "amount_nanos"), ("charged_units", "charged_units"),
                         ("bucket_units", "bucket_units")):  # fmt: skip
        assert charges[0][ours] == whole.rated[theirs][0]
    for bucket, remaining in whole.grants.select("bucket_id", "remaining").iter_rows():
        assert world.remaining(bucket) == remaining


STEPS = st.tuples(
    st.integers(0, 5),  # session
    st.sampled_from(("report", "report", "report", "overuse", "final", "end", "top_up", "grant", "time", "resend")),
    st.integers(0, 60),
    st.sampled_from(("voice", "data", "sms")),
)


def a_shared_world() -> World:
    allowance = an_allowance(500, scope=CounterScope.POOL, member_cap=300, whole_increments=True)
    world = World(a_flat_program(CENT, per=10, increment=7, allowances=(allowance,)))
    for subscription in (1, 2, 3):
        world.subscriber(subscription, pool="family", spend_limit=NO_LIMIT if subscription < 3 else 30 * CENT)
    world.credit(20 * CENT)
    world.top_up(50 * CENT)
    world.grant(200, bucket=7, scope=2, pool="family")
    return world


def run(world: World, steps) -> None:
    requests: dict[str, int] = {}
    last = None
    for number, (which, step, units, service) in enumerate(steps):
        session = f"s{which}"
        if session not in requests:
            world.open(session, subscription=which % 3 + 1)
            requests[session] = 0
        requests[session] += 1
        request = requests[session]
        if step == "report":
            last = world.unit_row(session, request=request, used=units, asked=2 * units, service=service, group=which)
            world.do(last)
        elif step == "overuse":
            world.units(session, request=request, used=5 * units, service=service, group=which)
        elif step == "final":
            world.units(session, request=request, used=units, final=True, service=service, group=which)
        elif step == "end":
            world.end(session, request=request)
            world.open(session, request=request + 1, subscription=which % 3 + 1)
        elif step == "top_up":
            world.top_up((units + 1) * CENT, bucket=1_000 + units)
        elif step == "grant":
            world.grant(units, bucket=2_000 + number, scope=2, pool="family", until_ms=world.now_ms + 7 * MINUTE)
        elif step == "time":
            world.later(units * MINUTE)
            world.tick()
        elif last is not None:
            world.do(last)


@settings(max_examples=15 if REDUCED else 60, **CALM)
@given(st.lists(STEPS, min_size=5, max_size=40))
def test_whatever_happens_nothing_is_spent_twice(steps):
    world = a_shared_world()

    run(world, steps)
    for which in range(6):
        world.end(f"s{which}", request=10_000)

    world.check_conservation()
    bucket = world.shard.tables()["bucket"]
    assert (bucket["reserved"] == 0).all()
    assert (bucket["users"] == 0).all()


@settings(max_examples=8 if REDUCED else 25, **CALM)
@given(st.lists(STEPS, min_size=5, max_size=25))
def test_the_images_of_all_batches_make_the_same_state_to_the_last_byte(steps):
    world = a_shared_world()
    run(world, steps)

    replayed = Shard([(0, 1, a_flat_program())])
    for batch in world.batches:
        replayed.replay(batch.images, batch.names)

    assert {name: rows.tobytes() for name, rows in replayed.tables().items()} == world.state()


def test_a_shard_that_was_replayed_goes_on_as_if_nothing_had_happened():
    first, second = a_shared_world(), a_shared_world()
    steps = [(number % 6, step, 11 * number % 50, "data") for number, step in
             enumerate(("report", "overuse", "top_up", "grant", "report", "time", "report", "end") * 4)]  # fmt: skip
    run(first, steps[:16])
    run(second, steps[:16])
    fresh = Shard([(0, 1, first.shard._programs[0].program)])
    for batch in second.batches:
        fresh.replay(batch.images, batch.names)
    second.shard = fresh

    for world in (first, second):
        for which in range(6):
            world.units(f"s{which}", request=5_000, used=9, asked=NOT_SAID, service="data", group=which)
        world.top_up(CENT, bucket=3_000)

    assert first.state() == second.state()
    assert [batch.answers.tobytes() for batch in first.batches] == [batch.answers.tobytes() for batch in second.batches]


def test_the_same_commands_twice_leave_the_same_bytes():
    worlds = [a_shared_world(), a_shared_world()]
    for world in worlds:
        run(world, [(number % 4, "report", number, "voice") for number in range(30)])

    assert worlds[0].state() == worlds[1].state()


def test_how_commands_are_cut_into_batches_does_not_matter():
    def rows(world: World):
        opening = [world.opening(f"s{number}", subscription=number % 3 + 1) for number in range(6)]
        reports = [
            world.unit_row(f"s{number % 6}", request=1 + number // 6, used=number, asked=30, service="data")
            for number in range(30)
        ]
        return [*opening, *reports]

    one, many = a_shared_world(), a_shared_world()
    one.do(*rows(one))
    for row in rows(many):
        many.do(row)

    assert one.state() == many.state()


def test_two_hundred_members_of_a_pool_share_it_to_the_last_unit():
    allowance = an_allowance(1_000, scope=CounterScope.POOL)
    world = World(a_flat_program(CENT, allowances=(allowance,)))
    for subscription in range(1, 201):
        world.subscriber(subscription, pool="company")
    world.grant(1_000, bucket=7, scope=2, pool="company")
    for subscription in range(1, 201):
        world.open(f"s{subscription}", subscription=subscription)

    granted = [
        int(world.units(f"s{subscription}", request=1, asked=7, service="data")["granted_units"])
        for subscription in range(1, 201)
    ]

    assert granted == [7] * 142 + [6] + [NOT_SAID] * 57
    assert world.remaining(7) == 1_000
