"""The kernel against the judge: an independent implementation in Fraction and datetime, second by second."""

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.rating.builders import grants_of, holdings_of, priced
from tests.rating.judge import Bucket, Judge, Usage, Verdict
from tests.rating.strategies import bucket_rows, catalogues, usages

from millicent.catalog.types import Catalogue
from millicent.rating.services import compile_catalogue
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
