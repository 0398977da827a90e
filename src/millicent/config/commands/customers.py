"""`millicent customers`: import, list, show, template."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from millicent.config.commands import account_identity, account_terms
from millicent.config.output import JSON_OPTION, say, show_json, show_record, show_table
from millicent.config.setup import tenant_work
from millicent.kit.clock import from_ms, system_now
from millicent.kit.errors import BadInput

if TYPE_CHECKING:
    from millicent.catalog.types import Catalogue
    from millicent.customers.types import BillingAccountFacts
    from millicent.subscriptions.types import HeldIdentifier, ImportReport, SubscriptionFacts

app = typer.Typer(no_args_is_help=True)
app.command("change-payer")(account_terms.change_payer)
app.command("change-segment")(account_terms.change_segment)
app.command("change-language")(account_identity.change_language)
app.command("change-tax-place")(account_identity.change_tax_place)
app.command("change-tax-number")(account_identity.change_tax_number)
app.command("change-reseller")(account_identity.change_reseller)
app.command("change-address")(account_identity.change_address)
app.command("change-name")(account_identity.change_name)
app.command("change-contact")(account_identity.change_contact)
app.command("history")(account_identity.history)
app.command("exempt")(account_terms.exempt)
app.command("end-exemption")(account_terms.end_exemption)


@app.command("import")
def import_(
    accounts: Path | None = typer.Option(None, "--accounts", help="CSV of billing accounts."),
    subscriptions: Path | None = typer.Option(None, "--subscriptions", help="CSV of subscriptions."),
    identifiers: Path | None = typer.Option(None, "--identifiers", help="CSV of numbers, SIMs, user names."),
    everything: Path | None = typer.Option(None, "--file", help="One CSV that holds all three."),
    good_rows: bool = typer.Option(False, "--good-rows", help="Import the sound rows; the others go to --errors."),
    errors: Path | None = typer.Option(None, "--errors", help="Where to write every fault as CSV."),
    check_codes: bool = typer.Option(True, help="Look offerings, add-ons and coupons up in the current release."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Bring customers from CSV: all rows or none, unless --good-rows. A repeat changes nothing."""
    if not any((accounts, subscriptions, identifiers, everything)):
        raise BadInput("no file was named", where="customers import", cure="Give --accounts, or --file.")
    if good_rows and errors is None:
        raise BadInput("--good-rows needs --errors", where="--errors", cure="Say where refused rows are to be listed.")
    with tenant_work():
        from millicent.subscriptions.errors import ImportRefused
        from millicent.subscriptions.services.import_customers import CustomerFiles, import_customers

        files = CustomerFiles(
            accounts=accounts, subscriptions=subscriptions, identifiers=identifiers, everything=everything
        )
        now = system_now()
        try:
            report = import_customers(
                files=files,
                catalogue=_latest_catalogue() if check_codes else None,
                good_rows_only=good_rows,
                now=now,
            )
        except ImportRefused as refusal:
            _write_faults(refusal.report, errors=errors)
            raise
    _write_faults(report, errors=errors)
    _show_report(report, as_json=as_json)


