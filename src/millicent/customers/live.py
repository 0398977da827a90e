"""Reads of customers for live balances: who pays for whom, in which currency and cycle, and how to reach them.

Beside `selectors`, and as open to other stages: an instant and what was known then are always arguments.
"""

import json
from collections.abc import Iterable, Sequence

import polars as pl

from millicent.kit.bulk import read_frame, read_rows

_PAYING = """
SELECT account.id, terms.payer_id, account.currency, account.zone, account.cycle_day, account.cycle_count,
       account.cycle_unit, account.cycle_anchor_ms, terms.segment
FROM customers_billingaccount account
JOIN customers_billingaccountterms terms ON terms.billing_account_id = account.id
WHERE terms.recorded_at_ms <= %s AND (terms.superseded_at_ms IS NULL OR terms.superseded_at_ms > %s)
    AND terms.effective_from_ms <= %s AND (terms.effective_until_ms IS NULL OR terms.effective_until_ms > %s)
    AND (%s::bigint[] IS NULL OR account.id = ANY(%s))
"""
PAYING_FRAME_COLUMNS = {
    "billing_account_id": pl.Int64,
    "payer_id": pl.Int64,
    "currency": pl.String,
    "zone": pl.String,
    "cycle_day": pl.Int64,
    "cycle_count": pl.Int64,
    "cycle_unit": pl.String,
    "cycle_anchor_ms": pl.Int64,
    "segment": pl.String,
}


def paying_frame(*, at_ms: int, known_at_ms: int, ids: Sequence[int] | None = None) -> pl.DataFrame:
    """Who paid for whom at an instant, as it was known then, in which currency and cycle."""
    chosen = None if ids is None else list(ids)
    return read_frame(_PAYING, [known_at_ms, known_at_ms, at_ms, at_ms, chosen, chosen], schema=PAYING_FRAME_COLUMNS)


_TERMS_CHANGED = """
SELECT DISTINCT billing_account_id FROM customers_billingaccountterms
WHERE recorded_at_ms > %s OR superseded_at_ms > %s
    OR (effective_from_ms > %s AND effective_from_ms <= %s) OR (effective_until_ms > %s AND effective_until_ms <= %s)
"""


def accounts_changed(*, recorded_since_ms: int, from_ms: int, until_ms: int) -> list[int]:
    """Accounts of whose terms something was recorded since, or began or ended in (from_ms, until_ms]."""
    values = [recorded_since_ms, recorded_since_ms, from_ms, until_ms, from_ms, until_ms]
    return [row[0] for row in read_rows(_TERMS_CHANGED, values)]


def account_contacts(*, ids: Iterable[int]) -> dict[int, tuple[str, dict[str, str]]]:
    """Language, and how to reach the party ("email", "phone"), of these accounts by their latest terms."""
    rows = read_rows(
        "SELECT account.id, terms.language, COALESCE((SELECT jsonb_object_agg(contact.kind, contact.reach)::text "
        "FROM customers_contact contact WHERE contact.party_id = account.party_id), '{}') "
        "FROM customers_billingaccount account JOIN customers_billingaccountterms terms "
        "ON terms.billing_account_id = account.id AND terms.superseded_at_ms IS NULL "
        "AND terms.effective_until_ms IS NULL WHERE account.id IN (SELECT unnest(%s::bigint[]))",
        [list(ids)],
    )
    return {account_id: (language, json.loads(reach)) for account_id, language, reach in rows}


def lock_account(account_id: int) -> None:
    """Wait until nobody else decides about this account's balance, until the caller's transaction ends."""
    read_rows("SELECT id FROM customers_billingaccount WHERE id = %s FOR UPDATE", [account_id])


def account_currencies(*, ids: Iterable[int]) -> dict[int, str]:
    """Currencies by id."""
    query = "SELECT id, currency FROM customers_billingaccount WHERE id IN (SELECT unnest(%s::bigint[]))"
    return dict(read_rows(query, [list(ids)]))


def account_places(*, ids: Iterable[int]) -> dict[int, tuple[str, str]]:
    """Currency and zone by id: what amounts and dates of an account are written in."""
    query = "SELECT id, currency, zone FROM customers_billingaccount WHERE id IN (SELECT unnest(%s::bigint[]))"
    return {account_id: (currency, zone) for account_id, currency, zone in read_rows(query, [list(ids)])}


def paid_together(*, ids: Sequence[int]) -> list[int]:
    """These accounts, whoever pays or ever paid for them, and all for whom the same ones do or did."""
    query = (
        "SELECT DISTINCT other.billing_account_id FROM customers_billingaccountterms own "
        "JOIN customers_billingaccountterms other ON other.payer_id = own.payer_id "
        "WHERE own.billing_account_id = ANY(%s)"
    )
    return [row[0] for row in read_rows(query, [list(ids)])]


TURN_COLUMNS = ("zone", "cycle_day", "cycle_count", "cycle_unit", "cycle_anchor_ms")


def cycle_turns() -> list[tuple[str, int, int, str, int]]:
    """TURN_COLUMNS of every kind of cycle that accounts have: a handful, however many accounts."""
    columns = ", ".join(TURN_COLUMNS)
    return [tuple(row) for row in read_rows(f"SELECT DISTINCT {columns} FROM customers_billingaccount")]  # noqa: S608 - own names


def accounts_turning(turns: Sequence[tuple[str, int, int, str, int]]) -> list[int]:
    """Accounts whose cycles are of one of these kinds."""
    if not turns:
        return []
    columns = ", ".join(TURN_COLUMNS)
    query = (
        f"SELECT id FROM customers_billingaccount WHERE ({columns}) IN "  # noqa: S608 - own names
        "(SELECT * FROM unnest(%s::text[], %s::int[], %s::int[], %s::text[], %s::bigint[]))"
    )
    return [row[0] for row in read_rows(query, [list(column) for column in zip(*turns, strict=True)])]
