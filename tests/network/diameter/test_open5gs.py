"""Requests of the shape that Open5GS's SMF sends: a real shard serves a whole session of them."""

import asyncio

from tests.network.diameter.builders import (
    INITIAL,
    NOW_MS,
    SERVER,
    SETTINGS,
    TERMINATION,
    UPDATE,
    a_message,
    a_peer,
    base_fields,
)
from tests.network.diameter.test_answers import mscc_of
from tests.network.diameter.test_charging import MEGABYTE, PRICES
from tests.network.shard_port import ShardPort
from tests.rating.builders import CENT, EURO

from millicent.charging.types import Unit
from millicent.charging.types_map import ServiceEntry, ServiceMap, ServiceRule
from millicent.network.diameter.messages import answer_bytes, write_fields
from millicent.network.diameter.server import DiameterServer
from millicent.network.diameter.settings import read_settings
from millicent.subscriptions.types import IdentifierKind

CONTEXT = "open5gs-smfd@open5gs.org"
IMSI = "001010000000001"
SERVICES = ServiceMap([ServiceRule(context=CONTEXT, entry=ServiceEntry(service="data", unit=Unit.TOTAL_OCTETS))])


def a_session_request(kind: int, number: int, *, up: int = 0, down: int = 0) -> bytes:
    """Used units are told even when a session begins, nothing says how much is asked, and no rating group is named."""
    used = [("CC-Time", 30), ("CC-Input-Octets", up * MEGABYTE), ("CC-Output-Octets", down * MEGABYTE)]
    service = [
        *([] if kind == TERMINATION else [("Requested-Service-Unit", [])]),
        ("Used-Service-Unit", used),
        *([] if kind == INITIAL else [("Reporting-Reason", 4)]),
        ("QoS-Information", [("QoS-Class-Identifier", 9)]),
    ]
    packet = [("3GPP-Charging-Id", b"\x00\x00\x00\x01"), ("Called-Station-Id", "internet")]
    return a_message(
        [
            *base_fields(kind, number, context=CONTEXT),
            ("Event-Timestamp", NOW_MS // 1000 + 2_208_988_800),
            ("Subscription-Id", [("Subscription-Id-Type", 1), ("Subscription-Id-Data", IMSI)]),
            *([("Termination-Cause", 1)] if kind == TERMINATION else []),
            *([] if kind == INITIAL else [("Destination-Host", SERVER)]),
            ("Requested-Action", 0),
            ("AoC-Request-Type", 1),
            ("Multiple-Services-Indicator", 0),
            ("Multiple-Services-Credit-Control", service),
            ("Service-Information", [("PS-Information", packet)]),
        ]
    )


def run(scene, *, nanos=EURO):
    async def whole():
        port = ShardPort(PRICES)
        port.subscribe(IMSI, kind=IdentifierKind.IMSI, nanos=nanos)
        settings = read_settings(SETTINGS, where="test")
        server = DiameterServer(port, settings=settings, services=SERVICES, now_ms=lambda: NOW_MS)
        await server.start()
        try:
            async with a_peer(server) as smf:
                return await scene(port, smf)
        finally:
            await server.stop()

    return asyncio.run(whole())


def granted(answer) -> int:
    unit = mscc_of(answer).get("Granted-Service-Unit")
    return unit.parts()[-1].number // MEGABYTE if unit else 0


def test_a_session_of_open5gs_is_charged_by_what_went_up_and_down():
    async def scene(port, smf):
        first = await smf.ask(a_session_request(INITIAL, 0))
        second = await smf.ask(a_session_request(UPDATE, 1, up=10, down=45))
        last = await smf.ask(a_session_request(TERMINATION, 2, up=1, down=4))
        return port, first, second, last

    port, first, second, last = run(scene)

    assert [each.number("Result-Code") for each in (first, second, last)] == [2001, 2001, 2001]
    assert (granted(first), granted(second)) == (50, 45)
    assert mscc_of(first)["Validity-Time"].number > 0
    assert mscc_of(second)["Final-Unit-Indication"].parts()[0].number == 0
    assert (port.balance(), port.sessions()) == (EURO - 60 * CENT, 0)


def test_after_a_top_up_open5gs_is_asked_to_come_again_and_gets_more():
    async def scene(port, smf):
        await smf.ask(a_session_request(INITIAL, 0))
        await smf.ask(a_session_request(UPDATE, 1, down=60))
        port.top_up(EURO, bucket_id=9_002)
        asked = await smf.receive()
        smf.send(answer_bytes(asked.header, write_fields([("Result-Code", 2001)])))
        return asked, await smf.ask(a_session_request(UPDATE, 2, down=20))

    asked, again = run(scene)

    assert asked.header.command == 258
    assert (again.number("Result-Code"), granted(again)) == (2001, 50)
