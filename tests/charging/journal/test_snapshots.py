"""A snapshot is the state after one batch, whatever happened while it was copied; a damaged one is passed over."""

import asyncio
import json
import shutil

import psycopg
import pytest
from tests.charging.journal.builders import a_place, a_store, bytes_of, some_commands
from tests.charging.journal.fake_shard import FakeShard

from millicent.charging.journal import copying
from millicent.charging.journal.errors import NothingToReplay
from millicent.charging.journal.keeping import prune_journal
from millicent.charging.journal.snapshots import read_snapshot, snapshots_of
from millicent.charging.server.opening import open_shard
from millicent.charging.server.snapshotting import take_snapshot


async def top_up(opened, *, times, account_ids=5, first=1):
    for key in range(first, first + times):
        await opened.engine.submit(some_commands(key, account_id=key % account_ids, first_key=key))


def restored_from(place):
    shard = FakeShard()
    found = []

    async def work():
        async with open_shard(shard, place=place) as opened:
            found.append(opened.restored)

    asyncio.run(work())
    return shard, found[0]


def test_a_restart_takes_the_snapshot_and_replays_what_came_after(tenant_id, tmp_path):
    place, shard = a_place(tenant_id, tmp_path), FakeShard()

    async def work():
        async with open_shard(shard, place=place) as opened:
            await top_up(opened, times=30)
            await take_snapshot(opened)
            await top_up(opened, times=12, first=31, account_ids=9)

    asyncio.run(work())
    again, restored = restored_from(place)

    assert (restored.snapshot_sequence, restored.replayed, restored.sequence) == (30, 12, 42)
    assert bytes_of(again) == bytes_of(shard)


def test_a_copy_made_while_batches_go_on_is_the_state_after_its_last_batch(tenant_id, tmp_path, monkeypatch):
    monkeypatch.setattr(copying, "STEP_BYTES", 24)  # one account a step
    place, shard = a_place(tenant_id, tmp_path), FakeShard()

    async def work():
        async with open_shard(shard, place=place) as opened:
            await top_up(opened, times=200, account_ids=40)
            taking = asyncio.create_task(take_snapshot(opened))
            await top_up(opened, times=60, first=201, account_ids=90)
            return await taking

    snapshot = asyncio.run(work())
    again = FakeShard()

    async def until_then():
        from millicent.charging.journal.restore import restore_shard

        with place.store.connect() as connection:
            restore_shard(again, connection, number=0, folder=tmp_path / "none", until=snapshot.sequence)

    asyncio.run(until_then())

    assert snapshot.sequence > 200
    assert {name: rows.tobytes() for name, rows in read_snapshot(snapshot).items()} == bytes_of(again)


@pytest.mark.parametrize("damage", ["a flipped bit", "a missing file", "a shorter file", "another manifest"])
def test_a_damaged_snapshot_is_passed_over(tenant_id, tmp_path, damage):
    place, shard = a_place(tenant_id, tmp_path), FakeShard()

    async def work():
        async with open_shard(shard, place=place) as opened:
            await top_up(opened, times=10)
            await take_snapshot(opened)
            await top_up(opened, times=10, first=11)
            await take_snapshot(opened)

    asyncio.run(work())
    newest = next(iter(snapshots_of(place.snapshots))).folder
    table = newest / "account.rows"
    if damage == "a flipped bit":
        table.write_bytes(bytes([table.read_bytes()[0] ^ 1]) + table.read_bytes()[1:])
    elif damage == "a missing file":
        table.unlink()
    elif damage == "a shorter file":
        table.write_bytes(table.read_bytes()[:-1])
    else:
        document = json.loads((newest / "manifest.json").read_text())
        document["manifest"]["sequence"] = 19
        (newest / "manifest.json").write_text(json.dumps(document))
    again, restored = restored_from(place)

    assert (restored.snapshot_sequence, restored.replayed) == (10, 10)
    assert bytes_of(again) == bytes_of(shard)


def test_two_snapshots_are_kept_and_the_journal_loses_only_what_they_cover(tenant_id, tmp_path):
    place, shard = a_place(tenant_id, tmp_path), FakeShard()

    async def work():
        async with open_shard(shard, place=place) as opened:
            for round_number in range(4):
                await top_up(opened, times=10, first=1 + 10 * round_number)
                await take_snapshot(opened, kept_batches=1)

    asyncio.run(work())
    again, restored = restored_from(place)

    assert [each.sequence for each in snapshots_of(place.snapshots)] == [40, 30]
    with a_store(tenant_id).connect() as connection:
        assert connection.execute("SELECT min(sequence), max(sequence) FROM charging_journal").fetchone() == (31, 40)
    assert restored.snapshot_sequence == 40
    assert bytes_of(again) == bytes_of(shard)


