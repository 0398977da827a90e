"""Price one usage again, with everything that happened before it, and write down each step."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from millicent.kit.errors import Refusal
from millicent.kit.kernels import Bools, Int64s
from millicent.rating.kernel.arrays import Answers
from millicent.rating.kernel.trace import TRACE_COLUMNS
from millicent.rating.services.charge_rows import Call, prepare
from millicent.rating.services.open_state import open_counters
from millicent.rating.services.price_usage import Programs, prepare_holdings, typed_frame
from millicent.rating.services.run_kernel import empty_answers, run_kernel
from millicent.rating.services.stages import Stage, stages
from millicent.rating.types import COUNTER_COLUMNS, GRANT_COLUMNS

MOST_STEPS = 4_096  # a usage of more steps keeps its first


class UsageNotFound(Refusal):
    """None of the usage given has this event key."""

    code = "usage_not_found"


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedCharge:
    """One leg of the usage: its answer and the steps the kernel wrote on the way."""

    stage: Stage
    row: int  # in the stage
    charge: int  # in the call
    call: Call
    answers: Answers
    steps: Int64s  # [steps, TRACE_COLUMNS]
    bucket_names: Sequence[str]  # "offering/allowance" of each bucket


def trace_usage(
    *,
    programs: Programs,
    usage: pl.DataFrame,
    holdings: pl.DataFrame,
    event_key: tuple[int, int],
    grants: pl.DataFrame | None = None,
    counters: pl.DataFrame | None = None,
) -> list[TracedCharge]:
    """Every leg of the usage with this key, priced after all that came before it. Raises UsageNotFound."""
    call = prepare(programs=programs, usage=usage, holdings=prepare_holdings(holdings))
    keys = call.usage.select("event_key_high", "event_key_low")
    wanted = np.flatnonzero(
        ((keys["event_key_high"] == event_key[0]) & (keys["event_key_low"] == event_key[1])).to_numpy()
    )
    if not len(wanted):
        raise UsageNotFound(f"no usage has the event key {event_key[0]:x}:{event_key[1]:x}", event_key=event_key)
    before = typed_frame(grants, GRANT_COLUMNS)
    opened = open_counters(
        counters=typed_frame(counters, COUNTER_COLUMNS),
        owners=call.owners,
        programs=[program for _, _, program in programs],
        parties=call.legs.parties[1:],
    )
    remaining = before["remaining"].to_numpy().copy()
    traced: list[TracedCharge] = []
    for stage in stages(call, programs=programs, grants=before, remaining=remaining, counters=opened):
        traced.extend(_trace_stage(call, stage, wanted=wanted, bucket_names=before["allowance"].to_list()))
        if traced:
            break
    return sorted(traced, key=lambda each: each.charge)


def _trace_stage(call: Call, stage: Stage, *, wanted: Int64s, bucket_names: Sequence[str]) -> list[TracedCharge]:
    """Run a stage up to the usage without a trace, then its legs with one."""
    answers = empty_answers(len(stage.rows), draws=0)
    answers.reason[:] = stage.charges.reason
    chosen = np.isin(call.legs.usage[stage.rows[stage.order]], wanted)
    last = int(np.flatnonzero(chosen)[-1]) + 1 if chosen.any() else len(stage.order)
    traced = []
    for place, is_wanted in _runs(chosen[:last]):
        steps = np.zeros((MOST_STEPS, TRACE_COLUMNS), np.int64) if is_wanted else None
        answers = run_kernel(
            program=stage.program,
            charges=stage.charges.arrays,
            state=stage.state,
            answers=answers,
            order=stage.order[place],
            trace=steps,
        )
        if steps is not None:
            row = int(stage.order[place][0])
            count = min(int(steps[0, 0]), MOST_STEPS - 1)
            traced.append(
                TracedCharge(
                    stage=stage,
                    row=row,
                    charge=int(stage.rows[row]),
                    call=call,
                    answers=answers,
                    steps=steps[1 : count + 1],
                    bucket_names=bucket_names,
                )
            )
    return traced


def _runs(chosen: Bools) -> list[tuple[slice, bool]]:
    """Places one by one where chosen, all those between them together."""
    runs: list[tuple[slice, bool]] = []
    begun = 0
    for place in np.flatnonzero(chosen).tolist():
        if place > begun:
            runs.append((slice(begun, place), False))
        runs.append((slice(place, place + 1), True))
        begun = place + 1
    if begun < len(chosen):
        runs.append((slice(begun, len(chosen)), False))
    return runs
