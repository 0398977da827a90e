"""Who pays, as billing and enrichment see it: immutable rows, ids from the tables, codes from the catalogue."""

from collections.abc import Mapping
from dataclasses import dataclass, field

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
