"""Usage from a file and rated usage to one, with no store: for those who only want a rater.

A file is CSV (with a header), JSON Lines or Parquet, told by its ending. Its columns are names of USAGE_COLUMNS, any
subset that has `service` and an instant (`occurred_at_ms`, or `occurred_at` as ISO 8601 with an offset). Beside them it
may say who holds what: `tariff` and `segment`, `reseller`, `pool`. An event key that is missing is the row number.
"""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from millicent.catalog.types import Allowance, Catalogue
from millicent.kit.errors import BadInput
from millicent.kit.sheets import write_sheet
from millicent.rating.rules import opening_units
from millicent.rating.types import GRANT_COLUMNS, HOLDING_COLUMNS, USAGE_COLUMNS, Reason

_OPEN_MS = 2**63 - 1
_HELD = {"tariff": "", "segment": "", "reseller": "", "pool": ""}
_WRITTEN = (
    "event_key", "leg", "leg_party", "tariff", "rule", "zone", "currency", "amount", "amount_nanos", "charged_units",
    "bucket_units", "unserved_units", "throttled", "margin_nanos", "reason",
)  # fmt: skip


def read_usage(path: Path, *, tariff: str = "") -> tuple[pl.DataFrame, pl.DataFrame]:
    """The usage of a file, and its holdings: one for each subscription, with the tariff the file or the caller says."""
    raw = _read(path)
    unknown = [name for name in raw.columns if name not in {*USAGE_COLUMNS, *_HELD, "occurred_at"}]
    if unknown:
        raise BadInput(
            f"column {unknown[0]!r} is no column of usage",
            where=str(path),
            cure=f"Use names such as {', '.join(list(USAGE_COLUMNS)[6:12])}; see docs/reference.",
        )
    usage = _with_instants(raw, where=str(path))
    if "event_key_low" not in usage.columns:
        usage = usage.with_columns(pl.int_range(1, pl.len() + 1, dtype=pl.UInt64).alias("event_key_low"))
    if "subscription_id" not in usage.columns:
        usage = usage.with_columns(pl.lit(1, pl.Int64).alias("subscription_id"))
    if "billing_account_id" not in usage.columns:
        usage = usage.with_columns(pl.col("subscription_id").cast(pl.Int64).alias("billing_account_id"))
    held = usage.with_columns(
        (pl.col(name).fill_null(value) if name in usage.columns else pl.lit(value)).alias(name)
        for name, value in (_HELD | {"tariff": tariff}).items()
    )
    holdings = held.group_by("subscription_id", maintain_order=True).agg(
        pl.col("billing_account_id", *_HELD).first(), pl.col("tariff").n_unique().alias("tariffs")
    )
    several = holdings.filter(pl.col("tariffs") > 1)
    if len(several):
        raise BadInput(
            f"subscription {several['subscription_id'][0]} has more than one tariff",
            where=str(path),
            cure="Give each tariff a subscription_id of its own.",
        )
    whole = holdings.with_columns(
        pl.lit(-(2**62), pl.Int64).alias("effective_from_ms"), pl.lit(_OPEN_MS, pl.Int64).alias("effective_until_ms")
    )
    return usage.drop(*(name for name in _HELD if name in usage.columns)), whole.select(
        pl.col(name).cast(getattr(pl, type_name)) for name, type_name in HOLDING_COLUMNS.items()
    )


def holdings_for(*, tariff: str, segment: str = "") -> pl.DataFrame:
    """The holding of one subscription, number 1, for all time."""
    row = {
        "subscription_id": 1,
        "billing_account_id": 1,
        "pool": "",
        "effective_from_ms": -(2**62),
        "effective_until_ms": _OPEN_MS,
        "tariff": tariff,
        "segment": segment,
        "reseller": "",
    }
    return pl.DataFrame([row], schema={name: getattr(pl, type_name) for name, type_name in HOLDING_COLUMNS.items()})


def _read(path: Path) -> pl.DataFrame:
    match path.suffix:
        case ".csv":
            text = {name: pl.String for name, type_name in USAGE_COLUMNS.items() if type_name == "String"}
            return pl.read_csv(path, schema_overrides=text)
        case ".jsonl" | ".ndjson":
            return pl.read_ndjson(path)
        case ".parquet":
            return pl.read_parquet(path)
    raise BadInput("the file's kind is not known", where=str(path), cure="Use .csv, .jsonl or .parquet.")


