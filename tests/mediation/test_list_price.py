"""The list price at collection: a released catalogue, subscriptions, and a switch's file, to exact amounts."""

import pytest
from tests.catalog.builders import examined
from tests.mediation.builders import NOW, a_source, collect, totals
from tests.subscriptions.builders import a_version, subscribed

from millicent.catalog.services.release_catalogue import release_catalogue
from millicent.kit.tenancy import tenant_scope
from millicent.mediation import road
from millicent.rating.types import Reason
from millicent.subscriptions.selectors import identifier_frame
from millicent.subscriptions.types import HeldIdentifier, IdentifierKind

HOME, AWAY, NOWHERE = "34911234567", "33140000000", "81312345678"


@pytest.fixture
def operator(tenant_id, monkeypatch):
    """Ten cents a minute at home, thirty abroad; Alice has the plan since the beginning."""
    monkeypatch.setattr(road, "identifier_frame", identifier_frame)
    alice = HeldIdentifier(
        kind=IdentifierKind.SIP_USER, identifier="alice", effective_from_ms=0, effective_until_ms=None
    )
    with tenant_scope(tenant_id):
        release_catalogue(examination=examined(), effective_from_ms=0, author="ana", recorded_at_ms=0)
        subscribed("alice", versions=(a_version(offering="plan"),), identifiers=(alice,))
    return tenant_id


def a_record(uuid, *, to, seconds, answered="2026-11-03 12:00:00", who="alice"):
    stamps = f'"2026-11-03 11:59:50","{answered}","2026-11-03 12:10:00","{seconds + 10}","{seconds}"'
    return f'"{who}","{who}","{to}","default",{stamps},"NORMAL_CLEARING","{uuid}","","{who}","PCMA","PCMA"\n'


def collected(tenant_id, stores, folder, *records):
    a_source(tenant_id, format="freeswitch_csv", zone="UTC", dial_plan={"region": "ES"})
    file = folder / "Master.csv"
    file.write_text("".join(records))
    report = collect(tenant_id, stores, file, now=NOW)
    rated = stores.lake.scan("rated").collect()
    return report, rated.sort("occurred_at_ms", "amount_nanos", "reason")


def test_a_call_costs_its_list_price_the_moment_it_is_collected(operator, stores, tmp_path):
    report, rated = collected(
        operator,
        stores,
        tmp_path,
        a_record("u1", to=HOME, seconds=90),
        a_record("u2", to=AWAY, seconds=60),
        a_record("u3", to=NOWHERE, seconds=60),
        a_record("u2", to=AWAY, seconds=60),
        a_record("u4", to=HOME, seconds=60, who="stranger"),
    )

    assert totals(report) == (5, 3, 1, 0, 1)
    shown = rated.select("tariff", "rule", "currency", "amount_nanos", "charged_units", "reason", "catalog_release")
    assert shown.rows() == [
        ("basic", "", "EUR", 0, 0, int(Reason.NO_DESTINATION), 1),
        ("basic", "home", "EUR", 150_000_000, 90, 0, 1),
        ("basic", "away", "EUR", 300_000_000, 60, 0, 1),
    ]
    usage = stores.lake.scan("usage").collect()
    keys = ["event_key_high", "event_key_low", "subscription_id", "billing_account_id"]
    assert usage.select(keys).sort(keys).equals(rated.select(keys).sort(keys))
    assert rated["subscription_id"].n_unique() == 1


def test_a_service_that_is_not_on_sale_is_suspended_not_priced(operator, stores, tmp_path):
    a_source(operator, name="iptv", format="freeswitch_csv", options={"service": "iptv"})
    file = tmp_path / "iptv.csv"
    file.write_text(a_record("u1", to=HOME, seconds=90))

    assert totals(collect(operator, stores, file, source="iptv")) == (1, 0, 1, 0, 0)
    assert stores.lake.open_table("rated") is None


def test_the_price_is_that_of_the_release_in_force_when_the_call_began(operator, stores, tmp_path):
    dearer = "code: basic\ncalendar: week\nrules:\n  - {code: all, when: {service: voice}, price: 0.60/min}\n"
    noon_ms = 1_793_707_200_000
    with tenant_scope(operator):
        release_catalogue(
            examination=examined({"tariffs/basic.yaml": dearer}), effective_from_ms=noon_ms, author="ana",
            recorded_at_ms=1,
        )  # fmt: skip

    _, rated = collected(
        operator,
        stores,
        tmp_path,
        a_record("u1", to=HOME, seconds=60, answered="2026-11-03 11:59:59"),
        a_record("u2", to=HOME, seconds=60, answered="2026-11-03 12:00:00"),
    )

    assert rated.select("catalog_release", "amount_nanos").rows() == [(1, 100_000_000), (2, 600_000_000)]
