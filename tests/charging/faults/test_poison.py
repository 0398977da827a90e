"""Requests on which the shard's code fails: one is refused, the others go on, and nothing half done is journalled."""

import asyncio
import json
from base64 import b64decode

import numpy as np
import uvloop
from tests.charging.journal.builders import a_place, bytes_of, some_commands
from tests.charging.journal.fake_shard import FakeShard
from tests.charging.test_writers import (
    MONEY_BUCKET,
    MONEY_UNITS,
    POOL_BUCKET,
    POOL_UNITS,
    a_row,
    a_shard,
    know_everybody,
)
from tests.rating.builders import CENT

from millicent.charging.conservation import balances, broken_promises
from millicent.charging.journal.restore import restore_shard
from millicent.charging.journal.verify import verify_journal
from millicent.charging.server.opening import open_shard
from millicent.charging.types import COMMAND, NameKind, Result, Verb
from millicent.kit import metrics

INVALID = [Result.INVALID]
POISON = 13


def a_failing_shard():
    shard = FakeShard()
    shard.fails_on = POISON
    return shard


def results(answers):
    return [[Result(int(each["result"])) for each in rows] for rows in answers]


def counted():
    return metrics.FAULTS.labels(code="charging_request_poisonous")._value.get()


def test_of_those_that_come_at_once_only_the_guilty_one_is_refused(tenant_id, tmp_path):
    place, shard, before = a_place(tenant_id, tmp_path), a_failing_shard(), counted()

    async def work():
        async with open_shard(shard, place=place) as opened:
            submit = opened.engine.submit
            await submit(some_commands(1, account_id=5))
            number = asyncio.ensure_future(opened.engine.number_of(NameKind.PEER, "pgw"))
            amounts = ((1, 2), (3,), (POISON,), (4,))
            asked = [submit(some_commands(*each, first_key=10 * each[0])) for each in amounts]
            answers = await asyncio.gather(*asked)
            assert await number == await opened.engine.number_of(NameKind.PEER, "pgw") == 0
            assert opened.engine.remade == 2  # once for all of them, once for the guilty one
            again = await submit(some_commands(POISON, first_key=10 * POISON, received_ms=9_000))
            assert opened.engine.remade == 2  # known by now
            await submit(some_commands(5))
            return answers, again

    answers, again = asyncio.run(work())
    replayed = FakeShard()
    with place.store.connect() as connection:
        restore_shard(replayed, connection, number=0, folder=place.snapshots)

    assert results(answers) == [[Result.DONE] * 2, [Result.DONE], INVALID, [Result.DONE]]
    assert [each["available_nanos"].tolist() for each in (answers[0], answers[1], answers[3])] == [[1, 3], [6], [10]]
    assert results([again]) == [INVALID]
    assert bytes_of(replayed) == bytes_of(shard)
    assert counted() == before + 1
    assert verify_journal(place.store, folder=place.snapshots, new_shard=FakeShard).faults == []


def test_what_was_refused_is_written_down_and_fails_again_on_the_batch_before_it(tenant_id, tmp_path):
    place = a_place(tenant_id, tmp_path)

    async def work():
        async with open_shard(a_failing_shard(), place=place) as opened:
            await opened.engine.submit(some_commands(1))
            await opened.engine.submit(some_commands(POISON))

    asyncio.run(work())
    (written,) = place.snapshots.glob("poison-*.json")
    document = json.loads(written.read_text())

    assert document["after_sequence"] == 1
    assert np.frombuffer(b64decode(document["commands"]), COMMAND)["amount"].tolist() == [POISON]
    assert "ZeroDivisionError: told to fail\n" in document["fault"]
    assert written.stat().st_mode & 0o077 == 0


def test_of_requests_that_a_door_submitted_together_the_others_are_done(tenant_id, tmp_path):
    async def work():
        async with open_shard(a_failing_shard(), place=a_place(tenant_id, tmp_path)) as opened:
            together = some_commands(1, POISON, 2, first_key=1)
            first = await opened.engine.submit(together)
            return first, await opened.engine.submit(together), opened.engine.remade

    first, again, remade = asyncio.run(work())

    assert results([first, again]) == [[Result.DONE, Result.INVALID, Result.DONE]] * 2
    assert again["stored"].tolist() == [1, 0, 1]
    assert remade == 2


def test_what_was_applied_and_is_not_durable_survives_a_defect(tenant_id, tmp_path):
    place, shard = a_place(tenant_id, tmp_path), a_failing_shard()

    async def work():
        async with open_shard(shard, place=place) as opened:
            with place.store.connect() as other, other.transaction():
                other.execute("SELECT 1 FROM charging_lease FOR UPDATE")  # commits wait
                first = asyncio.ensure_future(opened.engine.submit(some_commands(7, account_id=3)))
                while opened.engine.sequence == 0:
                    await asyncio.sleep(0.01)
                poison = await opened.engine.submit(some_commands(POISON))
                assert not first.done()
            return await first, poison, await opened.engine.submit(some_commands(1, account_id=3))

    first, poison, last = asyncio.run(work())

    assert (int(first["available_nanos"][0]), int(last["available_nanos"][0])) == (7, 8)
    assert results([poison]) == [INVALID]
    assert verify_journal(place.store, folder=place.snapshots, new_shard=FakeShard).faults == []


def test_the_real_shard_is_made_again_to_the_last_byte(tenant_id, tmp_path):
    """It fails after it has taken money, in the middle of a batch: the taking is undone."""
    place, shard = a_place(tenant_id, tmp_path), a_shard()
    well = shard.apply

    def failing(commands, texts=b""):
        batch = well(commands, texts)
        if (commands["amount"] == POISON).any():
            raise ZeroDivisionError("half of it is done")
        return batch

    shard.apply = failing

    async def work():
        async with open_shard(shard, place=place) as opened:
            await know_everybody(opened.engine)
            before = {name: rows.tobytes() for name, rows in shard.tables().items()}
            poison = a_row(Verb.TOP_UP, bucket_id=MONEY_BUCKET, account_id=1, amount=POISON)
            answers = await opened.engine.submit(poison)
            assert {name: rows.tobytes() for name, rows in shard.tables().items()} == before
            other = await opened.engine.submit(a_row(Verb.CHECK, subscription_id=1, traffic=0))
            return answers, other

    answers, other = uvloop.run(work())

    assert results([answers]) == [INVALID]
    assert broken_promises(shard.tables()) == []
    assert balances(shard.tables()) == {POOL_BUCKET: POOL_UNITS, MONEY_BUCKET: MONEY_UNITS * CENT}
    assert int(other["result"][0]) != Result.UNKNOWN_SUBSCRIBER
    assert verify_journal(place.store, folder=place.snapshots, new_shard=a_shard).faults == []
