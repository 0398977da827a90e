"""Open billing accounts, with their parties, contacts, terms and exemptions: one, or a hundred thousand at once."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

import polars as pl
from django.db import transaction

from millicent.customers import selectors
from millicent.customers.errors import CodeTaken, PayerNotAbove, UnknownAccount
from millicent.customers.rules import depth, may_pay
from millicent.customers.types import NEW_ACCOUNT_COLUMNS, NEW_EXEMPTION_COLUMNS, NewBillingAccount
from millicent.kit.bulk import insert_frame, read_frame, refresh_statistics, reserve_ids
from millicent.kit.clock import to_ms

_MANY = 1_000  # rows, from which on it pays to tell the planner


def open_billing_accounts(accounts: Sequence[NewBillingAccount], *, now: datetime) -> dict[str, int]:
    """Open all of these accounts or none; returns their ids by code. See `open_accounts_of_frame` for refusals."""
    rows = pl.DataFrame([_account_row(account) for account in accounts], schema=_schema(NEW_ACCOUNT_COLUMNS))
    exemptions = pl.DataFrame(
        [row for account in accounts for row in _exemption_rows(account)], schema=_schema(NEW_EXEMPTION_COLUMNS)
    )
    opened = open_accounts_of_frame(rows, exemptions=exemptions, now=now)
    return dict(zip(opened["account_code"].to_list(), opened["billing_account_id"].to_list(), strict=True))


@transaction.atomic
def open_accounts_of_frame(accounts: pl.DataFrame, *, exemptions: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """The same from columns (NEW_ACCOUNT_COLUMNS, NEW_EXEMPTION_COLUMNS); returns account_code, billing_account_id.

    Refuses a code that is taken, a parent or payer that does not exist, a payer that does not stand above, a circle.
    """
    _refuse_taken_codes(accounts)
    family = read_family(accounts)
    refuse_bad_hierarchy(accounts, family=family)
    recorded_at_ms = to_ms(now)
    parties = _write_parties(accounts, recorded_at_ms=recorded_at_ms)
    opened = _write_accounts(accounts, parties=parties, family=family, recorded_at_ms=recorded_at_ms)
    _write_terms(accounts, opened=opened, family=family, recorded_at_ms=recorded_at_ms)
    if exemptions.height:
        insert_frame(
            exemptions.join(opened, on="account_code")
            .drop("account_code")
            .with_columns(recorded_at_ms=pl.lit(recorded_at_ms)),
            table="customers_taxexemptioncertificate",
        )
    if accounts.height > _MANY:
        refresh_statistics("customers_party", "customers_billingaccount", "customers_billingaccountterms")
    return opened


class Family:
    """Who stands above whom and who pays, by code: the accounts to be opened and those above them already open."""

    def __init__(self, *, ids: Mapping[str, int], parents: Mapping[str, str], payers: Mapping[str, str]) -> None:
        self.ids = ids  # of accounts already open
        self.parents = parents
        self.payers = payers


def read_family(accounts: pl.DataFrame) -> Family:
    """Collect the new accounts' parents and payers and, from the tables, everything above them."""
    named = pl.concat([accounts["parent_code"], accounts["payer_code"]]).unique()
    standing = selectors.accounts_above(codes=[code for code in named.to_list() if code])
    new = accounts.filter((pl.col("parent_code") != "") | (pl.col("payer_code") != ""))
    return Family(
        ids={code: account_id for code, (account_id, _, _) in standing.items()},
        parents={code: parent for code, (_, parent, _) in standing.items()}
        | dict(zip(new["account_code"].to_list(), new["parent_code"].to_list(), strict=True)),
        payers={code: payer for code, (_, _, payer) in standing.items()}
        | {
            code: payer or code
            for code, payer in zip(new["account_code"].to_list(), new["payer_code"].to_list(), strict=True)
        },
    )


def refuse_bad_hierarchy(accounts: pl.DataFrame, *, family: Family) -> None:
    """Every parent and payer exists, nobody stands above themselves, and payers stand above those they pay for."""
    known = set(family.ids) | set(accounts["account_code"].to_list())
    placed = accounts.filter((pl.col("parent_code") != "") | (pl.col("payer_code") != ""))
    for code, parent, payer in placed.select("account_code", "parent_code", "payer_code").iter_rows():
        for other in (parent, payer):
            if other and other not in known:
                raise UnknownAccount(f"billing account {code} names {other}, which does not exist", account_code=other)
        depth(code, parents=family.parents)
        if payer and not may_pay(payer, account=code, parents=family.parents, payers=family.payers):
            raise PayerNotAbove(
                f"{payer} cannot pay for {code}: it does not stand above it, or does not pay for itself",
                account_code=code,
                payer_code=payer,
            )


def _refuse_taken_codes(accounts: pl.DataFrame) -> None:
    codes = accounts["account_code"]
    twice = codes.filter(codes.is_duplicated()).unique().sort().to_list()
    taken = twice or sorted(selectors.billing_account_ids(codes=codes.to_list()))
    if taken:
        raise CodeTaken(f"billing account code {taken[0]} is taken", account_codes=taken)


