"""Who pays, as billing and enrichment see it: immutable rows, ids from the tables, codes from the catalogue."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum, unique

from millicent.catalog.types import MONTHLY, Period


@dataclass(frozen=True, slots=True, kw_only=True)
class BillCycle:
    """When an account's cycles turn. `day` is 1 to 31 for month-based periods; the month's end clamps it.
    Day and week periods count from `anchor_ms`."""

    day: int = 1
    period: Period = MONTHLY
    anchor_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxExemption:
    kind: str  # "reseller", "government", "diplomatic"
    jurisdiction: str
    certificate: str
    effective_from_ms: int
    effective_until_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingAccountFacts:
    """One billing account. `payer_id` is the account that receives its charges: itself, or one above it."""

    billing_account_id: int
    code: str  # the operator's own number for it
    party_name: str
    payer_id: int
    parent_id: int | None
    currency: str
    zone: str  # IANA
    cycle: BillCycle
    language: str = "en"
    segment: str = "consumer"
    country: str = ""  # of the customer: with `jurisdiction`, decides tax
    jurisdiction: str = ""
    is_business: bool = False
    tax_number: str = ""
    tax_exemptions: tuple[TaxExemption, ...] = ()
    address_lines: tuple[str, ...] = ()
    reseller: str = ""  # reseller code, "" for direct customers
    opened_at_ms: int = 0
    characteristics: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PayerGroup:
    """A payer and every account whose charges it receives, payer first, then by id."""

    payer: BillingAccountFacts
    accounts: tuple[BillingAccountFacts, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidByAnother:
    """A time that is over in which another account received this one's charges."""

    payer_id: int
    from_ms: int
    until_ms: int


@unique
class PartyKind(StrEnum):
    PERSON = "person"
    ORGANISATION = "organisation"


@unique
class ContactKind(StrEnum):
    EMAIL = "email"
    PHONE = "phone"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBillingAccount:
    """A billing account to be opened, with its party. Accounts of one party repeat its code and its name.

    `payer_code` "" is the account itself, else the code of an account above it that pays for itself.
    """

    code: str
    party_code: str
    party_name: str
    currency: str
    zone: str
    opened_at_ms: int
    party_kind: PartyKind = PartyKind.PERSON
    email: str = ""
    phone: str = ""
    parent_code: str = ""
    payer_code: str = ""
    cycle: BillCycle = field(default_factory=BillCycle)
    language: str = "en"
    segment: str = "consumer"
    country: str = ""
    jurisdiction: str = ""
    is_business: bool = False
    tax_number: str = ""
    tax_exemptions: tuple[TaxExemption, ...] = ()
    address_lines: tuple[str, ...] = ()
    reseller: str = ""
    characteristics: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """Who makes a change, and why: kept beside it for ever."""

    who: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountTerms:
    """What money depends on and may change over time: the content of one row of an account's terms."""

    payer_id: int
    language: str
    segment: str
    country: str
    jurisdiction: str
    is_business: bool
    tax_number: str
    reseller: str
    address: str | None = None  # one line a line; None: as the account was opened


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountChange:
    """One change of a billing account: from when on it holds, when we were told, by whom and why."""

    verb: str
    effective_at_ms: int
    recorded_at_ms: int
    who: str
    why: str
    details: Mapping[str, str]


# Billing accounts to be opened, as columns: what `open_billing_accounts` writes and what an import is turned into.
NEW_ACCOUNT_COLUMNS = {
    "account_code": "String",
    "party_code": "String",
    "party_kind": "String",  # PartyKind
    "party_name": "String",
    "email": "String",  # "" none
    "phone": "String",
    "parent_code": "String",  # "" at the top
    "payer_code": "String",  # "" the account itself
    "currency": "String",
    "zone": "String",
    "cycle_day": "Int64",
    "cycle_count": "Int64",
    "cycle_unit": "String",  # PeriodUnit
    "cycle_anchor_ms": "Int64",
    "language": "String",
    "segment": "String",
    "country": "String",
    "jurisdiction": "String",
    "is_business": "Boolean",
    "tax_number": "String",
    "reseller": "String",
    "address": "String",  # lines joined by "\n"
    "opened_at_ms": "Int64",
    "characteristics": "String",  # JSON object
}

NEW_EXEMPTION_COLUMNS = {
    "account_code": "String",
    "kind": "String",
    "jurisdiction": "String",
    "certificate": "String",
    "effective_from_ms": "Int64",
    "effective_until_ms": "Int64",  # null: open
}
