"""Reads of billing: runs, bills, lines, and what had no price."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from uuid import UUID

import polars as pl

from millicent.billing.models import BillRun, ParkedAccount
from millicent.billing.rules.comparison import PreviousBill
from millicent.billing.rules.cycles import CycleSpan
from millicent.billing.runs import DuePayer, Parked, RunReport, RunState
from millicent.billing.types import reason_word
from millicent.kit.bulk import read_frame, read_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class BillSummary:
    """One issued bill without its lines."""

    number: str
    payer_id: int
    payer_code: str
    payer_name: str
    currency: str
    cycle_from_ms: int
    cycle_until_ms: int
    issued_at_ms: int
    net_nanos: int
    tax_nanos: int
    total_nanos: int
    digest: str


def planned_batches(run_id: UUID) -> list[tuple[DuePayer, ...]]:
    """Who is in each batch of a run, in order."""
    rows = read_rows(
        "SELECT batch, payer_id, cycle_from_ms, cycle_until_ms FROM billing_run_payer WHERE run_id = %s ORDER BY place",
        [run_id],
    )
    return [
        tuple(
            DuePayer(payer_id=payer_id, cycle=CycleSpan(from_ms=from_ms, until_ms=until_ms))
            for _, payer_id, from_ms, until_ms in members
        )
        for _, members in groupby(rows, key=lambda row: row[0])
    ]


def runs() -> list[RunReport]:
    """Every run, the latest first."""
    return [run_report(run_id) for run_id in BillRun.objects.order_by("-number").values_list("id", flat=True)]


def run_report(run_id: UUID) -> RunReport:
    """Where a run stands: totals from its committed batches."""
    run = BillRun.objects.get(id=run_id)
    ((done, bills, lines, parked, usage_in, billed, unpriced, usage_parked),) = read_rows(
        "SELECT count(*), coalesce(sum(bill_count), 0)::bigint, coalesce(sum(line_count), 0)::bigint, "
        "coalesce(sum(parked_count), 0)::bigint, coalesce(sum(usage_in), 0)::bigint, "
        "coalesce(sum(usage_billed), 0)::bigint, coalesce(sum(usage_unpriced), 0)::bigint, "
        "coalesce(sum(usage_parked), 0)::bigint FROM billing_run_batch WHERE run_id = %s",
        [run_id],
    )
    return RunReport(
        run_id=run.id,
        number=run.number,
        state=RunState(run.state),
        through_ms=run.through_ms,
        payers=run.payer_count,
        batches=run.batch_count,
        batches_done=done,
        bills=bills,
        lines=lines,
        parked=parked,
        usage_in=usage_in,
        usage_billed=billed,
        usage_unpriced=unpriced,
        usage_parked=usage_parked,
        totals=dict(
            read_rows(
                "SELECT currency, sum(total_nanos)::bigint FROM billing_bill WHERE run_id = %s GROUP BY 1 ORDER BY 1",
                [run_id],
            )
        ),
        unpriced_by_reason={
            reason_word(reason): count
            for reason, count in read_rows(
                "SELECT reason, sum(event_count)::bigint FROM billing_unpriced_usage WHERE run_id = %s "
                "GROUP BY 1 ORDER BY 1",
                [run_id],
            )
        },
        parked_accounts=tuple(
            Parked(payer_id=each.payer_id, payer_code=each.payer_code, reason=each.reason, detail=each.detail)
            for each in ParkedAccount.objects.filter(run_id=run_id).order_by("payer_id")
        ),
    )


def bills(*, payer_id: int | None = None, run_id: UUID | None = None, limit: int = 1000) -> list[BillSummary]:
    """Issued bills by number, of one payer or of one run or all."""
    return [
        BillSummary(
            number=row[0], payer_id=row[1], payer_code=row[2], payer_name=row[3], currency=row[4],
            cycle_from_ms=row[5], cycle_until_ms=row[6], issued_at_ms=row[7], net_nanos=row[8], tax_nanos=row[9],
            total_nanos=row[10], digest=row[11],
        )
        for row in read_rows(
            "SELECT number, payer_id, accounts->0->>'code', accounts->0->>'party_name', currency, cycle_from_ms, "
            "cycle_until_ms, issued_at_ms, net_nanos, tax_nanos, total_nanos, digest FROM billing_bill "
            "WHERE (%s::bigint IS NULL OR payer_id = %s) AND (%s::uuid IS NULL OR run_id = %s) "
            "ORDER BY series, sequence LIMIT %s",
            [payer_id, payer_id, run_id, run_id, limit],
        )
    ]  # fmt: skip


def previous_bills(payer_ids: Iterable[int]) -> dict[tuple[int, str], PreviousBill]:
    """The last issued bill of each payer in each currency, with its net by kind of charge."""
    rows = read_rows(
        """
        WITH last AS (
            SELECT DISTINCT ON (payer_id, currency) id, payer_id, currency, total_nanos
            FROM billing_bill WHERE payer_id = ANY(%s) ORDER BY payer_id, currency, cycle_until_ms DESC
        )
        SELECT last.payer_id, last.currency, last.total_nanos, line.kind, sum(line.net_nanos)::bigint
        FROM last LEFT JOIN billing_line line ON line.bill_id = last.id
        GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 4
        """,
        [list(payer_ids)],
    )
    found: dict[tuple[int, str], PreviousBill] = {}
    for (payer_id, currency, total), kinds in groupby(rows, key=lambda row: row[:3]):
        found[payer_id, currency] = PreviousBill(
            total_nanos=total, net_by_kind={kind: net for *_, kind, net in kinds if kind}
        )
    return found


def billed_totals() -> list[tuple[str, int, int, int]]:
    """Sums over all issued bills: (currency, net, tax, total), in nanos."""
    query = (
        "SELECT currency, sum(net_nanos)::numeric, sum(tax_nanos)::numeric, sum(total_nanos)::numeric "
        "FROM billing_bill GROUP BY currency ORDER BY currency"
    )
    return [(currency, int(net), int(tax), int(total)) for currency, net, tax, total in read_rows(query)]


def billed_cycles() -> pl.DataFrame:
    """Every billed cycle: payer_id, cycle_from_ms, cycle_until_ms, and until when its facts were known."""
    names = ("payer_id", "cycle_from_ms", "cycle_until_ms", "known_until_ms")
    query = f"SELECT {', '.join(names)} FROM billing_billed_cycle"  # noqa: S608 - names from the line above
    return read_frame(query, schema=dict.fromkeys(names, pl.Int64))
