"""Part one wide file into accounts, subscriptions and identifiers."""

from pathlib import Path

import polars as pl

from millicent.customers.columns import ACCOUNT_COLUMNS
from millicent.kit.intake import FAULT_SCHEMA, Column, TextTable, read_text_table
from millicent.subscriptions.columns import SUBSCRIPTION_COLUMNS, as_written
from millicent.subscriptions.types import IdentifierKind

_OWN = tuple(column for column in SUBSCRIPTION_COLUMNS if column.name != "account")
_KINDS = tuple(
    Column(name=kind.value, parse=as_written, cure="One, or several separated by |.") for kind in IdentifierKind
)
ONE_FILE_COLUMNS = (*ACCOUNT_COLUMNS, *_OWN, *_KINDS)


def split_one_file(path: Path) -> tuple[TextTable, TextTable, TextTable]:
    """One row is one version of a subscription, beside its account and its identifiers.

    Rows of one account say the same about it, or say it in the first row and repeat only the code. Row numbers stay
    those of the file. Columns of one's own belong to the subscription.
    """
    whole = read_text_table(path, columns=ONE_FILE_COLUMNS)
    names = whole.rows.columns
    account_names = [column.name for column in ACCOUNT_COLUMNS if column.name in names]
    accounts = whole.rows.select("row", *account_names)
    told = pl.any_horizontal(pl.col(name) != "" for name in account_names if name != "account")
    accounts = accounts.filter(told | (pl.col("row") == pl.col("row").min().over("account")))
    accounts = accounts.unique(account_names, keep="first", maintain_order=True)
    mine = [name for name in names if name not in account_names and name not in {kind.value for kind in IdentifierKind}]
    subscriptions = whole.rows.select("row", "account", *(name for name in mine if name != "row"))
    return (
        TextTable(file=whole.file, rows=accounts, faults=whole.faults),
        TextTable(file=whole.file, rows=subscriptions, faults=pl.DataFrame(schema=FAULT_SCHEMA)),
        TextTable(file=whole.file, rows=_identifiers(whole.rows), faults=pl.DataFrame(schema=FAULT_SCHEMA)),
    )


def _identifiers(rows: pl.DataFrame) -> pl.DataFrame:
    """The first row of a subscription brings its identifiers, held from the day it begins."""
    first = rows.filter(pl.col("row") == pl.col("row").min().over("subscription"))
    kinds = [kind.value for kind in IdentifierKind if kind.value in rows.columns]
    if not kinds:
        return pl.DataFrame(
            schema={"row": pl.Int64, "subscription": pl.String, "kind": pl.String, "identifier": pl.String}
        )
    return (
        first.select("row", "subscription", *kinds)
        .unpivot(on=kinds, index=["row", "subscription"], variable_name="kind", value_name="identifier")
        .with_columns(pl.col("identifier").str.split("|"))
        .explode("identifier")
        .with_columns(pl.col("identifier").str.strip_chars())
        .filter(pl.col("identifier") != "")
        .sort("row", maintain_order=True)
    )
