"""Tax a billing account as one of another place."""

from dataclasses import replace
from datetime import datetime

from millicent.customers.columns import COUNTRY_CURE, JURISDICTION_CURE, country_written, jurisdiction_written
from millicent.customers.services.record_terms import Terms, record_terms
from millicent.customers.types import Signature
from millicent.kit.errors import BadInput


def change_tax_place(
    *,
    code: str,
    country: str,
    jurisdiction: str,
    at_ms: int,
    billed_until_ms: int,
    now: datetime,
    signature: Signature,
) -> Terms:
    """From `at_ms` on the account is in `country` and bears the taxes of `jurisdiction` ("": those of the country).

    A line is taxed by the place in force at its tax point's cycle end; a correction of a cycle that was billed keeps
    the place of that cycle. `billed_until_ms` and refusals: see `record_terms`.
    """
    if country_written(country) is None:
        raise BadInput(f"{country!r} is no country", where="country", cure=COUNTRY_CURE)
    if jurisdiction_written(jurisdiction) is None:
        raise BadInput(f"{jurisdiction!r} lies in no country", where="jurisdiction", cure=JURISDICTION_CURE)
    return record_terms(
        code=code,
        verb="change_tax_place",
        at_ms=at_ms,
        billed_until_ms=billed_until_ms,
        now=now,
        signature=signature,
        change=lambda terms: replace(terms, country=country, jurisdiction=jurisdiction),
        follows=lambda terms: (terms.country, terms.jurisdiction),
        details={"country": country, "jurisdiction": jurisdiction},
    )
