"""What gateways send that is sound and rare, over a real shard: nothing is paid twice, nothing is lost."""

import asyncio

import pytest
from tests.network.diameter.builders import (
    CLIENT,
    EVENT,
    INITIAL,
    REALM,
    TERMINATION,
    UPDATE,
    FakeShard,
    a_message,
    a_peer,
    a_request,
    a_server,
    an_mscc,
)
from tests.network.diameter.test_answers import mscc_of
from tests.network.diameter.test_charging import MEGABYTE, PRICES, granted, megabytes, opened, run
from tests.network.shard_port import ACCOUNT, SUBSCRIPTION, ShardPort
from tests.rating.builders import CENT, EURO

from millicent.charging.keys import plan_text
from millicent.charging.types import NameKind, Verb
from millicent.network.diameter.messages import answer_bytes, write_fields
from millicent.subscriptions.types import IdentifierKind


def test_two_reports_of_one_rating_group_in_a_message_are_both_paid():
    async def scene(port, client):
        await opened(client, 30)
        both = [an_mscc(used=megabytes(7)), an_mscc(used=megabytes(5), requested=megabytes(10))]
        answer = await client.ask(a_request(UPDATE, 1, *both))
        again = await client.ask(a_request(UPDATE, 1, *both))
        await client.ask(a_request(TERMINATION, 2, an_mscc(used=megabytes(1)), an_mscc(used=megabytes(2))))
        return port, answer, again

    port, answer, again = run(scene)

    assert [len(each.all("Multiple-Services-Credit-Control")) for each in (answer, again)] == [2, 2]
    assert [part.content for part in answer.parts] == [part.content for part in again.parts]
    assert (port.balance(), port.sessions()) == (EURO - 15 * CENT, 0)


def test_two_services_of_one_rating_group_are_both_paid():
    async def scene(port, client):
        await opened(client, 30)
        both = [an_mscc(service_id=1, used=megabytes(7)), an_mscc(service_id=2, used=megabytes(5))]
        await client.ask(a_request(UPDATE, 1, *both))
        await client.ask(a_request(TERMINATION, 2))
        return port

    port = run(scene)

    assert (port.balance(), port.sessions()) == (EURO - 12 * CENT, 0)


def test_units_used_and_reported_in_parts_are_added_up():
    used = ("Used-Service-Unit", [("CC-Total-Octets", 3 * MEGABYTE)])

    async def scene(port, client):
        await opened(client, 30)
        return port, await client.ask(a_request(UPDATE, 1, an_mscc(used=megabytes(4), more=[used, used])))

    port, answer = run(scene)

    assert answer.number("Result-Code") == 2001
    assert port.balance() == EURO - 10 * CENT


def test_the_end_of_a_session_said_again_is_answered_in_the_same_words():
    async def scene(port, client):
        await opened(client, 30)
        last = a_request(TERMINATION, 1, an_mscc(used=megabytes(12)))
        answers = []
        for raw in (last, last[:4] + b"\xd0" + last[5:]):
            client.send(raw)
            answers.append(await client.raw())
        return port, answers

    port, (first, second) = run(scene)

    assert first == second
    assert (port.balance(), port.sessions()) == (EURO - 12 * CENT, 0)


class SlowlyNamed(ShardPort):
    """Numbers are told by another process: whoever asks waits a turn of the loop."""

    async def number_of(self, kind, text):
        for _ in range(3):
            await asyncio.sleep(0)
        return await super().number_of(kind, text)


@pytest.mark.parametrize("kind", [ShardPort, SlowlyNamed])
def test_what_a_restarted_gateway_begins_is_not_closed_with_what_it_lost(kind):
    async def scene():
        port = kind(PRICES)
        port.subscribe("34600000001", kind=IdentifierKind.MSISDN, nanos=EURO)
        async with a_server(port) as server, a_peer(server) as client:
            before = a_request(INITIAL, 0, an_mscc(requested=megabytes(30)), ("Origin-State-Id", 1))
            await client.ask(before)
            after = {"session": "pgw01.example.net;2;1"}
            state = ("Origin-State-Id", 2)
            await client.ask(a_request(INITIAL, 0, an_mscc(requested=megabytes(10)), state, **after))
            for _ in range(10):
                await asyncio.sleep(0)
            port.tick()
            lost = await client.ask(a_request(UPDATE, 1, an_mscc(used=megabytes(1)), state))
            kept = await client.ask(a_request(UPDATE, 1, an_mscc(used=megabytes(2)), state, **after))
            return port, lost.number("Result-Code"), kept.number("Result-Code")

    port, lost, kept = asyncio.run(scene())

    assert (lost, kept) == (5002, 2001)
    assert (port.sessions(), port.balance()) == (1, EURO - 2 * CENT)


def money(digits: int, currency: int | None) -> list:
    code = [] if currency is None else [("Currency-Code", currency)]
    return [("CC-Money", [("Unit-Value", [("Value-Digits", digits), ("Exponent", -2)]), *code])]


