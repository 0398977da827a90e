"""Plan a run: who is due, for which cycle, in which batch. Once planned it never changes."""

from collections.abc import Sequence
from uuid import NAMESPACE_URL, UUID, uuid5

import polars as pl

from millicent.billing import history
from millicent.billing.models import BillRun
from millicent.billing.ports import BillingFacts
from millicent.billing.rules.cycles import CycleSpan, cycle_containing, cycle_from
from millicent.billing.runs import DuePayer, RunState
from millicent.customers.types import BillingAccountFacts
from millicent.kit.bulk import insert_frame
from millicent.mediation.facts import ACCOUNT_BUCKETS

BATCH_SIZE = 1_000  # a batch has its price: dozens of small queries and frames, and a read of its part of the lake


def due_payers(facts: BillingFacts, *, through_ms: int, known_until_ms: int) -> list[DuePayer]:
    """Every payer's oldest cycle that has ended by `through_ms` and was not billed.

    In the order of the lake, by account bucket and then by id: a batch then reads a sixteenth of the usage.
    """
    payers = facts.payers(at_ms=through_ms - 1, known_until_ms=known_until_ms)
    payer_ids = [payer.billing_account_id for payer in payers]
    billed = history.billed_until(payer_ids)
    others = facts.paid_by_others(payer_ids, at_ms=through_ms - 1, known_until_ms=known_until_ms)
    due = []
    for payer in sorted(payers, key=_lake_order):
        paid_until_ms = max((each.until_ms for each in others.get(payer.billing_account_id, ())), default=None)
        cycle = next_cycle(
            payer, billed_until_ms=billed.get(payer.billing_account_id), paid_by_another_until_ms=paid_until_ms
        )
        if cycle.until_ms <= through_ms:
            due.append(DuePayer(payer_id=payer.billing_account_id, cycle=cycle))
    return due


def _lake_order(payer: BillingAccountFacts) -> tuple[int, int]:
    return payer.billing_account_id % ACCOUNT_BUCKETS, payer.billing_account_id


def next_cycle(
    payer: BillingAccountFacts, *, billed_until_ms: int | None, paid_by_another_until_ms: int | None = None
) -> CycleSpan:
    """The cycle that is billed next: it goes on where the last one ended, or is the one the account opened in.

    An account that another has paid for begins with the cycle from which on it pays for itself: who pays when a cycle
    ends pays that whole cycle.
    """
    since_ms = payer.opened_at_ms if paid_by_another_until_ms is None else paid_by_another_until_ms
    first = cycle_containing(cycle=payer.cycle, zone=payer.zone, instant_ms=since_ms)
    if billed_until_ms is None or (paid_by_another_until_ms is not None and billed_until_ms < first.from_ms):
        return first
    return cycle_from(cycle=payer.cycle, zone=payer.zone, start_ms=billed_until_ms)


def batches_of(due: Sequence[DuePayer], *, batch_size: int) -> list[tuple[DuePayer, ...]]:
    return [tuple(due[start : start + batch_size]) for start in range(0, len(due), batch_size)]


def plan_bill_run(
    *, tenant_id: UUID, facts: BillingFacts, through_ms: int, now_ms: int, batch_size: int = BATCH_SIZE
) -> BillRun | None:
    """Write down a new run, or None when nobody is due. Runs in the caller's transaction."""
    due = due_payers(facts, through_ms=through_ms, known_until_ms=now_ms)
    if not due:
        return None
    number = (BillRun.objects.order_by("-number").values_list("number", flat=True).first() or 0) + 1
    batches = batches_of(due, batch_size=batch_size)
    run = BillRun.objects.create(
        id=uuid5(NAMESPACE_URL, f"millicent:{tenant_id}:run:{number}"),
        number=number,
        through_ms=through_ms,
        known_until_ms=now_ms,
        issued_at_ms=now_ms,
        state=RunState.PLANNED,
        payer_count=len(due),
        batch_count=len(batches),
    )
    rows = [
        (str(run.id), place, place // batch_size, each.payer_id, each.cycle.from_ms, each.cycle.until_ms)
        for place, each in enumerate(due)
    ]
    names = ("run_id", "place", "batch", "payer_id", "cycle_from_ms", "cycle_until_ms")
    frame = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.Int64) | {"run_id": pl.String}, orient="row")
    insert_frame(frame, table="billing_run_payer")
    return run
