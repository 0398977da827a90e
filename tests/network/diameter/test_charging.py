"""Diameter sessions charged by a real shard: slices, what they cost, the last one, resends, refunds."""

import asyncio
from contextlib import asynccontextmanager

from tests.network.diameter.builders import (
    EVENT,
    INITIAL,
    TERMINATION,
    UPDATE,
    Client,
    a_peer,
    a_request,
    a_server,
    an_mscc,
)
from tests.network.diameter.test_answers import mscc_of
from tests.network.shard_port import ShardPort
from tests.rating.builders import CENT, EURO, a_card, a_rule, a_tariff

from millicent.catalog.types import Match
from millicent.network.diameter.messages import Message, answer_bytes, write_fields
from millicent.subscriptions.types import IdentifierKind

MEGABYTE = 1_000_000
PRICES = a_tariff(
    a_rule("data", match=Match(services=("data",)), card=a_card(CENT, per=MEGABYTE, increment=MEGABYTE)),
    a_rule("message", match=Match(services=("sms",)), card=a_card(5 * CENT)),
    a_rule("call", match=Match(services=("voice",)), card=a_card(CENT, per=60)),
)


@asynccontextmanager
async def a_network(nanos: int = EURO):
    """A prepaid subscriber, our server before a real shard, and a gateway."""
    port = ShardPort(PRICES)
    port.subscribe("34600000001", kind=IdentifierKind.MSISDN, nanos=nanos)
    async with a_server(port) as server, a_peer(server) as client:
        yield port, client


def run(scene, **how):
    async def whole():
        async with a_network(**how) as (port, client):
            return await scene(port, client)

    return asyncio.run(whole())


def megabytes(count: int) -> list:
    return [("CC-Total-Octets", count * MEGABYTE)]


def granted(answer: Message) -> int:
    """Megabytes of the only service's slice, 0 for none."""
    unit = mscc_of(answer).get("Granted-Service-Unit")
    return unit.parts()[-1].number // MEGABYTE if unit else 0


async def opened(client: Client, asked: int) -> Message:
    return await client.ask(a_request(INITIAL, 0, an_mscc(requested=megabytes(asked))))


def test_a_session_pays_what_it_used_and_gives_back_the_rest():
    async def scene(port, client):
        first = await opened(client, 30)
        second = await client.ask(a_request(UPDATE, 1, an_mscc(requested=megabytes(40), used=megabytes(30))))
        third = await client.ask(a_request(TERMINATION, 2, an_mscc(used=megabytes(12))))
        return port, [granted(first), granted(second)], third

    port, slices, ended = run(scene)

    assert (slices, ended.number("Result-Code")) == ([30, 40], 2001)
    assert (port.balance(), port.sessions()) == (EURO - 42 * CENT, 0)


def test_a_resent_update_is_paid_once_and_answered_with_the_same_bytes():
    async def scene(port, client):
        await opened(client, 30)
        update = a_request(UPDATE, 1, an_mscc(requested=megabytes(40), used=megabytes(30)))
        answers = []
        for raw in (update, update[:4] + b"\xd0" + update[5:], update):
            client.send(raw)
            answers.append(await client.raw())
        return port, answers

    port, answers = run(scene)

    assert answers[0] == answers[1] == answers[2]
    assert port.balance() == EURO - 30 * CENT


