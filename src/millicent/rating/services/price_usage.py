"""Price usage: what each leg costs, which buckets it drew on, where the counters stand afterwards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from millicent.kit.kernels import Int64s
from millicent.rating.program import TariffProgram
from millicent.rating.services.charge_rows import Call, PreparedHoldings, arrange_holdings, prepare
from millicent.rating.services.open_state import Counters, open_counters
from millicent.rating.services.rated_frame import draw_frame, finish, rated_frame
from millicent.rating.services.run_kernel import empty_answers, run_kernel
from millicent.rating.services.stages import stages
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
    call = prepare(programs=programs, usage=usage, holdings=prepare_holdings(holdings))
    before = typed_frame(grants, GRANT_COLUMNS)
    counted = typed_frame(counters, COUNTER_COLUMNS)
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


def prepare_holdings(holdings: pl.DataFrame) -> PreparedHoldings:
    """Arrange HOLDING_COLUMNS once, for a caller who prices one chunk of usage after another."""
    return arrange_holdings(typed_frame(holdings, HOLDING_COLUMNS))


def price_stateless(
    *, programs: Programs, usage: pl.DataFrame, holdings: pl.DataFrame | PreparedHoldings
) -> pl.DataFrame:
    """List prices: no allowance serves, every accumulated tier begins at nothing. RATED_COLUMNS."""
    held = prepare_holdings(holdings) if isinstance(holdings, pl.DataFrame) else holdings
    call = prepare(programs=programs, usage=usage, holdings=held)
    return _price(call, programs=programs, grants=None, remaining=None, counters=None)[0]


def typed_frame(frame: pl.DataFrame | None, columns: Mapping[str, str]) -> pl.DataFrame:
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
    rated, draws = [], []
    for stage in stages(call, programs=programs, grants=grants, remaining=remaining, counters=counters):
        answers = empty_answers(len(stage.rows), draws=len(stage.state.candidate_bucket))
        answers.reason[:] = stage.charges.reason
        answers = run_kernel(
            program=stage.program,
            charges=stage.charges.arrays,
            state=stage.state,
            answers=answers,
            order=stage.order,
        )
        rated.append(rated_frame(stage, answers))
        if grants is not None:
            draws.append(draw_frame(call, rows=stage.rows, answers=answers, grants=grants))
    return finish(call, rated), pl.concat(draws) if draws else empty_frame(DRAW_COLUMNS)
