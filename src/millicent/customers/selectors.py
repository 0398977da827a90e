"""Reads of customers: accounts as billing and enrichment see them, in a few queries however many there are."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from millicent.catalog.types import Period, PeriodUnit
from millicent.customers.types import (
    NEW_ACCOUNT_COLUMNS,
    AccountChange,
    BillCycle,
    BillingAccountFacts,
    PaidByAnother,
    PayerGroup,
    TaxExemption,
)
from millicent.kit.bulk import read_frame, read_rows
from millicent.kit.errors import Defect
from millicent.kit.intake import sorted_objects

_ACCOUNTS = """
SELECT account.id, account.code, COALESCE(later.name, party.name), terms.payer_id, account.parent_id,
       account.currency, account.zone, account.cycle_day, account.cycle_count, account.cycle_unit,
       account.cycle_anchor_ms,
       terms.language, terms.segment, terms.country, terms.jurisdiction, terms.is_business, terms.tax_number,
       COALESCE(terms.address, account.address), terms.reseller, account.opened_at_ms, account.characteristics
FROM customers_billingaccount account
JOIN customers_party party ON party.id = account.party_id
LEFT JOIN LATERAL (
    SELECT name FROM customers_partyname later
    WHERE later.party_id = party.id AND later.effective_from_ms <= COALESCE(%s::bigint, later.effective_from_ms)
        AND {name_believed}
    ORDER BY later.effective_from_ms DESC LIMIT 1
) later ON true
JOIN customers_billingaccountterms terms ON terms.billing_account_id = account.id AND {believed}
"""
_BELIEVED_NOW = "{row}.superseded_at_ms IS NULL"
_BELIEVED_THEN = "{row}.recorded_at_ms <= %s AND ({row}.superseded_at_ms IS NULL OR {row}.superseded_at_ms > %s)"
_TERMS_AT = " AND terms.effective_from_ms <= %s AND (terms.effective_until_ms IS NULL OR terms.effective_until_ms > %s)"
_LATEST_TERMS = " AND terms.effective_until_ms IS NULL"
_EXEMPTIONS = """
SELECT billing_account_id, kind, jurisdiction, certificate, effective_from_ms, effective_until_ms
FROM customers_taxexemptioncertificate certificate
WHERE billing_account_id IN (SELECT unnest(%s::bigint[])) AND {believed}
ORDER BY billing_account_id, effective_from_ms, id
"""
_PAID_BY_OTHERS = """
SELECT billing_account_id, payer_id, effective_from_ms, effective_until_ms
FROM customers_billingaccountterms terms
WHERE payer_id <> billing_account_id AND billing_account_id IN (SELECT unnest(%s::bigint[]))
    AND effective_until_ms <= %s AND {believed}
ORDER BY 1, 3
"""
_AS_OPENED = """
SELECT account.code, party.code, party.kind, party.name, '', '', COALESCE(parent.code, ''),
       CASE WHEN payer.id = account.id THEN '' ELSE payer.code END, account.currency, account.zone,
       account.cycle_day, account.cycle_count, account.cycle_unit, account.cycle_anchor_ms,
       terms.language, terms.segment, terms.country, terms.jurisdiction, terms.is_business, terms.tax_number,
       terms.reseller, account.address, account.opened_at_ms, account.characteristics
FROM customers_billingaccount account
JOIN customers_party party ON party.id = account.party_id
LEFT JOIN customers_billingaccount parent ON parent.id = account.parent_id
JOIN customers_billingaccountterms terms ON terms.billing_account_id = account.id
    AND terms.recorded_at_ms = account.recorded_at_ms AND terms.effective_from_ms = account.opened_at_ms
JOIN customers_billingaccount payer ON payer.id = terms.payer_id
WHERE account.code IN (SELECT unnest(%s::text[]))
"""
_ABOVE = """
WITH RECURSIVE above AS (
    SELECT id, code, parent_id FROM customers_billingaccount WHERE code IN (SELECT unnest(%s::text[]))
    UNION
    SELECT account.id, account.code, account.parent_id
    FROM above JOIN customers_billingaccount account ON account.id = above.parent_id
)
SELECT above.code, above.id, COALESCE(parent.code, ''), payer.code
FROM above
LEFT JOIN customers_billingaccount parent ON parent.id = above.parent_id
JOIN customers_billingaccountterms terms ON terms.billing_account_id = above.id
    AND terms.superseded_at_ms IS NULL AND terms.effective_until_ms IS NULL