@app.command("list")
def list_(
    limit: int = typer.Option(50, help="At most so many billing accounts."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Billing accounts, oldest first."""
    with tenant_work():
        from millicent.customers import selectors
        from millicent.subscriptions.selectors import count_subscriptions

        accounts = selectors.billing_accounts(limit=limit)
        total, subscriptions = selectors.count_billing_accounts(), count_subscriptions()
    columns = ("code", "name", "segment", "currency", "language", "payer")
    codes = {account.billing_account_id: account.code for account in accounts}
    rows = [
        (
            account.code,
            account.party_name,
            account.segment,
            account.currency,
            account.language,
            codes.get(account.payer_id, str(account.payer_id)),
        )
        for account in accounts
    ]
    show_table("Billing accounts", columns, rows, as_json=as_json)
    say(f"{len(accounts):,} of {total:,} billing accounts; {subscriptions:,} subscriptions in all.")


@app.command()
def show(
    code: str = typer.Argument(help="A billing account's code."),
    as_json: bool = JSON_OPTION,
) -> None:
    """One billing account with its subscriptions, their history and their identifiers."""
    with tenant_work():
        from millicent.customers.errors import UnknownAccount
        from millicent.customers.selectors import billing_accounts, terms_of
        from millicent.subscriptions.selectors import identifiers_of, subscriptions_of

        found = billing_accounts(codes=[code])
        if not found:
            raise UnknownAccount(f"there is no billing account {code}", account_code=code)
        subscriptions = subscriptions_of([found[0].billing_account_id])
        held = identifiers_of([each.subscription_id for each in subscriptions])
        terms = terms_of(found[0].billing_account_id)
    exemptions = [
        f"{each.kind} {each.jurisdiction} {each.certificate} {_span(each.effective_from_ms, each.effective_until_ms)}"
        for each in found[0].tax_exemptions
    ]
    document = _account_document(found[0]) | {
        "terms": [
            {"effective": _span(each["effective_from_ms"], each["effective_until_ms"])}
            | {name: value for name, value in each.items() if not name.startswith("effective")}
            for each in terms
        ],
        "exemptions": exemptions,
        "subscriptions": [
            _subscription_document(each)
            | {
                "identifiers": [
                    f"{one.kind} {one.identifier} {_span(one.effective_from_ms, one.effective_until_ms)}"
                    for one in held.get(each.subscription_id, ())
                ]
            }
            for each in subscriptions
        ],
    }
    if as_json:
        show_json(document)
        return
    flat = {key: value for key, value in document.items() if not isinstance(value, list)}
    show_record(code, flat | {"exemptions": "; ".join(exemptions)}, as_json=False)
    _show_terms(terms)
    _show_subscriptions(subscriptions, held=held)


def _show_terms(terms: "list[dict[str, Any]]") -> None:
    names = ("payer", "segment", "language", "jurisdiction", "reseller")
    rows = [
        (_span(each["effective_from_ms"], each["effective_until_ms"]), *(each[name] for name in names))
        for each in terms
    ]
    show_table("Terms", ("when", *names), rows, as_json=False)


def _show_subscriptions(
    subscriptions: "Sequence[SubscriptionFacts]", *, held: "Mapping[int, Sequence[HeldIdentifier]]"
) -> None:
    rows = [
        (
            each.code,
            _span(one.effective_from_ms, one.effective_until_ms),
            one.offering,
            one.status.value,
        )
        for each in subscriptions
        for one in each.versions
    ]
    show_table("Subscriptions", ("subscription", "when", "offering", "status"), rows, as_json=False)
    identifiers = [
        (each.code, one.kind.value, one.identifier, _span(one.effective_from_ms, one.effective_until_ms))
        for each in subscriptions
        for one in held.get(each.subscription_id, ())
    ]
    show_table("Identifiers", ("subscription", "kind", "identifier", "when"), identifiers, as_json=False)


@app.command()
def template(
    folder: Path = typer.Argument(help="Where to write the files."),
) -> None:
    """Write empty import files: a header for each, and a page that says how each column is read."""
    from millicent.customers.columns import ACCOUNT_COLUMNS
    from millicent.subscriptions.columns import IDENTIFIER_COLUMNS, SUBSCRIPTION_COLUMNS
    from millicent.subscriptions.services.split_one_file import ONE_FILE_COLUMNS

    folder.mkdir(parents=True, exist_ok=True)
    sheets = {
        "accounts": ACCOUNT_COLUMNS,
        "subscriptions": SUBSCRIPTION_COLUMNS,
        "identifiers": IDENTIFIER_COLUMNS,
        "one-file": ONE_FILE_COLUMNS,
    }
    page = []
    for name, columns in sheets.items():
        (folder / f"{name}.csv").write_text(",".join(column.name for column in columns) + "\n", encoding="utf-8")
        page.append(f"{name}.csv")
        page += [
            f"  {column.name}{' (required)' if column.required else ''}: {column.cure}"
            + ("" if column.required or column.default == "" else f" Empty: {column.default}.")
            for column in columns
        ]
    (folder / "columns.txt").write_text("\n".join(page) + "\n", encoding="utf-8")
    say(f"Wrote {', '.join(f'{name}.csv' for name in sheets)} and columns.txt to {folder}.")


def _latest_catalogue() -> "Catalogue":
    from millicent.catalog import selectors

    release = selectors.latest_release()
    if release is None:
        raise BadInput(
            "no catalogue was released yet",
            where="customers import",
            cure="Release one first, or import with --no-check-codes.",
        )
    return selectors.catalogue_of(release.number)


def _write_faults(report: "ImportReport", *, errors: Path | None) -> None:
    if errors is not None:
        from millicent.kit.sheets import write_sheet

        write_sheet(report.faults, errors)
        say(f"{report.faults.height:,} faults are listed in {errors}.")


def _show_report(report: "ImportReport", *, as_json: bool) -> None:
    rows = [(count.file, count.rows_in, count.new, count.standing, count.refused) for count in report.counts]
    show_table("Imported", ("file", "rows in", "new", "standing", "refused"), rows, as_json=as_json)


def _account_document(account: "BillingAccountFacts") -> dict[str, object]:
    return {
        "code": account.code,
        "name": account.party_name,
        "segment": account.segment,
        "currency": account.currency,
        "zone": account.zone,
        "cycle": f"day {account.cycle.day}, every {account.cycle.period.count} {account.cycle.period.unit}",
        "language": account.language,
        "country": account.country,
        "jurisdiction": account.jurisdiction,
        "business": account.is_business,
        "tax_number": account.tax_number,
        "reseller": account.reseller,
        "opened_at": from_ms(account.opened_at_ms).isoformat(),
    }


def _subscription_document(subscription: "SubscriptionFacts") -> dict[str, object]:
    return {
        "code": subscription.code,
        "pool": subscription.pool,
        "versions": [
            {
                "effective": _span(version.effective_from_ms, version.effective_until_ms),
                "offering": version.offering,
                "status": version.status.value,
                "quantity": version.quantity,
                "add_ons": list(version.add_ons),
                "coupons": list(version.coupons),
            }
            for version in subscription.versions
        ],
    }


def _span(from_ms_: int, until_ms: int | None) -> str:
    until = from_ms(until_ms).isoformat() if until_ms is not None else "…"
    return f"{from_ms(from_ms_).isoformat()} – {until}"
