"""A shard with its journal, in the test's own process: every submission is one batch, durable before it is answered."""

from contextlib import ExitStack
from uuid import UUID

from tests.charging.journal.builders import a_store
from tests.charging.people.builders import NOW

from millicent.charging.journal.insert import insert_row, journal_row
from millicent.charging.journal.lease import take_lease
from millicent.charging.server.adoption import programs_from
from millicent.charging.services.keep_history import keep_history
from millicent.charging.services.provision_shard import provision_shard
from millicent.charging.shard import Shard
from millicent.charging.types import NameKind, Rows, Verb, commands
from millicent.kit.clock import to_ms


class LiveShard:
    """A BalancePort. `silent` makes it an Outage; `deaf` loses the answer after the batch is durable."""

    def __init__(self, tenant_id: UUID, *, now=NOW) -> None:
        self.tenant_id = tenant_id
        self.shard = Shard(programs_from(tenant_id, now_ms=to_ms(now)))
        self._closing = ExitStack()
        self._connection = self._closing.enter_context(a_store(tenant_id).connect())
        lease = take_lease(self._connection, shard=0, holder="test", address="")
        assert lease is not None
        self._lease = lease
        self._sequence = 0
        self._layouts: set[int] = set()
        self.outage: Exception | None = None
        self.lost: Exception | None = None
        self.submitted = 0

    def close(self) -> None:
        self._closing.close()

    def submit(self, rows: Rows, texts: bytes = b"") -> Rows:
        if self.outage is not None:
            raise self.outage
        self.submitted += 1
        batch = self.shard.apply(rows, texts)
        self._sequence += 1
        insert_row(
            self._connection, journal_row(batch, shard=0, sequence=self._sequence), lease=self._lease,
            known_layouts=self._layouts,
        )  # fmt: skip
        if self.lost is not None:
            raise self.lost
        return batch.answers

    def number_of(self, kind: NameKind, text: str) -> int:
        return self.shard.number_of(kind, text)

    def provisioned(self, *, now=NOW, lake=None) -> "LiveShard":
        provision_shard(tenant_id=self.tenant_id, port=self, now=now, lake=lake)
        return self

    def tick(self, now) -> None:
        rows = commands(1)
        rows["verb"], rows["received_ms"] = Verb.TICK, to_ms(now)
        self.submit(rows)

    def read(self, *, now=NOW) -> None:
        while keep_history(tenant_id=self.tenant_id, now=now):
            pass
