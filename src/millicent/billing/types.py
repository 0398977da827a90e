"""A bill as immutable values: what `rules` compute, `services` store and `documents` print."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum, unique
from fractions import Fraction

from millicent.catalog.types import Catalogue, ChargeKind, LocalizedText, Operator, Payment
from millicent.customers.types import BillingAccountFacts
from millicent.rating.types import Reason
from millicent.subscriptions.types import SubscriptionFacts


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


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowanceUse:
    """What one allowance gave in the cycle. Money allowances have the currency as `unit`, and nanos."""

    subscription_code: str  # "" when the whole account shares it
    texts: LocalizedText
    unit: str
    granted_units: int | None  # with what rolled over; None: unlimited
    used_units: int
    owner: str = ""  # who shares it, if no subscription has it alone: the code of a billing account, or a pool's name


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
    allowances: tuple[AllowanceUse, ...] = ()
    names: Mapping[str, LocalizedText] = field(default_factory=dict)  # service and zone codes, as customers read them


# ---------------------------------------------------------------- the facts a bill is computed from


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountGroupFacts:
    """A payer, every account whose charges it receives (itself first) and everything they subscribe to."""

    payer: BillingAccountFacts
    accounts: tuple[BillingAccountFacts, ...]
    subscriptions: tuple[SubscriptionFacts, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedCatalogue:
    """An immutable catalogue release: in force from `effective_from_ms` until the next one's."""

    number: int
    effective_from_ms: int
    catalogue: Catalogue


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentAgreement:
    """How a payer pays from an instant on, whatever its plans say; None: as they say again."""

    from_ms: int
    payment: Payment | None


@unique
class OffBill(IntEnum):
    """Why a usage that has a price is on no bill. Numbers are for ever; below 200 they are rating's and mediation's."""

    PAID_IN_ADVANCE = 200  # the payer paid in advance when it happened: a balance paid for it


def reason_word(reason: int) -> str:
    """The word for why a usage is on no bill line."""
    known = (*OffBill, *Reason)
    return next((each.name.lower() for each in known if int(each) == reason), str(reason))
