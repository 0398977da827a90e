"""RADIUS sessions charged by a real shard: what is paid, what is let in, what is told, what is closed."""

import pytest
from tests.network.radius.builders import FakeBook, a_door, accounting_packet, sealed, udp_exchange
from tests.network.radius.test_authentication import FIBRE, a_request, accepted, ask
from tests.network.radius.test_following import AccessServer
from tests.network.shard_port import ShardPort
from tests.rating.builders import CENT, EURO, a_card, a_rule, a_tariff, an_allowance

from millicent.catalog.types import FairUse
from millicent.charging.types_map import RADIUS_CONTEXT, ServiceEntry, ServiceMap, ServiceRule, Unit
from millicent.network.radius.clients import Vendor
from millicent.network.radius.words import AcctStatus, Attribute, Code

MEGABYTE = 1_000_000
DATA = ServiceMap([ServiceRule(context=RADIUS_CONTEXT, entry=ServiceEntry(service="data", unit=Unit.TOTAL_OCTETS))])
ALL_OF_IT = 100 * MEGABYTE
CENT_A_MEGABYTE = a_tariff(a_rule(card=a_card(CENT, per=MEGABYTE, increment=MEGABYTE)))


@pytest.fixture
def port():
    port = ShardPort(CENT_A_MEGABYTE)
    port.subscribe(nanos=EURO)
    return port


def a_charged_door(port, **client):
    book = FakeBook(credential=sealed(), profile=FIBRE)
    return a_door(port=port, book=book, services=DATA, vendor=Vendor.MIKROTIK, **client)


def report(running, status=AcctStatus.INTERIM, *, identifier=1, megabytes=0, **told):
    packet = accounting_packet(status, identifier=identifier, acct_output_octets=megabytes * MEGABYTE, **told)
    assert udp_exchange(running.door.ports[1], packet) is not None


def test_totals_are_paid_once_however_they_are_reported(port):
    with a_charged_door(port) as running:
        report(running, AcctStatus.START, identifier=1)
        report(running, identifier=2, megabytes=10, acct_session_time=300)
        assert port.balance() == EURO - 10 * CENT
        report(running, identifier=3, megabytes=10, acct_session_time=300)  # sent again under another Identifier
        report(running, identifier=4, megabytes=25, acct_session_time=900)
        report(running, identifier=5, megabytes=12, acct_session_time=600)  # overtaken on the way
        assert port.balance() == EURO - 25 * CENT
        report(running, AcctStatus.STOP, identifier=6, megabytes=30, acct_session_time=950)
        report(running, AcctStatus.STOP, identifier=7, megabytes=30, acct_session_time=950)
        report(running, identifier=8, megabytes=28, acct_session_time=940)

    assert port.balance() == EURO - 30 * CENT
    assert port.sessions() == 0
    assert [(int(each["units"]), int(each["amount_nanos"])) for each in port.charges()] == [(30 * MEGABYTE, 30 * CENT)]


def admitted(running):
    """Come in; what the access server says again in its reports."""
    return [(Attribute.CLASS, value) for value in accepted(running.door)["Class"]]


def test_an_access_server_that_counts_its_sessions_anew_is_paid_for_each(port):
    with a_charged_door(port) as running:
        for turn in range(3):
            extra = admitted(running)
            report(running, AcctStatus.START, identifier=10 * turn, extra=extra)
            report(running, identifier=10 * turn + 1, megabytes=5, acct_session_time=300, extra=extra)
            report(running, AcctStatus.STOP, identifier=10 * turn + 2, megabytes=10, acct_session_time=600, extra=extra)
            report(running, AcctStatus.STOP, identifier=10 * turn + 3, megabytes=10, acct_session_time=600, extra=extra)
            port.tick(seconds=3600)

    assert (port.balance(), port.sessions()) == (EURO - 30 * CENT, 0)


def test_more_than_four_gigabytes_are_counted_also_where_octets_are_left_out(port):
    port.top_up(100 * EURO, bucket_id=9_002)
    with a_charged_door(port) as running:
        packet = accounting_packet(AcctStatus.START, identifier=1)
        assert udp_exchange(running.door.ports[1], packet) is not None
        stop = accounting_packet(AcctStatus.STOP, identifier=2, acct_output_gigawords=1, acct_session_time=600)
        assert udp_exchange(running.door.ports[1], stop) is not None

    assert port.balance() == 101 * EURO - 4_295 * CENT  # 2^32 octets, a megabyte begun is a megabyte