def test_no_batch_leaves_before_every_reader_has_passed_it(tenant_id, tmp_path):
    from millicent.charging.journal.read import read_once, register_reader
    from millicent.kit.tenancy import tenant_scope

    place, seen = a_place(tenant_id, tmp_path), []

    async def work():
        async with open_shard(FakeShard(), place=place) as opened:
            await top_up(opened, times=10)
            with a_store(tenant_id).connect() as connection, connection.cursor() as cursor:
                register_reader(cursor, reader="statement")
            await take_snapshot(opened, kept_batches=1)

    asyncio.run(work())
    with a_store(tenant_id).connect() as connection:
        assert connection.execute("SELECT count(*) FROM charging_journal").fetchone() == (10,)
        with pytest.raises(psycopg.errors.RestrictViolation):
            connection.execute("SELECT charging_prune_journal(0, 4)")
        assert connection.execute("SELECT count(*) FROM charging_journal").fetchone() == (10,)
        with tenant_scope(tenant_id):
            assert read_once(reader="statement", take=lambda found: seen.extend(found), at_most=7) == 7
        assert prune_journal(connection, shard=0, kept_batches=1) == 7
    assert [each.sequence for each in seen] == [1, 2, 3, 4, 5, 6, 7]


def a_journal_to_prune(tenant_id, folder):
    async def work():
        async with open_shard(FakeShard(), place=a_place(tenant_id, folder)) as opened:
            await top_up(opened, times=10)
            await take_snapshot(opened, kept_batches=10)

    asyncio.run(work())


def test_nothing_leaves_while_a_new_reader_begins(tenant_id, tmp_path):
    from millicent.charging.journal.read import locked_position, register_reader

    a_journal_to_prune(tenant_id, tmp_path)
    with a_store(tenant_id).connect() as shard, a_store(tenant_id).connect() as newcomer, newcomer.cursor() as cursor:
        with newcomer.transaction():
            register_reader(cursor, reader="newcomer")
            assert prune_journal(shard, shard=0, kept_batches=1) == 0
        assert prune_journal(shard, shard=0, kept_batches=1) == 0, "its place is seen now"
        with newcomer.transaction():
            assert locked_position(cursor, reader="newcomer", shard=0) == 0
            cursor.execute("UPDATE charging_reader SET sequence = 6 WHERE name = 'newcomer'")
        assert prune_journal(shard, shard=0, kept_batches=1) == 6


def test_a_new_reader_begins_where_the_journal_does_when_batches_were_leaving(tenant_id, tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    from millicent.charging.journal.read import locked_position

    def come():
        with a_store(tenant_id).connect() as newcomer, newcomer.transaction(), newcomer.cursor() as cursor:
            return locked_position(cursor, reader="newcomer", shard=0)

    a_journal_to_prune(tenant_id, tmp_path)
    with a_store(tenant_id).connect() as shard, ThreadPoolExecutor(1) as threads:
        with shard.transaction():
            assert prune_journal(shard, shard=0, kept_batches=1) == 9
            coming = threads.submit(come)
            with pytest.raises(TimeoutError):
                coming.result(timeout=0.5)
        assert coming.result(timeout=10) == 9


def test_a_journal_whose_snapshots_are_gone_is_refused_not_guessed(tenant_id, tmp_path):
    place = a_place(tenant_id, tmp_path)

    async def work():
        async with open_shard(FakeShard(), place=place) as opened:
            for round_number in range(3):
                await top_up(opened, times=5, first=1 + 5 * round_number)
                await take_snapshot(opened, kept_batches=1)

    asyncio.run(work())

    with pytest.raises(NothingToReplay):
        restored_from(a_place(tenant_id, tmp_path / "another machine"))


def test_nobody_may_change_the_journal_or_empty_it(tenant_id, tmp_path):
    async def work():
        async with open_shard(FakeShard(), place=a_place(tenant_id, tmp_path)) as opened:
            await top_up(opened, times=2)

    asyncio.run(work())
    for statement in (
        "UPDATE charging_journal SET epoch = 9",
        "DELETE FROM charging_journal",
        "DELETE FROM charging_name",
    ):
        with a_store(tenant_id).connect() as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


def test_whoever_is_killed_while_it_deletes_a_snapshot_leaves_none_with_half_its_tables(
    tenant_id, tmp_path, monkeypatch
):
    place = a_place(tenant_id, tmp_path)

    def killed(folder, **_):
        next(folder.glob("*.rows"), folder / "nothing").unlink(missing_ok=True)

    async def work():
        async with open_shard(FakeShard(), place=place) as opened:
            for first in (1, 11, 21, 21):
                await top_up(opened, times=first % 20, first=first)
                await take_snapshot(opened)

    monkeypatch.setattr(shutil, "rmtree", killed)
    asyncio.run(work())

    assert [read_snapshot(each).keys() >= {"account"} for each in snapshots_of(place.snapshots)] == [True, True]
