"""Usage rows as the kernel wants them: quantities by the specification's measure, classes, keys of numbers."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from millicent.catalog.types import Measure, ServiceSpecification
from millicent.kit.errors import BadInput
from millicent.kit.kernels import Bools, Int32s, Int64s
from millicent.kit.rounding import RoundingMode
from millicent.rating.compile.numbers import number_keys
from millicent.rating.compile.selection import UsageClass
from millicent.rating.kernel.arrays import NODE_PLACE
from millicent.rating.kernel.prefix import find_nodes
from millicent.rating.program import TariffProgram
from millicent.rating.types import USAGE_COLUMNS

_EMPTY: Mapping[str, object] = {"String": "", "Int64": 0, "UInt64": 0, "Boolean": True}
_ABSENT: Mapping[str, object] = {"subscription_id": -1, "billing_account_id": -1, "direction": "originating"}
_REQUIRED = ("occurred_at_ms", "service")


def complete_usage(usage: pl.DataFrame) -> pl.DataFrame:
    """Every column of USAGE_COLUMNS with its type; what is missing or null gets its empty value."""
    for name in _REQUIRED:
        if name not in usage.columns:
            raise BadInput(f"usage has no column {name!r}", where="usage", cure="See USAGE_COLUMNS for the names.")
    columns = []
    for name, type_name in USAGE_COLUMNS.items():
        empty = _ABSENT.get(name, _EMPTY[type_name])
        dtype = getattr(pl, type_name)
        if name in usage.columns:
            columns.append(pl.col(name).cast(dtype).fill_null(pl.lit(empty, dtype)))
        else:
            columns.append(pl.lit(empty, dtype).alias(name))
    return usage.select(columns)


def quantities(usage: pl.DataFrame, specifications: Mapping[str, ServiceSpecification]) -> tuple[Int64s, Bools, Bools]:
    """Units of each usage, whether it is measured in time, and whether its service is known."""
    units = np.zeros(len(usage), np.int64)
    timed = np.zeros(len(usage), np.bool_)
    known = np.zeros(len(usage), np.bool_)
    for code in usage["service"].unique().to_list():
        if code not in specifications:
            continue
        rows = (usage["service"] == code).to_numpy()
        specification = specifications[code]
        known |= rows
        timed |= rows & (specification.measure is Measure.DURATION)
        units[rows] = _measured(usage.filter(pl.Series(rows)), specification)
    return units, timed, known


def _measured(usage: pl.DataFrame, specification: ServiceSpecification) -> Int64s:
    match specification.measure:
        case Measure.DURATION:
            return whole_seconds(usage["duration_ms"].to_numpy(), specification.subunit_rounding)
        case Measure.TOTAL_VOLUME:
            return (usage["uplink_bytes"] + usage["downlink_bytes"]).to_numpy()
        case Measure.UPLINK_VOLUME:
            return usage["uplink_bytes"].to_numpy()
        case Measure.DOWNLINK_VOLUME:
            return usage["downlink_bytes"].to_numpy()
        case Measure.EVENTS:
            return usage["events"].to_numpy()


def whole_seconds(duration_ms: Int64s, mode: RoundingMode) -> Int64s:
    """Milliseconds to seconds. A negative duration stays negative: it is refused later, never rounded away."""
    seconds = duration_ms // 1000
    rest = duration_ms - seconds * 1000
    match mode:
        case RoundingMode.UP:
            up = rest > 0
        case RoundingMode.DOWN:
            up = np.zeros(len(rest), np.bool_)
        case RoundingMode.HALF_UP:
            up = rest >= 500
        case RoundingMode.HALF_EVEN:
            up = (rest > 500) | ((rest == 500) & (seconds % 2 == 1))
    return np.where(duration_ms < 0, np.minimum(seconds, -1), seconds + up)


def class_numbers(usage: pl.DataFrame, segment: pl.Series, program: TariffProgram) -> Int32s:
    """The class of each usage; new combinations become new classes of the program."""
    names = program.selector.attribute_names
    selectors = usage.select(
        "service",
        "direction",
        "call_type",
        pl.Series("origin_place", _origin_places(usage, program)),
        "visited_network",
        segment.alias("segment"),
        *(_attribute(name).alias(f"attribute:{name}") for name in names),
    )
    seen = selectors.unique()
    numbers = [program.selector.class_number(UsageClass._make((*row[:6], tuple(row[6:])))) for row in seen.iter_rows()]
    if len(numbers) == 1:
        return np.full(len(usage), numbers[0], np.int32)
    numbered = seen.with_columns(pl.Series("number", numbers, pl.Int32))
    return selectors.join(numbered, on=selectors.columns, how="left", maintain_order="left")["number"].to_numpy()


def _attribute(name: str) -> pl.Expr:
    """The value of a declared attribute as text, "" where the usage does not carry it."""
    document = pl.when(pl.col("attributes") == "").then(pl.lit("{}")).otherwise(pl.col("attributes"))
    return document.str.json_path_match(f"$['{name}']").fill_null("")


def _origin_places(usage: pl.DataFrame, program: TariffProgram) -> Int32s:
    """Where the calling number lies: the origin number, else the other party of a terminating usage, else the user."""
    if not program.asks_origin:
        return np.zeros(len(usage), np.int32)
    calling = usage.select(
        pl.when(pl.col("origin_number") != "")
        .then(pl.col("origin_number"))
        .when(pl.col("direction") == "terminating")
        .then(pl.col("other_party"))
        .when(pl.col("identifier_kind") == "msisdn")
        .then(pl.col("identifier"))
        .otherwise(pl.lit(""))
        .alias("calling")
    )["calling"]
    key, digits = number_keys(calling)
    node = np.empty(len(usage), np.int32)
    find_nodes(program.prefixes, 0, key, digits, node)
    return np.where(node >= 0, program.prefixes.node[node, NODE_PLACE], 0).astype(np.int32)
