"""The array-level door: charges, a program and a state in, answers out. No frame, no name, no allocation per charge."""

from typing import Any, TypeVar

import numpy as np

from millicent.kit.kernels import Int64s
from millicent.rating.kernel.arrays import (
    BLOCK,
    DRAW_COLUMNS,
    NOTHING,
    PENDING_COUNTERS,
    Answers,
    Charges,
    Scratch,
    State,
)
from millicent.rating.kernel.price import price_charges
from millicent.rating.program import TariffProgram


def empty_answers(charges: int, *, draws: int) -> Answers:
    """Answers for so many charges, all of them still without a reason to fail."""
    return Answers(
        amount_nanos=np.zeros(charges, np.int64),
        charged_units=np.zeros(charges, np.int64),
        bucket_units=np.zeros(charges, np.int64),
        unserved_units=np.zeros(charges, np.int64),
        case=np.full(charges, NOTHING, np.int32),
        zone_set=np.full(charges, NOTHING, np.int32),
        throttled=np.zeros(charges, np.uint8),
        reason=np.zeros(charges, np.int8),
        draw=np.empty((draws, DRAW_COLUMNS), np.int64),
        draw_count=np.zeros(1, np.int64),
    )


def scratch_for(program: TariffProgram, state: State) -> Scratch:
    """Working space for the longest list of candidates there is."""
    longest = int(np.diff(state.candidate_first).max(initial=0))
    return Scratch(
        node=np.zeros(BLOCK, np.int32),
        active=np.zeros(longest, np.int64),
        served=np.zeros(longest, np.int64),
        opened=np.zeros(longest, np.int64),
        pending_counter=np.zeros(PENDING_COUNTERS + 1, np.int64),
        pending_units=np.zeros(PENDING_COUNTERS + 1, np.int64),
        calendar_hint=program.calendars.first[:-1].copy(),
    )


def no_state() -> State:
    """Nobody holds a bucket, nobody keeps a counter."""
    nothing = np.zeros(0, np.int64)
    return State(
        remaining=nothing,
        valid_from_ms=nothing,
        valid_until_ms=nothing,
        allowance=np.zeros(0, np.int32),
        candidate_first=np.zeros(1, np.int64),
        candidate_bucket=np.zeros(0, np.int32),
        candidate_taken=nothing,
        counter_first=nothing,
        counter_scope=np.zeros(0, np.int8),
        counter_units=nothing,
    )


Arrays = TypeVar("Arrays", bound=tuple[Any, ...])


def plain(arrays: Arrays) -> Arrays:
    """Arrays that the compiled loop takes as they are: a read-only one would make the compiler build the loop again."""
    return type(arrays)(*(np.require(each, requirements=("C", "W")) for each in arrays))


def run_kernel(
    *,
    program: TariffProgram,
    charges: Charges,
    state: State,
    answers: Answers,
    order: Int64s,
    trace: Int64s | None = None,
) -> Answers:
    """Price the charges of `order` in that order; returns the answers, with room made for more draws when needed."""
    selection = program.selector.arrays()
    charges, state = plain(charges), plain(state)
    scratch = scratch_for(program, state)
    place = 0
    while True:
        if answers.draw.shape[0] - int(answers.draw_count[0]) < len(scratch.active) + 1:
            grown = np.empty((2 * len(answers.draw) + len(scratch.active) + 1024, DRAW_COLUMNS), np.int64)
            grown[: len(answers.draw)] = answers.draw
            answers = answers._replace(draw=grown)
        place = price_charges(
            order,
            place,
            charges,
            program.prefixes,
            program.calendars,
            program.prices,
            selection,
            state,
            scratch,
            answers,
            trace,
        )
        if place == len(order):
            return answers
