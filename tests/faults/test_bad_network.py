"""Gateways that send again what nobody answered, over a network that spoils: what was used is paid, once."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager, suppress

import uvloop
from tests.charging.journal.builders import a_place
from tests.faults.proxy import FaultProxy
from tests.network.diameter.builders import (
    INITIAL,
    SETTINGS,
    TERMINATION,
    UPDATE,
    Client,
    a_request,
    a_server,
    an_mscc,
    capabilities,
)
from tests.rating.builders import CENT, EURO, a_card, a_program, a_rule, a_tariff

from millicent.catalog.types import Match
from millicent.charging.conservation import balances, broken_promises
from millicent.charging.journal.verify import verify_journal
from millicent.charging.keys import identifier_key, plan_text
from millicent.charging.server.opening import open_shard
from millicent.charging.shard import Shard
from millicent.charging.types import NameKind, Result, Verb, commands
from millicent.network.diameter.messages import MessageBroken
from millicent.subscriptions.types import IdentifierKind

MEGABYTE = 1_000_000
GATEWAYS, UPDATES = 10, 6
USED = (3, 1, 4, 1, 5, 9)  # megabytes of each report
MONEY, BUCKET = 1_000 * EURO, 5
PATIENCE_SECONDS = 0.25
GREETED, RESENT = 2001, 0xD0
ANY_PEER = SETTINGS.replace("{host: pgw01.example.net}", '{host: "*.example.net"}')


def a_shard():
    card = a_card(CENT, per=MEGABYTE, increment=MEGABYTE)
    return Shard([(0, 1, a_program(a_tariff(a_rule("data", card, match=Match(services=("data",))))))])


async def know_a_subscriber(port):
    plan = await port.number_of(NameKind.PLAN, plan_text(tariff="tariff", segment=""))
    currency = await port.number_of(NameKind.CURRENCY, "EUR")
    rows = commands(4)
    rows["verb"] = (Verb.ACCOUNT, Verb.SUBSCRIBER, Verb.IDENTIFIER, Verb.TOP_UP)
    rows["account_id"] = 1
    rows["other_name"][0] = currency
    rows["subscription_id"][1:3] = 1
    rows["name"][1] = plan
    rows["subscriber_key"][2] = identifier_key(IdentifierKind.MSISDN, "34600000001")
    rows["bucket_id"][3], rows["amount"][3] = BUCKET, MONEY
    assert ((await port.submit(rows))["result"] == Result.DONE).all()


class Gateway:
    """One session after the other, each request again until somebody answers it."""

    def __init__(self, number, port):
        self.number, self.port, self.client = number, port, None
        self.told = Counter()

    async def live(self):
        session = f"gw{self.number};1;1"
        await self.until_answered(INITIAL, 0, session, an_mscc(requested=[]))
        for number, megabytes in enumerate(USED, start=1):
            used = [("CC-Total-Octets", megabytes * MEGABYTE)]
            await self.until_answered(UPDATE, number, session, an_mscc(requested=[], used=used))
        await self.until_answered(TERMINATION, UPDATES + 1, session)
        await self.leave()

    async def until_answered(self, kind, number, session, *more):
        flags, hop = 0xC0, 100 * self.number + number
        for _ in range(200):
            with suppress(TimeoutError, ConnectionError, asyncio.IncompleteReadError, MessageBroken):
                async with asyncio.timeout(PATIENCE_SECONDS):
                    client = await self.connected()
                    client.send(a_request(kind, number, *more, session=session, hop=hop, flags=flags))
                    while (answer := await client.receive()).header.hop_by_hop != hop:
                        self.told["of others"] += 1
                    if answer.number("Result-Code") is not None and answer.number("Result-Code") < 3000:
                        self.told["answered"] += 1
                        return
            self.told["sent again"] += 1
            flags = RESENT
            await self.leave()
        raise AssertionError("nobody answers")

    async def connected(self):
        if self.client is None:
            client = Client(*await asyncio.open_connection("127.0.0.1", self.port))
            self.client = client
            answer = await client.ask(capabilities(host=f"gw{self.number}.example.net"))
            assert answer.number("Result-Code") == GREETED
        return self.client

    async def leave(self):
        if self.client is not None:
            self.client.writer.close()
            self.client = None


@asynccontextmanager
async def a_network(place, shard, *, seed, **per_thousand):
    async with open_shard(shard, place=place, uses_clock=False) as opened:
        await know_a_subscriber(opened.engine)
        async with (
            a_server(opened.engine, settings=ANY_PEER) as server,
            FaultProxy(server.addresses[0], seed=seed, per_thousand=per_thousand) as proxy,
        ):
            yield opened, server, proxy


def soundly_kept(place, shard):
    assert broken_promises(shard.tables()) == []
    found = verify_journal(place.store, folder=place.snapshots, new_shard=a_shard)
    assert found.faults == []


def test_whatever_is_lost_doubled_late_or_cut_what_was_used_is_paid_once(tenant_id, tmp_path):
    place, shard = a_place(tenant_id, tmp_path), a_shard()
    proxies = []

    async def work():
        faults = {"doubled": 60, "delayed": 80, "truncated": 30, "reordered": 40, "dropped": 40}
        async with a_network(place, shard, seed=5, **faults) as (_, _, proxy):
            proxies.append(proxy)
            gateways = [Gateway(number, proxy.port) for number in range(1, GATEWAYS + 1)]
            await asyncio.gather(*(gateway.live() for gateway in gateways))
            await asyncio.sleep(0.4)  # what was delayed arrives after all, and finds its answer stored

    uvloop.run(work())

    assert all(proxies[0].told[kind] for kind in ("doubled", "delayed", "truncated", "dropped"))
    assert balances(shard.tables()) == {BUCKET: MONEY - GATEWAYS * sum(USED) * CENT}
    assert int((shard.tables()["session"]["state"] != 0).sum()) == 0
    soundly_kept(place, shard)


def test_flipped_bits_may_say_something_else_but_break_no_promise(tenant_id, tmp_path):
    place, shard = a_place(tenant_id, tmp_path), a_shard()

    async def work():
        async with a_network(place, shard, seed=9, flipped=150) as (_, server, proxy):
            gateways = [Gateway(number, proxy.port) for number in range(1, GATEWAYS + 1)]
            await asyncio.gather(*(gateway.live() for gateway in gateways), return_exceptions=True)
            assert proxy.told["flipped"] > 0
            calm = Gateway(90, server.addresses[0][1])
            await calm.live()
            assert calm.told["sent again"] == 0

    uvloop.run(work())

    soundly_kept(place, shard)
