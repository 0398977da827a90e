"""`millicent ledger`: trial balance, entries, proof of the chain, chart, closing of periods."""

from collections.abc import Iterator, Sequence
from datetime import date

import typer

from millicent.config.output import JSON_OPTION, say, show_json, show_table
from millicent.config.setup import tenant_work
from millicent.kit.clock import from_ms, local_midnight_ms, system_now
from millicent.kit.errors import BadInput
from millicent.kit.money import format_plain
from millicent.ledger.types import ChainHead, ChainReport, PostedEntry, TrialBalanceRow

app = typer.Typer(no_args_is_help=True, help="Trial balance, entries, and proof of the hash chain.")

UNTIL_OPTION = typer.Option("", "--until", help="Only what happened before this day (YYYY-MM-DD).")
FROM_OPTION = typer.Option("", "--from", help="Only what happened from this day on (YYYY-MM-DD).")
ZONE_OPTION = typer.Option("UTC", "--zone", help="Time zone in which the days begin.")


@app.command("trial-balance")
def show_trial_balance(until: str = UNTIL_OPTION, zone: str = ZONE_OPTION, as_json: bool = JSON_OPTION) -> None:
    """Debits and credits of every ledger account; in each currency they are equal."""

    until_ms = _day_start_ms(until, zone=zone, option="--until")
    with tenant_work():
        from millicent.ledger.selectors import trial_balance

        rows = trial_balance(until_ms=until_ms)
    cells: list[tuple[str, ...]] = [
        (
            row.ledger_account,
            row.currency,
            format_plain(row.debit_nanos, row.currency),
            format_plain(row.credit_nanos, row.currency),
            format_plain(row.balance_nanos, row.currency),
        )
        for row in rows
    ]
    if not as_json:
        cells = _aligned([*cells, *_totals(rows)], first=2)
    show_table("Trial balance", ("ledger account", "currency", "debit", "credit", "balance"), cells, as_json=as_json)


def _totals(rows: Sequence[TrialBalanceRow]) -> Iterator[tuple[str, ...]]:
    for currency in sorted({row.currency for row in rows}):
        debit = sum(row.debit_nanos for row in rows if row.currency == currency)
        credit = sum(row.credit_nanos for row in rows if row.currency == currency)
        amounts = (format_plain(nanos, currency) for nanos in (debit, credit, debit - credit))
        yield ("total", currency, *amounts)