def test_a_session_whose_start_was_lost_is_paid_from_its_beginning(port):
    with a_charged_door(port) as running:
        report(running, megabytes=7, acct_session_time=300)

    assert port.balance() == EURO - 7 * CENT


def test_a_session_too_old_to_know_is_counted_from_now(port):
    with a_charged_door(port) as running:
        report(running, identifier=1, megabytes=70, acct_session_time=100_000)
        assert port.balance() == EURO
        report(running, identifier=2, megabytes=75, acct_session_time=100_300)

    assert port.balance() == EURO - 5 * CENT


def test_a_swept_session_that_goes_on_is_not_paid_twice(port):
    with a_charged_door(port) as running:
        report(running, AcctStatus.START, identifier=1)
        report(running, identifier=2, megabytes=10, acct_session_time=300)
        port.tick(seconds=5_000)
        assert port.sessions() == 0
        report(running, identifier=3, megabytes=60, acct_session_time=5_300)
        report(running, identifier=4, megabytes=64, acct_session_time=5_600)

    assert port.balance() == EURO - 14 * CENT


def test_an_accept_limits_the_session_to_what_can_be_paid(port):
    with a_charged_door(port) as running:
        assert accepted(running.door)["Mikrotik-Total-Limit"] == [ALL_OF_IT]


def test_with_an_empty_balance_nobody_comes_in_and_a_stranger_neither():
    empty = ShardPort(CENT_A_MEGABYTE)
    with a_charged_door(empty) as running:
        assert ask(running.door, a_request())["Reply-Message"] == ["no such subscription"]
        empty.subscribe()
        assert ask(running.door, a_request())["Reply-Message"] == ["nothing is left"]


def test_a_session_that_used_everything_is_disconnected_and_never_overspends(port):
    nas = AccessServer()
    try:
        with a_charged_door(port, coa_port=nas.port) as running:
            report(running, AcctStatus.START, identifier=1)
            report(running, identifier=2, megabytes=60, acct_session_time=300)
            told = nas.order()
            assert told.code == Code.COA_REQUEST
            assert told["Mikrotik-Total-Limit"] == [ALL_OF_IT]
            report(running, identifier=3, megabytes=130, acct_session_time=600)
            assert nas.order().code == Code.DISCONNECT_REQUEST
            report(running, AcctStatus.STOP, identifier=4, megabytes=131, acct_session_time=601)
    finally:
        nas.close()

    assert port.balance() == 0
    assert sum(int(each["uncollected_nanos"]) for each in port.charges()) == 31 * CENT


def test_an_access_server_that_restarts_has_its_sessions_closed(port):
    with a_charged_door(port) as running:
        report(running, AcctStatus.START, identifier=1, session="one")
        report(running, identifier=2, session="one", megabytes=10, acct_session_time=300)
        report(running, AcctStatus.START, identifier=3, session="two")
        assert port.sessions() == 2
        report(running, AcctStatus.ON, identifier=4, session="", user="")
        port.tick()

    assert port.sessions() == 0
    assert port.balance() == EURO - 10 * CENT


def test_beyond_fair_use_a_session_goes_on_slowly():
    fair = an_allowance(code="fair", unlimited=True, fair_use=FairUse.THROTTLE, fair_use_units=2_000 * MEGABYTE)
    port = ShardPort(CENT_A_MEGABYTE, allowances=(fair,))
    port.subscribe()
    port.grant("plan/fair", 2_000 * MEGABYTE)
    nas = AccessServer()
    try:
        with a_charged_door(port, coa_port=nas.port) as running:
            report(running, AcctStatus.START, identifier=1)
            report(running, identifier=2, megabytes=1_900, acct_session_time=300)
            assert nas.is_left_alone()
            report(running, identifier=3, megabytes=2_001, acct_session_time=600)
            slowed = nas.order()
            report(running, identifier=4, megabytes=2_900, acct_session_time=900)
            assert nas.is_left_alone()
            report(running, AcctStatus.STOP, identifier=5, megabytes=2_950, acct_session_time=1000)
    finally:
        nas.close()

    assert slowed.code == Code.COA_REQUEST
    assert slowed["Mikrotik-Rate-Limit"] == ["1M/2M"]
    assert sum(int(each["uncollected_nanos"]) + int(each["amount_nanos"]) for each in port.charges()) == 0
