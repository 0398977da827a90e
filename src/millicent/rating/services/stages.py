"""Pricing goes release by release: each stage is the usage that began under one, and the state it meets."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from millicent.kit.kernels import Int64s
from millicent.rating.kernel.arrays import LARGEST, State
from millicent.rating.program import TariffProgram
from millicent.rating.services.charge_rows import Call, ProgramCharges, charges_of, order_of
from millicent.rating.services.open_state import SCOPES, Counters, order_candidates, state_arrays
from millicent.rating.services.run_kernel import no_state


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Charges of one release. `order` is the order in which they draw; the state is shared with the other stages."""

    release: int
    program: TariffProgram
    rows: Int64s  # which charges of the call
    charges: ProgramCharges
    state: State
    order: Int64s


def stages(
    call: Call,
    *,
    programs: Sequence[tuple[int, int, TariffProgram]],
    grants: pl.DataFrame | None,
    remaining: Int64s | None,
    counters: Counters | None,
) -> Iterator[Stage]:
    """The stages in the order of time. Without grants and counters every charge stands alone."""
    releases = sorted(programs, key=lambda release: release[0])
    ends = [start for start, _, _ in releases[1:]] + [LARGEST]
    stateful = grants is not None and remaining is not None and counters is not None
    if stateful:
        assert grants is not None
        first, bucket = order_candidates(
            grants=grants, owners=call.owners, programs=[program for _, _, program in releases]
        )
        taken = np.zeros(len(bucket), np.int64)
        shared = any(scope != SCOPES[0] for scope in grants["scope"].unique().to_list())
    for (start, number, program), end in zip(releases, ends, strict=True):
        rows = call.rows_between(start, end)
        if not len(rows):
            continue
        state, order = no_state(), np.arange(len(rows))
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
        yield Stage(
            release=number,
            program=program,
            rows=rows,
            charges=charges_of(call, rows=rows, program=program, stateful=stateful),
            state=state,
            order=order,
        )
