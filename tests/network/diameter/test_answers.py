"""What answers say, to the byte; and how the shard's results become Diameter's."""

import asyncio

import pytest
from diameter.message import Message as OracleMessage
from diameter.message.commands.credit_control import CreditControlAnswer
from tests.network.diameter.builders import (
    EVENT,
    INITIAL,
    NOW_MS,
    TERMINATION,
    UPDATE,
    FakeShard,
    a_peer,
    a_request,
    a_server,
    a_slice,
    an_answer,
    an_mscc,
)

from millicent.charging.types import FinalAction, Flag, Result, Unit, Verb
from millicent.network.diameter.codec import Final
from millicent.network.diameter.messages import Message, read_message, write_fields

HEAD = bytes.fromhex("40000110 00000004 00000007 000003ef")
IDENTITY = write_fields(
    [("Origin-Host", "ocs.example.net"), ("Origin-Realm", "example.net"), ("Auth-Application-Id", 4)]
)


def exchange(*requests: bytes, shard: FakeShard | None = None) -> tuple[list[bytes], FakeShard]:
    async def scene():
        told = shard or FakeShard()
        async with a_server(told) as server, a_peer(server) as client:
            answers = []
            for request in requests:
                client.send(request)
                answers.append(await client.raw())
        return answers, told

    return asyncio.run(scene())


def answered(*requests: bytes, shard: FakeShard | None = None) -> list[Message]:
    return [read_message(raw) for raw in exchange(*requests, shard=shard)[0]]


def a_shard(answer) -> FakeShard:
    shard = FakeShard()
    shard.answer = answer
    return shard


def mscc_of(message: Message) -> dict[str, object]:
    return {part.avp.name: part for part in message.first("Multiple-Services-Credit-Control").parts()}


def test_an_answer_has_exactly_these_bytes():
    shard = a_shard(a_slice(5_000_000, holding_seconds=300, threshold_units=1_000_000))

    (raw,), _ = exchange(a_request(UPDATE, 1, an_mscc(10, service_id=7, requested=[])), shard=shard)

    slice_ = bytes.fromhex(
        "000001c8 40000070"  # Multiple-Services-Credit-Control
        "000001af 40000018 000001a5 40000010 00000000 004c4b40"  # Granted-Service-Unit, CC-Total-Octets
        "000001b7 4000000c 00000007"  # Service-Identifier
        "000001b0 4000000c 0000000a"  # Rating-Group
        "000001c0 4000000c 00000e10"  # Validity-Time
        "0000010c 4000000c 000007d1"  # Result-Code
        "00000367 c0000010 000028af 0000012c"  # Quota-Holding-Time
        "00000365 c0000010 000028af 000f4240"  # Volume-Quota-Threshold
    )
    session = write_fields([("Session-Id", "pgw01.example.net;1;1"), ("Result-Code", 2001)])
    numbers = write_fields([("CC-Request-Type", 2), ("CC-Request-Number", 1)])
    content = session + IDENTITY + numbers + slice_
    assert raw == b"\x01" + (20 + len(content)).to_bytes(3) + HEAD + content


def test_another_implementation_reads_the_same_in_it():
    full = {"holding_seconds": 300, "threshold_units": 60, "tariff_change_ms": NOW_MS + 3_600_000}
    shard = a_shard(a_slice(600, Unit.SECONDS, final=FinalAction.REDIRECT, **full))

    (raw,), _ = exchange(a_request(INITIAL, 0, an_mscc(10, requested=[])), shard=shard)

    answer = OracleMessage.from_bytes(raw)
    assert isinstance(answer, CreditControlAnswer)
    (service,) = answer.multiple_services_credit_control
    assert (answer.result_code, answer.cc_request_type, answer.cc_session_failover) == (2001, 1, 0)
    assert (service.granted_service_unit.cc_time, service.rating_group, service.validity_time) == (600, 10, 3600)
    assert service.final_unit_indication.final_unit_action == 1
    server = service.final_unit_indication.redirect_server
    assert (server.redirect_address_type, server.redirect_server_address) == (2, "https://top-up.example.net")
    assert service.quota_holding_time == 300


