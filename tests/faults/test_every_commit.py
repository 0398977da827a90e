"""One scripted run, killed around each of its commits in turn: before it, at it, and when it was just made."""

import asyncio
from contextlib import suppress

from tests.charging.faults.harness import Customer, a_zygote, connected, settle
from tests.charging.journal.builders import a_place
from tests.charging.journal.fake_shard import FakeShard

from millicent.charging.client import AnswerLost
from millicent.charging.journal.errors import ShardSilent
from millicent.charging.journal.verify import verify_journal

COMMITS = 12


async def killed_around(zygote, child, customer, *, commit, place):
    """The first commits are made in peace; the process is killed around the one at `commit`."""
    port = await connected(zygote.socket)
    for _ in range(commit % 3):
        await customer.top_up(port)
    before = last_sequence(place)
    asked = asyncio.create_task(customer.top_up(port))
    await asyncio.sleep(0)
    if commit % 2:  # the commit is there, its answer perhaps not
        while last_sequence(place) == before:
            await asyncio.sleep(0)
    zygote.kill(child)
    with suppress(AnswerLost, ShardSilent):
        await asked
    await port.__aexit__()


def last_sequence(place):
    with place.store.connect() as connection:
        return connection.execute("SELECT coalesce(max(sequence), 0) FROM charging_journal").fetchone()[0]


def test_a_kill_around_each_commit_of_a_run_loses_nothing_and_repeats_nothing(tenant_id, tmp_path):
    place, customer = a_place(tenant_id, tmp_path), Customer(account_id=1)

    with a_zygote(tenant_id, tmp_path) as zygote:
        for commit in range(1, COMMITS + 1):
            child = zygote.start()
            asyncio.run(killed_around(zygote, child, customer, commit=commit, place=place))
        zygote.start()
        asyncio.run(settle(zygote.socket, [customer]))

    assert len(customer.acknowledged) >= COMMITS
    assert verify_journal(place.store, folder=place.snapshots, new_shard=FakeShard).faults == []
