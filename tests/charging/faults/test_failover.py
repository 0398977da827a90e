"""Two processes, one shard: whoever was fenced is silent, whoever took over knows everything that was acknowledged."""

import asyncio
import signal
import time

import pytest
from tests.charging.faults.harness import PATIENCE_SECONDS, Customer, a_zygote, balances, connected, load, settle
from tests.charging.journal.builders import a_place, a_store, some_commands
from tests.charging.journal.fake_shard import FakeShard

from millicent.charging.client import AnswerLost, RefusedByShard
from millicent.charging.journal.errors import Fenced
from millicent.charging.journal.insert import insert_row, journal_row
from millicent.charging.journal.lease import Lease, take_lease
from millicent.charging.journal.verify import verify_journal


def until(true):
    """Wait for another process to have done something."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


def epoch_of(tenant_id):
    with a_store(tenant_id).connect() as connection:
        row = connection.execute("SELECT epoch FROM charging_lease").fetchone()
    return row[0] if row else 0


def test_a_standby_takes_over_when_the_process_is_killed(tenant_id, tmp_path):
    customers = [Customer(account_id=number) for number in range(1, 5)]
    with a_zygote(tenant_id, tmp_path) as zygote:
        active = zygote.start()
        until(lambda: epoch_of(tenant_id) == 1)
        zygote.start(standby=True)
        asyncio.run(load(zygote.socket, customers, kill_after=0.5, kill=lambda: zygote.kill(active)))
        until(lambda: epoch_of(tenant_id) == 2)
        asyncio.run(settle(zygote.socket, customers))

    place = a_place(tenant_id, tmp_path)
    assert verify_journal(place.store, folder=place.snapshots, new_shard=FakeShard).faults == []
    assert min(len(each.acknowledged) for each in customers) > 0


def test_a_process_that_slept_while_it_was_replaced_stops_without_answering(tenant_id, tmp_path):
    customer = Customer(account_id=1)

    async def ask_the_sleeper(zygote, sleeper):
        port = await connected(tmp_path / "first.sock")
        await customer.top_up(port)
        zygote.kill(sleeper, signal.SIGSTOP)
        asked = asyncio.ensure_future(port.submit(some_commands(customer.amount(2), first_key=10**9 + 2)))
        zygote.start(standby=True, socket="second.sock")
        successor = await connected(tmp_path / "second.sock")  # the lease ran out and was taken
        zygote.kill(sleeper, signal.SIGCONT)
        with pytest.raises((AnswerLost, RefusedByShard)):
            await asked
        await port.__aexit__()
        await customer.top_up(successor)
        await successor.__aexit__()

    with a_zygote(tenant_id, tmp_path) as zygote:
        sleeper = zygote.start(socket="first.sock")
        asyncio.run(ask_the_sleeper(zygote, sleeper))
        until(lambda: (tmp_path / f"ended-{sleeper}").exists() and (tmp_path / f"ended-{sleeper}").read_text())
        assert (tmp_path / f"ended-{sleeper}").read_text() in ("charging_fenced", "charging_stopped")
        assert asyncio.run(balances(tmp_path / "second.sock", [customer])) == [customer.amount(1) + customer.amount(2)]


def test_a_fenced_insert_leaves_nothing(tenant_id):
    shard = FakeShard()
    shard.number_of("peer", "somebody")
    batch = shard.apply(some_commands(5), b"")
    with a_store(tenant_id).connect() as connection:
        assert take_lease(connection, shard=0, holder="first") == Lease(shard=0, epoch=1)
        connection.execute("UPDATE charging_lease SET expires_at = clock_timestamp() - interval '1 s'")
        assert take_lease(connection, shard=0, holder="second") == Lease(shard=0, epoch=2)

        with pytest.raises(Fenced):
            insert_row(connection, journal_row(batch, shard=0, sequence=1), lease=Lease(shard=0, epoch=1),
                       known_layouts=set())  # fmt: skip

        for table in ("charging_journal", "charging_layout", "charging_name"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


def test_the_same_batch_again_is_found_and_another_in_its_place_is_not(tenant_id):
    from millicent.charging.journal.errors import JournalDamaged

    shard = FakeShard()
    row = journal_row(shard.apply(some_commands(5), b""), shard=0, sequence=1)
    other = journal_row(shard.apply(some_commands(6), b""), shard=0, sequence=1)
    with a_store(tenant_id).connect() as connection:
        lease = take_lease(connection, shard=0, holder="first")
        insert_row(connection, row, lease=lease, known_layouts=set())
        insert_row(connection, row, lease=lease, known_layouts=set())
        with pytest.raises(JournalDamaged):
            insert_row(connection, other, lease=lease, known_layouts=set())

        assert connection.execute("SELECT sequence, checksum FROM charging_journal").fetchall() == [(1, row.checksum)]
