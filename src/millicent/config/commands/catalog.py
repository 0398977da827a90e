"""`millicent catalog`: check a folder, plan and make a release, look at what was released, print the schema."""

from collections import Counter
from datetime import date
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from millicent.config.output import JSON_OPTION, say, show_json, show_record, show_table
from millicent.config.setup import tenant_work
from millicent.kit.clock import from_ms, local_midnight_ms, system_now, to_ms
from millicent.kit.errors import BadInput

if TYPE_CHECKING:
    from uuid import UUID

    from millicent.catalog.errors import Fault
    from millicent.catalog.loading import Examination
    from millicent.catalog.types import Catalogue, ReleaseFacts

app = typer.Typer(no_args_is_help=True, help="Check, plan and release the catalogue.")

FOLDER = typer.Argument(help="The catalogue folder.", exists=True, file_okay=False, metavar="DIR")


@app.command("check")
def check(
    folder: Path = FOLDER,
    strict: bool = typer.Option(False, "--strict", help="Warnings block too."),
    refused: Path | None = typer.Option(None, "--refused", help="Write the refused rows of the decks to this CSV."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Find every fault, with file, line and cure; run the expected prices; account for every row of every deck."""
    examination, faults = _examined(folder)
    blocking = [fault for fault in faults if strict or fault.severity.value == "fault"]
    if refused is not None:
        _write_refused(examination, refused)
    if as_json:
        show_json(_report(examination, faults=faults, blocked=bool(blocking)))
    else:
        _show_report(examination, faults=faults)
    if blocking:
        raise typer.Exit(code=2)


def _examined(folder: Path) -> "tuple[Examination, list[Fault]]":
    """Read the folder, and price its expectations when it can be priced at all."""
    from millicent.catalog.expectations import check_expectations
    from millicent.catalog.loading import examine_folder

    examination = examine_folder(folder)
    faults = list(examination.faults)
    if examination.catalogue is not None and examination.catalogue.expectations:
        from millicent.config.commands.catalog_prices import price_expectations

        faults += check_expectations(examination.catalogue, pricer=price_expectations)
    return examination, faults


def _report(examination: "Examination", *, faults: "list[Fault]", blocked: bool) -> dict[str, object]:
    catalogue = examination.catalogue
    return {
        "usable": not blocked and catalogue is not None,
        "faults": [
            {
                "severity": fault.severity.value,
                "code": fault.code,
                "file": fault.file,
                "line": fault.line,
                "column": fault.column,
                "message": fault.message,
                "cure": fault.cure,
            }
            for fault in faults
        ],
        "decks": [
            {
                "deck": deck.code,
                "file": deck.file,
                "rows_in": deck.rows_in,
                "accepted": deck.accepted,
                "refused": deck.refused.height,
                "reasons": deck.counts(),
            }
            for deck in examination.decks
        ],
        "expectations": len(catalogue.expectations) if catalogue else 0,
    }


def _show_report(examination: "Examination", *, faults: "list[Fault]") -> None:
    for fault in faults:
        typer.echo(f"{fault.where}: {fault.severity.value}: {fault.message} [{fault.code}]")
        typer.echo(f"    {fault.cure}")
    if examination.decks:
        rows = [
            (deck.code, deck.file, deck.rows_in, deck.accepted, deck.refused.height, _reasons(deck.counts()))
            for deck in examination.decks
        ]
        show_table("Rate decks", ("deck", "file", "rows in", "accepted", "refused", "why"), rows, as_json=False)
    catalogue = examination.catalogue
    counted = Counter(fault.severity.value for fault in faults)
    verdict = f"{counted['fault']} faults, {counted['warning']} warnings"
    if catalogue is not None:
        unmet = sum(fault.code == "expectation" for fault in faults)
        verdict += f"; {len(catalogue.tariffs)} tariffs, {len(catalogue.offerings)} offerings, "
        verdict += f"{len(catalogue.expectations)} expected prices ({unmet} not met)"
    typer.echo(verdict)


def _reasons(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in counts.items())


def _write_refused(examination: "Examination", path: Path) -> None:
    import polars as pl

    from millicent.kit.sheets import write_sheet

    frames = [deck.refused.select(pl.lit(deck.code).alias("deck"), pl.all()) for deck in examination.decks]
    if frames:
        write_sheet(pl.concat(frames), path)
        say(f"Refused rows are in {path}.")


@app.command("plan")
def plan(
    folder: Path = FOLDER,
    month: str = typer.Option("", "--month", help="Also rate the usage of this past month by both (YYYY-MM)."),
    buckets: int = typer.Option(16, "--buckets", min=1, max=16, help="With --month: so many sixteenths of the payers."),
    worst: int = typer.Option(10, "--worst", min=0, help="With --month: name so many of the most affected accounts."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Show what a release of this folder would change, against the latest release: in words and in money."""
    from millicent.catalog.loading import load_catalogue
    from millicent.catalog.plan import compare_catalogues

    catalogue = load_catalogue(folder)
    with tenant_work() as tenant_id:
        from millicent.catalog.selectors import catalogue_of, latest_release

        latest = latest_release()
        before = catalogue_of(latest.number) if latest else None
        effect = None
        if month:
            if before is None:
                raise BadInput("nothing was released yet", where="--month", cure="Leave it out: there is no before.")
            effect = _effect(tenant_id, before=before, after=catalogue, month=month, buckets=buckets, worst=worst)
    changes = compare_catalogues(before=before, after=catalogue)
    if as_json:
        document = {"against": latest.number if latest else None, "changes": [each.as_json() for each in changes]}
        show_json(document | ({"effect": effect} if effect else {}))
        return
    for change in changes:
        typer.echo(change.in_words())
    against = f"release {latest.number}" if latest else "nothing: this would be the first release"
    typer.echo(f"{len(changes)} changes against {against}")
    if effect:
        _show_effect(effect)


def _effect(
    tenant_id: "UUID", *, before: "Catalogue", after: "Catalogue", month: str, buckets: int, worst: int
) -> dict[str, Any]:
    """The money effect as a document; amounts in the currency's own digits."""
    from millicent.billing.services.compare_catalogues import money_effect
    from millicent.charging.balance_facts import stored_facts
    from millicent.config.setup import tenant_lake
    from millicent.customers.selectors import billing_account_codes
    from millicent.kit.money import format_plain

    found = money_effect(
        facts=stored_facts(tenant_lake(tenant_id)),
        before=before,
        after=after,
        month=month,
        buckets=buckets,
        known_until_ms=to_ms(system_now()) + 1,
    )

    def amounts(row: dict[str, Any]) -> dict[str, str]:
        names = {"before": "before_nanos", "after": "after_nanos", "change": "change"}
        return {name: format_plain(row[column], row["currency"]) for name, column in names.items()} | {
            "currency": row["currency"]
        }

    accounts = found.accounts.head(worst)
    codes = billing_account_codes(ids=accounts["billing_account_id"].to_list())
    return {
        "month": month,
        "payers": found.payers,
        "left_out": list(found.left_out),
        "usages": found.usages,
        "priced": {"before": found.priced_before, "after": found.priced_after},
        "totals": [amounts(row) for row in found.totals.iter_rows(named=True)],
        "services": [{"service": row["service"]} | amounts(row) for row in found.services.iter_rows(named=True)],
        "affected_accounts": len(found.accounts),
        "worst": [
            {"billing account": codes[row["billing_account_id"]]} | amounts(row)
            for row in accounts.iter_rows(named=True)
        ],
    }


def _show_effect(effect: dict[str, Any]) -> None:
    columns = ("before", "after", "change", "currency")
    for title, name, first in (
        ("By service", "services", ("service",)),
        (f"Most affected of {effect['affected_accounts']:,} accounts", "worst", ("billing account",)),
        (f"Usage of {effect['month']} in money", "totals", ()),
    ):
        rows = [tuple(row[column] for column in (*first, *columns)) for row in effect[name]]
        show_table(title, (*first, *columns), rows, as_json=False)
    priced = effect["priced"]
    typer.echo(
        f"{effect['usages']:,} usages of {effect['payers']:,} payers: {priced['before']:,} had a price, "
        f"{priced['after']:,} would have one. Fees, discounts and taxes are not in it."
    )
    if effect["left_out"]:
        typer.echo(
            f"{len(effect['left_out']):,} payers hold what one of the two does not sell and are left out: "
            + ", ".join(effect["left_out"][:10])
        )


@app.command("release")
def release(
    folder: Path = FOLDER,
    effective: str = typer.Option("", "--effective", help="From when it holds: a day in the operator's time zone."),
    author: str = typer.Option("", "--author", help="Who releases it. Your login name when absent."),
    approved_by: str = typer.Option("", "--approved-by", help="The second person, when the operator wants one."),
    reason: str = typer.Option("", "--reason", help="Why."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Give this folder an immutable number and the date from which it holds. The same content twice is one release."""
    from millicent.catalog.loading import usable

    examination, faults = _examined(folder)
    catalogue = usable(examination)
    now_ms = to_ms(system_now())
    effective_from_ms = _effective_ms(effective, zone=catalogue.operator.zone, now_ms=now_ms)
    with tenant_work():
        from millicent.catalog.services import release_catalogue

        facts = release_catalogue(
            examination=examination,
            effective_from_ms=effective_from_ms,
            author=author or getuser(),
            approved_by=approved_by,
            reason=reason,
            recorded_at_ms=now_ms,
            unmet=[fault for fault in faults if fault.code == "expectation"],
        )
    show_record(f"Release {facts.number}", _release_record(facts), as_json=as_json)


def _effective_ms(effective: str, *, zone: str, now_ms: int) -> int:
    if not effective:
        return now_ms
    try:
        return local_midnight_ms(date.fromisoformat(effective), zone)
    except ValueError:
        raise BadInput(f"{effective!r} is not a day", where="--effective", cure="Write 2026-12-01.") from None


def _release_record(facts: "ReleaseFacts") -> dict[str, object]:
    return {
        "number": facts.number,
        "effective_from": from_ms(facts.effective_from_ms).isoformat(),
        "recorded_at": from_ms(facts.recorded_at_ms).isoformat(),
        "author": facts.author,
        "approved_by": facts.approved_by,
        "reason": facts.reason,
        "digest": facts.digest,
    }


@app.command("list")
def list_releases(as_json: bool = JSON_OPTION) -> None:
    """Every release, oldest first."""
    with tenant_work():
        from millicent.catalog.selectors import releases

        found = [_release_record(each) for each in releases()]
    columns = ("number", "effective_from", "recorded_at", "author", "approved_by", "reason", "digest")
    rows = [tuple(record[name] for name in columns) for record in found]
    show_table("Releases of the catalogue", columns, rows, as_json=as_json)


@app.command("show")
def show(
    number: int = typer.Argument(help="Number of the release.", metavar="NUMBER"),
    out: Path | None = typer.Option(None, "--out", help="Write the files of the release to this folder."),
    as_json: bool = JSON_OPTION,
) -> None:
    """What a release holds; with --out, its files as they were."""
    with tenant_work():
        from millicent.catalog.selectors import catalogue_of, files_of, releases

        files = files_of(number)
        catalogue = catalogue_of(number)
        facts = next(each for each in releases() if each.number == number)
    if out is not None:
        for path, content in files.items():
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            (out / path).write_bytes(content)
    record = _release_record(facts) | {
        "tariffs": ", ".join(catalogue.tariffs),
        "offerings": ", ".join(catalogue.offerings),
        "decks": ", ".join(f"{code} ({len(deck.prefixes)} rows)" for code, deck in catalogue.decks.items()),
        "files": len(files),
    }
    show_record(f"Release {number}", record, as_json=as_json)


@app.command("schema")
def schema(
    out: Path | None = typer.Option(None, "--out", help="Write it to this file instead of printing it."),
) -> None:
    """Print the JSON Schema of catalogue files, for editors and checks of your own."""
    from millicent.catalog.schema import published_schema

    if out is None:
        typer.echo(published_schema(), nl=False)
    else:
        out.write_text(published_schema(), encoding="utf-8")
