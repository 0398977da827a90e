"""Turn a computed batch into rows: everything but the legal numbers, which only the committer gives."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import polars as pl

from millicent.billing.rules.bill import ComputedBill
from millicent.billing.rules.postings import bill_postings
from millicent.billing.rules.releases import Releases
from millicent.billing.runs import BillToIssue, ComputedBatch, PayerResult, PreparedBatch
from millicent.billing.types import Bill
from millicent.catalog.types import LocalizedText
from millicent.customers.types import BillCycle, BillingAccountFacts
from millicent.kit.clock import from_ms, zone_named


def prepare_batch(computed: ComputedBatch, *, releases: Releases, run_id: UUID) -> PreparedBatch:
    """Rows in a fixed order, so that the same facts give the same bytes."""
    order = computed.order
    bills = [(each, bill_id(order.tenant_id, each.bill)) for result in computed.results for each in result.bills]
    operator = releases.at(order.issued_at_ms).catalogue.operator
    return PreparedBatch(
        order=order,
        series=f"{operator.bill_series}-{_year(order.issued_at_ms, zone=operator.zone)}",
        bills=_bill_frame(bills, run_id=run_id, releases=releases),
        to_issue=tuple(
            BillToIssue(
                postings=bill_postings(
                    each.bill, ledger_codes=releases.at(each.bill.cycle_until_ms - 1).catalogue.ledger_codes
                ),
                payer_code=each.bill.payer.code,
                currency=each.bill.currency,
                cycle_until_ms=each.bill.cycle_until_ms,
            )
            for each, _ in bills
        ),
        frames={
            "billing_line": _line_frame(bills),
            "billing_tax": _tax_frame(bills),
            "billing_billed_cycle": _cycle_frame(computed, run_id=run_id),
            "billing_closing_bucket": _bucket_frame(computed.results, run_number=order.run_number),
            "billing_unpriced_usage": _unpriced_frame(computed.results, run_id=run_id),
            "billing_parked_account": _parked_frame(computed, run_id=run_id),
        },
        parked=computed.parked,
        totals=_totals(computed),
    )


def bill_id(tenant_id: UUID, bill: Bill) -> UUID:
    """The same bill has the same id wherever and whenever it is computed."""
    return uuid5(
        NAMESPACE_URL, f"millicent:{tenant_id}:{bill.payer.billing_account_id}:{bill.currency}:{bill.cycle_from_ms}"
    )


def _year(instant_ms: int, *, zone: str) -> int:
    issued: datetime = from_ms(instant_ms).astimezone(zone_named(zone))
    return issued.year


def _totals(computed: ComputedBatch) -> dict[str, int]:
    """The batch's control totals: usage in = billed + unpriced + parked."""
    results = computed.results
    parked = sum(each.usage_count for each in computed.parked)
    return {
        "bill_count": sum(len(result.bills) for result in results),
        "line_count": sum(len(each.bill.lines) for result in results for each in result.bills),
        "parked_count": len(computed.parked),
        "usage_in": sum(result.usage_in for result in results) + parked,
        "usage_billed": sum(result.usage_billed for result in results),
        "usage_unpriced": sum(result.usage_unpriced for result in results),
        "usage_parked": parked,
    }


_text = json.JSONEncoder(ensure_ascii=False, sort_keys=True).encode


class _Texts:
    """Texts as JSON, written once for each catalogue value: thousands of lines say the same words."""

    def __init__(self) -> None:
        self._written: dict[int, tuple[LocalizedText, str]] = {}  # the value is kept, so that its id stays its own

    def of(self, texts: LocalizedText) -> str:
        written = self._written.get(id(texts))
        if written is None:
            written = self._written[id(texts)] = (texts, _text(dict(texts)))
        return written[1]


def accounts_text(accounts: Iterable[BillingAccountFacts]) -> str:
    """Accounts as they are printed, for the bill's own row."""
    return _text([_account_values(account) for account in accounts])


