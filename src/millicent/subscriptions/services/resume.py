"""Let a suspended subscription go on."""

from dataclasses import replace
from datetime import datetime

from millicent.subscriptions.services.record_change import History, record_change
from millicent.subscriptions.types import Signature, SubscriptionStatus


def resume(*, code: str, at_ms: int, now: datetime, signature: Signature) -> History:
    """From `at_ms` on the subscription is active again, until the next recorded change of its status.

    Refuses a subscription that was terminated; one that is active already stays as it is.
    """
    return record_change(
        code=code,
        verb="resume",
        at_ms=at_ms,
        now=now,
        signature=signature,
        change=lambda holding: replace(holding, status=SubscriptionStatus.ACTIVE),
        follows=lambda holding: holding.status,
    )