@app.command("entries")
def show_entries(
    reference: str = typer.Option("", help="Only the entry of this reference, such as bill:A-2026-000123."),
    billing_account_id: int = typer.Option(0, "--billing-account", help="Only entries that touch this id."),
    from_day: str = FROM_OPTION,
    until: str = UNTIL_OPTION,
    zone: str = ZONE_OPTION,
    limit: int = typer.Option(100, min=1, help="At most so many entries."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Entries with their postings, in posting order."""

    with tenant_work():
        from millicent.ledger.selectors import entries_of

        found = entries_of(
            reference=reference or None,
            billing_account_id=billing_account_id or None,
            from_ms=_day_start_ms(from_day, zone=zone, option="--from"),
            until_ms=_day_start_ms(until, zone=zone, option="--until"),
            limit=limit,
        )
    if as_json:
        show_json([_entry_document(place) for place in found])
        return
    cells = [cell for place in found for cell in _posting_cells(place)]
    columns = ("entry", "happened at", "reference", "ledger account", "currency", "amount")
    show_table("Ledger entries", columns, _aligned(cells, first=5), as_json=False)


@app.command("verify")
def verify(
    head: str = typer.Option("", help="A head kept from an earlier run, SEQUENCE:HASH, which must still be there."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Recompute every hash from the first entry on, and name the first link that does not hold."""
    from millicent.ledger.errors import ChainIsBroken

    expected = _parse_head(head) if head else None
    with tenant_work():
        from millicent.ledger.services.verify_chain import verify_chain

        report = verify_chain(expected_head=expected)
    if as_json:
        show_json(_report_document(report))
    if report.broken is not None:
        raise ChainIsBroken(f"entry {report.broken.sequence} {report.broken.reference}: {report.broken.fault}")
    if not as_json:
        say(f"{report.entries:,} entries and {report.postings:,} postings are as they were posted.")
        say("Keep this head outside, and pass it to --head next time:")
        typer.echo(f"{report.head.sequence}:{report.head.hash.hex()}")


@app.command("accounts")
def show_accounts(
    declare: list[str] = typer.Option([], help="Add a ledger account of your own, such as revenue:roaming."),
    as_json: bool = JSON_OPTION,
) -> None:
    """The chart of ledger accounts: built in, and your own."""

    with tenant_work():
        from millicent.ledger.selectors import chart_of_accounts
        from millicent.ledger.services.declare_accounts import declare_accounts

        declare_accounts(declare, now=system_now())
        chart = chart_of_accounts()
    rows = [(account.path, account.meaning, "yes" if account.open else "no") for account in chart]
    show_table("Ledger accounts", ("path", "meaning", "takes children"), rows, as_json=as_json)


@app.command("close-period")
def close(
    until: str = typer.Option(..., "--until", help="First day that stays open (YYYY-MM-DD)."),
    zone: str = ZONE_OPTION,
    as_json: bool = JSON_OPTION,
) -> None:
    """Close everything before a day: nothing that happened then is posted any more. It cannot be undone."""

    until_ms = _day_start_ms(until, zone=zone, option="--until")
    assert until_ms is not None, "typer requires --until"
    with tenant_work():
        from millicent.ledger.services.close_period import close_period

        closed = close_period(until_ms=until_ms, now=system_now())
    if as_json:
        show_json({"closed_until_ms": closed.closed_until_ms, "head": _head_text(closed.head)})
        return
    say(f"The ledger is closed until {from_ms(closed.closed_until_ms).isoformat()}. Keep the head of that moment:")
    typer.echo(_head_text(closed.head))


def _day_start_ms(text: str, *, zone: str, option: str) -> int | None:
    if not text:
        return None
    try:
        return local_midnight_ms(date.fromisoformat(text), zone)
    except ValueError:
        raise BadInput(f"{text!r} is not a day", where=option, cure="Write it as 2026-11-01.") from None


def _parse_head(text: str) -> ChainHead:
    sequence, _, digits = text.partition(":")
    try:
        return ChainHead(sequence=int(sequence), hash=bytes.fromhex(digits))
    except ValueError:
        raise BadInput(f"{text!r} is not a head", where="--head", cure="Give what `ledger verify` printed.") from None


def _head_text(head: ChainHead) -> str:
    return f"{head.sequence}:{head.hash.hex()}"


def _report_document(report: ChainReport) -> dict[str, object]:
    broken = report.broken
    return {
        "entries": report.entries,
        "postings": report.postings,
        "head": _head_text(report.head),
        "broken": broken and {"sequence": broken.sequence, "reference": broken.reference, "fault": broken.fault},
    }


def _entry_document(place: PostedEntry) -> dict[str, object]:
    entry = place.entry
    return {
        "sequence": place.sequence,
        "template": entry.template,
        "reference": entry.reference,
        "currency": entry.currency,
        "occurred_at": from_ms(entry.occurred_at_ms).isoformat(),
        "recorded_at": from_ms(place.recorded_at_ms).isoformat(),
        "facts": dict(entry.facts),
        "hash": place.hash.hex(),
        "postings": [
            {
                "ledger_account": side.ledger_account,
                "amount": format_plain(side.amount_nanos, entry.currency),
                "billing_account_id": side.billing_account_id,
            }
            for side in entry.postings
        ],
    }


def _posting_cells(place: PostedEntry) -> list[tuple[str, ...]]:
    """One row a posting; the entry's own cells stand in its first row only."""
    entry = place.entry
    own = (str(place.sequence), f"{from_ms(entry.occurred_at_ms):%Y-%m-%d %H:%M}", entry.reference)
    return [
        (
            *(own if number == 0 else ("",) * len(own)),
            side.ledger_account,
            entry.currency,
            format_plain(side.amount_nanos, entry.currency),
        )
        for number, side in enumerate(entry.postings)
    ]


def _aligned(cells: list[tuple[str, ...]], *, first: int) -> list[tuple[str, ...]]:
    """The same rows, with the columns from `first` on aligned at the point for people."""
    if not cells:
        return cells
    widths = [max(len(_whole(row[column])) for row in cells) for column in range(first, len(cells[0]))]
    return [
        (*row[:first], *(_shifted(text, width) for text, width in zip(row[first:], widths, strict=True)))
        for row in cells
    ]


def _whole(amount: str) -> str:
    return amount.partition(".")[0]


def _shifted(amount: str, width: int) -> str:
    return " " * (width - len(_whole(amount))) + amount