def _account_values(account: BillingAccountFacts) -> dict[str, object]:
    values = {name: getattr(account, name) for name in _ACCOUNT_NAMES}
    values["cycle"] = _cycle_values(account.cycle)
    values["tax_exemptions"] = [asdict(each) for each in account.tax_exemptions]
    return values


_ACCOUNT_NAMES = tuple(each.name for each in fields(BillingAccountFacts))


@lru_cache(maxsize=1024)
def _cycle_values(cycle: BillCycle) -> dict[str, object]:
    return asdict(cycle)


def _frame(rows: Sequence[tuple[Any, ...]], schema: Mapping[str, type[pl.DataType]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=schema, orient="row")


_BILL = {
    "id": pl.String,
    "run_id": pl.String,
    "payer_id": pl.Int64,
    "currency": pl.String,
    "cycle_from_ms": pl.Int64,
    "cycle_until_ms": pl.Int64,
    "issued_at_ms": pl.Int64,
    "due_at_ms": pl.Int64,
    "release_number": pl.Int32,
    "net_nanos": pl.Int64,
    "tax_nanos": pl.Int64,
    "total_nanos": pl.Int64,
    "digest": pl.String,
    "accounts": pl.String,
}


def _bill_frame(bills: Sequence[tuple[ComputedBill, UUID]], *, run_id: UUID, releases: Releases) -> pl.DataFrame:
    rows = [
        (
            str(identity),
            str(run_id),
            bill.payer.billing_account_id,
            bill.currency,
            bill.cycle_from_ms,
            bill.cycle_until_ms,
            bill.issued_at_ms,
            bill.due_at_ms,
            releases.at(bill.cycle_until_ms - 1).number,
            bill.net_nanos,
            bill.tax_nanos,
            bill.total_nanos,
            bill.digest,
            accounts_text(bill.accounts),
        )
        for bill, identity in ((each.bill, identity) for each, identity in bills)
    ]
    return _frame(rows, _BILL)


_LINE = {
    "bill_id": pl.String, "line_number": pl.Int32, "payer_id": pl.Int64, "kind": pl.String, "charge_kind": pl.String,
    "charge_digest": pl.String, "charge_revision": pl.Int32, "service_cycle_from_ms": pl.Int64,
    "service_cycle_until_ms": pl.Int64, "price_period_from_ms": pl.Int64, "price_period_until_ms": pl.Int64,
    "currency": pl.String, "billing_account_id": pl.Int64, "subscription_id": pl.Int64, "subscription_code": pl.String,
    "texts": pl.String, "offering": pl.String, "price_code": pl.String, "service": pl.String, "zone": pl.String,
    "period_from_ms": pl.Int64, "period_until_ms": pl.Int64, "event_count": pl.Int64, "charged_units": pl.Int64,
    "bucket_units": pl.Int64, "unit": pl.String, "charge_nanos": pl.Int64, "net_nanos": pl.Int64,
    "tax_category": pl.String, "ledger_code": pl.String, "in_advance": pl.Boolean, "explanation": pl.String,
}  # fmt: skip


def _line_frame(bills: Sequence[tuple[ComputedBill, UUID]]) -> pl.DataFrame:
    rows = []
    texts = _Texts()
    for each, identity in bills:
        bill_text = str(identity)
        payer_id = each.bill.payer.billing_account_id
        for line, charge in zip(each.bill.lines, each.charges, strict=True):
            key = charge.key
            rows.append(
                (
                    bill_text, line.line_number, payer_id, line.kind.value, key.kind.value, key.digest(),
                    charge.revision, key.service_cycle_from_ms, charge.service_cycle_until_ms, key.period_from_ms,
                    charge.covers_until_ms, key.currency, key.billing_account_id, line.subscription_id,
                    line.subscription_code, texts.of(line.texts), key.offering, key.price_code, key.service, key.zone,
                    line.period_from_ms, line.period_until_ms, line.event_count, line.charged_units,
                    line.bucket_units, line.unit, charge.amount_nanos, line.net_nanos, key.tax_category,
                    key.ledger_code, key.in_advance, _text(line.explanation),
                )
            )  # fmt: skip
    return _frame(rows, _LINE)


_TAX = {
    "bill_id": pl.String,
    "place": pl.Int32,
    "tax": pl.String,
    "texts": pl.String,
    "jurisdiction": pl.String,
    "rate_numerator": pl.Int64,
    "rate_denominator": pl.Int64,
    "base_nanos": pl.Int64,
    "amount_nanos": pl.Int64,
    "inclusive": pl.Boolean,
    "note": pl.String,
}


def _tax_frame(bills: Sequence[tuple[ComputedBill, UUID]]) -> pl.DataFrame:
    texts = _Texts()
    rows = [
        (
            str(identity),
            place,
            tax.tax,
            texts.of(tax.texts),
            tax.jurisdiction,
            tax.rate.numerator,
            tax.rate.denominator,
            tax.base_nanos,
            tax.amount_nanos,
            tax.inclusive,
            tax.note,
        )
        for each, identity in bills
        for place, tax in enumerate(each.bill.taxes)
    ]
    return _frame(rows, _TAX)


def _cycle_frame(computed: ComputedBatch, *, run_id: UUID) -> pl.DataFrame:
    rows = [
        (
            result.payer_id,
            result.cycle.from_ms,
            result.cycle.until_ms,
            str(run_id),
            computed.order.known_until_ms,
            computed.release_count,
        )
        for result in computed.results
    ]
    return _frame(
        rows,
        {
            "payer_id": pl.Int64,
            "cycle_from_ms": pl.Int64,
            "cycle_until_ms": pl.Int64,
            "run_id": pl.String,
            "known_until_ms": pl.Int64,
            "release_count": pl.Int32,
        },
    )


_BUCKET = {
    "run_number": pl.Int64,
    "payer_id": pl.Int64,
    "cycle_until_ms": pl.Int64,
    "allowance": pl.String,
    "scope": pl.String,
    "owner_id": pl.Int64,
    "pool": pl.String,
    "subscription_id": pl.Int64,
    "opened_units": pl.Int64,
    "remaining": pl.Int64,
    "valid_from_ms": pl.Int64,
    "valid_until_ms": pl.Int64,
    "granted_at_ms": pl.Int64,
    "rolled": pl.Int32,
}


def _bucket_frame(results: Sequence[PayerResult], *, run_number: int) -> pl.DataFrame:
    rows = [
        (
            run_number,
            result.payer_id,
            closed.cycle.until_ms,
            bucket.allowance,
            bucket.scope,
            bucket.owner_id,
            bucket.pool,
            bucket.subscription_id,
            opened.remaining,
            bucket.remaining,
            bucket.valid_from_ms,
            bucket.valid_until_ms,
            bucket.granted_at_ms,
            bucket.rolled,
        )
        for result in results
        for closed in result.closed
        for opened, bucket in zip(closed.opened, closed.closed, strict=True)
    ]
    return _frame(rows, _BUCKET)


def _unpriced_frame(results: Sequence[PayerResult], *, run_id: UUID) -> pl.DataFrame:
    rows = [
        (
            str(run_id),
            each.payer_id,
            each.cycle_from_ms,
            each.subscription_id,
            each.service,
            each.reason,
            each.event_count,
            each.first_at_ms,
        )
        for result in results
        for each in result.unpriced
    ]
    return _frame(
        rows,
        {
            "run_id": pl.String,
            "payer_id": pl.Int64,
            "cycle_from_ms": pl.Int64,
            "subscription_id": pl.Int64,
            "service": pl.String,
            "reason": pl.Int16,
            "event_count": pl.Int64,
            "first_at_ms": pl.Int64,
        },
    )


def _parked_frame(computed: ComputedBatch, *, run_id: UUID) -> pl.DataFrame:
    rows = [
        (str(run_id), each.payer_id, each.payer_code, each.reason, each.detail, computed.order.issued_at_ms)
        for each in computed.parked
    ]
    return _frame(
        rows,
        {
            "run_id": pl.String,
            "payer_id": pl.Int64,
            "payer_code": pl.String,
            "reason": pl.String,
            "detail": pl.String,
            "parked_at_ms": pl.Int64,
        },
    )
