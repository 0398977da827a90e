"""How fast FreeSWITCH CSV on disk becomes committed lake rows: deduplicated, enriched and rated."""

import resource
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import numpy as np
import polars as pl

from millicent.kit.clock import to_ms
from millicent.kit.lake import Lake
from millicent.kit.models import Tenant
from millicent.kit.tenancy import tenant_scope
from millicent.mediation.directory import IDENTIFIER_COLUMNS, build_directory
from millicent.mediation.refine import ListPrice
from millicent.mediation.road import Road, SourceFacts, open_key_index
from millicent.mediation.services.collect_file import BatchReport, collect_file
from millicent.mediation.services.declare_source import declare_source
from millicent.mediation.stores import MediationStores
from millicent.rating.bench import bench_catalogue
from millicent.rating.services import compile_catalogue, prepare_holdings, price_stateless

_FIRST = datetime(2026, 10, 1, tzinfo=UTC)
_NOW = _FIRST + timedelta(days=31)
_RECORDS_AT_A_TIME = 500_000
_DAYS = 30
_REPEATED_IN_A_THOUSAND = 1
_PLANS, _PREFIXES = 20, 25_000
_OPTIONS = {"chunk_records": "400000"}  # a block of the file makes one chunk


def write_calls(path: Path, *, records: int, subscribers: int, seed: int) -> None:
    """FreeSWITCH mod_cdr_csv records of the vanilla template; one in a thousand is reported twice."""
    chance = np.random.default_rng(seed)
    with path.open("wb") as file:
        for first in range(0, records, _RECORDS_AT_A_TIME):
            count = min(_RECORDS_AT_A_TIME, records - first)
            _calls(chance, first=first, count=count, records=records, subscribers=subscribers).write_csv(
                file, include_header=False, quote_style="always"
            )


def _calls(chance: np.random.Generator, *, first: int, count: int, records: int, subscribers: int) -> pl.DataFrame:
    number = np.arange(first, first + count)
    number -= (chance.integers(0, 1000, count) < _REPEATED_IN_A_THOUSAND) & (number > 0)
    spread = np.random.default_rng(1).integers(0, 2**32, 4, dtype=np.uint64)
    caller = 34_600_000_000 + (number * 7_919) % subscribers
    started = to_ms(_FIRST) // 1000 + number * (_DAYS * 86_400) // records
    seconds = (number * 31) % 600 + 1
    mixed = number.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) ^ spread[0]
    stamp = "%Y-%m-%d %H:%M:%S"
    frame = pl.DataFrame(
        {"number": number, "caller": caller, "started": started, "seconds": seconds, "mixed": mixed}
    ).with_columns(
        callee=pl.format("0049{}", 15_100_000_000 + pl.col("number") * 104_729 % 99_999_999),
        code=pl.col("mixed").cast(pl.String).str.zfill(20),
    )

    def at(column: pl.Expr) -> pl.Expr:
        return (column * 1000).cast(pl.Datetime("ms")).dt.strftime(stamp)

    code = pl.col("code")
    uuid = [code.str.slice(0, 8), code.str.slice(8, 4), pl.lit("4abc"), pl.lit("8def"), code.str.slice(8, 12)]
    return frame.select(
        caller_id_name=pl.lit("Subscriber"),
        caller_id_number=pl.col("caller").cast(pl.String),
        destination_number=pl.col("callee"),
        context=pl.lit("default"),
        start_stamp=at(pl.col("started") - 4),
        answer_stamp=at(pl.col("started")),
        end_stamp=at(pl.col("started") + pl.col("seconds")),
        duration=(pl.col("seconds") + 4).cast(pl.String),
        billsec=pl.col("seconds").cast(pl.String),
        hangup_cause=pl.lit("NORMAL_CLEARING"),
        uuid=pl.concat_str(*uuid, separator="-"),
        bleg_uuid=pl.lit(""),
        accountcode=pl.col("caller").cast(pl.String),
        read_codec=pl.lit("PCMA"),
        write_codec=pl.lit("PCMA"),
    )


def subscribers_frame(subscribers: int) -> pl.DataFrame:
    """Everyone holds one SIP user for ever."""
    number = pl.int_range(subscribers, eager=True)
    return pl.DataFrame(
        {
            "identifier_kind": pl.repeat("sip_user", subscribers, eager=True),
            "identifier": (number + 34_600_000_000).cast(pl.String),
            "effective_from_ms": pl.repeat(0, subscribers, dtype=pl.Int64, eager=True),
            "effective_until_ms": pl.repeat(2**63 - 1, subscribers, dtype=pl.Int64, eager=True),
            "subscription_id": number + 1,
            "billing_account_id": number // 3 + 1,
        },
        schema=IDENTIFIER_COLUMNS,
    )


