"""JSON: the bill for programs, in the form that `bill.schema.json` publishes. Amounts are decimal texts."""

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from millicent.billing.types import AllowanceUse, Bill, BillLine, BillTax, UsageDetail
from millicent.catalog.types import Operator
from millicent.customers.types import BillingAccountFacts
from millicent.kit.clock import from_ms
from millicent.kit.money import format_plain

SCHEMA_FILE = Path(__file__).parent / "bill.schema.json"
VERSION = 1


@lru_cache(maxsize=1)
def bill_schema() -> dict[str, Any]:
    """The published JSON Schema of `bill_document`."""
    schema: dict[str, Any] = json.loads(SCHEMA_FILE.read_text("utf-8"))
    return schema


def bill_document(bill: Bill, details: Sequence[UsageDetail] = ()) -> dict[str, Any]:
    """A bill as plain values. Texts stand in every language that the catalogue has; nothing is formatted."""
    currency = bill.currency
    return {
        "version": VERSION,
        "number": bill.number or None,
        "state": bill.state.value,
        "digest": bill.digest,
        "currency": currency,
        "issued_at": _instant(bill.issued_at_ms),
        "due_at": _instant(bill.due_at_ms),
        "cycle": _span(bill.cycle_from_ms, bill.cycle_until_ms),
        "operator": _operator(bill.operator),
        "payer": _account(bill.payer),
        "accounts": [_account(account) for account in bill.accounts],
        "net": format_plain(bill.net_nanos, currency),
        "tax": format_plain(bill.tax_nanos, currency),
        "total": format_plain(bill.total_nanos, currency),
        "lines": [_line(line, currency) for line in bill.lines],
        "taxes": [_tax(tax, currency) for tax in bill.taxes],
        "allowances": [_allowance(use) for use in bill.allowances],
        "usage_history": {
            service: [{"month": month, "units": units} for month, units in months]
            for service, months in sorted(bill.usage_history.items())
        },
        "names": {code: dict(texts) for code, texts in sorted(bill.names.items())},
        "details": [_detail(detail, currency) for detail in details],
    }


def write_json(bill: Bill, details: Sequence[UsageDetail] = ()) -> bytes:
    """UTF-8, keys in the order of the schema: the same bill gives the same bytes."""
    return json.dumps(bill_document(bill, details), ensure_ascii=False, indent=1, default=str).encode()


def _instant(instant_ms: int) -> str:
    return from_ms(instant_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _span(from_ms_: int, until_ms: int) -> dict[str, str]:
    return {"from": _instant(from_ms_), "until": _instant(until_ms)}


def _operator(operator: Operator) -> dict[str, Any]:
    return {
        "code": operator.code,
        "legal_name": operator.legal_name,
        "tax_number": operator.tax_number,
        "country": operator.country,
        "address": list(operator.address_lines),
    }


def _account(account: BillingAccountFacts) -> dict[str, Any]:
    return {
        "code": account.code,
        "party_name": account.party_name,
        "tax_number": account.tax_number,
        "country": account.country,
        "address": list(account.address_lines),
    }


def _line(line: BillLine, currency: str) -> dict[str, Any]:
    return {
        "line": line.line_number,
        "kind": line.kind.value,
        "billing_account_id": line.billing_account_id,
        "subscription": line.subscription_code,
        "texts": dict(line.texts),
        "offering": line.offering,
        "price": line.price_code,
        "service": line.service,
        "zone": line.zone,
        "period": _span(line.period_from_ms, line.period_until_ms),
        "events": line.event_count,
        "charged_units": line.charged_units,
        "included_units": line.bucket_units,
        "unit": line.unit,
        "net": format_plain(line.net_nanos, currency),
        "tax_category": line.tax_category,
        "in_advance": line.in_advance,
        "explanation": dict(line.explanation),
    }


def _tax(tax: BillTax, currency: str) -> dict[str, Any]:
    return {
        "tax": tax.tax,
        "texts": dict(tax.texts),
        "jurisdiction": tax.jurisdiction,
        "rate": {"numerator": tax.rate.numerator, "denominator": tax.rate.denominator},
        "base": format_plain(tax.base_nanos, currency),
        "amount": format_plain(tax.amount_nanos, currency),
        "inclusive": tax.inclusive,
        "note": tax.note,
    }


def _allowance(use: AllowanceUse) -> dict[str, Any]:
    return {
        "subscription": use.subscription_code,
        "owner": use.owner,
        "texts": dict(use.texts),
        "unit": use.unit,
        "granted_units": use.granted_units,
        "used_units": use.used_units,
    }


def _detail(detail: UsageDetail, currency: str) -> dict[str, Any]:
    return {
        "occurred_at": _instant(detail.occurred_at_ms),
        "subscription": detail.subscription_code,
        "service": detail.service,
        "other_party": detail.other_party,
        "zone": detail.zone,
        "unit": detail.unit,
        "quantity_units": detail.quantity_units,
        "included_units": detail.bucket_units,
        "amount": format_plain(detail.amount_nanos, currency),
    }
