"""Stop a subscription for a time: unpaid, lost, asked for."""

from dataclasses import replace
from datetime import datetime

from millicent.subscriptions.services.record_change import History, record_change
from millicent.subscriptions.types import Signature, SubscriptionStatus


def suspend(*, code: str, at_ms: int, now: datetime, signature: Signature) -> History:
    """From `at_ms` on the subscription is suspended, until the next recorded change of its status.

    Refuses a subscription that is not active then; one that is suspended already stays as it is.
    """
    return record_change(
        code=code,
        verb="suspend",
        at_ms=at_ms,
        now=now,
        signature=signature,
        change=lambda holding: replace(holding, status=SubscriptionStatus.SUSPENDED),
        follows=lambda holding: holding.status,
    )
