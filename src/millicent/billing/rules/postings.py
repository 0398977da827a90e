"""A bill as ledger postings: the customer owes it; it is revenue, deferred revenue, and tax we owe."""

from collections.abc import Mapping

from millicent.billing.rules.computed import ComputedBill
from millicent.catalog.types import ChargeKind
from millicent.ledger.types import Posting

RECEIVABLE = "asset:receivable"
DEFERRED = "liability:deferred"
TAX = "liability:tax"


def bill_postings(bill: ComputedBill, *, ledger_codes: Mapping[str, str]) -> tuple[Posting, ...]:
    """Postings of one bill, summed by ledger account and sorted; none when nothing is owed.

    What is billed in advance goes to `liability:deferred:<code>` and is recognised day by day. They add up to zero
    because the bill's total is its lines and its taxes.
    """
    sums: dict[str, int] = {}
    for line in bill.lines:
        ledger_code = line.charge.key.ledger_code
        if line.charge.key.in_advance:
            path = deferred_account(ledger_code)
        else:
            path = revenue_account(ledger_code, kind=line.kind, ledger_codes=ledger_codes)
        sums[path] = sums.get(path, 0) - line.net_nanos
    for tax in bill.taxes:
        path = f"{TAX}:{tax.tax}"
        sums[path] = sums.get(path, 0) - tax.amount_nanos
    postings = [
        Posting(ledger_account=path, amount_nanos=amount, billing_account_id=bill.payer.billing_account_id)
        for path, amount in sorted(sums.items())
        if amount
    ]
    if bill.total_nanos:
        postings.insert(
            0,
            Posting(
                ledger_account=RECEIVABLE,
                amount_nanos=bill.total_nanos,
                billing_account_id=bill.payer.billing_account_id,
            ),
        )
    assert sum(posting.amount_nanos for posting in postings) == 0, "a bill's postings add up to zero"
    return tuple(postings)


def deferred_account(ledger_code: str) -> str:
    return f"{DEFERRED}:{ledger_code}"


def revenue_account(ledger_code: str, *, kind: ChargeKind, ledger_codes: Mapping[str, str]) -> str:
    """The account the catalogue gives to a line's ledger code; without one, that of the line's kind."""
    given = ledger_codes.get(ledger_code)
    return given if given is not None else default_revenue_account(kind)


def default_revenue_account(kind: ChargeKind) -> str:
    if kind is ChargeKind.DISCOUNT:
        return "revenue:discounts"
    if kind is ChargeKind.ADJUSTMENT:
        return "revenue:adjustments"
    return f"revenue:{kind.value}"