JOIN customers_billingaccount payer ON payer.id = terms.payer_id
"""


def billing_accounts(
    *,
    ids: Iterable[int] | None = None,
    codes: Iterable[str] | None = None,
    bucket: int | None = None,
    buckets: int | None = None,
    at_ms: int | None = None,
    known_at_ms: int | None = None,
    limit: int | None = None,
) -> list[BillingAccountFacts]:
    """Accounts by id: those asked for, or those whose id leaves `bucket` when divided by `buckets`, or all.

    Their terms are those in force at `at_ms`, or the latest. An account with no terms at that time (not yet open)
    is left out. With `known_at_ms` terms and exemptions are what was known then.
    """
    where, values = _choice(column="account.id", ids=ids, bucket=bucket, buckets=buckets)
    if codes is not None:
        where, values = f"{where} AND account.code IN (SELECT unnest(%s::text[]))", [*values, list(codes)]
    terms, instants = (_LATEST_TERMS, []) if at_ms is None else (_TERMS_AT, [at_ms, at_ms])
    return _facts(
        f"{_ACCOUNTS}{terms} WHERE {where} ORDER BY account.id LIMIT %s",
        [*instants, *values, limit],
        at_ms=at_ms,
        known_at_ms=known_at_ms,
    )


def payer_groups(
    *,
    payer_ids: Iterable[int] | None = None,
    bucket: int | None = None,
    buckets: int | None = None,
    at_ms: int | None = None,
    known_at_ms: int | None = None,
) -> list[PayerGroup]:
    """Accounts grouped by who pays, ordered by payer id; the bucket is the payer's. A group is never cut in two.

    `at_ms` and `known_at_ms` choose terms as in `billing_accounts`.
    """
    where, values = _choice(column="terms.payer_id", ids=payer_ids, bucket=bucket, buckets=buckets)
    terms, instants = (_LATEST_TERMS, []) if at_ms is None else (_TERMS_AT, [at_ms, at_ms])
    members: dict[int, list[BillingAccountFacts]] = defaultdict(list)
    for account in _facts(
        f"{_ACCOUNTS}{terms} WHERE {where} ORDER BY account.id",
        [*instants, *values],
        at_ms=at_ms,
        known_at_ms=known_at_ms,
    ):
        members[account.payer_id].append(account)
    groups = []
    for payer_id in sorted(members):
        accounts = sorted(
            members[payer_id], key=lambda account: (account.billing_account_id != payer_id, account.billing_account_id)
        )
        if accounts[0].billing_account_id != payer_id:
            raise Defect(f"account {payer_id} pays for others and not for itself", payer_id=payer_id)
        groups.append(PayerGroup(payer=accounts[0], accounts=tuple(accounts)))
    return groups


def paid_by_others(*, ids: Iterable[int], at_ms: int, known_at_ms: int) -> dict[int, list[PaidByAnother]]:
    """For those of these accounts that others have paid for: when that was and is over at an instant, oldest first."""
    found: dict[int, list[PaidByAnother]] = defaultdict(list)
    query = _PAID_BY_OTHERS.format(believed=_BELIEVED_THEN.format(row="terms"))
    for account_id, payer_id, from_ms, until_ms in read_rows(query, [list(ids), at_ms, known_at_ms, known_at_ms]):
        found[account_id].append(PaidByAnother(payer_id=payer_id, from_ms=from_ms, until_ms=until_ms))
    return dict(found)


_PAYERS_BEFORE = """
SELECT asked.account_id, own.payer_id
FROM unnest(%s::bigint[], %s::bigint[]) AS asked(account_id, at_ms)
CROSS JOIN LATERAL (
    SELECT payer_id FROM customers_billingaccountterms terms
    WHERE terms.billing_account_id = asked.account_id AND terms.effective_from_ms < asked.at_ms
        AND (terms.effective_until_ms IS NULL OR terms.effective_until_ms >= asked.at_ms) AND {believed}
    OFFSET 0
) own
"""


def payers_before(at_ms_by_account: Mapping[int, int], *, known_at_ms: int | None = None) -> dict[int, int]:
    """Who paid for each account in the last millisecond before its instant; accounts not yet open are left out."""
    believed, known = (_BELIEVED_NOW, []) if known_at_ms is None else (_BELIEVED_THEN, [known_at_ms, known_at_ms])
    query = _PAYERS_BEFORE.format(believed=believed.format(row="terms"))
    return dict(read_rows(query, [list(at_ms_by_account), list(at_ms_by_account.values()), *known]))


def billing_account_ids(*, codes: Iterable[str]) -> dict[str, int]:
    """Ids by code; codes that name no account are not in the answer."""
    return dict(
        read_rows(
            "SELECT code, id FROM customers_billingaccount WHERE code IN (SELECT unnest(%s::text[]))", [list(codes)]
        )
    )


def payers_of_accounts() -> pl.DataFrame:
    """billing_account_id, payer_id of every account, by its latest terms."""
    query = (
        "SELECT billing_account_id, payer_id FROM customers_billingaccountterms "
        "WHERE superseded_at_ms IS NULL AND effective_until_ms IS NULL"
    )
    return read_frame(query, schema={"billing_account_id": pl.Int64, "payer_id": pl.Int64})


def account_places(*, codes: Iterable[str]) -> pl.DataFrame:
    """account_code, zone, currency of these accounts: what a date or an amount of theirs is read by."""
    schema = {"account_code": pl.String, "zone": pl.String, "currency": pl.String}
    query = "SELECT code, zone, currency FROM customers_billingaccount WHERE code IN (SELECT unnest(%s::text[]))"
    return read_frame(query, [list(codes)], schema=schema)


def account_zones(*, ids: Iterable[int]) -> dict[int, str]:
    """Zones by id."""
    return dict(
        read_rows(
            "SELECT id, zone FROM customers_billingaccount WHERE id IN (SELECT unnest(%s::bigint[]))", [list(ids)]
        )
    )


def billing_account_codes(*, ids: Iterable[int]) -> dict[int, str]:
    """Codes by id."""
    return dict(
        read_rows(
            "SELECT id, code FROM customers_billingaccount WHERE id IN (SELECT unnest(%s::bigint[]))", [list(ids)]
        )
    )


def accounts_of_same_party(account_id: int) -> list[int]:
    """Ids of every billing account of the party that has this one."""
    query = (
        "SELECT other.id FROM customers_billingaccount account "
        "JOIN customers_billingaccount other ON other.party_id = account.party_id WHERE account.id = %s ORDER BY 1"
    )
    return [row[0] for row in read_rows(query, [account_id])]


def accounts_above(*, codes: Iterable[str]) -> dict[str, tuple[int, str, str]]:
    """For these accounts and everything above them: code -> (id, parent's code or "", payer's code)."""
    found = read_rows(_ABOVE, [list(codes)])
    return {code: (account_id, parent, payer) for code, account_id, parent, payer in found}


def accounts_as_opened(*, codes: Iterable[str]) -> pl.DataFrame:
    """Billing accounts with the content they were first recorded with (NEW_ACCOUNT_COLUMNS, contacts left empty)."""
    schema = {name: getattr(pl, type_name) for name, type_name in NEW_ACCOUNT_COLUMNS.items()}
    found = read_frame(_AS_OPENED, [list(codes)], schema=schema | {"is_business": pl.String})
    return found.with_columns(
        is_business=pl.col("is_business") == "t", characteristics=sorted_objects(found["characteristics"])
    )


def count_billing_accounts() -> int:
    return int(read_rows("SELECT count(*) FROM customers_billingaccount", [])[0][0])


def _choice(
    *, column: str, ids: Iterable[int] | None, bucket: int | None, buckets: int | None
) -> tuple[str, list[object]]:
    if ids is not None:
        return f"{column} IN (SELECT unnest(%s::bigint[]))", [list(ids)]
    if bucket is not None:
        assert buckets is not None, "a bucket is one of so many"
        return f"{column} %% %s = %s", [buckets, bucket]
    return "true", []


def _facts(
    query: str, values: Sequence[object], *, at_ms: int | None, known_at_ms: int | None
) -> list[BillingAccountFacts]:
    believed, known = (_BELIEVED_NOW, []) if known_at_ms is None else (_BELIEVED_THEN, [known_at_ms, known_at_ms])
    asked = query.format(believed=believed.format(row="terms"), name_believed=believed.format(row="later"))
    rows = read_rows(asked, [at_ms, *known, *known, *values])
    exemptions: dict[int, list[TaxExemption]] = defaultdict(list)
    account_ids = [row[0] for row in rows]
    for account_id, kind, jurisdiction, certificate, from_ms, until_ms in read_rows(
        _EXEMPTIONS.format(believed=believed.format(row="certificate")), [account_ids, *known]
    ):
        exemptions[account_id].append(
            TaxExemption(
                kind=kind,
                jurisdiction=jurisdiction,
                certificate=certificate,
                effective_from_ms=from_ms,
                effective_until_ms=until_ms,
            )
        )
    cycles: dict[tuple[Any, ...], BillCycle] = {}
    return [_account(row, exemptions=tuple(exemptions.get(row[0], ())), cycles=cycles) for row in rows]


def _account(
    row: tuple[Any, ...], *, exemptions: tuple[TaxExemption, ...], cycles: dict[tuple[Any, ...], BillCycle]
) -> BillingAccountFacts:
    turn = row[7:11]
    if turn not in cycles:
        day, count, unit, anchor_ms = turn
        cycles[turn] = BillCycle(day=day, period=Period(count=count, unit=PeriodUnit(unit)), anchor_ms=anchor_ms)
    return BillingAccountFacts(
        billing_account_id=row[0],
        code=row[1],
        party_name=row[2],
        payer_id=row[3],
        parent_id=row[4],
        currency=row[5],
        zone=row[6],
        cycle=cycles[turn],
        language=row[11],
        segment=row[12],
        country=row[13],
        jurisdiction=row[14],
        is_business=row[15],
        tax_number=row[16],
        tax_exemptions=exemptions,
        address_lines=tuple(row[17].split("\n")) if row[17] else (),
        reseller=row[18],
        opened_at_ms=row[19],
        characteristics=json.loads(row[20]) if row[20] != "{}" else {},
    )


_TERMS = """
SELECT terms.effective_from_ms, terms.effective_until_ms, payer.code, terms.segment, terms.language, terms.country,
       terms.jurisdiction, terms.is_business, terms.tax_number, terms.reseller,
       COALESCE(terms.address, account.address)