def _with_instants(raw: pl.DataFrame, *, where: str) -> pl.DataFrame:
    """`occurred_at` as milliseconds; a row whose time cannot be read is named."""
    if "occurred_at" not in raw.columns:
        return raw
    instants = raw["occurred_at"].cast(pl.String).str.to_datetime(time_unit="ms", time_zone="UTC", strict=False)
    if instants.null_count():
        row = int(instants.is_null().arg_max() or 0)
        raise BadInput(
            f"{raw['occurred_at'][row]!r} is not an instant",
            where=f"{where}:{row + 2}",
            cure="Write 2026-03-29T01:30:00+01:00.",
        )
    return raw.drop("occurred_at").with_columns(instants.dt.epoch("ms").alias("occurred_at_ms"))


def fresh_grants(catalogue: Catalogue, offering: str, holdings: pl.DataFrame) -> pl.DataFrame:
    """One bucket of each allowance of an offering for every owner, as full as at the start of a cycle."""
    schema = {name: getattr(pl, type_name) for name, type_name in GRANT_COLUMNS.items()}
    if not offering:
        return pl.DataFrame(schema=schema)
    if offering not in catalogue.offerings:
        raise BadInput(f"there is no offering {offering!r}", where="offering", cure="See `millicent catalog show`.")
    rows: list[dict[str, object]] = []
    for allowance in catalogue.offerings[offering].allowances:
        for owner_id, pool in _owners(allowance, holdings):
            rows.append(
                {
                    "bucket_id": len(rows) + 1,
                    "allowance": f"{offering}/{allowance.code}",
                    "scope": allowance.scope.value,
                    "owner_id": owner_id,
                    "pool": pool,
                    "remaining": opening_units(allowance),
                    "valid_from_ms": -(2**62),
                    "valid_until_ms": _OPEN_MS,
                    "granted_at_ms": 0,
                }
            )
    return pl.DataFrame(rows, schema=schema)


def _owners(allowance: Allowance, holdings: pl.DataFrame) -> list[tuple[int, str]]:
    match allowance.scope.value:
        case "subscription":
            return [(owner, "") for owner in holdings["subscription_id"].unique(maintain_order=True)]
        case "account":
            return [(owner, "") for owner in holdings["billing_account_id"].unique(maintain_order=True)]
    return [(-1, pool) for pool in holdings["pool"].unique(maintain_order=True) if pool]


def rated_rows(rated: pl.DataFrame, *, digits: Mapping[str, int]) -> pl.DataFrame:
    """What is written for each leg of each usage. `digits` are the nano digits of each currency."""
    key = pl.format(
        "{}{}",
        *(pl.col(name).map_elements(lambda half: f"{half:016x}", pl.String) for name in
          ("event_key_high", "event_key_low")),
    )  # fmt: skip
    names = {reason.value: reason.name.lower() for reason in Reason}
    amounts = [
        _decimal(nanos, digits.get(currency, 9))
        for nanos, currency in rated.select("amount_nanos", "currency").iter_rows()
    ]
    return rated.with_columns(
        key.alias("event_key"),
        pl.Series("amount", amounts, pl.String),
        pl.col("reason").replace_strict(names, return_dtype=pl.String),
    ).select(_WRITTEN)


def _decimal(nanos: int, digits: int) -> str:
    whole, part = divmod(abs(nanos), 10**digits)
    text = f"{'-' if nanos < 0 else ''}{whole}.{part:0{digits}d}".rstrip("0")
    return text.rstrip(".")


def write_rated(rows: pl.DataFrame, path: Path) -> None:
    match path.suffix:
        case ".csv":
            write_sheet(rows, path)
        case ".jsonl" | ".ndjson":
            rows.write_ndjson(path)
        case ".parquet":
            rows.write_parquet(path)
        case _:
            raise BadInput("the file's kind is not known", where=str(path), cure="Use .csv, .jsonl or .parquet.")
