"""Take an add-on away."""

from dataclasses import replace
from datetime import datetime

from millicent.subscriptions.services.record_change import History, record_change
from millicent.subscriptions.types import Signature


def remove_add_on(*, code: str, add_on: str, at_ms: int, now: datetime, signature: Signature) -> History:
    """From `at_ms` on the add-on is not held, until it is recorded to be held again."""
    return record_change(
        code=code,
        verb="remove_add_on",
        at_ms=at_ms,
        now=now,
        signature=signature,
        change=lambda holding: replace(holding, add_ons=tuple(held for held in holding.add_ons if held != add_on)),
        follows=lambda holding: add_on in holding.add_ons,
        details={"add_on": add_on},
    )
