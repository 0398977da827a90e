"""Live balances for the screens: what the shard holds, as of a durable batch, with names for numbers."""

import asyncio
from types import SimpleNamespace

import numpy as np
from tests.charging.journal.builders import a_place, a_store

from millicent.charging.journal.restore import Restored
from millicent.charging.kernel.layout import ACCOUNT, BUCKET, BUCKET_ENDED, BUCKET_LIVE, SUBSCRIBER
from millicent.charging.server.projection import Projection
from millicent.charging.shard import Shard
from millicent.charging.types import BucketKind, NameKind, RowImages

SUBSCRIPTION, OF_ACCOUNT = 0, 1


def row(dtype, **said):
    made = np.zeros(1, dtype)
    for name, what in said.items():
        made[name] = what
    return made


def images(table, **rows):
    numbers = np.array([int(name[1:]) for name in rows], np.int64)
    return RowImages(table=table, rows=numbers, images=np.concatenate(list(rows.values())))


def a_bucket(bucket_id, **said):
    return row(BUCKET, bucket_id=bucket_id, state=said.pop("state", BUCKET_LIVE), valid_until_ms=9_000, **said)


def a_shard():
    shard = Shard()
    for kind, text in ((NameKind.CURRENCY, "EUR"), (NameKind.ALLOWANCE, "gold/minutes")):
        shard.number_of(kind, text)
    shard.replay(
        [
            images("meta", r0=shard.tables()["meta"].copy()),
            images("account", r1=row(ACCOUNT, account_id=501)),
            images("subscriber", r1=row(SUBSCRIBER, subscription_id=77, account=1)),
        ],
        [],
    )
    for count, rows in (("accounts", 2), ("subscribers", 2), ("buckets", 3)):
        shard.tables()["meta"][0][count] = rows
    return shard


def put(shard, projection, *, sequence, **buckets):
    image = images("bucket", **buckets)
    shard.replay([image], [])
    projection.mark(sequence, SimpleNamespace(images=[image]))


def opened(place, *, sequence):
    async def settled():
        return

    engine = SimpleNamespace(settled=settled, sequence=sequence, durable_sequence=sequence)
    restored = Restored(sequence=0, snapshot_sequence=0, replayed=0)
    return SimpleNamespace(place=place, engine=engine, restored=restored)


def projected(tenant_id):
    with a_store(tenant_id).connect() as connection:
        return connection.execute(
            "SELECT bucket_id, billing_account_id, subscription_id, kind, currency, allowance, remaining, reserved, "
            "sequence FROM charging_balance ORDER BY bucket_id"
        ).fetchall()


def test_balances_are_shown_with_their_owner_currency_and_allowance(tenant_id, tmp_path):
    shard, place = a_shard(), a_place(tenant_id, tmp_path)
    projection = Projection(shard)
    asyncio.run(projection.write(opened(place, sequence=0)))
    put(
        shard, projection, sequence=4,
        r1=a_bucket(10, kind=BucketKind.MONEY, scope=OF_ACCOUNT, owner=1, free=70, reserved=30, allowance=-1),
        r2=a_bucket(11, kind=BucketKind.UNITS, scope=SUBSCRIPTION, owner=1, free=600),
    )  # fmt: skip

    asyncio.run(projection.write(opened(place, sequence=4)))

    assert projected(tenant_id) == [
        (10, 501, None, BucketKind.MONEY, "EUR", "", 100, 30, 4),
        (11, 501, 77, BucketKind.UNITS, "", "gold/minutes", 600, 0, 4),
    ]
    with a_store(tenant_id).connect() as connection:
        assert connection.execute("SELECT name, sequence FROM charging_reader").fetchall() == [("projection", 4)]


def test_a_bucket_that_ended_is_shown_no_more_and_another_that_changed_is_shown_as_it_is(tenant_id, tmp_path):
    shard, place = a_shard(), a_place(tenant_id, tmp_path)
    projection = Projection(shard)
    put(shard, projection, sequence=4, r1=a_bucket(10, owner=1, free=5), r2=a_bucket(11, owner=1, free=6))
    asyncio.run(projection.write(opened(place, sequence=4)))
    put(shard, projection, sequence=5, r1=a_bucket(10, owner=1, state=BUCKET_ENDED), r2=a_bucket(11, owner=1, free=2))

    asyncio.run(projection.write(opened(place, sequence=5)))

    assert [(each[0], each[6], each[8]) for each in projected(tenant_id)] == [(11, 2, 5)]


def test_a_process_that_starts_anew_writes_everything_once_more(tenant_id, tmp_path):
    shard, place = a_shard(), a_place(tenant_id, tmp_path)
    put(shard, Projection(shard), sequence=3, r1=a_bucket(10, owner=1, free=5), r2=a_bucket(11, owner=1, free=6))

    asyncio.run(Projection(shard).write(opened(place, sequence=3)))

    assert [(each[0], each[6]) for each in projected(tenant_id)] == [(10, 5), (11, 6)]