FROM customers_billingaccountterms terms
JOIN customers_billingaccount payer ON payer.id = terms.payer_id
JOIN customers_billingaccount account ON account.id = terms.billing_account_id
WHERE terms.billing_account_id = %s AND terms.superseded_at_ms IS NULL ORDER BY terms.effective_from_ms
"""
_TERM_NAMES = (
    "effective_from_ms", "effective_until_ms", "payer", "segment", "language", "country", "jurisdiction",
    "is_business", "tax_number", "reseller", "address",
)  # fmt: skip


def terms_of(account_id: int) -> list[dict[str, Any]]:
    """An account's terms as we believe them now, oldest first; the payer by its code."""
    return [dict(zip(_TERM_NAMES, row, strict=True)) for row in read_rows(_TERMS, [account_id])]


def changes_of(account_id: int) -> list[AccountChange]:
    """What was changed of an account or its party through this account, by whom and why, in the order we were told."""
    query = (
        "SELECT verb, effective_at_ms, recorded_at_ms, who, why, details FROM customers_billingaccountchange "
        "WHERE billing_account_id = %s ORDER BY id"
    )
    return [
        AccountChange(
            verb=verb,
            effective_at_ms=effective_ms,
            recorded_at_ms=recorded_ms,
            who=who,
            why=why,
            details=json.loads(details) if isinstance(details, str) else details,
        )
        for verb, effective_ms, recorded_ms, who, why, details in read_rows(query, [account_id])
    ]


_SEGMENTS = """
SELECT DISTINCT ON (billing_account_id) billing_account_id, segment, reseller
FROM customers_billingaccountterms
WHERE superseded_at_ms IS NULL
ORDER BY billing_account_id, effective_from_ms DESC
"""


def segment_frame() -> pl.DataFrame:
    """Segment and reseller of every billing account by its latest terms, as columns, for list prices."""
    return read_frame(_SEGMENTS, schema={"billing_account_id": pl.Int64, "segment": pl.String, "reseller": pl.String})
