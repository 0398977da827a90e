"""Release bills: compute in as many processes as there are cores, issue in one order."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from uuid import UUID

from django.db import OperationalError, connection, transaction
from psycopg.errors import LockNotAvailable

from millicent.billing import selectors
from millicent.billing.errors import AnotherRunIsOpen, RunIsBusy
from millicent.billing.models import BillRun, BillRunBatch
from millicent.billing.ports import BillingFacts
from millicent.billing.rules.bill import MOST_LINES
from millicent.billing.runs import BatchOrder, PreparedBatch, RunReport, RunState
from millicent.billing.services.commit_batch import Step, commit_batch, no_step
from millicent.billing.services.compute_batch import compute_batch
from millicent.billing.services.plan_bill_run import BATCH_SIZE, due_payers, plan_bill_run
from millicent.billing.services.prepare_batch import prepare_batch
from millicent.billing.services.price_retail import Pricing, pricing_of
from millicent.billing.worker import begin_worker, collector_at_rest
from millicent.kit.clock import to_ms
from millicent.kit.compute import run_partitions
from millicent.kit.tenancy import tenant_scope

Advance = Callable[[int], object]


def release_bill_run(
    *,
    tenant_id: UUID,
    facts: BillingFacts,
    through: datetime,
    now: datetime,
    workers: int = 1,
    batch_size: int = BATCH_SIZE,
    most_lines: int = MOST_LINES,
    advance: Advance = lambda count: None,
    at_step: Step = no_step,
) -> RunReport | None:
    """Issue the bill of every payer whose cycle has ended by `through`; None when nobody is due.

    A run that was stopped goes on where it was, with the facts and the date it began with, and ends in the same bytes.
    Opens its own transactions, one for each batch; only one process may release at a time (`RunIsBusy`).
    """
    through_ms, now_ms = to_ms(through), to_ms(now)
    with _only_one(tenant_id):
        run = _open_run(tenant_id=tenant_id, facts=facts, through_ms=through_ms, now_ms=now_ms, batch_size=batch_size)
        if run is None:
            return None
        at_step("planned")
        orders = _orders_left(tenant_id, run=run)
        advance(run.payer_count - sum(len(order.due) for order in orders))
        for prepared in _prepared(orders, run=run, facts=facts, workers=workers, most_lines=most_lines):
            at_step("computed")
            with collector_at_rest():
                commit_batch(prepared, run_id=run.id, at_step=at_step)
            advance(len(prepared.order.due))
        with tenant_scope(tenant_id):
            report = selectors.run_report(run.id)
            return replace(report, still_due=len(due_payers(facts, through_ms=through_ms, known_until_ms=now_ms)))


_UNTIL_A_DEAD_PROCESS_IS_NOTICED = "2s"  # PostgreSQL sees that a client is gone when it next reads from it


@contextmanager
def _only_one(tenant_id: UUID) -> Iterator[None]:
    """A lock of the session, not of a transaction: it goes when the process goes, whatever kills it."""
    key = tenant_id.int % 2**63
    assert transaction.get_connection().in_atomic_block is False, "a release opens its own transactions"
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", [_UNTIL_A_DEAD_PROCESS_IS_NOTICED])
        try:
            cursor.execute("SELECT pg_advisory_lock(%s)", [key])
        except OperationalError as fault:
            if not isinstance(fault.__cause__, LockNotAvailable):
                raise
            raise RunIsBusy("another process is releasing bills of this tenant; wait for it to end") from None
        finally:
            cursor.execute("RESET lock_timeout")
    try:
        yield
    finally:
        if connection.connection is not None and not connection.connection.closed:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [key])


def _open_run(*, tenant_id: UUID, facts: BillingFacts, through_ms: int, now_ms: int, batch_size: int) -> BillRun | None:
    with tenant_scope(tenant_id):
        run = BillRun.objects.exclude(state=RunState.RELEASED).first()
        if run is None:
            return plan_bill_run(
                tenant_id=tenant_id, facts=facts, through_ms=through_ms, now_ms=now_ms, batch_size=batch_size
            )
    if run.through_ms != through_ms:
        raise AnotherRunIsOpen(
            f"run {run.number} was begun and not finished; release it first", run=run.number, through_ms=run.through_ms
        )
    return run


def _orders_left(tenant_id: UUID, *, run: BillRun) -> list[BatchOrder]:
    with tenant_scope(tenant_id):
        done = BillRunBatch.objects.filter(run_id=run.id).count()
        return [
            BatchOrder(
                tenant_id=tenant_id,
                run_number=run.number,
                batch=batch,
                due=due,
                known_until_ms=run.known_until_ms,
                issued_at_ms=run.issued_at_ms,
            )
            for batch, due in enumerate(selectors.planned_batches(run.id))
            if batch >= done
        ]


# ---------------------------------------------------------------- computing


def _prepared(
    orders: list[BatchOrder], *, run: BillRun, facts: BillingFacts, workers: int, most_lines: int
) -> Iterator[PreparedBatch]:
    """Prepared batches in order. Workers run ahead by a few batches, so memory does not grow with the run.

    Raises `kit.compute.WorkerLost` when a worker process is killed: what was issued stays, the next call goes on.
    """
    compute = partial(_compute, run_id=run.id, facts=facts, most_lines=most_lines)
    if workers <= 1 or len(orders) <= 1:
        yield from map(compute, orders)
    else:
        yield from run_partitions(compute, orders, workers=workers, prepare=begin_worker)


_PRICINGS: dict[tuple[UUID, int], Pricing] = {}


def _compute(order: BatchOrder, *, run_id: UUID, facts: BillingFacts, most_lines: int) -> PreparedBatch:
    """One batch, in whichever process: reads in one transaction, writes nothing."""
    with tenant_scope(order.tenant_id), collector_at_rest():
        return _computed_rows(order, run_id=run_id, facts=facts, most_lines=most_lines)


def _computed_rows(order: BatchOrder, *, run_id: UUID, facts: BillingFacts, most_lines: int) -> PreparedBatch:
    if (run_id, order.known_until_ms) not in _PRICINGS:
        _PRICINGS.clear()
        _PRICINGS[run_id, order.known_until_ms] = pricing_of(facts, known_until_ms=order.known_until_ms)
    pricing = _PRICINGS[run_id, order.known_until_ms]
    computed = compute_batch(order, facts=facts, pricing=pricing, most_lines=most_lines)
    return prepare_batch(computed, releases=pricing.releases, run_id=run_id)
