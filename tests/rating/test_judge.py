"""The kernel against the judge: an independent implementation in Fraction and datetime, second by second."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.rating.builders import grants_of, holdings_of, priced, usage_of
from tests.rating.court import Court, LegVerdict, Member, SharedBucket, allowances_of
from tests.rating.judge import Bucket, Judge, Usage, Verdict
from tests.rating.strategies import MEMBERS, bucket_rows, catalogues, shared_buckets, shared_usages, usages, worlds

from millicent.catalog.types import Catalogue
from millicent.rating.services import compile_catalogue, price_usage
from millicent.rating.types import Reason

REDUCED = os.environ.get("MILLICENT_JUDGE_REDUCED") == "1"


def as_row(usage: Usage) -> dict:
    return {
        "service": usage.service,
        "occurred_at_ms": usage.instant_ms,
        "other_party": usage.number,
        "direction": usage.direction,
        "call_type": usage.call_type,
        "visited_network": usage.visited_network,
        "origin_number": usage.origin,
        "identifier": "x",
        "answered": usage.answered,
        "content_nanos": usage.content_nanos,
        "attributes": json.dumps(usage.attributes) if usage.attributes else "",
        "duration_ms": usage.quantity * 1000,
        "downlink_bytes": usage.quantity,
        "events": usage.quantity,
    }


def buckets_of(catalogue: Catalogue, rows: list[dict]) -> list[Bucket]:
    allowances = {f"plan/{each.code}": each for each in catalogue.offerings["plan"].allowances}
    return [
        Bucket(
            code=row["allowance"],
            allowance=allowances[row["allowance"]],
            bucket_id=number,
            **{key: value for key, value in row.items() if key != "allowance"},
        )
        for number, row in enumerate(rows, 1)
    ]


def the_kernel_agrees_with_the_judge(catalogue: Catalogue, calls: list[Usage], rows: list[dict]) -> None:
    calls = sorted(calls, key=lambda usage: usage.instant_ms)
    judge = Judge(catalogue, "tariff", buckets_of(catalogue, rows), {})
    expected = [judge.judge(usage) for usage in calls]

    result = priced(
        compile_catalogue(catalogue),
        *map(as_row, calls),
        holdings=holdings_of(),
        grants=grants_of(*rows),
    )

    assert [verdict_of(row) for row in result.rated.iter_rows(named=True)] == expected
    assert result.grants["remaining"].to_list() == [bucket.remaining for bucket in judge.buckets]
    moved = {counter: units for counter, units in judge.counters.items() if units}
    assert dict(result.counters.select("counter", "units").iter_rows()) == moved
    taken = result.draws.group_by("bucket_id").agg(pl.col("taken").sum())
    before = {number: row["remaining"] for number, row in enumerate(rows, 1)}
    assert {number: before[number] - units for number, units in taken.iter_rows()} == {
        bucket.bucket_id: bucket.remaining for bucket in judge.buckets if bucket.bucket_id in taken["bucket_id"]
    }


def verdict_of(row: dict) -> Verdict:
    return Verdict(
        reason=Reason(row["reason"]).name,
        amount_nanos=row["amount_nanos"],
        charged_units=row["charged_units"],
        bucket_units=row["bucket_units"],
        unserved_units=row["unserved_units"],
        rule=row["rule"],
        zone=row["zone"],
        throttled=row["throttled"],
    )


@st.composite
def cases(draw):
    catalogue = draw(catalogues())
    codes = [f"plan/{each.code}" for each in catalogue.offerings["plan"].allowances]
    return catalogue, draw(st.lists(usages(), min_size=1, max_size=4)), draw(bucket_rows(codes))


CALM = {"deadline": None, "suppress_health_check": list(HealthCheck)}


def the_kernel_agrees_with_the_court(releases, calls: list[Usage], buckets: list[SharedBucket]) -> None:
    calls = sorted(calls, key=lambda usage: usage.instant_ms)
    court = Court(releases, MEMBERS, buckets)
    expected = [(usage.subscription_id, leg) for usage in calls for leg in court.judge(usage)]

    result = price_usage(
        programs=[
            (from_ms, number, compile_catalogue(catalogue)) for number, (from_ms, catalogue) in enumerate(releases)
        ],
        usage=usage_of(*({**as_row(call), **shared_row(call)} for call in calls)),
        holdings=holdings_of(*map(holding_row, MEMBERS)),
        grants=grants_of(*map(grant_row, buckets)),
    )

    legs = [
        (
            row["subscription_id"],
            LegVerdict(row["leg"], row["leg_party"], row["tariff"], verdict_of(row), row["margin_nanos"]),
        )
        for row in result.rated.iter_rows(named=True)
    ]
    assert legs == expected
    assert result.grants["remaining"].to_list() == [court.remaining[bucket.bucket_id] for bucket in buckets]
    counted = {
        (counter, scope, ("party", pool) if owner == -1 and pool != "family" else pool or owner): units
        for counter, scope, owner, pool, units in result.counters.iter_rows()
    }
    assert counted == {
        (name, scope.value, owner): units for (name, scope, owner), units in court.counters.items() if units
    }


def shared_row(call: Usage) -> dict:
    account = {member.subscription_id: member.account_id for member in MEMBERS}
    return {
        "subscription_id": call.subscription_id,
        "billing_account_id": account[call.subscription_id],
        "supplier": call.supplier,
    }


def holding_row(member: Member) -> dict:
    return {
        "subscription_id": member.subscription_id,
        "billing_account_id": member.account_id,
        "pool": member.pool,
        "segment": member.segment,
        "reseller": "/".join(member.resellers),
    }


def grant_row(bucket: SharedBucket) -> dict:
    return {**asdict(bucket), "scope": bucket.scope.value}


@st.composite
def months(draw):
    releases = draw(worlds())
    codes = sorted({code for _, catalogue in releases for code in allowances_of(catalogue)})
    return releases, draw(st.lists(shared_usages(), min_size=2, max_size=6)), draw(shared_buckets(codes))


@settings(max_examples=10 if REDUCED else 40, **CALM)
@given(months())
def test_what_is_shared_and_every_leg_is_what_the_judges_say_release_after_release(month):
    the_kernel_agrees_with_the_court(*month)


@pytest.mark.slow
@settings(max_examples=2_000, **CALM)
@given(months())
def test_what_is_shared_and_every_leg_is_what_the_judges_say_at_length(month):
    the_kernel_agrees_with_the_court(*month)


@settings(max_examples=25 if REDUCED else 200, **CALM)
@given(cases())
def test_every_price_is_what_the_judge_says(case):
    the_kernel_agrees_with_the_judge(*case)


@pytest.mark.slow
@settings(max_examples=5_000, **CALM)
@given(cases())
def test_every_price_is_what_the_judge_says_at_length(case):
    the_kernel_agrees_with_the_judge(*case)


@pytest.mark.skipif(REDUCED, reason="this is the run it starts")
def test_the_loops_agree_with_the_judge_without_the_compiler():
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "MILLICENT_JUDGE_REDUCED": "1"}

    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--noconftest", "-p", "no:cacheprovider", "-m", "not slow", __file__,
         *(str(Path(__file__).with_name(name)) for name in ("test_pricing.py", "test_explain.py"))],
        env=environment, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False,
    )  # fmt: skip

    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-2000:]


@pytest.mark.slow
def test_the_compiled_loops_write_the_same_steps():
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "0", "MILLICENT_TRACE_COMPILED": "1"}

    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--noconftest", "-p", "no:cacheprovider",
         str(Path(__file__).with_name("test_explain.py"))],
        env=environment, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False,
    )  # fmt: skip

    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-2000:]
