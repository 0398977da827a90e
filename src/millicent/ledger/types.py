"""Double entry as values. A ledger account is named by a path such as "asset:receivable" or "revenue:usage"."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum, unique


@unique
class AccountClass(StrEnum):
    """First part of every ledger account's path."""

    ASSET = "asset"
    LIABILITY = "liability"
    REVENUE = "revenue"
    EXPENSE = "expense"
    EQUITY = "equity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """One side of an entry: debit is positive, credit is negative."""

    ledger_account: str
    amount_nanos: int
    billing_account_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One business event in one currency; its postings sum to zero. `reference` makes a repeat find the first."""

    template: str  # "bill_issued", "revenue_recognised" ...
    reference: str  # unique per tenant, e.g. "bill:A-2026-000123"
    currency: str
    occurred_at_ms: int
    postings: tuple[Posting, ...]
    facts: Mapping[str, str] = field(default_factory=dict)
