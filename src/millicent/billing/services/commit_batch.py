"""Issue one prepared batch: legal numbers, bills, lines, taxes and ledger entries in one transaction."""

from collections.abc import Callable
from uuid import UUID

import polars as pl
from django.db import connection

from millicent.billing.models import BillRun, BillRunBatch
from millicent.billing.runs import TRANSITIONS, PreparedBatch, RunState
from millicent.kit.bulk import insert_frame, insert_rows
from millicent.kit.clock import from_ms
from millicent.kit.errors import Defect
from millicent.kit.tenancy import tenant_scope
from millicent.ledger.services.declare_accounts import declare_accounts
from millicent.ledger.services.post_entries import post_entries
from millicent.ledger.types import Entry

Step = Callable[[str], None]


def no_step(_: str) -> None:
    """Steps are named so that tests can stop the process at each."""


def commit_batch(prepared: PreparedBatch, *, run_id: UUID, at_step: Step = no_step) -> bool:
    """Issue a batch once. Returns False when it was issued before: nothing is written then.

    The run's row is locked first, so of two processes only one commits a batch, and batches go in order: numbers are
    the same however often the run was stopped. The ledger comes last because its chain is shared by everybody.
    """
    order = prepared.order
    with tenant_scope(order.tenant_id):
        run = BillRun.objects.select_for_update().get(id=run_id)
        done = BillRunBatch.objects.filter(run_id=run_id).count()
        if order.batch < done:
            return False
        if order.batch > done:
            raise Defect(f"batch {order.batch} came before batch {done}", run_id=str(run_id))
        at_step("numbering")
        numbers = _numbers(prepared)
        at_step("writing")
        insert_frame(_numbered(prepared, numbers=numbers), table="billing_bill")
        for table, rows in prepared.rows.items():
            insert_rows(rows, table=table)
        BillRunBatch.objects.create(run_id=run_id, batch=order.batch, **prepared.totals)
        _move_on(run, done=done + 1)
        at_step("posting")
        _post(prepared, numbers=numbers)
        at_step("committing")
    at_step("committed")
    return True


def _numbers(prepared: PreparedBatch) -> list[int]:
    """The next numbers of the series, without a gap: they are taken only if the transaction commits."""
    count = len(prepared.to_issue)
    if not count:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO billing_series (series, last_number) VALUES (%s, %s) "
            "ON CONFLICT (tenant_id, series) DO UPDATE SET last_number = billing_series.last_number + %s "
            "RETURNING last_number",
            [prepared.series, count, count],
        )
        (last,) = cursor.fetchone()
    return list(range(last - count + 1, last + 1))


def bill_number(series: str, sequence: int) -> str:
    return f"{series}-{sequence:06d}"


def _numbered(prepared: PreparedBatch, *, numbers: list[int]) -> pl.DataFrame:
    return prepared.bills.with_columns(
        pl.lit(prepared.series).alias("series"),
        pl.Series("sequence", numbers, pl.Int64),
        pl.Series("number", [bill_number(prepared.series, number) for number in numbers], pl.String),
    )


def _move_on(run: BillRun, *, done: int) -> None:
    state = RunState.RELEASED if done == run.batch_count else RunState.RELEASING
    assert state in TRANSITIONS[RunState(run.state)], f"a {run.state} run cannot become {state}"
    if run.state != state:
        run.state = state
        run.save(update_fields=["state"])


def _post(prepared: PreparedBatch, *, numbers: list[int]) -> None:
    entries = [
        Entry(
            template="bill_issued",
            reference=f"bill:{bill_number(prepared.series, number)}",
            currency=bill.currency,
            occurred_at_ms=prepared.order.issued_at_ms,
            postings=bill.postings,
            facts={"payer": bill.payer_code},
        )
        for bill, number in zip(prepared.to_issue, numbers, strict=True)
        if bill.postings
    ]
    if entries:
        now = from_ms(prepared.order.issued_at_ms)
        declare_accounts(sorted({posting.ledger_account for entry in entries for posting in entry.postings}), now=now)
        post_entries(entries, now=now)
