"""`millicent assurance`: do the stages agree?"""

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from millicent.config.output import JSON_OPTION, show_json, show_table
from millicent.config.setup import tenant_lake, tenant_work
from millicent.kit.clock import from_ms, system_now
from millicent.kit.money import format_plain

if TYPE_CHECKING:
    from millicent.assurance.types import Check, Conservation, LiveAgainstBill

app = typer.Typer(no_args_is_help=True, help="Follow every record and every cent through the stages.")


@app.callback()
def _group() -> None:
    """Follow every record and every cent through the stages."""


@app.command("conservation")
def conservation(as_json: bool = JSON_OPTION) -> None:
    """File by file and hand-over by hand-over, to the last record and the last cent. Exit status 3 when one differs."""
    with tenant_work() as tenant_id:
        from millicent.assurance.selectors import conservation_table

        table = conservation_table(tenant_lake(tenant_id))
    if as_json:
        show_json(asdict(table) | {"holds": table.holds})
    else:
        show_conservation(table)
    if not table.holds:
        raise typer.Exit(code=3)


@app.command("live")
def live(
    prepaid: bool = typer.Option(False, "--prepaid", help="Who paid in advance: what doors and files do not share."),
    as_json: bool = JSON_OPTION,
) -> None:
    """The running cycles as charged live, against the replay of their bills. Exit status 3 when they differ."""
    with tenant_work() as tenant_id:
        from millicent.assurance.live import live_against_bill

        found = live_against_bill(tenant_lake(tenant_id), now=system_now(), prepaid=prepaid)
    if as_json:
        show_json(asdict(found) | {"holds": found.holds})
    else:
        show_live(found)
    if not found.holds:
        raise typer.Exit(code=3)


def show_live(found: "LiveAgainstBill") -> None:
    """Both sums in each currency, then every usage in which they differ, with the reason."""
    totals = [
        (total.currency, *(format_plain(each, total.currency) for each in (total.live_nanos, total.bill_nanos)),
         format_plain(total.difference_nanos, total.currency))
        for total in found.totals
    ]  # fmt: skip
    title = f"Live and bill: {found.accounts:,} accounts, {found.compared:,} usages on both sides"
    show_table(title, ("currency", "charged live", "on the bill", "difference"), totals, as_json=False)
    rows = [
        (
            each.reason.replace("_", " "),
            each.payer_id,
            each.subscription_id,
            each.service,
            from_ms(each.occurred_at_ms).isoformat(timespec="seconds"),
            format_plain(each.live_nanos, each.currency),
            format_plain(each.bill_nanos, each.currency),
            " / ".join(dict.fromkeys((each.live_price or "-", each.bill_price or "-"))),
        )
        for each in found.differences
    ]
    if rows:
        columns = ("reason", "payer", "subscription", "service", "began", "live", "bill", "priced by")
        show_table("Differences", columns, rows, as_json=False)


def show_conservation(table: "Conservation") -> None:
    """The control totals of every file, then every check between two stages."""
    rows = [
        (
            control.name,
            control.records_in,
            control.accepted,
            control.suspended,
            control.rejected,
            control.duplicate,
            control.usages,
            control.joined,
            f"repeats {control.repeats}" if control.repeats else _verdict(holds=control.holds),
        )
        for control in table.files
    ]
    sums = [sum(int(row[place]) for row in rows) for place in range(1, 8)]
    columns = ("file", "in", "accepted", "suspended", "rejected", "duplicate", "usages", "joined", "")
    show_table("Every record", columns, [*rows, ("all files", *sums, "")], as_json=False)
    usage = table.usage
    places = [("billed", usage.billed), ("not yet billed: open cycles", usage.not_yet_billed)]
    places += [(f"without a price: {reason.replace('_', ' ')}", count) for reason, count in usage.unpriced_by_reason]
    show_table("Every usage", ("where", "usages"), [*places, ("in the lake", usage.in_lake)], as_json=False)
    checks = [
        (check.says, check.unit, _amount(check, check.left), _amount(check, check.right), _verdict(holds=check.holds))
        for check in table.checks
    ]
    show_table("Every hand-over", ("what must be equal", "unit", "one side", "other side", ""), checks, as_json=False)


def _verdict(*, holds: bool) -> str:
    return "holds" if holds else "DIFFERS"


def _amount(check: "Check", value: int) -> str:
    return f"{value:,}" if check.unit in ("records", "usages") else format_plain(value, check.unit)