def collect_calls(
    path: Path, *, tenant_id: UUID, folder: Path, subscribers: int, list_price: ListPrice | None
) -> tuple[BatchReport, int]:
    """Collect the file as an operator would; returns what came of it, and nanoseconds."""
    stores = MediationStores(lake=Lake(root=str(folder / "lake")), folder=folder / "mediation")
    with tenant_scope(tenant_id):
        declare_source(
            {"name": "bench", "format": "freeswitch_csv", "dial_plan": {"region": "ES"}, "options": _OPTIONS},
            now=_NOW,
            where="bench",
        )

    def prepare(source: SourceFacts, stores: MediationStores) -> Road:
        return Road(
            source=source,
            directory=build_directory(subscribers_frame(subscribers)),
            list_price=list_price,
            index=open_key_index(source.family, stores=stores),
        )

    began = time.perf_counter_ns()
    report = collect_file(tenant_id=tenant_id, stores=stores, source="bench", url=str(path), now=_NOW, prepare=prepare)
    return report, time.perf_counter_ns() - began


def list_price_of(*, subscribers: int) -> ListPrice:
    """A list price like an operator's: plans with bands and slots, over a deck of prefixes."""
    program = compile_catalogue(bench_catalogue(plans=_PLANS, prefixes=_prefixes()))
    number = pl.int_range(subscribers, eager=True)
    plans = pl.DataFrame({"subscription_id": number + 1}).select(
        "subscription_id",
        billing_account_id=(pl.col("subscription_id") - 1) // 3 + 1,
        pool=pl.lit(""),
        effective_from_ms=pl.lit(0, pl.Int64),
        effective_until_ms=pl.lit(2**63 - 1, pl.Int64),
        tariff=pl.format("plan{}", pl.col("subscription_id") % _PLANS),
        segment=pl.lit("consumer"),
        reseller=pl.lit(""),
    )

    holdings = prepare_holdings(plans)

    def list_price(usage: pl.DataFrame) -> pl.DataFrame:
        return price_stateless(programs=[(0, 1, program)], usage=usage, holdings=holdings)

    return list_price


def _prefixes() -> list[str]:
    """The thousand that the calls go to, and others around them."""
    called = [f"49151{number:03}" for number in range(1_000)]
    return called + [str(number) for number in range(100_000, 100_000 + _PREFIXES - len(called))]


def run(
    *,
    records: int = 10_000_000,
    subscribers: int = 100_000,
    seed: int = 20261122,
    advance: Callable[[int], None] = lambda count: None,
) -> dict[str, object]:
    """Write `records` calls to a temporary folder, collect them, and say how fast that was.

    Two runs before the clock starts compile the kernels. The figure covers everything from the file's digest to the
    last commit. Needs open stores (PostgreSQL takes the progress, as always).
    """
    folder = Path(tempfile.mkdtemp(prefix="millicent-bench-"))
    try:
        list_price = list_price_of(subscribers=subscribers)
        for name, count in (("small", 1_000), ("Master", records)):
            file = folder / f"{name}.csv"
            write_calls(file, records=count, subscribers=subscribers, seed=seed)
            tenant = Tenant.objects.create(code=f"bench-{secrets.token_hex(6)}", created_at=_NOW)
            report, nanoseconds = collect_calls(
                file, tenant_id=tenant.id, folder=folder / name, subscribers=subscribers, list_price=list_price
            )
            advance(count)
        return {
            "benchmark": "mediation",
            "workload": {
                "records": records,
                "bytes": file.stat().st_size,
                "format": "freeswitch_csv",
                "subscribers": subscribers,
                "plans": _PLANS,
                "prefixes": _PREFIXES,
                "seed": seed,
            },
            "records_in": report.records_in,
            "accepted": report.accepted,
            "suspended": report.suspended,
            "duplicate": report.duplicate,
            "milliseconds": nanoseconds // 1_000_000,
            "records_per_second": report.records_in * 1_000_000_000 // nanoseconds,
            "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "limited_by": "both cores: decoding and the list price on one, writing Parquet on the other",
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)
