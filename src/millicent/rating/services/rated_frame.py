"""Answers of the kernel as frames that people and other stages can read."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from millicent.kit.kernels import Int32s, Int64s
from millicent.rating.kernel.arrays import (
    CASE_RULE,
    CASE_ZONE,
    DRAW_BUCKET,
    DRAW_CHARGE,
    DRAW_NANOS,
    DRAW_TAKEN,
    DRAW_UNITS,
    NOTHING,
    Answers,
)
from millicent.rating.program import TariffProgram
from millicent.rating.services.charge_rows import Call
from millicent.rating.services.legs import margins
from millicent.rating.services.stages import Stage
from millicent.rating.types import DRAW_COLUMNS, RATED_COLUMNS, Reason


def named(names: Sequence[str], numbers: Int32s | Int64s) -> pl.Series:
    """The name of each number; NOTHING is ""."""
    return pl.Series([*names, ""], dtype=pl.String).gather(np.where(numbers == NOTHING, len(names), numbers))


def rated_frame(stage: Stage, answers: Answers) -> pl.DataFrame:
    """The charges of one release, with `row` to put them in order."""
    program, charges, rows = stage.program, stage.charges, stage.rows
    case = program.selector.arrays().case
    in_force = answers.case >= 0
    place = np.maximum(answers.case, 0)
    rule = np.where(in_force, case[place, CASE_RULE], NOTHING) if len(case) else answers.case
    zone = _zones(program, answers, rule=rule)
    return pl.DataFrame(
        {
            "row": rows,
            "tariff": named(program.tariff_codes, charges.tariff),
            "rule": named(program.rule_names, rule),
            "zone": named(program.zone_names, zone),
            "currency": named(program.currencies, charges.tariff),
            "amount_nanos": answers.amount_nanos,
            "charged_units": answers.charged_units,
            "bucket_units": answers.bucket_units,
            "unserved_units": answers.unserved_units,
            "throttled": answers.throttled.astype(np.bool_),
            "reason": answers.reason.astype(np.int16),
            "catalog_release": np.full(len(rows), stage.release, np.int32),
        }
    )


def _zones(program: TariffProgram, answers: Answers, *, rule: Int32s) -> Int32s:
    """The zone of each charge: the deck's own, or the one by which the rule was found at its prefix."""
    case = program.selector.arrays().case
    if not len(case):
        return answers.case
    zone = np.where(answers.case >= 0, case[np.maximum(answers.case, 0), CASE_ZONE], NOTHING)
    asked = np.flatnonzero(answers.zone_set >= 0)
    sets = np.int64(len(program.selector.zones.zone_sets) or 1)
    pair = rule[asked] * sets + answers.zone_set[asked]
    found = np.full(len(program.rule_names) * int(sets), NOTHING, np.int32)
    seen = np.zeros(len(found), np.bool_)
    seen[pair] = True
    for each in np.flatnonzero(seen).tolist():
        found[each] = program.zone_of(rule=each // int(sets), zone_set=each % int(sets))
    zone[asked] = found[pair]
    return zone


def finish(call: Call, pieces: list[pl.DataFrame]) -> pl.DataFrame:
    """All charges in the order of the usage, in RATED_COLUMNS. What no release was in force for says so."""
    legs = call.legs
    facts = call.usage.select(
        "event_key_high", "event_key_low", "occurred_at_ms", "subscription_id", "billing_account_id", "service"
    )
    several = len(legs.parties) > 1
    rows = (facts[legs.usage] if several else facts).with_columns(
        pl.Series("leg", legs.leg, pl.Int8),
        named(legs.parties, legs.party).alias("leg_party"),
    )
    answered = pl.concat(pieces) if pieces else None
    if answered is None or len(answered) != len(rows):
        rows = _with_unreleased(rows, answered)
    else:
        answered = answered if len(pieces) == 1 else answered.sort("row")
        rows = pl.concat([rows, answered.drop("row")], how="horizontal")
    margin = margins(rows.with_columns(pl.Series("usage", legs.usage))) if several else pl.lit(None, pl.Int64)
    return rows.with_columns(margin.alias("margin_nanos")).select(
        pl.col(name).cast(getattr(pl, type_name)) for name, type_name in RATED_COLUMNS.items()
    )


def _with_unreleased(rows: pl.DataFrame, answered: pl.DataFrame | None) -> pl.DataFrame:
    missing = {
        "tariff": "",
        "rule": "",
        "zone": "",
        "currency": "",
        "amount_nanos": 0,
        "charged_units": 0,
        "bucket_units": 0,
        "unserved_units": 0,
        "throttled": False,
        "reason": int(Reason.NO_RELEASE),
        "catalog_release": -1,
    }
    if answered is None:
        return rows.with_columns(pl.lit(value).alias(name) for name, value in missing.items())
    numbered = rows.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("row"))
    joined = numbered.join(answered, on="row", how="left", maintain_order="left").drop("row")
    return joined.with_columns(pl.col(name).fill_null(value) for name, value in missing.items())


def draw_frame(call: Call, *, rows: Int64s, answers: Answers, grants: pl.DataFrame) -> pl.DataFrame:
    """What was taken from which bucket, in the order it was taken."""
    draws = answers.draw[: int(answers.draw_count[0])]
    charge = rows[draws[:, DRAW_CHARGE]]
    keys = call.usage.select("event_key_high", "event_key_low")[call.legs.usage[charge]]
    return keys.with_columns(
        pl.Series("leg", call.legs.leg[charge], pl.Int8),
        grants["bucket_id"].gather(draws[:, DRAW_BUCKET]),
        pl.Series("units", draws[:, DRAW_UNITS]),
        pl.Series("taken", draws[:, DRAW_TAKEN]),
        pl.Series("amount_nanos", draws[:, DRAW_NANOS]),
    ).select(list(DRAW_COLUMNS))
