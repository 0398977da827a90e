"""Bring accounts, subscriptions and identifiers from CSV files: all or nothing, or the good rows."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl
from django.db import transaction

from millicent.catalog.types import Catalogue
from millicent.customers import selectors as customers
from millicent.customers.columns import ACCOUNT_COLUMNS
from millicent.customers.services.check_account_rows import CheckedAccounts, check_accounts
from millicent.customers.services.open_billing_accounts import open_accounts_of_frame
from millicent.kit.intake import FAULT_SCHEMA, TextTable, read_text_table
from millicent.subscriptions import selectors
from millicent.subscriptions.columns import IDENTIFIER_COLUMNS, SUBSCRIPTION_COLUMNS
from millicent.subscriptions.errors import ImportRefused
from millicent.subscriptions.services.add_subscriptions import add_identifiers_of_frame, add_versions_of_frame
from millicent.subscriptions.services.check_identifier_rows import CheckedIdentifiers, check_identifiers
from millicent.subscriptions.services.check_subscription_rows import CheckedSubscriptions, check_subscriptions
from millicent.subscriptions.services.split_one_file import split_one_file
from millicent.subscriptions.types import FileCount, ImportReport


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerFiles:
    """What is brought: up to three files, or one that holds everything."""

    accounts: Path | None = None
    subscriptions: Path | None = None
    identifiers: Path | None = None
    everything: Path | None = None


@transaction.atomic
def import_customers(
    *, files: CustomerFiles, catalogue: Catalogue | None, good_rows_only: bool, now: datetime
) -> ImportReport:
    """Write what is new. Rows that were imported before with the same content stand: a repeat changes nothing.

    With any fault nothing is written and ImportRefused holds them all, unless `good_rows_only`: then the sound rows
    are written and the faults are in the report. Rows that lean on a refused row are refused with it.
    """
    accounts, subscriptions, identifiers = _read(files)
    checked_accounts = check_accounts(accounts) if accounts else None
    checked_subscriptions = (
        _check_subscriptions(subscriptions, accounts=checked_accounts, catalogue=catalogue) if subscriptions else None
    )
    checked_identifiers = _check_identifiers(identifiers, subscriptions=checked_subscriptions) if identifiers else None
    checked = [
        (table, found)
        for table, found in (
            (accounts, checked_accounts),
            (subscriptions, checked_subscriptions),
            (identifiers, checked_identifiers),
        )
        if table and found
    ]
    faults = pl.concat([pl.DataFrame(schema=FAULT_SCHEMA), *(found.faults for _, found in checked)])
    report = ImportReport(
        counts=tuple(_count(table, found) for table, found in checked),
        faults=faults.sort("file", "row", maintain_order=True),
    )
    if faults.height and not good_rows_only:
        raise ImportRefused(_refusal(report), report=report)
    if checked_accounts:
        open_accounts_of_frame(checked_accounts.new.drop("row"), exemptions=checked_accounts.exemptions, now=now)
    if checked_subscriptions:
        add_versions_of_frame(checked_subscriptions.new.drop("row"), now=now)
    if checked_identifiers:
        add_identifiers_of_frame(checked_identifiers.new.drop("row"), now=now)
    return report


def _read(files: CustomerFiles) -> tuple[TextTable | None, TextTable | None, TextTable | None]:
    if files.everything:
        return split_one_file(files.everything)
    return (
        read_text_table(files.accounts, columns=ACCOUNT_COLUMNS) if files.accounts else None,
        read_text_table(files.subscriptions, columns=SUBSCRIPTION_COLUMNS) if files.subscriptions else None,
        read_text_table(files.identifiers, columns=IDENTIFIER_COLUMNS) if files.identifiers else None,
    )


def _check_subscriptions(
    table: TextTable, *, accounts: CheckedAccounts | None, catalogue: Catalogue | None
) -> CheckedSubscriptions:
    standing = customers.account_places(codes=table.rows["account"].unique().to_list())
    if accounts:
        standing = pl.concat([standing, accounts.new.select("account_code", "zone", "currency")])
    return check_subscriptions(
        table,
        accounts=standing,
        refused_accounts=frozenset(accounts.refused_codes if accounts else ()),
        catalogue=catalogue,
    )


def _check_identifiers(table: TextTable, *, subscriptions: CheckedSubscriptions | None) -> CheckedIdentifiers:
    standing = selectors.subscription_places(codes=table.rows["subscription"].unique().to_list())
    if subscriptions:
        fresh = subscriptions.zones.join(standing, on="subscription_code", how="anti")
        fresh = fresh.filter(~pl.col("subscription_code").is_in(list(subscriptions.refused_codes)))
        standing = pl.concat([standing, fresh.select(standing.columns)])
    return check_identifiers(
        table, subscriptions=standing, refused_codes=subscriptions.refused_codes if subscriptions else frozenset()
    )


def _count(table: TextTable, checked: CheckedAccounts | CheckedSubscriptions | CheckedIdentifiers) -> FileCount:
    refused = checked.faults["row"].n_unique()
    counts = FileCount(
        file=table.file,
        rows_in=checked.rows_in,
        new=checked.new.height,
        standing=checked.standing.height,
        refused=refused,
    )
    assert counts.rows_in == counts.new + counts.standing + counts.refused, f"{table.file} loses rows"
    return counts


def _refusal(report: ImportReport) -> str:
    first = report.faults.row(0, named=True)
    refused = sum(count.refused for count in report.counts)
    return (
        f"{first['file']}:{first['row']}: {first['column']} {first['value']!r} {first['problem']}. {first['cure']} "
        f"({refused} rows are refused; nothing was imported)"
    )
