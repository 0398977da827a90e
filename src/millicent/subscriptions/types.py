"""Who has what, since when: effective-dated facts, half-open intervals, UTC milliseconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum, unique

import polars as pl

from millicent.customers.types import Signature as Signature  # whoever signs, signs alike


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


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldIdentifier:
    """A number, SIM, user name, address or device, and the half-open time in which a subscription holds it."""

    kind: IdentifierKind
    identifier: str
    effective_from_ms: int
    effective_until_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSubscription:
    """A subscription to be added with its history so far: versions oldest first, without gap or overlap."""

    code: str
    account_code: str
    versions: tuple[SubscriptionVersion, ...]
    pool: str = ""
    identifiers: tuple[HeldIdentifier, ...] = ()


# Subscriptions to be added, as columns. Rows of one `subscription_code` are its versions.
NEW_VERSION_COLUMNS = {
    "subscription_code": "String",
    "account_code": "String",
    "pool": "String",
    "effective_from_ms": "Int64",
    "effective_until_ms": "Int64",  # null: still holds
    "offering": "String",
    "status": "String",  # SubscriptionStatus
    "quantity": "Int64",
    "price_overrides": "String",  # JSON object: price code -> nanos
    "add_ons": "String",  # JSON list of offering codes
    "coupons": "String",  # JSON list of discount codes
    "characteristics": "String",  # JSON object
}

NEW_IDENTIFIER_COLUMNS = {
    "subscription_code": "String",
    "kind": "String",  # IdentifierKind
    "identifier": "String",  # normalised
    "effective_from_ms": "Int64",
    "effective_until_ms": "Int64",  # null: still held
}

# What enrichment is told: who held which identifier when.
IDENTIFIER_FRAME_COLUMNS = {
    "identifier_kind": "String",
    "identifier": "String",
    "effective_from_ms": "Int64",
    "effective_until_ms": "Int64",  # largest int64 where open
    "subscription_id": "Int64",
    "billing_account_id": "Int64",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What a subscription is, apart from when: the content of a version."""

    offering: str
    status: SubscriptionStatus
    quantity: int = 1
    price_overrides: Mapping[str, int] = field(default_factory=dict)
    add_ons: tuple[str, ...] = ()
    coupons: tuple[str, ...] = ()
    characteristics: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerHoldings:
    """What eligibility looks at: who the customer is, and every offering and add-on held at that time."""

    account_code: str
    segment: str
    country: str
    held: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCount:
    """One file's rows: in = new + standing + refused, to the last one."""

    file: str
    rows_in: int
    new: int
    standing: int
    refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    counts: tuple[FileCount, ...]
    faults: pl.DataFrame  # kit.intake.FAULT_SCHEMA; a row may have several
