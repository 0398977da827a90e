"""Kill -9 of a charging process with the real shard, at random instants under load."""

import asyncio
import random
import time

import pytest
from tests.charging.faults.harness import PATIENCE_SECONDS, a_zygote, connected, load
from tests.charging.faults.real_shard import EVERYBODY, JournalJudge, Subscriber, know_everybody
from tests.charging.journal.builders import a_place

from millicent.charging.conservation import broken_promises
from millicent.charging.journal.verify import verify_journal
from millicent.charging.shard import Shard


async def first_of_all(socket):
    port = await connected(socket)
    traffics = await know_everybody(port)
    await port.__aexit__()
    return traffics


async def come_to_rest(socket, everybody):
    """What was unanswered is answered; nobody says any more; every reservation ends by itself."""
    port = await connected(socket)
    for each in everybody:
        if each.unanswered is not None:
            await each.act(port)
    until = time.monotonic() + PATIENCE_SECONDS
    while await port.look("open_sessions"):
        assert time.monotonic() < until, "a session does not end"
        await asyncio.sleep(0.1)
    await port.__aexit__()


def kill_again_and_again(tenant_id, folder, *, loops, seed):
    dice = random.Random(seed)
    with a_zygote(tenant_id, folder, "--real") as zygote:
        child = zygote.start()  # nothing leaves the journal before the judge has a place in it
        traffics = asyncio.run(first_of_all(zygote.socket))
        everybody = [Subscriber(each, seed, traffics) for each in EVERYBODY]
        judge = JournalJudge(tenant_id, traffics)
        judge.read()
        for _ in range(loops):
            asyncio.run(load(zygote.socket, everybody, kill_after=dice.uniform(0.0, 0.25),
                             kill=lambda child=child: zygote.kill(child)))  # fmt: skip
            judge.read()
            child = zygote.start(snapshots=True)
        asyncio.run(come_to_rest(zygote.socket, everybody))
    judge.read()
    for each in everybody:
        judge.holds(each)
    return judge, everybody


def loops_survive(tenant_id, folder, *, loops, seed):
    judge, everybody = kill_again_and_again(tenant_id, folder, loops=loops, seed=seed)
    place, tables = a_place(tenant_id, folder), judge.twin.tables()
    found = verify_journal(
        place.store, folder=place.snapshots, new_shard=Shard, judge=lambda shard: broken_promises(shard.tables())
    )

    assert found.faults == []
    assert (int(tables["bucket"]["reserved"].sum()), int(tables["session"]["state"].sum())) == (0, 0)
    told_again = sum(each.told_again for each in everybody)
    print(f"seed {seed}: {loops} kills, {judge.commands} commands judged, {told_again} told again")
    assert judge.commands > 10 * loops
    assert told_again > loops / 4


def test_twenty_kills_of_the_real_shard_lose_nothing_and_apply_nothing_twice(tenant_id, tmp_path):
    loops_survive(tenant_id, tmp_path, loops=20, seed=20)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_six_hundred_kills_of_the_real_shard_lose_nothing_and_apply_nothing_twice(tenant_id, tmp_path, seed):
    loops_survive(tenant_id, tmp_path, loops=100, seed=seed)
