"""Commands, stores and shards for the tests of durability."""

from pathlib import Path

from tests.charging.journal.fake_shard import FakeShard

from millicent.charging.journal.connection import JournalStore
from millicent.charging.server.opening import ShardPlace
from millicent.charging.types import Verb, commands


def a_store(tenant_id, *, shard=0) -> JournalStore:
    from millicent.config.django import DATABASE_URLS

    return JournalStore(url=DATABASE_URLS.application, tenant_id=tenant_id, shard=shard)


def a_place(tenant_id, folder: Path) -> ShardPlace:
    return ShardPlace(store=a_store(tenant_id), snapshots=folder / "snapshots", socket=folder / "shard.sock")


def some_commands(*amounts, verb=Verb.TOP_UP, account_id=1, first_key=0, received_ms=1_000):
    """One command for each amount. Keys count from `first_key`; 0 is no key."""
    rows = commands(len(amounts))
    rows["verb"], rows["account_id"], rows["amount"], rows["received_ms"] = verb, account_id, amounts, received_ms
    if first_key:
        rows["key_low"] = [first_key + place for place in range(len(amounts))]
    return rows


def bytes_of(shard: FakeShard) -> dict[str, bytes]:
    return {name: rows.tobytes() for name, rows in shard.tables().items()}