def test_a_resent_request_is_answered_with_the_same_bytes_but_the_hop_by_hop():
    shard = a_shard(a_slice(5_000_000, holding_seconds=300))
    request = a_request(UPDATE, 1, an_mscc(10, requested=[]), hop=1)
    resent = a_request(UPDATE, 1, an_mscc(10, requested=[]), hop=9, flags=0xD0)
    resent = resent[:16] + request[16:20] + resent[20:]  # the same end-to-end

    (first, second), told = exchange(request, resent, shard=shard)

    assert first[:12] + first[16:] == second[:12] + second[16:]
    assert (first[12:16], second[12:16]) == (b"\0\0\0\1", b"\0\0\0\x09")
    assert told.rows()["flags"].tolist() == [Flag.ASKED, Flag.ASKED | Flag.RESENT]


@pytest.mark.parametrize(
    ("unit", "name", "size"),
    [
        (Unit.SECONDS, "CC-Time", 4),
        (Unit.TOTAL_OCTETS, "CC-Total-Octets", 8),
        (Unit.INPUT_OCTETS, "CC-Input-Octets", 8),
        (Unit.OUTPUT_OCTETS, "CC-Output-Octets", 8),
        (Unit.SERVICE_UNITS, "CC-Service-Specific-Units", 8),
    ],
)
def test_units_are_granted_in_the_unit_of_the_answer(unit, name, size):
    (answer,) = answered(a_request(UPDATE, 1, an_mscc(requested=[])), shard=a_shard(a_slice(77, unit)))

    (granted,) = mscc_of(answer)["Granted-Service-Unit"].parts()
    assert (granted.avp.name, granted.number, len(granted.content)) == (name, 77, size)


def test_money_is_granted_exactly_in_the_fewest_digits():
    shard = FakeShard()

    async def scene():
        async with a_server(shard) as server, a_peer(server) as client:
            shard.answer = a_slice(12_340_000_000, Unit.MONEY_NANOS, currency=shard.names["currency", "EUR"])
            return await client.ask(a_request(UPDATE, 1, an_mscc(requested=[])))

    (granted,) = mscc_of(asyncio.run(scene()))["Granted-Service-Unit"].parts()

    money = [("Unit-Value", [("Value-Digits", 1234), ("Exponent", -2)]), ("Currency-Code", 978)]
    assert granted.raw == write_fields([("CC-Money", money)])


def test_the_instant_at_which_the_price_changes_is_told_in_seconds_since_1900():
    shard = a_shard(a_slice(5, tariff_change_ms=1_795_010_400_000))

    (answer,) = answered(a_request(UPDATE, 1, an_mscc(requested=[])), shard=shard)

    first = mscc_of(answer)["Granted-Service-Unit"].parts()[0]
    assert (first.avp.name, first.number) == ("Tariff-Time-Change", (1_795_010_400 + 2_208_988_800) & 0xFFFFFFFF)


@pytest.mark.parametrize(
    ("action", "fields"),
    [
        (FinalAction.TERMINATE, [("Final-Unit-Action", 0)]),
        (
            FinalAction.REDIRECT,
            [
                ("Final-Unit-Action", 1),
                ("Redirect-Server", [("Redirect-Address-Type", 2), ("Redirect-Server-Address", "https://top-up.example.net")]),
            ],
        ),
        (FinalAction.RESTRICT, [("Final-Unit-Action", 2), ("Filter-Id", "portal-only")]),
    ],
)  # fmt: skip
def test_the_last_slice_says_what_happens_then(action, fields):
    (answer,) = answered(a_request(UPDATE, 1, an_mscc(requested=[])), shard=a_shard(a_slice(5, final=action)))

    assert mscc_of(answer)["Final-Unit-Indication"].raw == write_fields([("Final-Unit-Indication", fields)])


