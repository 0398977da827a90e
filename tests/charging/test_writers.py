"""Two hundred writers at one pool, in the shard's process and over its socket: all is given out, nothing twice."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

import numpy as np
import pytest
import uvloop
from tests.charging.journal.builders import a_place
from tests.rating.builders import CENT, a_card, a_program, a_rule, a_tariff, an_allowance

from millicent.charging.client import ChargingClient
from millicent.charging.conservation import balances, broken_promises
from millicent.charging.journal.verify import verify_journal
from millicent.charging.keys import plan_text, session_key, traffic_text
from millicent.charging.server.opening import open_shard
from millicent.charging.server.sockets import ShardSocket
from millicent.charging.shard import Shard
from millicent.charging.types import ChargingPort, Flag, NameKind, Result, Rows, Unit, Verb, commands

WRITERS = 200
POOL_UNITS, MONEY_UNITS, SLICE = 10_000, 3_001, 37
POOL_BUCKET, MONEY_BUCKET = 900, 901


def a_shard() -> Shard:
    return Shard([(0, 1, a_program(a_tariff(a_rule(card=a_card(CENT))), allowances=(an_allowance(1, code="shared"),)))])


def a_row(verb: Verb, **fields: object) -> Rows:
    rows = commands(1)
    rows["verb"] = verb
    for name, value in fields.items():
        rows[name] = value
    return rows


async def know_everybody(port: ChargingPort) -> int:
    """One account with money, one pool with units, two hundred members. Returns the traffic's number."""
    number = port.number_of
    plan = await number(NameKind.PLAN, plan_text(tariff="tariff", segment=""))
    pool = await number(NameKind.POOL, "family")
    currency = await number(NameKind.CURRENCY, "EUR")
    shared = await number(NameKind.ALLOWANCE, "plan/shared")
    rows = [
        a_row(Verb.ACCOUNT, account_id=1, other_name=currency),
        *(
            a_row(Verb.SUBSCRIBER, subscription_id=each, account_id=1, name=plan, other_name=pool)
            for each in range(WRITERS)
        ),
        a_row(Verb.GRANT, bucket_id=POOL_BUCKET, name=shared, amount=POOL_UNITS, scope=2, other_name=pool),
        a_row(Verb.TOP_UP, bucket_id=MONEY_BUCKET, account_id=1, amount=MONEY_UNITS * CENT),
    ]
    answers = await port.submit(np.concatenate(rows))
    assert (answers["result"] == Result.DONE).all()
    return await number(NameKind.TRAFFIC, traffic_text(service="data"))


async def write(port: ChargingPort, member: int, *, traffic: int) -> tuple[int, int]:
    """Use slice after slice until there is none. Returns what was used, and what nobody paid for."""
    high, low = session_key("test", str(member))
    own = {"key_high": high, "key_low": low}
    await port.submit(a_row(Verb.OPEN, subscription_id=member, **own))
    used = uncollected = granted = request = 0
    while granted >= 0:
        request += 1
        row = a_row(Verb.UNITS, request_number=request, traffic=traffic, flags=Flag.ASKED, **own)
        row["used"][0, Unit.TOTAL_OCTETS], row["asked"][0, Unit.TOTAL_OCTETS] = granted, SLICE
        (answer,) = await port.submit(row)
        used, uncollected = used + granted, uncollected + int(answer["uncollected_nanos"])
        granted = int(answer["granted_units"])
    await port.submit(a_row(Verb.END, request_number=request + 1, **own))
    return used, uncollected


async def all_write(ports: Sequence[ChargingPort]) -> None:
    traffic = await know_everybody(ports[0])
    told = await asyncio.gather(*(write(ports[each % len(ports)], each, traffic=traffic) for each in range(WRITERS)))
    assert sum(uncollected for _, uncollected in told) == 0
    assert sum(used for used, _ in told) == POOL_UNITS + MONEY_UNITS


@pytest.mark.parametrize("clients", [0, 20], ids=["in-process", "over-the-socket"])
def test_two_hundred_writers_use_a_pool_up_to_the_last_unit_and_no_further(tenant_id, tmp_path, clients):
    place, shard = a_place(tenant_id, tmp_path), a_shard()

    async def work():
        async with AsyncExitStack() as stack:
            opened = await stack.enter_async_context(open_shard(shard, place=place))
            if not clients:
                await all_write([opened.engine])
                return
            server = ShardSocket(opened.engine, path=place.socket, epoch=opened.lease.epoch, shard=0)
            await server.start()
            stack.push_async_callback(server.stop)
            ports = [await stack.enter_async_context(ChargingClient(place.socket)) for _ in range(clients)]
            await all_write(ports)

    uvloop.run(work())

    assert broken_promises(shard.tables()) == []
    assert balances(shard.tables()) == {POOL_BUCKET: 0, MONEY_BUCKET: 0}
    assert verify_journal(place.store, folder=place.snapshots, new_shard=a_shard).faults == []
