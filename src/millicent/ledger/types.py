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


@dataclass(frozen=True, slots=True, kw_only=True)
class PostedEntry:
    """An entry in its place in the chain. `repeated` says that an earlier call had posted it already."""

    entry: Entry
    sequence: int
    recorded_at_ms: int
    hash: bytes  # SHA-256 over the previous hash and this entry's canonical content
    repeated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainHead:
    """Where one tenant's chain ends: the last sequence (0 before the first entry) and its hash."""

    sequence: int
    hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialBalanceRow:
    """One ledger account in one currency. `balance_nanos` is debits minus credits."""

    ledger_account: str
    currency: str
    debit_nanos: int
    credit_nanos: int  # as a positive amount
    balance_nanos: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenLink:
    """The first place where the chain does not hold. `sequence` is the entry's, or where one should have been."""

    sequence: int
    reference: str
    fault: str  # a sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainReport:
    """What a walk along the chain found. `broken` is None when every entry is as it was posted."""

    entries: int
    postings: int
    head: ChainHead
    broken: BrokenLink | None