@pytest.mark.parametrize(
    ("address", "kind"),
    [("10.0.0.1", 0), ("2001:db8::1", 1), ("https://top-up.example.net", 2), ("sip:top-up@example.net", 3)],
)
def test_where_a_customer_is_led_has_the_type_of_how_it_is_written(address, kind):
    server = [("Redirect-Address-Type", kind), ("Redirect-Server-Address", address)]

    redirected = Final(redirect_address=address).blocks()[1]

    assert write_fields([("Redirect-Server", server)]) in redirected


def test_what_is_still_let_through_is_a_rule_or_the_name_of_a_filter():
    rule = "permit out ip from 192.0.2.1 to any"
    restricted = Final(filter_ids=(rule, "portal-only")).blocks()[2]

    said = [("Final-Unit-Action", 2), ("Restriction-Filter-Rule", rule), ("Filter-Id", "portal-only")]
    assert restricted == write_fields([("Final-Unit-Indication", said)])


@pytest.mark.parametrize(
    ("context", "more", "knows"),
    [
        ("32251@3gpp.org", [], True),
        ("8.32251@3GPP.org", [], True),
        ("sessions@example.net", [], False),
        ("3gpp.org", [], False),
        ("sessions@example.net", [("Service-Information", [("PS-Information", [])])], True),
    ],
)
def test_avps_of_3gpp_are_told_to_clients_that_know_them(context, more, knows):
    shard = a_shard(a_slice(5, holding_seconds=300, threshold_units=2))
    (answer,) = answered(a_request(UPDATE, 1, an_mscc(requested=[]), *more, context=context), shard=shard)

    assert mscc_of(answer).keys() >= {"Granted-Service-Unit", "Validity-Time", "Result-Code"}
    assert ({"Quota-Holding-Time", "Volume-Quota-Threshold"} <= mscc_of(answer).keys()) is knows
    assert all(part.vendor == 0 or knows for part in mscc_of(answer).values())


@pytest.mark.parametrize(
    ("result", "whole", "service"),
    [
        (Result.DONE, 2001, 2001),
        (Result.UNKNOWN_SUBSCRIBER, 5030, None),
        (Result.UNKNOWN_SESSION, 5002, None),
        (Result.INSUFFICIENT, 2001, 4012),
        (Result.NOT_SERVED, 2001, 4010),
        (Result.NOT_PRICED, 2001, 5031),
        (Result.OUT_OF_ORDER, 5012, None),
        (Result.INVALID, 2001, 5004),
        (Result.FULL, 3004, None),
        (Result.ALREADY, 5012, None),
    ],
)
def test_results_of_the_session_are_told_for_the_whole_and_those_of_a_service_for_itself(result, whole, service):
    (answer,) = answered(a_request(UPDATE, 1, an_mscc(requested=[])), shard=a_shard(an_answer(result=result)))

    assert answer.number("Result-Code") == whole
    said = mscc_of(answer)["Result-Code"].number if answer.all("Multiple-Services-Credit-Control") else None
    assert said == service
    assert bool(answer.header.flags & 0x20) == (whole == 3004)


def test_each_service_has_its_own_result():
    shard = FakeShard()
    shard.decide = lambda row: a_slice(5) if row["group"] == 10 else an_answer(result=Result.INSUFFICIENT)

    (answer,) = answered(a_request(UPDATE, 1, an_mscc(10, requested=[]), an_mscc(20, requested=[])), shard=shard)

    said = [
        {part.avp.name: part.number for part in service.parts()}
        for service in answer.all("Multiple-Services-Credit-Control")
    ]
    assert [(each["Rating-Group"], each["Result-Code"]) for each in said] == [(10, 2001), (20, 4012)]


def test_a_session_without_several_services_is_answered_as_a_whole():
    shard = a_shard(a_slice(60, Unit.SECONDS))

    (answer,) = answered(
        a_request(INITIAL, 0, ("Requested-Service-Unit", [("CC-Time", 120)]), context="32260@3gpp.org"), shard=shard
    )

    assert answer.first("Granted-Service-Unit").content == write_fields([("CC-Time", 60)])
    assert answer.number("Validity-Time") == 3600
    assert not answer.all("Multiple-Services-Credit-Control")
    assert shard.rows()["asked"][:, Unit.SECONDS].tolist() == [-1, 120]


