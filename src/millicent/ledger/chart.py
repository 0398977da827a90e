"""The chart: which ledger accounts exist. A few are there from the start, an operator's own are declared.

A path is its class and then words: "revenue:usage", "liability:tax:vat_es". An open account takes children
that nobody needs to declare, such as one for each tax.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from millicent.kit.errors import BadInput
from millicent.ledger.types import AccountClass

_PATH = re.compile(r"(?:asset|liability|revenue|expense|equity)(?::[a-z0-9][a-z0-9_.-]*)+")
LONGEST_PATH = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerAccount:
    path: str
    meaning: str
    open: bool = False  # children need no declaration


_BUILT_IN = (
    LedgerAccount(path="asset:receivable", meaning="what customers owe us"),
    LedgerAccount(path="asset:bank", meaning="money that has arrived", open=True),
    LedgerAccount(path="asset:clearing", meaning="money on its way: cards, direct debits", open=True),
    LedgerAccount(path="asset:prepaid_tax", meaning="tax due on balances that were sold and are not used yet"),
    LedgerAccount(path="liability:tax", meaning="tax we collected and owe", open=True),
    LedgerAccount(path="liability:deferred", meaning="billed in advance, not yet earned", open=True),
    LedgerAccount(path="liability:customer_credit", meaning="paid or granted beyond what was owed"),
    LedgerAccount(path="liability:deposits", meaning="customers' deposits that we hold"),
    LedgerAccount(path="liability:prepaid", meaning="topped up, not yet used"),
    LedgerAccount(path="revenue:usage", meaning="calls, messages, traffic"),
    LedgerAccount(path="revenue:recurring", meaning="subscriptions"),
    LedgerAccount(path="revenue:one_time", meaning="activation and other single fees"),
    LedgerAccount(path="revenue:commitment", meaning="true-ups to a minimum spend"),
    LedgerAccount(path="revenue:discounts", meaning="discounts that no other account takes"),
    LedgerAccount(path="revenue:adjustments", meaning="corrections that no other account takes"),
    LedgerAccount(path="revenue:breakage", meaning="prepaid and credits that expired"),
    LedgerAccount(path="expense:bad_debt", meaning="written off", open=True),
    LedgerAccount(path="expense:goodwill", meaning="given without being owed"),
    LedgerAccount(path="expense:payment_fees", meaning="what gateways and banks keep"),
    LedgerAccount(path="expense:rounding", meaning="payments rounded to coins", open=True),
    LedgerAccount(path="equity:opening", meaning="balances brought from another system"),
)
BUILT_IN: Mapping[str, LedgerAccount] = {account.path: account for account in _BUILT_IN}


def check_path(path: str, *, where: str = "") -> None:
    """A path that the ledger can hold; otherwise BadInput."""
    if len(path) > LONGEST_PATH or not _PATH.fullmatch(path):
        classes = ", ".join(AccountClass)
        raise BadInput(
            f"{path!r} is not a ledger account",
            where=where,
            cure=f"Write a class ({classes}), a colon and lower-case words, such as revenue:roaming.",
        )


def is_declared(path: str, *, own: Collection[str]) -> bool:
    """Whether the chart has this account: built in, declared by the operator, or below an open one."""
    if path in BUILT_IN or path in own:
        return True
    parent = path
    while ":" in parent:
        parent = parent.rpartition(":")[0]
        if parent in BUILT_IN and BUILT_IN[parent].open:
            return _PATH.fullmatch(path) is not None and len(path) <= LONGEST_PATH
    return False
