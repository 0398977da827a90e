"""The price of a slice of a usage that is still going on: f(offset + quantity) - f(offset).

f is the whole price, with rounding, minimum, maximum and connect fee in it. So whatever the slices, they add up to
exactly what the usage costs in one piece.
"""

import numpy as np
import polars as pl

from millicent.catalog.types import Measure
from millicent.kit.errors import BadInput
from millicent.rating.program import TariffProgram
from millicent.rating.services.price_usage import Priced, Programs, price_usage
from millicent.rating.services.usage_columns import complete_usage, quantities
from millicent.rating.types import DRAW_COLUMNS

_DIFFERENCES = ("amount_nanos", "charged_units", "bucket_units")
_DRAW_KEY = ("event_key_high", "event_key_low", "leg", "bucket_id")


def price_interim(
    *,
    programs: Programs,
    usage: pl.DataFrame,
    offset_units: int,
    holdings: pl.DataFrame,
    grants: pl.DataFrame | None = None,
    counters: pl.DataFrame | None = None,
) -> Priced:
    """Price the slice of one usage that begins after `offset_units`; `usage` is one row whose quantity is the slice's.

    `occurred_at_ms` is when the usage began, and grants and counters are as they stood then. Those returned are as they
    stand after the slice. `unserved_units` are those of the usage so far. Raises BadInput for anything but one row.
    """
    if len(usage) != 1 or offset_units < 0:
        raise BadInput("an interim is one usage and an offset of 0 or more", where="usage", cure="Price it alone.")
    complete = complete_usage(usage)
    program = _in_force(programs, int(complete["occurred_at_ms"][0]))
    units = int(quantities(complete, program.specifications)[0][0])
    until = _with_units(complete, program, units=offset_units + units)
    before = _with_units(complete, program, units=offset_units).with_columns(
        # what was used before the slice has no attempt fee of its own
        pl.lit(True).alias("answered")
    )
    later = price_usage(programs=programs, usage=until, holdings=holdings, grants=grants, counters=counters)
    if offset_units == 0:
        return later
    earlier = price_usage(programs=programs, usage=before, holdings=holdings, grants=grants, counters=counters)
    return Priced(
        rated=_rated_difference(later.rated, earlier.rated),
        grants=later.grants,
        counters=later.counters,
        draws=_draw_difference(later.draws, earlier.draws),
    )


def _in_force(programs: Programs, instant_ms: int) -> TariffProgram:
    begun = [release for release in programs if release[0] <= instant_ms] or list(programs)
    return max(begun, key=lambda release: release[0])[2]


def _with_units(usage: pl.DataFrame, program: TariffProgram, *, units: int) -> pl.DataFrame:
    """The same usage with another quantity, written in the column that its specification measures."""
    specification = program.specifications.get(str(usage["service"][0]))
    measure = specification.measure if specification is not None else Measure.EVENTS
    columns = {
        Measure.DURATION: {"duration_ms": units * 1000},
        Measure.TOTAL_VOLUME: {"uplink_bytes": 0, "downlink_bytes": units},
        Measure.UPLINK_VOLUME: {"uplink_bytes": units},
        Measure.DOWNLINK_VOLUME: {"downlink_bytes": units},
        Measure.EVENTS: {"events": units},
    }[measure]
    return usage.with_columns(pl.lit(value, pl.Int64).alias(name) for name, value in columns.items())


def _rated_difference(later: pl.DataFrame, earlier: pl.DataFrame) -> pl.DataFrame:
    """Leg by leg. A leg that cannot be priced up to here costs nothing, whatever was priced before."""
    priced = (later["reason"] == 0).to_numpy() & (earlier["reason"] == 0).to_numpy()
    return later.with_columns(
        pl.Series(name, np.where(priced, later[name].to_numpy() - earlier[name].to_numpy(), 0), pl.Int64)
        for name in _DIFFERENCES
    ).with_columns(pl.col("margin_nanos") - pl.Series(earlier["margin_nanos"]))


def _draw_difference(later: pl.DataFrame, earlier: pl.DataFrame) -> pl.DataFrame:
    counted = ("units", "taken", "amount_nanos")
    negative = earlier.with_columns(-pl.col(name) for name in counted)
    return (
        pl.concat([later, negative])
        .group_by(_DRAW_KEY, maintain_order=True)
        .agg(pl.col(name).sum() for name in counted)
        .filter(pl.any_horizontal(pl.col(name) != 0 for name in counted))
        .select(list(DRAW_COLUMNS))
    )
