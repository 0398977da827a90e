"""Charges reach the lake exactly once, with names for numbers, wherever the exporter is killed."""

import asyncio

import numpy as np
import polars as pl
import pytest
from tests.charging.journal.builders import a_place, some_commands
from tests.charging.journal.fake_shard import FakeShard

from millicent.charging.keys import plan_text, traffic_text
from millicent.charging.server.opening import open_shard
from millicent.charging.services import export_charges as exporting
from millicent.charging.services.export_charges import (
    ADDED_COLUMNS,
    CHARGED_COLUMNS,
    CHARGED_TABLE,
    export_charges,
    scan_charged,
)
from millicent.charging.types import CHARGE, NameKind, Unit
from millicent.kit.lake import Lake


class Charging(FakeShard):
    """Every top-up is also a charge of so many nanos."""

    def apply(self, commands, texts):
        from dataclasses import replace

        batch = super().apply(commands, texts)
        charges = np.zeros(len(commands), CHARGE)
        charges["command"] = np.arange(len(commands))
        charges["key_low"], charges["amount_nanos"] = commands["key_low"], commands["amount"]
        charges["key_high"] = 2**63 + 1
        charges["unit"], charges["release"] = Unit.SECONDS, -1
        charges["rule"], charges["zone"] = [0, *[-1] * (len(commands) - 1)][: len(commands)], 0
        charges["occurred_at_ms"] = [1_793_491_200_000 - 1, *[1_793_491_200_000] * (len(commands) - 1)][: len(commands)]
        charges["number_key"], charges["number_digits"] = 493012345600000, 10
        return replace(batch, charges=charges)


async def some_batches(place, *, first, count):
    async with open_shard(Charging(), place=place) as opened:
        await opened.engine.number_of(NameKind.PLAN, plan_text(tariff="gold", segment="business"))
        await opened.engine.number_of(NameKind.RULE, "abroad")
        await opened.engine.number_of(NameKind.ZONE, "world/europe")
        await opened.engine.number_of(NameKind.TRAFFIC, traffic_text(service="voice", visited_network="20810"))
        for key in range(first, first + count):
            await opened.engine.submit(some_commands(key, key, first_key=1_000 * key))


def exported(lake):
    return lake.scan(CHARGED_TABLE).collect().sort("sequence", "event_key_low")


def test_a_charge_has_its_names_in_the_lake(tenant_id, tmp_path):
    lake = Lake(root=str(tmp_path / "lake"))
    asyncio.run(some_batches(a_place(tenant_id, tmp_path), first=1, count=1))

    assert export_charges(tenant_id=tenant_id, lake=lake) == 5
    assert export_charges(tenant_id=tenant_id, lake=lake) == 0

    rows = exported(lake)
    assert list(rows.columns) == list(CHARGED_COLUMNS)
    assert rows["usage_month"].to_list() == ["2026-10", "2026-11"]
    assert rows.row(0, named=True) | {"received_at_ms": 0} == {
        "shard": 0, "sequence": 5, "event_key_high": -(2**63) + 1, "event_key_low": 1_000,
        "occurred_at_ms": 1_793_491_199_999, "ended_at_ms": 0, "received_at_ms": 0, "subscription_id": 0,
        "billing_account_id": 0, "service": "voice", "direction": "originating", "call_type": "",
        "visited_network": "20810", "attributes": "", "other_party": "4930123456", "rating_group": 0, "unit": "seconds",
        "units": 0, "uplink_bytes": 0, "downlink_bytes": 0, "charged_units": 0, "bucket_units": 0, "tariff": "gold",
        "segment": "business", "currency": "", "amount_nanos": 1, "uncollected_nanos": 0, "throttled": False,
        "reason": 0, "catalog_release": -1, "rule": "abroad", "zone": "world/europe", "usage_month": "2026-10",
    }  # fmt: skip


@pytest.mark.parametrize("when", ["before the lake", "after the lake"])
def test_an_exporter_that_is_killed_writes_nothing_twice(tenant_id, tmp_path, monkeypatch, when):
    place, lake = a_place(tenant_id, tmp_path), Lake(root=str(tmp_path / "lake"))
    monkeypatch.setattr(exporting, "BATCHES_AT_ONCE", 4)
    asyncio.run(some_batches(place, first=1, count=5))
    assert export_charges(tenant_id=tenant_id, lake=lake) == 4

    class Killed(Exception):
        pass

    class Dying:
        def committed_sequence(self, table, *, writer):
            return lake.committed_sequence(table, writer=writer)

        def append(self, *arguments, **named):
            if when == "after the lake":
                lake.append(*arguments, **named)
            raise Killed

    with pytest.raises(Killed):
        export_charges(tenant_id=tenant_id, lake=Dying())
    asyncio.run(some_batches(place, first=6, count=5))  # the next chunk would be another one
    while export_charges(tenant_id=tenant_id, lake=lake):
        pass

    assert exported(lake)["amount_nanos"].to_list() == [each for key in range(1, 11) for each in (key, key)]
    assert exported(lake)["sequence"].n_unique() == 10


def test_a_lake_of_an_older_release_goes_on_and_has_rule_and_zone_from_now_on(tenant_id, tmp_path, monkeypatch):
    place, lake = a_place(tenant_id, tmp_path), Lake(root=str(tmp_path / "lake"))
    monkeypatch.setattr(exporting, "BATCHES_AT_ONCE", 5)
    asyncio.run(some_batches(place, first=1, count=3))
    older = Lake(root=str(tmp_path / "older"))
    export_charges(tenant_id=tenant_id, lake=lake)
    before = lake.scan(CHARGED_TABLE).collect().drop(ADDED_COLUMNS)
    reached = lake.committed_sequence(CHARGED_TABLE, writer="charging-0")
    older.append(CHARGED_TABLE, before, writer="charging-0", sequence=reached, partition_by=("usage_month",))

    read_as_it_is = scan_charged(older).collect()
    while export_charges(tenant_id=tenant_id, lake=older):
        pass

    assert set(read_as_it_is.columns) == set(CHARGED_COLUMNS)
    assert set(read_as_it_is["rule"]) == {""}
    rows = scan_charged(older).select(list(CHARGED_COLUMNS)).collect().sort("sequence", "event_key_low")
    assert rows.filter(pl.col("sequence") <= reached).height == before.height
    assert set(rows.filter(pl.col("sequence") <= reached)["zone"]) == {""}
    fresh = rows.filter(pl.col("sequence") > reached)
    assert fresh.height > 0
    assert set(fresh["zone"]) == {"world/europe"}
    assert set(fresh["rule"]) == {"abroad", ""}
    assert older.tidy(CHARGED_TABLE).files_before > 0
    assert scan_charged(older).collect().height == rows.height
