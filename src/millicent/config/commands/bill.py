"""`millicent bill`: rehearse, release, list, show, how a run stands, and the recognition of revenue."""

from dataclasses import asdict
from datetime import date, datetime
from typing import Any

import typer

from millicent.billing.types import Bill
from millicent.config.commands.bill_document import document
from millicent.config.output import JSON_OPTION, progress, say, show_json, show_record, show_table
from millicent.config.settings import settings
from millicent.config.setup import open_stores, tenant_id_of, tenant_lake, tenant_work
from millicent.kit.clock import from_ms, local_date, local_midnight_ms, system_now
from millicent.kit.errors import BadInput
from millicent.kit.money import format_plain

app = typer.Typer(no_args_is_help=True, help="Rehearse, release and show bills.")
app.command("document")(document)

THROUGH_OPTION = typer.Option(
    "", "--through", help="Bill cycles that ended by the start of this day (YYYY-MM-DD). Default: now."
)
ZONE_OPTION = typer.Option("UTC", "--zone", help="Time zone in which that day begins.")


def _through(text: str, *, zone: str, now: datetime) -> datetime:
    if not text:
        return now
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise BadInput(f"{text!r} is not a day", where="--through", cure="Write it as 2026-11-01.") from None
    return from_ms(local_midnight_ms(day, zone))


