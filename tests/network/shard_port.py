"""A real shard behind the port, without its journal: doors are answered by the same loop as in earnest."""

import numpy as np
from tests.rating.builders import a_program

from millicent.charging.keys import identifier_key, plan_text
from millicent.charging.server.looking import session_texts
from millicent.charging.shard import Shard
from millicent.charging.types import NOT_SAID, NameKind, Result, Verb, commands
from millicent.subscriptions.types import IdentifierKind

FOREVER = 2**60
ACCOUNT, SUBSCRIPTION, MAIN = 71, 7, 9_001


class ShardPort:
    """Commands are applied at once, under a clock that the test moves."""

    def __init__(self, *tariffs, now_ms=1_790_000_000_000, **catalogue):
        self.shard = Shard([(0, 1, a_program(*tariffs, **catalogue))])
        self.shard.ready()
        self.now_ms = now_ms
        self.listeners = {}
        self.batches = []

    def apply(self, rows, texts=b""):
        rows = rows.copy()
        rows["received_ms"] = self.now_ms
        batch = self.shard.apply(rows, texts)
        self.batches.append(batch)
        for notice in batch.notices:
            told = self.listeners.get(int(notice["door"]))
            if told:
                row = np.array([notice["session"]])
                told(np.array([notice]), session_texts(self.shard.tables(), row))
        return batch.answers

    async def submit(self, rows, texts=b""):
        return self.apply(rows, texts)

    async def number_of(self, kind, text):
        return self.shard.number_of(kind, text)

    def listen(self, door, told):
        self.listeners[int(door)] = told

    def on_restart(self, forget):
        pass

    def do(self, verb, **fields):
        """One command of an operator; it must succeed."""
        rows = commands(1)
        rows["verb"] = verb
        for name, value in fields.items():
            rows[name] = value
        (answer,) = self.apply(rows)
        assert Result(int(answer["result"])) is Result.DONE, Result(int(answer["result"]))
        return answer

    def subscribe(self, identifier="anna@isp", *, kind=IdentifierKind.RADIUS_USER, tariff="tariff", nanos=0):
        """One prepaid subscription with some money."""
        currency = self.shard.number_of(NameKind.CURRENCY, "EUR")
        plan = self.shard.number_of(NameKind.PLAN, plan_text(tariff=tariff, segment=""))
        self.do(Verb.ACCOUNT, account_id=ACCOUNT, other_name=currency)
        self.do(Verb.SUBSCRIBER, subscription_id=SUBSCRIPTION, account_id=ACCOUNT, name=plan)
        key = identifier_key(kind, identifier)
        self.do(Verb.IDENTIFIER, subscriber_key=key, subscription_id=SUBSCRIPTION)
        if nanos:
            self.top_up(nanos)

    def top_up(self, nanos, *, bucket_id=MAIN):
        self.do(Verb.TOP_UP, account_id=ACCOUNT, bucket_id=bucket_id, amount=nanos, until_ms=0)

    def grant(self, allowance, units, *, bucket_id=9_101):
        number = self.shard.number_of(NameKind.ALLOWANCE, allowance)
        self.do(Verb.GRANT, subscription_id=SUBSCRIPTION, bucket_id=bucket_id, name=number, amount=units, until_ms=0)

    def tick(self, *, seconds=1):
        self.now_ms += seconds * 1000
        rows = commands(1)
        rows["verb"] = Verb.TICK
        self.apply(rows)

    def balance(self):
        buckets = self.shard.tables()["bucket"]
        return sum(int(row["free"]) + int(row["reserved"]) for row in buckets if row["bucket_id"] != NOT_SAID)

    def sessions(self):
        return int((self.shard.tables()["session"]["state"] != 0).sum())

    def charges(self):
        return [charge for batch in self.batches for charge in batch.charges]