def test_a_session_whose_only_units_are_refused_is_not_left_open():
    shard = FakeShard()
    shard.decide = lambda row: an_answer(result=Result.INSUFFICIENT if row["verb"] == Verb.UNITS else Result.DONE)

    (answer,) = answered(a_request(INITIAL, 0, context="32260@3gpp.org"), shard=shard)

    assert answer.number("Result-Code") == 4012
    assert shard.rows()["verb"].tolist() == [Verb.OPEN, Verb.UNITS, Verb.CLOSE]
    assert len(set(shard.rows()["key_low"].tolist())) == 1


def test_the_first_answer_says_what_to_do_when_we_fail():
    first, second = answered(a_request(INITIAL, 0), a_request(UPDATE, 1))

    assert [first.number(name) for name in ("CC-Session-Failover", "Credit-Control-Failure-Handling")] == [0, 0]
    assert second.first("CC-Session-Failover") is None


def event(action: int, *more, context: str = "32274@3gpp.org") -> bytes:
    return a_request(EVENT, 0, ("Requested-Action", action), *more, context=context)


def test_events_are_debited_refunded_checked_and_priced():
    asked = ("Requested-Service-Unit", [("CC-Service-Specific-Units", 1)])
    shard = FakeShard()

    async def scene():
        async with a_server(shard) as server, a_peer(server) as client:
            shard.answer = an_answer(price_nanos=1_500_000_000, currency=shard.names["currency", "EUR"])
            return [await client.ask(event(action, asked)) for action in range(4)]

    debited, refunded, checked, priced = asyncio.run(scene())

    assert shard.rows()["verb"].tolist() == [Verb.DEBIT, Verb.REFUND, Verb.CHECK, Verb.ENQUIRE]
    assert shard.rows()["asked"][:, Unit.SERVICE_UNITS].tolist() == [1, 1, 1, 1]
    assert [each.number("Result-Code") for each in (debited, refunded, checked, priced)] == [2001] * 4
    assert debited.number("Direct-Debiting-Failure-Handling") == 0
    assert checked.number("Check-Balance-Result") == 0
    cost = [("Unit-Value", [("Value-Digits", 15), ("Exponent", -1)]), ("Currency-Code", 978)]
    assert priced.first("Cost-Information").content == write_fields(cost)


def test_a_balance_that_is_too_small_is_no_error_of_a_balance_check():
    (answer,) = answered(event(2), shard=a_shard(an_answer(result=Result.INSUFFICIENT)))

    assert (answer.number("Result-Code"), answer.number("Check-Balance-Result")) == (2001, 1)


def test_a_refund_names_the_event_that_was_debited():
    shard = FakeShard()

    async def scene():
        async with a_server(shard) as server, a_peer(server) as client:
            debited = await client.ask(event(0, an_mscc(30, requested=[])))
            reference = mscc_of(debited)["Refund-Information"].content
            refund = an_mscc(30, more=[("Refund-Information", reference)])
            await client.ask(event(1, refund))
            return reference

    reference = asyncio.run(scene())

    debit, refund = shard.rows()
    assert reference == int(debit["key_high"]).to_bytes(8) + int(debit["key_low"]).to_bytes(8)
    assert (refund["reference_high"], refund["reference_low"]) == (debit["key_high"], debit["key_low"])


def test_proxy_information_goes_back_as_it_came():
    proxies = [("Proxy-Info", [("Proxy-Host", f"dra{n}.example.net"), ("Proxy-State", b"abc")]) for n in (1, 2)]

    (answer,) = answered(a_request(TERMINATION, 3, *proxies))

    assert [part.content for part in answer.all("Proxy-Info")] == [write_fields(proxy[1]) for proxy in proxies]
