"""Price usage: what each leg costs, which buckets it drew on, where the counters stand afterwards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from millicent.kit.kernels import Int64s
from millicent.rating.kernel.arrays import LARGEST
from millicent.rating.program import TariffProgram
from millicent.rating.services.charge_rows import Call, charges_of, order_of, prepare
from millicent.rating.services.open_state import Counters, open_counters, order_candidates, state_arrays
from millicent.rating.services.rated_frame import draw_frame, finish, rated_frame
from millicent.rating.services.run_kernel import empty_answers, no_state, run_kernel
from millicent.rating.types import COUNTER_COLUMNS, DRAW_COLUMNS, GRANT_COLUMNS, HOLDING_COLUMNS

# (effective from, release number, program), in any order. The release in force when a usage began prices it.
Programs = Sequence[tuple[int, int, TariffProgram]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """What came of it. `grants` and `counters` are where they stand afterwards; `draws` says what took it there."""

    rated: pl.DataFrame  # RATED_COLUMNS, in the order of the usage, legs of one usage side by side
    grants: pl.DataFrame  # GRANT_COLUMNS, in the order given
    counters: pl.DataFrame  # COUNTER_COLUMNS
    draws: pl.DataFrame  # DRAW_COLUMNS


def empty_frame(columns: Mapping[str, str]) -> pl.DataFrame:
    return pl.DataFrame(schema={name: getattr(pl, type_name) for name, type_name in columns.items()})


def price_usage(
    *,
    programs: Programs,
    usage: pl.DataFrame,
    holdings: pl.DataFrame,
    grants: pl.DataFrame | None = None,
    counters: pl.DataFrame | None = None,
) -> Priced:
    """Price every usage for every leg, in the order it happened.

    Buckets and counters move in the order of (occurred_at_ms, event key). A usage that cannot be priced has a Reason in
    its row, an amount of zero, and moves nothing. The frames given are not changed.
    """
    call = prepare(programs=programs, usage=usage, holdings=_typed(holdings, HOLDING_COLUMNS))
    before = _typed(grants, GRANT_COLUMNS)
    counted = _typed(counters, COUNTER_COLUMNS)
    opened = open_counters(
        counters=counted, owners=call.owners, programs=_programs(programs), parties=call.legs.parties[1:]
    )
    remaining = before["remaining"].to_numpy().copy()
    rated, draws = _price(call, programs=programs, grants=before, remaining=remaining, counters=opened)
    return Priced(
        rated=rated,
        grants=before.with_columns(pl.Series("remaining", remaining, pl.Int64)),
        counters=opened.frame(keeping=counted),
        draws=draws,
    )


def price_stateless(*, programs: Programs, usage: pl.DataFrame, holdings: pl.DataFrame) -> pl.DataFrame:
    """List prices: no allowance serves, every accumulated tier begins at nothing. RATED_COLUMNS."""
    call = prepare(programs=programs, usage=usage, holdings=_typed(holdings, HOLDING_COLUMNS))
    return _price(call, programs=programs, grants=None, remaining=None, counters=None)[0]


def _typed(frame: pl.DataFrame | None, columns: Mapping[str, str]) -> pl.DataFrame:
    """The columns asked for, with their types; an empty frame for none."""
    if frame is None:
        return empty_frame(columns)
    return frame.select(pl.col(name).cast(getattr(pl, type_name)) for name, type_name in columns.items())


def _programs(programs: Programs) -> list[TariffProgram]:
    return [program for _, _, program in sorted(programs, key=lambda release: release[0])]


def _price(
    call: Call,
    *,
    programs: Programs,
    grants: pl.DataFrame | None,
    remaining: Int64s | None,
    counters: Counters | None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Run each release over the usage that began under it, oldest first: the state passes from one to the next."""
    stateful = grants is not None and remaining is not None and counters is not None
    rated, draws = [], []
    if stateful:
        assert grants is not None
        first, bucket = order_candidates(grants=grants, owners=call.owners, programs=_programs(programs))
        taken = np.zeros(len(bucket), np.int64)
        shared = any(scope != "subscription" for scope in grants["scope"].unique().to_list())
    releases = sorted(programs, key=lambda release: release[0])
    ends = [start for start, _, _ in releases[1:]] + [LARGEST]
    for (start, number, program), end in zip(releases, ends, strict=True):
        rows = call.rows_between(start, end)
        if not len(rows):
            continue
        charges = charges_of(call, rows=rows, program=program, stateful=stateful)
        answers = empty_answers(len(rows), draws=2 * len(rows) if stateful and len(bucket) else 0)
        answers.reason[:] = charges.reason
        if stateful:
            assert grants is not None and remaining is not None and counters is not None
            state = state_arrays(
                grants=grants,
                remaining=remaining,
                candidate_first=first,
                candidate_bucket=bucket,
                candidate_taken=taken,
                counters=counters,
                program=program,
            )
            order = order_of(call, rows=rows, program=program, shared=shared)
        else:
            state, order = no_state(), np.arange(len(rows))
        answers = run_kernel(program=program, charges=charges.arrays, state=state, answers=answers, order=order)
        rated.append(rated_frame(call, rows=rows, program=program, charges=charges, answers=answers, release=number))
        if stateful:
            assert grants is not None
            draws.append(draw_frame(call, rows=rows, answers=answers, grants=grants))
    return finish(call, rated), pl.concat(draws) if draws else empty_frame(DRAW_COLUMNS)