def test_the_last_slice_is_final_then_nothing_is_left_and_a_top_up_asks_the_gateway_to_come_again():
    async def scene(port, client):
        last = await opened(client, 1_000)
        nothing = await client.ask(a_request(UPDATE, 1, an_mscc(requested=megabytes(10), used=megabytes(100))))
        port.top_up(EURO // 2, bucket_id=9_002)
        asked = await client.receive()
        client.send(answer_bytes(asked.header, write_fields([("Result-Code", 2002)])))
        again = await client.ask(a_request(UPDATE, 2, an_mscc(requested=megabytes(10))))
        return port, last, nothing, asked, again

    port, last, nothing, asked, again = run(scene)

    assert granted(last) == 100
    assert mscc_of(last)["Final-Unit-Indication"].parts()[0].number == 0
    assert (granted(nothing), mscc_of(nothing)["Result-Code"].number) == (0, 4012)
    assert (asked.header.command, asked.text("Session-Id")) == (258, "pgw01.example.net;1;1")
    assert granted(again) == 10
    assert port.balance() == EURO // 2


def test_two_rating_groups_share_one_balance_and_never_overspend():
    async def scene(port, client):
        services = [an_mscc(group, requested=megabytes(70)) for group in (10, 20)]
        answer = await client.ask(a_request(INITIAL, 0, *services))
        slices = []
        for service in answer.all("Multiple-Services-Credit-Control"):
            parts = {part.avp.name: part for part in service.parts()}
            slices.append(parts["Granted-Service-Unit"].parts()[-1].number // MEGABYTE)
        return slices

    assert run(scene) == [70, 30]


def test_who_is_unknown_is_told_so_and_has_no_session():
    async def scene(port, client):
        stranger = a_request(INITIAL, 0, an_mscc(requested=[])).replace(b"34600000001", b"34600000002")
        return port, await client.ask(stranger)

    port, answer = run(scene)

    assert (answer.number("Result-Code"), port.sessions()) == (5030, 0)


def test_an_update_without_services_tells_whether_the_session_is_there():
    async def scene(port, client):
        unknown = await client.ask(a_request(UPDATE, 1))
        await opened(client, 1)
        return [unknown.number("Result-Code"), (await client.ask(a_request(UPDATE, 1))).number("Result-Code")]

    assert run(scene) == [5002, 2001]


def test_a_message_is_debited_once_and_refunded_by_its_reference():
    async def scene(port, client):
        def event(number: int, action: int, **parts) -> bytes:
            return a_request(
                EVENT, number, ("Requested-Action", action), an_mscc(30, **parts), context="32274@3gpp.org"
            )

        asked = [("CC-Service-Specific-Units", 2)]
        debited = await client.ask(event(0, 0, requested=asked))
        again = await client.ask(event(0, 0, requested=asked))
        paid = port.balance()
        reference = mscc_of(debited)["Refund-Information"].content
        refunded = await client.ask(event(1, 1, more=[("Refund-Information", reference)]))
        return debited, again, paid, refunded, port.balance()

    debited, again, paid, refunded, after = run(scene)

    assert mscc_of(debited)["Granted-Service-Unit"].parts()[0].number == 2
    assert [part.content for part in debited.parts] == [part.content for part in again.parts]
    assert (paid, after) == (EURO - 10 * CENT, EURO)
    assert mscc_of(refunded)["Result-Code"].number == 2001


def test_a_price_is_told_and_a_balance_checked_without_taking_anything():
    async def scene(port, client):
        def event(number: int, action: int, seconds: int) -> bytes:
            asked = ("Requested-Service-Unit", [("CC-Time", seconds)])
            return a_request(EVENT, number, ("Requested-Action", action), asked, context="32260@3gpp.org")

        priced = await client.ask(event(0, 3, 600))
        enough = await client.ask(event(1, 2, 6_000))
        too_much = await client.ask(event(2, 2, 6_060))
        return port, priced, enough, too_much

    port, priced, enough, too_much = run(scene)

    assert write_fields([("Value-Digits", 1), ("Exponent", -1)]) in priced.first("Cost-Information").content
    assert [each.number("Check-Balance-Result") for each in (enough, too_much)] == [0, 1]
    assert port.balance() == EURO


def test_the_sessions_of_a_gateway_that_restarted_give_everything_back():
    async def scene(port, client):
        await client.ask(a_request(INITIAL, 0, an_mscc(requested=megabytes(30)), ("Origin-State-Id", 1)))
        await client.ask(
            a_request(INITIAL, 0, an_mscc(requested=[]), ("Origin-State-Id", 2), session="pgw01.example.net;2;1")
        )
        port.tick()
        return port

    port = run(scene)

    assert port.sessions() <= 1
    assert port.balance() == EURO