@pytest.mark.parametrize(
    ("currency", "result", "left"), [(978, 2001, EURO - 25 * CENT), (None, 2001, EURO - 25 * CENT), (840, 5004, EURO)]
)
def test_money_of_another_currency_is_not_taken_as_if_it_were_ours(currency, result, left):
    async def scene(port, client):
        asked = ("Requested-Service-Unit", money(25, currency))
        return port, await client.ask(a_request(EVENT, 0, ("Requested-Action", 0), asked, context="32274@3gpp.org"))

    port, answer = run(scene)

    assert answer.number("Result-Code") == result
    if result == 5004:
        assert answer.first("Failed-AVP").content == write_fields([("Currency-Code", 840)])
    assert port.balance() == left


def test_a_debit_that_cannot_be_paid_takes_nothing_and_says_so():
    async def scene(port, client):
        asked = ("Requested-Service-Unit", [("CC-Service-Specific-Units", 21)])
        return port, await client.ask(a_request(EVENT, 0, ("Requested-Action", 0), asked, context="32274@3gpp.org"))

    port, answer = run(scene)

    assert answer.number("Result-Code") == 4012
    assert answer.first("Granted-Service-Unit") is None
    assert port.balance() == EURO


def test_a_rating_group_that_comes_later_has_a_slice_of_its_own():
    async def scene(port, client):
        await opened(client, 30)
        answer = await client.ask(a_request(UPDATE, 1, an_mscc(11, requested=megabytes(80))))
        await client.ask(a_request(TERMINATION, 2, an_mscc(10, used=megabytes(30)), an_mscc(11, used=megabytes(70))))
        return port, answer

    port, answer = run(scene)

    assert (granted(answer), mscc_of(answer)["Rating-Group"].number) == (70, 11)
    assert (port.balance(), port.sessions()) == (0, 0)


def test_a_rating_group_that_nobody_declared_cannot_be_rated_and_stops_no_other():
    strange = {"context": "99999@3gpp.org"}

    async def scene(port, client):
        await client.ask(a_request(INITIAL, 0, ("Multiple-Services-Indicator", 1)))
        answer = await client.ask(a_request(UPDATE, 1, an_mscc(99, requested=megabytes(1)), **strange))
        event = a_request(EVENT, 0, ("Requested-Action", 0), session="pgw01.example.net;2;1", **strange)
        return answer, await client.ask(event)

    answer, event = run(scene)

    assert (answer.number("Result-Code"), mscc_of(answer)["Result-Code"].number) == (2001, 5031)
    assert event.number("Result-Code") == 5031


def test_after_a_change_of_plan_the_gateway_is_asked_to_come_again_and_does():
    async def scene(port, client):
        await opened(client, 30)
        other = port.shard.number_of(NameKind.PLAN, plan_text(tariff="tariff", segment="other"))
        port.do(Verb.SUBSCRIBER, subscription_id=SUBSCRIPTION, account_id=ACCOUNT, name=other)
        asked = await client.receive()
        client.send(answer_bytes(asked.header, write_fields([("Result-Code", 2002)])))
        forced = ("Reporting-Reason", 7)
        again = an_mscc(used=megabytes(4), requested=megabytes(10), more=[forced])
        return port, asked, await client.ask(a_request(UPDATE, 1, again))

    port, asked, again = run(scene)

    assert (asked.header.command, asked.text("Session-Id")) == (258, "pgw01.example.net;1;1")
    assert (again.number("Result-Code"), granted(again)) == (2001, 10)
    assert port.balance() == EURO - 4 * CENT


def test_what_was_asked_before_a_connection_was_lost_is_answered_from_what_is_stored():
    async def scene():
        port = ShardPort(PRICES)
        port.subscribe("34600000001", kind=IdentifierKind.MSISDN, nanos=EURO)
        async with a_server(port) as server:
            async with a_peer(server) as client:
                await opened(client, 30)
                update = a_request(UPDATE, 1, an_mscc(requested=megabytes(40), used=megabytes(30)))
                client.send(update)
                first = await client.raw()
                client.send(a_message([("Origin-Host", CLIENT), ("Origin-Realm", REALM), ("Disconnect-Cause", 0)],
                                      command=282, application=0, flags=0x80))  # fmt: skip
                good_bye = await client.receive()
            async with a_peer(server) as client:
                again = update[:4] + b"\xd0" + update[5:12] + b"\x00\x00\x00\x63" + update[16:]
                client.send(again)
                return port, good_bye, first, await client.raw()

    port, good_bye, first, second = asyncio.run(scene())

    assert (good_bye.header.command, good_bye.number("Result-Code")) == (282, 2001)
    assert second == first[:12] + b"\x00\x00\x00\x63" + first[16:]
    assert port.balance() == EURO - 30 * CENT


def test_a_watchdog_is_answered_while_requests_wait():
    async def scene():
        shard = FakeShard()
        shard.held = asyncio.Event()
        async with a_server(shard) as server, a_peer(server) as client:
            client.send(a_request(INITIAL, 0, hop=1))
            client.send(a_message([("Origin-Host", CLIENT), ("Origin-Realm", REALM)], hop=2, command=280, application=0,
                                  flags=0x80))  # fmt: skip
            watched = await client.receive()
            shard.held.set()
            return watched, await client.receive()

    watched, answered = asyncio.run(scene())

    assert [(each.header.command, each.header.hop_by_hop) for each in (watched, answered)] == [(280, 2), (272, 1)]
