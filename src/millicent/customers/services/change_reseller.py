"""Put a billing account under another reseller, or under none."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from millicent.customers.errors import UnknownReseller
from millicent.customers.services.record_terms import Terms, record_terms
from millicent.customers.types import Signature


def change_reseller(
    *,
    code: str,
    reseller: str,
    resellers: Collection[str],
    at_ms: int,
    billed_until_ms: int,
    now: datetime,
    signature: Signature,
) -> Terms:
    """From `at_ms` on `reseller` ("": nobody; "one/other": and that one's own) is charged for this account's usage.

    `resellers` are those the catalogue has a tariff for: another one would be charged nothing, in silence, and is
    refused. `billed_until_ms` and the other refusals: see `record_terms`.
    """
    unknown = [level for level in reseller.split("/") if level not in resellers] if reseller else []
    if unknown:
        raise UnknownReseller(
            f"the catalogue has no tariff for a reseller {unknown[0]!r}", reseller=unknown[0], known=sorted(resellers)
        )
    return record_terms(
        code=code,
        verb="change_reseller",
        at_ms=at_ms,
        billed_until_ms=billed_until_ms,
        now=now,
        signature=signature,
        change=lambda terms: replace(terms, reseller=reseller),
        follows=lambda terms: terms.reseller,
        details={"reseller": reseller},
    )
