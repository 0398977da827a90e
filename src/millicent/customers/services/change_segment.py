"""Put a billing account into another segment."""

from dataclasses import replace
from datetime import datetime

from millicent.customers.services.record_terms import Terms, record_terms
from millicent.customers.types import Signature
from millicent.kit.errors import BadInput


def change_segment(
    *, code: str, segment: str, at_ms: int, billed_until_ms: int, now: datetime, signature: Signature
) -> Terms:
    """From `at_ms` on the account's usage is priced for this segment. What was sold to it stays sold.

    `billed_until_ms` and refusals: see `record_terms`.
    """
    if not segment:
        raise BadInput("a segment has a name", where="segment", cure="Use one that the catalogue's rules ask for.")
    return record_terms(
        code=code,
        verb="change_segment",
        at_ms=at_ms,
        billed_until_ms=billed_until_ms,
        now=now,
        signature=signature,
        change=lambda terms: replace(terms, segment=segment),
        follows=lambda terms: terms.segment,
        details={"segment": segment},
    )
