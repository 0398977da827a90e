"""Who has what, since when: effective-dated facts, half-open intervals, UTC milliseconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum, unique


@unique
class SubscriptionStatus(StrEnum):
    """Life cycle of TMF637 product: what matters to money is which of these are charged."""

    PENDING = "pending"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    TERMINATED = "terminated"


TRANSITIONS: Mapping[SubscriptionStatus, frozenset[SubscriptionStatus]] = {
    SubscriptionStatus.PENDING: frozenset({SubscriptionStatus.ACTIVE, SubscriptionStatus.TERMINATED}),
    SubscriptionStatus.ACTIVE: frozenset({SubscriptionStatus.SUSPENDED, SubscriptionStatus.TERMINATED}),
    SubscriptionStatus.SUSPENDED: frozenset({SubscriptionStatus.ACTIVE, SubscriptionStatus.TERMINATED}),
    SubscriptionStatus.TERMINATED: frozenset(),
}


@unique
class IdentifierKind(StrEnum):
    MSISDN = "msisdn"
    IMSI = "imsi"
    SIP_USER = "sip_user"
    RADIUS_USER = "radius_user"
    IP = "ip"
    DEVICE = "device"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionVersion:
    """What held from `effective_from_ms` until `effective_until_ms` (None: still holds).

    `recorded_at_ms` is when we learned of it: a back-dated change has effective_from_ms < recorded_at_ms.
    """

    effective_from_ms: int
    effective_until_ms: int | None
    offering: str
    status: SubscriptionStatus
    quantity: int = 1
    price_overrides: Mapping[str, int] = field(default_factory=dict)  # price code -> amount in nanos
    add_ons: tuple[str, ...] = ()  # offering codes held in this version
    coupons: tuple[str, ...] = ()  # discount codes held in this version
    characteristics: Mapping[str, str] = field(default_factory=dict)
    recorded_at_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionFacts:
    """One subscription and its whole history, oldest first; versions do not overlap and leave no gap."""

    subscription_id: int
    code: str  # the operator's own number for it
    billing_account_id: int
    pool: str = ""  # shared-allowance group, "" none
    versions: tuple[SubscriptionVersion, ...] = ()