def _write_parties(accounts: pl.DataFrame, *, recorded_at_ms: int) -> pl.DataFrame:
    """Write the parties that are new; returns party_code, party_id of all that are named."""
    named = accounts.unique("party_code", keep="first", maintain_order=True)
    known = read_frame(
        "SELECT code, id FROM customers_party WHERE code IN (SELECT unnest(%s::text[]))",
        [named["party_code"].to_list()],
        schema={"party_code": pl.String, "party_id": pl.Int64},
    )
    new = named.join(known, on="party_code", how="anti")
    new = new.with_columns(party_id=reserve_ids("customers_party", how_many=new.height))
    insert_frame(
        new.select(
            id="party_id",
            code="party_code",
            kind="party_kind",
            name="party_name",
            language="language",
            recorded_at_ms=pl.lit(recorded_at_ms),
        ),
        table="customers_party",
    )
    for kind, column in (("email", "email"), ("phone", "phone")):
        reachable = new.filter(pl.col(column) != "")
        insert_frame(reachable.select("party_id", kind=pl.lit(kind), reach=column), table="customers_contact")
    return pl.concat([known, new.select("party_code", "party_id")])


def _write_accounts(
    accounts: pl.DataFrame, *, parties: pl.DataFrame, family: Family, recorded_at_ms: int
) -> pl.DataFrame:
    """Parents get smaller ids than their children: the table itself refuses anything else."""
    order = pl.Series([depth(code, parents=family.parents) for code in accounts["account_code"].to_list()])
    placed = accounts.with_columns(depth=order).sort("depth", maintain_order=True)
    placed = placed.with_columns(id=reserve_ids("customers_billingaccount", how_many=placed.height))
    ids = pl.concat([placed.select(code="account_code", id="id"), _ids_frame(family.ids)])
    insert_frame(
        placed.join(parties, on="party_code")
        .join(ids.select(parent_code="code", parent_id="id"), on="parent_code", how="left")
        .select(
            "id",
            "party_id",
            "parent_id",
            "currency",
            "zone",
            "cycle_day",
            "cycle_count",
            "cycle_unit",
            "cycle_anchor_ms",
            "address",
            "opened_at_ms",
            "characteristics",
            code="account_code",
            recorded_at_ms=pl.lit(recorded_at_ms),
        ),
        table="customers_billingaccount",
    )
    return placed.select("account_code", billing_account_id="id")


def _write_terms(accounts: pl.DataFrame, *, opened: pl.DataFrame, family: Family, recorded_at_ms: int) -> None:
    """The first terms hold from the day the account is opened."""
    ids = pl.concat([opened.select(code="account_code", id="billing_account_id"), _ids_frame(family.ids)])
    insert_frame(
        accounts.join(opened, on="account_code")
        .with_columns(
            payer_code=pl.when(pl.col("payer_code") == "").then("account_code").otherwise("payer_code"),
        )
        .join(ids.select(payer_code="code", payer_id="id"), on="payer_code")
        .select(
            "billing_account_id",
            "payer_id",
            "language",
            "segment",
            "country",
            "jurisdiction",
            "is_business",
            "tax_number",
            "reseller",
            effective_from_ms="opened_at_ms",
            recorded_at_ms=pl.lit(recorded_at_ms),
        ),
        table="customers_billingaccountterms",
    )


def _ids_frame(ids: Mapping[str, int]) -> pl.DataFrame:
    return pl.DataFrame({"code": list(ids), "id": list(ids.values())}, schema={"code": pl.String, "id": pl.Int64})


def _schema(columns: Mapping[str, str]) -> dict[str, pl.DataType]:
    return {name: getattr(pl, type_name) for name, type_name in columns.items()}


def _account_row(account: NewBillingAccount) -> dict[str, object]:
    return {
        "account_code": account.code,
        "party_code": account.party_code,
        "party_kind": account.party_kind.value,
        "party_name": account.party_name,
        "email": account.email,
        "phone": account.phone,
        "parent_code": account.parent_code,
        "payer_code": account.payer_code,
        "currency": account.currency,
        "zone": account.zone,
        "cycle_day": account.cycle.day,
        "cycle_count": account.cycle.period.count,
        "cycle_unit": account.cycle.period.unit.value,
        "cycle_anchor_ms": account.cycle.anchor_ms,
        "language": account.language,
        "segment": account.segment,
        "country": account.country,
        "jurisdiction": account.jurisdiction,
        "is_business": account.is_business,
        "tax_number": account.tax_number,
        "reseller": account.reseller,
        "address": "\n".join(account.address_lines),
        "opened_at_ms": account.opened_at_ms,
        "characteristics": json.dumps(dict(account.characteristics)),
    }


def _exemption_rows(account: NewBillingAccount) -> list[dict[str, object]]:
    return [
        {
            "account_code": account.code,
            "kind": exemption.kind,
            "jurisdiction": exemption.jurisdiction,
            "certificate": exemption.certificate,
            "effective_from_ms": exemption.effective_from_ms,
            "effective_until_ms": exemption.effective_until_ms,
        }
        for exemption in account.tax_exemptions
    ]