@app.command("rehearse")
def rehearse(
    through: str = THROUGH_OPTION,
    zone: str = ZONE_OPTION,
    first_bills: bool = typer.Option(False, "--first-bills", help="List payers without an earlier bill too."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Compute every bill that is due, compare with the last cycle, change nothing."""
    from millicent.billing.services.plan_bill_run import due_payers
    from millicent.billing.services.rehearse_bill_run import rehearse_bill_run
    from millicent.charging.balance_facts import stored_facts
    from millicent.kit.clock import to_ms

    now = system_now()
    until = _through(through, zone=zone, now=now)
    with tenant_work() as tenant_id:
        facts = stored_facts(tenant_lake(tenant_id))
        with progress(
            "rehearsing", len(due_payers(facts, through_ms=to_ms(until), known_until_ms=to_ms(now)))
        ) as advance:
            found = rehearse_bill_run(
                tenant_id=tenant_id, facts=facts, through=until, now=now, first_bills=first_bills, advance=advance
            )
    if as_json:
        show_json({key: value for key, value in asdict(found).items() if key != "kept_bills"})
        return
    show_record(
        "Rehearsal",
        {
            "payers due": found.payers,
            "bills": found.bills,
            "lines": found.lines,
            "parked": len(found.parked),
            **_usage_words(found),
            **_total_words(found.totals),
        },
        as_json=False,
    )
    _show_unpriced(found.unpriced_by_reason)
    if found.outliers:
        show_table(
            "Bills to look at",
            ("payer", "why", "total", "last", "moved"),
            [
                (
                    each.payer_code,
                    each.reason.value,
                    f"{format_plain(each.total_nanos, each.currency)} {each.currency}",
                    "" if each.previous_nanos is None else format_plain(each.previous_nanos, each.currency),
                    ", ".join(f"{kind} {format_plain(nanos, each.currency)}" for kind, nanos in each.moved),
                )
                for each in found.outliers
            ],
            as_json=False,
        )
    _show_parked(found.parked)


@app.command("release")
def release(
    through: str = THROUGH_OPTION,
    zone: str = ZONE_OPTION,
    workers: int = typer.Option(0, "--workers", help="Processes that compute; 0: as MILLICENT_WORKERS says."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Issue every bill that is due, cycle after cycle. A run that was stopped goes on where it was."""
    open_stores()
    from millicent.billing.services.release_bill_run import release_bill_run
    from millicent.charging.balance_facts import stored_facts

    now = system_now()
    until = _through(through, zone=zone, now=now)
    tenant_id = tenant_id_of(settings().tenant)
    facts = stored_facts(tenant_lake(tenant_id))
    reports = []
    while True:
        with progress("releasing", None) as advance:
            report = release_bill_run(
                tenant_id=tenant_id,
                facts=facts,
                through=until,
                now=now,
                workers=workers or settings().worker_count,
                advance=advance,
            )
        if report is None:
            break
        reports.append(report)
        if report.still_due <= report.parked:
            break
    if as_json:
        show_json([asdict(report) for report in reports])
        return
    if not reports:
        say("Nobody is due: every cycle that has ended is billed.")
    for report in reports:
        _show_run(report)


@app.command("run-status")
def run_status(as_json: bool = JSON_OPTION) -> None:
    """Every run: where it stands, what it issued, what it could not bill."""
    with tenant_work():
        from millicent.billing.selectors import runs

        found = runs()
    if as_json:
        show_json([asdict(report) for report in found])
        return
    for report in found:
        _show_run(report)


@app.command("list")
def list_bills(
    payer: str = typer.Option("", "--payer", help="Only bills of this billing account code."),
    limit: int = typer.Option(100, "--limit", help="At most so many."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Issued bills by number."""
    with tenant_work():
        from millicent.billing.selectors import bills
        from millicent.customers.selectors import billing_account_ids

        payer_id = billing_account_ids(codes=[payer]).get(payer, -1) if payer else None
        found = bills(payer_id=payer_id, limit=limit)
    if as_json:
        show_json([asdict(each) for each in found])
        return
    show_table(
        "Bills",
        ("number", "payer", "name", "cycle", "net", "tax", "total", "currency"),
        [
            (
                each.number,
                each.payer_code,
                each.payer_name,
                f"{local_date(each.cycle_from_ms, 'UTC')} to {local_date(each.cycle_until_ms, 'UTC')}",
                format_plain(each.net_nanos, each.currency),
                format_plain(each.tax_nanos, each.currency),
                format_plain(each.total_nanos, each.currency),
                each.currency,
            )
            for each in found
        ],
        as_json=False,
    )


@app.command("show")
def show(number: str = typer.Argument(help="Bill number."), as_json: bool = JSON_OPTION) -> None:
    """One bill: its lines, its taxes, and why each amount is what it is (--json)."""
    with tenant_work():
        from millicent.billing.services.show_bill import show_bill

        bill = show_bill(number)
    if as_json:
        show_json({key: value for key, value in asdict(bill).items() if key != "operator"})
        return
    _show_bill(bill)


@app.command("recognise")
def recognise(
    through: str = typer.Argument(help="Last day to recognise (YYYY-MM-DD)."), as_json: bool = JSON_OPTION
) -> None:
    """Post what every day up to this one earned of what was billed in advance."""
    try:
        day = date.fromisoformat(through)
    except ValueError:
        raise BadInput(f"{through!r} is not a day", where="THROUGH", cure="Write it as 2026-11-01.") from None
    with tenant_work():
        from millicent.billing.services.recognise_revenue import recognise_revenue

        posted = recognise_revenue(through=day, now=system_now())
    show_record("Recognition", {"through": through, "entries posted": posted}, as_json=as_json)


# ---------------------------------------------------------------- how it looks


def _usage_words(found: Any) -> dict[str, object]:
    return {
        "usage in": found.usage_in,
        "usage billed": found.usage_billed,
        "usage without a price": found.usage_unpriced,
        "usage of parked payers": found.usage_parked,
    }


def _total_words(totals: dict[str, int]) -> dict[str, object]:
    return {f"total {currency}": format_plain(nanos, currency) for currency, nanos in sorted(totals.items())}


def _show_run(report: Any) -> None:
    show_record(
        f"Run {report.number}: {report.state.value}",
        {
            "payers": report.payers,
            "batches": f"{report.batches_done} of {report.batches}",
            "bills": report.bills,
            "lines": report.lines,
            "parked": report.parked,
            **_usage_words(report),
            **_total_words(dict(report.totals)),
        },
        as_json=False,
    )
    _show_unpriced(dict(report.unpriced_by_reason))
    _show_parked(report.parked_accounts)


def _show_unpriced(by_reason: dict[str, int]) -> None:
    if by_reason:
        show_table("Usage on no bill line", ("reason", "usages"), sorted(by_reason.items()), as_json=False)


def _show_parked(parked: Any) -> None:
    if parked:
        rows = [(each.payer_code or each.payer_id, each.reason, each.detail) for each in parked]
        show_table("Parked payers", ("payer", "reason", "detail"), rows, as_json=False)


def _show_bill(bill: Bill) -> None:
    show_table(
        f"Bill {bill.number}: {bill.payer.party_name} ({bill.payer.code})",
        ("line", "kind", "what", "subscription", "from", "until", "usages", "net"),
        [
            (
                line.line_number,
                line.kind.value,
                line.texts.get(bill.payer.language, line.texts.get("en", "")),
                line.subscription_code,
                str(local_date(line.period_from_ms, bill.payer.zone)),
                str(local_date(line.period_until_ms, bill.payer.zone)),
                line.event_count,
                format_plain(line.net_nanos, bill.currency),
            )
            for line in bill.lines
        ],
        as_json=False,
    )
    show_table(
        "Taxes",
        ("tax", "rate", "base", "amount", "note"),
        [
            (
                tax.tax,
                str(tax.rate),
                format_plain(tax.base_nanos, bill.currency),
                format_plain(tax.amount_nanos, bill.currency),
                tax.note,
            )
            for tax in bill.taxes
        ],
        as_json=False,
    )
    show_record(
        "Total",
        {
            "net": format_plain(bill.net_nanos, bill.currency),
            "tax": format_plain(bill.tax_nanos, bill.currency),
            "total": f"{format_plain(bill.total_nanos, bill.currency)} {bill.currency}",
            "due": str(local_date(bill.due_at_ms, bill.payer.zone)),
            "digest": bill.digest,
        },
        as_json=False,
    )
