"""A charging process that is killed again and again, and clients that remember what they were told."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.charging.journal.builders import a_store, some_commands

from millicent.charging.client import AnswerLost, ChargingClient, RefusedByShard
from millicent.charging.journal.errors import ShardSilent
from millicent.kit.errors import Outage

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_SECONDS = 60


class Zygote:
    """Starts processes; ends those that it started."""

    def __init__(self, tenant_id, folder, *arguments, url="", environment=None):
        self.asked = {"url": url or a_store(tenant_id).url, "tenant_id": str(tenant_id), "folder": str(folder)}
        self.socket = folder / "shard.sock"
        self.children = []
        self._program = subprocess.Popen(
            [sys.executable, "-m", "tests.charging.faults.zygote", *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "millicent.config.django_frame", **(environment or {})},
        )  # fmt: skip

    def start(self, **asked) -> int:
        self._program.stdin.write(json.dumps({**self.asked, **asked}) + "\n")
        self._program.stdin.flush()
        self.children.append(int(self._program.stdout.readline()))
        return self.children[-1]

    def kill(self, child, number=signal.SIGKILL):
        os.kill(child, number)
        if number == signal.SIGKILL:
            self.children.remove(child)

    def close(self):
        for child in self.children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        self._program.stdin.close()
        self._program.wait(timeout=PATIENCE_SECONDS)
        self._program.stdout.close()


@contextmanager
def a_zygote(tenant_id, folder, *arguments, **where):
    zygote = Zygote(tenant_id, folder, *arguments, **where)
    try:
        yield zygote
    finally:
        zygote.close()


async def connected(socket):
    """A client, as soon as somebody answers."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return await ChargingClient(socket).__aenter__()
        except (ShardSilent, TimeoutError):
            assert time.monotonic() < until, "nobody answers"
            await asyncio.sleep(0.02)


@dataclass
class Customer:
    """Tops up one account, one key after the other; sends again what it was not told the end of, as peers do."""

    account_id: int
    next_key: int = 1
    total: int = 0
    acknowledged: dict[int, int] = field(default_factory=dict)  # key -> balance that was answered
    unanswered: int | None = None

    def amount(self, key: int) -> int:
        return 1 + key * 7 % 1000

    async def act(self, port) -> None:
        await self.top_up(port)

    async def top_up(self, port) -> None:
        key = self.unanswered if self.unanswered is not None else self.next_key
        self.unanswered = key
        rows = some_commands(self.amount(key), account_id=self.account_id, first_key=self.account_id * 10**9 + key)
        answer = (await port.submit(rows))[0]
        balance = int(answer["available_nanos"])
        assert answer["result"] == 0
        assert balance == self.total + self.amount(key), "applied once: not twice, not never"
        self.total, self.acknowledged[key] = balance, balance
        self.unanswered, self.next_key = None, key + 1


async def load(socket, customers, *, kill_after, kill):
    """Every customer acts as fast as it is answered, until the process is killed at some instant."""
    port = await connected(socket)

    async def busy(customer):
        with suppress(AnswerLost, ShardSilent, Outage):
            while True:
                try:
                    await customer.act(port)
                except RefusedByShard:
                    await asyncio.sleep(0.01)

    tasks = [asyncio.create_task(busy(each)) for each in customers]
    await asyncio.sleep(kill_after)
    kill()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    await port.__aexit__()
    for each in done:
        if isinstance(each, BaseException):
            raise each


async def balances(socket, customers):
    from millicent.charging.types import Verb

    port = await connected(socket)
    answers = [await port.submit(some_commands(0, verb=Verb.CHECK, account_id=each.account_id)) for each in customers]
    await port.__aexit__()
    return [int(each["available_nanos"][0]) for each in answers]


async def settle(socket, customers):
    """Send again what was unanswered; then the balances must be the sums that were acknowledged."""
    port = await connected(socket)
    for customer in customers:
        if customer.unanswered is not None:
            await customer.top_up(port)
    await port.__aexit__()
    assert await balances(socket, customers) == [each.total for each in customers]


def kill_again_and_again(tenant_id, folder, *, loops, seed, snapshots):
    """Kill -9 at random instants under load; returns how many commands were acknowledged in all."""
    dice = random.Random(seed)
    customers = [Customer(account_id=number) for number in range(1, 9)]
    with a_zygote(tenant_id, folder) as zygote:
        for _ in range(loops):
            child = zygote.start(snapshots=snapshots)
            before = len(zygote.children)
            asyncio.run(load(zygote.socket, customers, kill_after=dice.uniform(0.0, 0.25),
                             kill=lambda child=child: zygote.kill(child)))  # fmt: skip
            assert before == 1
        zygote.start()
        asyncio.run(settle(zygote.socket, customers))
    return sum(len(each.acknowledged) for each in customers)
