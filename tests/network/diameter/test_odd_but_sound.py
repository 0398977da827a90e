"""What gateways send that is sound and rare, over a real shard: nothing is paid twice, nothing is lost."""

import asyncio

import pytest
from tests.network.diameter.builders import (
    EVENT,
    INITIAL,
    TERMINATION,
    UPDATE,
    a_peer,
    a_request,
    a_server,
    an_mscc,
)
from tests.network.diameter.test_answers import mscc_of
from tests.network.diameter.test_charging import MEGABYTE, PRICES, granted, megabytes, opened, run
from tests.network.shard_port import ShardPort
from tests.rating.builders import CENT, EURO

from millicent.network.diameter.messages import write_fields
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
