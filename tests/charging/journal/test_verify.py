"""`charging verify` proves what it says: each kind of damage is named."""

import asyncio

import numpy as np
import pytest
from tests.charging.journal.builders import a_place, some_commands
from tests.charging.journal.fake_shard import FakeShard

from millicent.charging.journal.errors import JournalDamaged
from millicent.charging.journal.verify import verify_journal
from millicent.charging.server.opening import open_shard
from millicent.charging.server.snapshotting import take_snapshot
from millicent.kit.errors import Defect


async def a_day(place, shard, *, kept_batches=None, before_snapshot=lambda: None):
    async with open_shard(shard, place=place) as opened:
        for key in range(1, 21):
            await opened.engine.submit(some_commands(key, key + 1, account_id=key % 3, first_key=2 * key))
        await take_snapshot(opened, kept_batches=kept_batches)
        for key in range(21, 31):
            await opened.engine.submit(some_commands(key, account_id=key % 5, first_key=2 * key))
        before_snapshot()
        await take_snapshot(opened, kept_batches=kept_batches)
        await opened.engine.submit(some_commands(1))


def verified(place):
    return verify_journal(place.store, folder=place.snapshots, new_shard=FakeShard)


def as_owner(place, statement):
    import psycopg

    from millicent.config.django import DATABASE_URLS

    with psycopg.connect(DATABASE_URLS.owner) as connection:
        connection.execute("SELECT set_config('millicent.tenant', %s, false)", [str(place.store.tenant_id)])
        connection.execute("ALTER TABLE charging_journal DISABLE TRIGGER USER")
        connection.execute(statement)
        connection.execute("ALTER TABLE charging_journal ENABLE TRIGGER USER")


def test_a_whole_journal_is_verified_from_its_first_batch(tenant_id, tmp_path):
    place = a_place(tenant_id, tmp_path)
    asyncio.run(a_day(place, FakeShard()))

    found = verified(place)

    assert found.faults == []
    assert (found.first_sequence, found.last_sequence, found.batches, found.commands) == (1, 31, 31, 51)
    assert found.snapshots_compared == [20, 30]
    assert found.movements == 51


def test_a_pruned_journal_is_verified_from_its_oldest_snapshot(tenant_id, tmp_path):
    place = a_place(tenant_id, tmp_path)
    asyncio.run(a_day(place, FakeShard(), kept_batches=1))

    found = verified(place)

    assert found.faults == []
    assert (found.first_sequence, found.batches, found.snapshots_compared) == (21, 11, [20, 30])


def test_a_row_that_was_changed_without_being_journalled_is_named(tenant_id, tmp_path):
    place, shard = a_place(tenant_id, tmp_path), FakeShard()

    def change_in_silence():
        shard.accounts["balance"][1] += 1

    asyncio.run(a_day(place, shard, before_snapshot=change_in_silence))

    assert verified(place).faults[0] == "snapshot 30: account row 1 differs in balance: 1 rows in all"


def test_a_flipped_bit_in_the_journal_is_found(tenant_id, tmp_path):
    place = a_place(tenant_id, tmp_path)
    asyncio.run(a_day(place, FakeShard()))
    as_owner(place, "UPDATE charging_journal SET payload = set_byte(payload, 60, get_byte(payload, 60) # 1) "
                    "WHERE sequence = 7")  # fmt: skip

    with pytest.raises(JournalDamaged, match="batch 7"):
        verified(place)
    with pytest.raises(Defect, match="batch 7"):
        asyncio.run(a_day(a_place(tenant_id, tmp_path / "elsewhere"), FakeShard()))


def test_a_missing_batch_is_found(tenant_id, tmp_path):
    place = a_place(tenant_id, tmp_path)
    asyncio.run(a_day(place, FakeShard()))
    as_owner(place, "DELETE FROM charging_journal WHERE sequence = 12")

    with pytest.raises(JournalDamaged, match="batch 12"):
        verified(place)


def test_two_batches_that_changed_places_are_found(tenant_id, tmp_path):
    place = a_place(tenant_id, tmp_path)
    asyncio.run(a_day(place, FakeShard()))
    as_owner(place, "UPDATE charging_journal SET payload = other.payload, checksum = other.checksum "
                    "FROM charging_journal other WHERE charging_journal.sequence = 5 "
        "AND other.sequence = 6")  # fmt: skip

    with pytest.raises(JournalDamaged, match="batch 5"):
        verified(place)


def test_a_movement_that_does_not_go_on_from_its_bucket_is_named(tenant_id, tmp_path):
    place = a_place(tenant_id, tmp_path)

    class Forgetful(FakeShard):
        def apply(self, commands, texts):
            batch = super().apply(commands, texts)
            if len(batch.movements) and commands["amount"][0] == 9:
                batch.movements["remaining"] += np.int64(1)
            return batch

    asyncio.run(a_day(place, Forgetful()))

    faults = verified(place).faults

    assert faults == ["batch 9: bucket 2 had 20 and goes on from 21", "batch 12: bucket 2 had 40 and goes on from 39"]
