"""A bill as immutable values: what `rules` compute, `services` store and `documents` print."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum, unique
from fractions import Fraction

from millicent.catalog.types import ChargeKind, LocalizedText, Operator
from millicent.customers.types import BillingAccountFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class BillLine:
    """One charge on a bill, already rounded to the currency's minor unit. Credits are negative."""

    line_number: int
    kind: ChargeKind
    billing_account_id: int  # whose charge it is: in a hierarchy not always the payer
    subscription_id: int | None
    subscription_code: str
    texts: LocalizedText  # what a customer reads
    offering: str
    price_code: str
    service: str  # "" unless usage
    zone: str
    period_from_ms: int
    period_until_ms: int
    event_count: int
    charged_units: int
    bucket_units: int
    unit: str
    net_nanos: int
    tax_category: str
    ledger_code: str
    in_advance: bool = False  # deferred: recognised day by day
    explanation: Mapping[str, object] = field(default_factory=dict)  # the inputs: days, ratio, steps


@dataclass(frozen=True, slots=True, kw_only=True)
class BillTax:
    """One tax at one rate over the lines it applies to."""

    tax: str
    texts: LocalizedText
    jurisdiction: str
    rate: Fraction
    base_nanos: int
    amount_nanos: int
    inclusive: bool = False
    note: str = ""  # "reverse_charge", "exempt:<certificate>"


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageDetail:
    """One line of the itemised part: a call, a session, a message."""

    occurred_at_ms: int
    subscription_code: str
    service: str
    other_party: str
    zone: str
    unit: str
    quantity_units: int
    bucket_units: int
    amount_nanos: int


@unique
class BillState(StrEnum):
    REHEARSED = "rehearsed"
    ISSUED = "issued"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """One bill of one payer in one currency. `number` is "" until it is issued, then legal and gapless."""

    number: str
    state: BillState
    operator: Operator
    payer: BillingAccountFacts
    currency: str
    cycle_from_ms: int
    cycle_until_ms: int
    issued_at_ms: int
    due_at_ms: int
    lines: tuple[BillLine, ...]
    taxes: tuple[BillTax, ...]
    net_nanos: int
    tax_nanos: int
    total_nanos: int
    digest: str = ""  # SHA-256 of the canonical content: the same facts give the same bytes
    accounts: tuple[BillingAccountFacts, ...] = ()  # those whose charges roll up here, payer first
    usage_history: Mapping[str, tuple[tuple[str, int], ...]] = field(default_factory=dict)  # service -> (month, units)
