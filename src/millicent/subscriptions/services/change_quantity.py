"""Change how many of an offering are held: seats, SIMs, licences."""

from dataclasses import replace
from datetime import datetime

from millicent.subscriptions.services.record_change import History, record_change
from millicent.subscriptions.types import Signature


def change_quantity(*, code: str, quantity: int, at_ms: int, now: datetime, signature: Signature) -> History:
    """From `at_ms` on this many are held, until the next recorded change of quantity. Prices that
    are per quantity follow.
    """
    return record_change(
        code=code,
        verb="change_quantity",
        at_ms=at_ms,
        now=now,
        signature=signature,
        change=lambda holding: replace(holding, quantity=quantity),
        follows=lambda holding: holding.quantity,
    )
