"""Posting templates: for each business event, which ledger accounts it may debit and which it may credit.

A balanced entry can still be nonsense, such as a bill that debits an expense. An entry is posted only when each of
its postings is one that its template allows. "revenue" allows every account below it.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PostingTemplate:
    """What one business event may debit and credit: paths, each with all that lies below it."""

    code: str
    meaning: str
    debits: tuple[str, ...]
    credits: tuple[str, ...]


_RECEIVABLE = "asset:receivable"
_BANK = "asset:bank"
_CLEARING = "asset:clearing"
_TAX = "liability:tax"
_DEFERRED = "liability:deferred"
_CREDIT = "liability:customer_credit"
_DEPOSITS = "liability:deposits"
_PREPAID = "liability:prepaid"
_PREPAID_TAX = "asset:prepaid_tax"
_SOLD = ("revenue", _DEFERRED, _TAX)

_ALL = (
    PostingTemplate(
        code="bill_issued",
        meaning="A bill was issued. Lines that give money back turn their side around.",
        debits=(_RECEIVABLE, *_SOLD),
        credits=(_RECEIVABLE, *_SOLD),
    ),
    PostingTemplate(
        code="credit_note_issued",
        meaning="Part or all of an issued bill was taken back.",
        debits=_SOLD,
        credits=(_RECEIVABLE, _CREDIT),
    ),
    PostingTemplate(
        code="revenue_recognised",
        meaning="Days that were billed in advance have passed.",
        debits=(_DEFERRED,),
        credits=("revenue",),
    ),
    PostingTemplate(
        code="recognition_reversed",
        meaning="Days of an advance that was given back have passed, or an earlier recognition was too much.",
        debits=("revenue",),
        credits=(_DEFERRED,),
    ),
    PostingTemplate(
        code="payment_received",
        meaning="A customer paid; what exceeds the debt becomes credit.",
        debits=(_BANK, _CLEARING, "expense:payment_fees", "expense:rounding"),
        credits=(_RECEIVABLE, _CREDIT, "expense:rounding"),
    ),
    PostingTemplate(
        code="payment_returned",
        meaning="A payment came back: refused debit, chargeback.",
        debits=(_RECEIVABLE, _CREDIT, "expense:payment_fees"),
        credits=(_BANK, _CLEARING),
    ),
    PostingTemplate(
        code="payment_settled",
        meaning="Money on its way arrived in the bank.",
        debits=(_BANK, "expense:payment_fees"),
        credits=(_CLEARING,),
    ),
    PostingTemplate(
        code="credit_applied",
        meaning="A customer's credit or deposit paid a bill.",
        debits=(_CREDIT, _DEPOSITS),
        credits=(_RECEIVABLE,),
    ),
    PostingTemplate(
        code="refunded",
        meaning="Credit or a deposit was paid out.",
        debits=(_CREDIT, _DEPOSITS),
        credits=(_BANK, _CLEARING),
    ),
    PostingTemplate(
        code="deposit_received",
        meaning="A customer left a deposit.",
        debits=(_BANK, _CLEARING),
        credits=(_DEPOSITS,),
    ),
    PostingTemplate(
        code="goodwill_granted",
        meaning="Credit was given without being owed.",
        debits=("expense:goodwill", _PREPAID_TAX),
        credits=(_RECEIVABLE, _CREDIT, _PREPAID),
    ),
    PostingTemplate(
        code="topped_up",
        meaning="A prepaid balance was filled.",
        debits=(_BANK, _CLEARING, _RECEIVABLE, _PREPAID_TAX),
        credits=(_PREPAID, _TAX),
    ),
    PostingTemplate(
        code="prepaid_used",
        meaning="Prepaid usage was earned.",
        debits=(_PREPAID,),
        credits=("revenue", _TAX, _PREPAID_TAX),
    ),
    PostingTemplate(
        code="prepaid_fee_taken",
        meaning="A balance paid what a plan costs.",
        debits=(_PREPAID, "revenue", _TAX),
        credits=("revenue", _TAX, _PREPAID_TAX),
    ),
    PostingTemplate(
        code="prepaid_fee_returned",
        meaning="A part of what a plan cost came back to the balance.",
        debits=("revenue", _TAX, _PREPAID_TAX),
        credits=(_PREPAID, "revenue", _TAX),
    ),
    PostingTemplate(
        code="balance_expired",
        meaning="A prepaid balance or a credit expired.",
        debits=(_PREPAID, _CREDIT),
        credits=("revenue:breakage", _TAX, _PREPAID_TAX),
    ),
    PostingTemplate(
        code="balance_restored",
        meaning="A prepaid balance that had expired came back within its grace.",
        debits=("revenue:breakage", _TAX, _PREPAID_TAX),
        credits=(_PREPAID,),
    ),
    PostingTemplate(
        code="balance_adjusted",
        meaning="A prepaid balance was corrected downwards.",
        debits=(_PREPAID,),
        credits=("revenue:adjustments", _TAX, _PREPAID_TAX),
    ),
    PostingTemplate(
        code="balance_transferred",
        meaning="A customer gave prepaid balance to another.",
        debits=(_PREPAID,),
        credits=(_PREPAID,),
    ),
    PostingTemplate(
        code="prepaid_usage_reversed",
        meaning="Prepaid usage that was earned was given back.",
        debits=("revenue", _TAX, _PREPAID_TAX),
        credits=(_PREPAID,),
    ),
    PostingTemplate(
        code="advance_granted",
        meaning="Emergency credit: prepaid balance that the customer owes, with its fee.",
        debits=(_RECEIVABLE, _PREPAID_TAX),
        credits=(_PREPAID, "revenue:one_time", _TAX),
    ),
    PostingTemplate(
        code="advance_repaid",
        meaning="Emergency credit was repaid out of a top-up.",
        debits=(_PREPAID, _TAX),
        credits=(_RECEIVABLE, _PREPAID_TAX),
    ),
    PostingTemplate(
        code="written_off",
        meaning="A debt was given up.",
        debits=("expense:bad_debt", _TAX),
        credits=(_RECEIVABLE,),
    ),
    PostingTemplate(
        code="write_off_recovered",
        meaning="A debt that was given up is owed again.",
        debits=(_RECEIVABLE,),
        credits=("expense:bad_debt", _TAX),
    ),
    PostingTemplate(
        code="balance_brought_forward",
        meaning="A balance came from the system before this one.",
        debits=("asset", "liability", "equity:opening"),
        credits=("asset", "liability", "equity:opening"),
    ),
)
TEMPLATES: Mapping[str, PostingTemplate] = {template.code: template for template in _ALL}


def allows(paths: tuple[str, ...], ledger_account: str) -> bool:
    """Whether an account is one of these paths or lies below one."""
    return any(ledger_account == path or ledger_account.startswith(path + ":") for path in paths)
