"""A bill as it is computed: charges in their places, ready to be stored; and the same as a value that people read."""

import json
from dataclasses import dataclass
from typing import NamedTuple

from millicent.billing.rules.charges import Charge
from millicent.billing.rules.cycles import CycleSpan
from millicent.billing.types import Bill, BillLine, BillState, BillTax
from millicent.catalog.types import ChargeKind, LocalizedText, Operator
from millicent.customers.types import BillingAccountFacts


class ComputedLine(NamedTuple):
    """A charge in its place on a bill. `explanation` is canonical JSON; the net is less where the price holds tax."""

    number: int
    kind: ChargeKind
    charge: Charge
    subscription_code: str
    texts: LocalizedText
    net_nanos: int
    explanation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputedBill:
    """A bill as the charges behind it, ready to be stored. `bill_of` makes the value that is read and shown."""

    operator: Operator
    accounts: tuple[BillingAccountFacts, ...]  # the payer first
    currency: str
    cycle: CycleSpan
    issued_at_ms: int
    due_at_ms: int
    lines: tuple[ComputedLine, ...]
    taxes: tuple[BillTax, ...]
    net_nanos: int
    tax_nanos: int
    digest: str = ""

    @property
    def payer(self) -> BillingAccountFacts:
        return self.accounts[0]

    @property
    def total_nanos(self) -> int:
        return self.net_nanos + self.tax_nanos


def bill_of(computed: ComputedBill) -> Bill:
    """The bill as people read it, before it has a number."""
    return Bill(
        number="",
        state=BillState.REHEARSED,
        operator=computed.operator,
        payer=computed.payer,
        currency=computed.currency,
        cycle_from_ms=computed.cycle.from_ms,
        cycle_until_ms=computed.cycle.until_ms,
        issued_at_ms=computed.issued_at_ms,
        due_at_ms=computed.due_at_ms,
        lines=tuple(_line(line) for line in computed.lines),
        taxes=computed.taxes,
        net_nanos=computed.net_nanos,
        tax_nanos=computed.tax_nanos,
        total_nanos=computed.total_nanos,
        digest=computed.digest,
        accounts=computed.accounts,
    )


def _line(line: ComputedLine) -> BillLine:
    charge, key = line.charge, line.charge.key
    return BillLine(
        line_number=line.number,
        kind=line.kind,
        billing_account_id=key.billing_account_id,
        subscription_id=key.subscription_id or None,
        subscription_code=line.subscription_code,
        texts=line.texts,
        offering=key.offering,
        price_code=key.price_code,
        service=key.service,
        zone=key.zone,
        period_from_ms=charge.period_from_ms,
        period_until_ms=charge.period_until_ms,
        event_count=charge.event_count,
        charged_units=charge.charged_units,
        bucket_units=charge.bucket_units,
        unit=charge.unit,
        net_nanos=line.net_nanos,
        tax_category=key.tax_category,
        ledger_code=key.ledger_code,
        in_advance=key.in_advance,
        explanation=json.loads(line.explanation),
    )
