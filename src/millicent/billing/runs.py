"""The life of a bill run, and what its services hand to each other."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum, unique
from uuid import UUID

import polars as pl

from millicent.billing.rules.allowances import Bucket
from millicent.billing.rules.computed import ComputedBill
from millicent.billing.rules.cycles import CycleSpan
from millicent.kit.bulk import WrittenRows
from millicent.ledger.types import Posting


@unique
class RunState(StrEnum):
    PLANNED = "planned"  # who is billed is fixed; nothing is issued
    RELEASING = "releasing"  # some batches are issued
    RELEASED = "released"


TRANSITIONS: Mapping[RunState, frozenset[RunState]] = {
    RunState.PLANNED: frozenset({RunState.RELEASING, RunState.RELEASED}),
    RunState.RELEASING: frozenset({RunState.RELEASING, RunState.RELEASED}),
    RunState.RELEASED: frozenset(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DuePayer:
    """One payer and the cycle that is billed."""

    payer_id: int
    cycle: CycleSpan


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOrder:
    """What a worker is told: who, as known when, issued when."""

    tenant_id: UUID
    run_number: int
    batch: int
    due: tuple[DuePayer, ...]
    known_until_ms: int
    issued_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """A payer that could not be billed."""

    payer_id: int
    payer_code: str
    reason: str
    detail: str
    usage_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpriced:
    """Usage of one subscription and service without a price. `reason` is `rating.types.Reason`
    or `billing.types.OffBill`."""

    payer_id: int
    cycle_from_ms: int
    subscription_id: int
    service: str
    reason: int
    event_count: int
    first_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedCycle:
    """A computed cycle's buckets: as it opened and as it closed, place by place."""

    cycle: CycleSpan
    opened: tuple[Bucket, ...]
    closed: tuple[Bucket, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PayerResult:
    """One payer's bills and what else the computation found. usage_in = usage_billed + usage_unpriced."""

    payer_id: int
    payer_code: str
    cycle: CycleSpan
    bills: tuple[ComputedBill, ...]
    closed: tuple[ClosedCycle, ...]
    unpriced: tuple[Unpriced, ...]
    usage_in: int
    usage_billed: int
    usage_unpriced: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputedBatch:
    order: BatchOrder
    results: tuple[PayerResult, ...]
    parked: tuple[Parked, ...]
    release_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BillToIssue:
    """What the committer needs of one bill: the legal number is given only there."""

    postings: tuple[Posting, ...]
    payer_code: str
    currency: str
    cycle_until_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedBatch:
    """A computed batch as rows, written where it was computed: only the bills' own rows wait for their numbers.

    `bills` has one row and `to_issue` one value for each bill, in the same order.
    """

    order: BatchOrder
    series: str
    bills: pl.DataFrame
    to_issue: tuple[BillToIssue, ...]
    rows: Mapping[str, WrittenRows]  # by table
    parked: tuple[Parked, ...]
    totals: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """Where a run stands. usage_in = usage_billed + usage_unpriced + usage_parked."""

    run_id: UUID
    number: int
    state: RunState
    through_ms: int
    payers: int
    batches: int
    batches_done: int
    bills: int
    lines: int
    parked: int
    usage_in: int
    usage_billed: int
    usage_unpriced: int
    usage_parked: int
    totals: Mapping[str, int] = field(default_factory=dict)  # currency -> total_nanos
    unpriced_by_reason: Mapping[str, int] = field(default_factory=dict)
    parked_accounts: tuple[Parked, ...] = ()
    still_due: int = 0  # payers with another finished cycle: run again
