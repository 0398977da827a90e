"""An answer leaves when its batch is durable, and what was answered is there after any end."""

import asyncio

import pytest
from tests.charging.journal.builders import a_place, a_store, bytes_of, some_commands
from tests.charging.journal.fake_shard import FakeShard

from millicent.charging.journal.errors import ShardHeld, ShardStopped
from millicent.charging.journal.verify import verify_journal
from millicent.charging.server.opening import open_shard
from millicent.charging.server.snapshotting import take_snapshot
from millicent.charging.types import Door, NameKind, Verb


def rows_in_journal(tenant_id):
    with a_store(tenant_id).connect() as connection:
        return connection.execute("SELECT sequence, epoch, command_count FROM charging_journal ORDER BY 1").fetchall()


def run(work):
    return asyncio.run(work)


def test_an_answered_command_is_in_the_journal_and_in_the_next_shard(tenant_id, tmp_path):
    place = a_place(tenant_id, tmp_path)
    first, second = FakeShard(), FakeShard()

    async def work():
        async with open_shard(first, place=place) as opened:
            answers = await opened.engine.submit(some_commands(5, 7))
            assert answers["available_nanos"].tolist() == [5, 12]
            assert rows_in_journal(tenant_id) == [(1, 1, 2)]
        async with open_shard(second, place=place) as opened:
            assert opened.restored.sequence == 1
            assert opened.lease.epoch == 2
            answers = await opened.engine.submit(some_commands(1))
            assert answers["available_nanos"].tolist() == [13]

    run(work())

    assert rows_in_journal(tenant_id) == [(1, 1, 2), (2, 2, 1)]


def test_what_comes_at_once_is_one_batch_and_each_caller_gets_its_own_answers(tenant_id, tmp_path):
    async def work():
        async with open_shard(FakeShard(), place=a_place(tenant_id, tmp_path)) as opened:
            return await asyncio.gather(*(opened.engine.submit(some_commands(each, each)) for each in (1, 10, 100)))

    answers = run(work())

    assert [each["available_nanos"].tolist() for each in answers] == [[1, 2], [12, 22], [122, 222]]
    assert rows_in_journal(tenant_id) == [(1, 1, 6)]


def test_a_replayed_shard_has_the_same_bytes(tenant_id, tmp_path):
    place = a_place(tenant_id, tmp_path)
    first, second = FakeShard(), FakeShard()

    async def work():
        async with open_shard(first, place=place) as opened:
            for key in range(1, 101):
                await opened.engine.submit(some_commands(key, account_id=key % 7, first_key=key))
        async with open_shard(second, place=place):
            pass

    run(work())

    assert bytes_of(first) == bytes_of(second)


def test_a_second_process_is_refused_while_the_first_holds_the_lease(tenant_id, tmp_path):
    place = a_place(tenant_id, tmp_path)

    async def work():
        async with open_shard(FakeShard(), place=place):
            with pytest.raises(ShardHeld):
                async with open_shard(FakeShard(), place=place):
                    pass

    run(work())


def test_the_time_alone_is_not_journalled(tenant_id, tmp_path):
    async def work():
        async with open_shard(FakeShard(), place=a_place(tenant_id, tmp_path)) as opened:
            opened.engine.tick()
            await opened.engine.settled()

    run(work())

    assert rows_in_journal(tenant_id) == []


def test_the_time_that_was_not_journalled_is_told_by_the_next_batch_and_by_a_snapshot(tenant_id, tmp_path):
    place, shard, again = a_place(tenant_id, tmp_path), FakeShard(), FakeShard()

    async def work():
        async with open_shard(shard, place=place) as opened:
            await opened.engine.submit(some_commands(1))
            told = int(shard.meta["now_ms"][0])
            opened.engine._clock._now_ms += 60_000
            opened.engine.tick()
            await opened.engine.settled()
            assert int(shard.meta["now_ms"][0]) >= told + 60_000
            assert opened.engine.sequence == 1
            await take_snapshot(opened)
            assert opened.engine.sequence == 2
        async with open_shard(again, place=place):
            pass

    run(work())

    assert verify_journal(place.store, folder=place.snapshots, new_shard=FakeShard).faults == []
    assert again.meta["now_ms"][0] == shard.meta["now_ms"][0]


def test_a_number_is_durable_when_it_is_given(tenant_id, tmp_path):
    place = a_place(tenant_id, tmp_path)
    second = FakeShard()

    async def work():
        async with open_shard(FakeShard(), place=place) as opened:
            assert await opened.engine.number_of(NameKind.PEER, "pgw.example") == 0
            assert await opened.engine.number_of(NameKind.PEER, "pgw2.example") == 1
            assert await opened.engine.number_of(NameKind.PEER, "pgw.example") == 0
        async with open_shard(second, place=place) as opened:
            assert await opened.engine.number_of(NameKind.PEER, "pgw2.example") == 1

    run(work())

    assert rows_in_journal(tenant_id) == [(1, 1, 0), (2, 1, 0)]


def test_a_door_is_told_of_its_notices_with_their_session_ids(tenant_id, tmp_path):
    heard, others = [], []

    async def work():
        async with open_shard(FakeShard(), place=a_place(tenant_id, tmp_path)) as opened:
            opened.engine.listen(Door.HTTP, lambda rows, texts: heard.append((rows["session"].tolist(), list(texts))))
            opened.engine.listen(Door.RADIUS, lambda rows, texts: others.append(rows))
            await opened.engine.submit(some_commands(3, verb=Verb.ADJUST))

    run(work())

    assert heard == [([7], ["session 7"])]
    assert others == []


def test_a_shard_that_fails_and_cannot_be_made_again_answers_nobody_and_its_batch_is_not_in_the_journal(
    tenant_id, tmp_path
):
    shard = FakeShard()
    shard.fails_on = 13

    async def work():
        async with open_shard(shard, place=a_place(tenant_id, tmp_path)) as opened:
            opened.engine.remake = None
            await opened.engine.submit(some_commands(1))
            with pytest.raises(ShardStopped):
                await opened.engine.submit(some_commands(2, 13))
            with pytest.raises(ShardStopped):
                await opened.engine.submit(some_commands(1))
            assert opened.engine.ended.result().code == "charging_shard_broken"

    run(work())

    assert rows_in_journal(tenant_id) == [(1, 1, 1)]
