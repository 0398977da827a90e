"""Turn a computed batch into rows: everything but the legal numbers, which only the committer gives."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import polars as pl

from millicent.billing.rules.canonical import canonical, texts_written
from millicent.billing.rules.charges import Charge, ChargeKey
from millicent.billing.rules.columns import columns_of
from millicent.billing.rules.computed import ComputedBill, ComputedLine
from millicent.billing.rules.postings import bill_postings
from millicent.billing.rules.releases import Releases
from millicent.billing.runs import BillToIssue, ComputedBatch, PayerResult, PreparedBatch
from millicent.customers.types import BillCycle, BillingAccountFacts
from millicent.kit.bulk import write_rows
from millicent.kit.clock import from_ms, zone_named


def prepare_batch(computed: ComputedBatch, *, releases: Releases, run_id: UUID) -> PreparedBatch:
    """Rows in a fixed order, so that the same facts give the same bytes."""
    order = computed.order
    bills = [(bill, str(bill_id(order.tenant_id, bill))) for result in computed.results for bill in result.bills]
    operator = releases.at(order.issued_at_ms).catalogue.operator
    frames = {
        "billing_line": _line_frame(bills),
        "billing_tax": _tax_frame(bills),
        "billing_billed_cycle": _cycle_frame(computed, run_id=run_id),
        "billing_closing_bucket": _bucket_frame(computed.results, run_number=order.run_number),
        "billing_unpriced_usage": _unpriced_frame(computed.results, run_id=run_id),
        "billing_parked_account": _parked_frame(computed, run_id=run_id),
    }
    return PreparedBatch(
        order=order,
        series=f"{operator.bill_series}-{_year(order.issued_at_ms, zone=operator.zone)}",
        bills=_bill_frame(bills, run_id=run_id, releases=releases),
        to_issue=tuple(
            BillToIssue(
                postings=bill_postings(bill, ledger_codes=releases.at(bill.cycle.until_ms - 1).catalogue.ledger_codes),
                payer_code=bill.payer.code,
                currency=bill.currency,
                cycle_until_ms=bill.cycle.until_ms,
            )
            for bill, _ in bills
        ),
        rows={table: write_rows(frame) for table, frame in frames.items()},
        parked=computed.parked,
        totals=_totals(computed),
    )


def bill_id(tenant_id: UUID, bill: ComputedBill) -> UUID:
    """The same bill has the same id wherever and whenever it is computed."""
    return uuid5(
        NAMESPACE_URL, f"millicent:{tenant_id}:{bill.payer.billing_account_id}:{bill.currency}:{bill.cycle.from_ms}"
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
        "line_count": sum(len(bill.lines) for result in results for bill in result.bills),
        "parked_count": len(computed.parked),
        "usage_in": sum(result.usage_in for result in results) + parked,
        "usage_billed": sum(result.usage_billed for result in results),
        "usage_unpriced": sum(result.usage_unpriced for result in results),
        "usage_parked": parked,
    }


def accounts_text(accounts: Iterable[BillingAccountFacts]) -> str:
    """Accounts as they are printed, for the bill's own row."""
    return canonical([_account_values(account) for account in accounts])


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


def _bill_frame(bills: Sequence[tuple[ComputedBill, str]], *, run_id: UUID, releases: Releases) -> pl.DataFrame:
    rows = [
        (
            identity,
            str(run_id),
            bill.payer.billing_account_id,
            bill.currency,
            bill.cycle.from_ms,
            bill.cycle.until_ms,
            bill.issued_at_ms,
            bill.due_at_ms,
            releases.at(bill.cycle.until_ms - 1).number,
            bill.net_nanos,
            bill.tax_nanos,
            bill.total_nanos,
            bill.digest,
            accounts_text(bill.accounts),
        )
        for bill, identity in bills
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


def _line_frame(bills: Sequence[tuple[ComputedBill, str]]) -> pl.DataFrame:
    """Lines, charges and their keys are tuples: each field becomes a column as a whole."""
    lines = columns_of([line for bill, _ in bills for line in bill.lines], fields=ComputedLine._fields)
    charges = columns_of(lines["charge"], fields=Charge._fields)
    keys = columns_of(charges["key"], fields=ChargeKey._fields)
    return pl.DataFrame(
        {
            "bill_id": [identity for bill, identity in bills for _ in bill.lines],
            "line_number": lines["number"],
            "payer_id": [bill.payer.billing_account_id for bill, _ in bills for _ in bill.lines],
            "kind": [kind.value for kind in lines["kind"]],
            "charge_kind": [kind.value for kind in keys["kind"]],
            "charge_digest": [key.digest() for key in charges["key"]],
            "charge_revision": charges["revision"],
            "service_cycle_from_ms": keys["service_cycle_from_ms"],
            "service_cycle_until_ms": charges["service_cycle_until_ms"],
            "price_period_from_ms": keys["period_from_ms"],
            "price_period_until_ms": charges["covers_until_ms"],
            "currency": keys["currency"],
            "billing_account_id": keys["billing_account_id"],
            "subscription_id": [held or None for held in keys["subscription_id"]],
            "subscription_code": lines["subscription_code"],
            "texts": [texts_written(texts) for texts in lines["texts"]],
            "offering": keys["offering"],
            "price_code": keys["price_code"],
            "service": keys["service"],
            "zone": keys["zone"],
            "period_from_ms": charges["period_from_ms"],
            "period_until_ms": charges["period_until_ms"],
            "event_count": charges["event_count"],
            "charged_units": charges["charged_units"],
            "bucket_units": charges["bucket_units"],
            "unit": charges["unit"],
            "charge_nanos": charges["amount_nanos"],
            "net_nanos": lines["net_nanos"],
            "tax_category": keys["tax_category"],
            "ledger_code": keys["ledger_code"],
            "in_advance": keys["in_advance"],
            "explanation": lines["explanation"],
        },
        schema=_LINE,
    )


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


def _tax_frame(bills: Sequence[tuple[ComputedBill, str]]) -> pl.DataFrame:
    rows = [
        (
            identity,
            place,
            tax.tax,
            texts_written(tax.texts),
            tax.jurisdiction,
            tax.rate.numerator,
            tax.rate.denominator,
            tax.base_nanos,
            tax.amount_nanos,
            tax.inclusive,
            tax.note,
        )
        for bill, identity in bills
        for place, tax in enumerate(bill.taxes)
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
