"""End a subscription for good, and give back the identifiers it held."""

from dataclasses import replace
from datetime import datetime

from django.db import transaction

from millicent.subscriptions.services.record_change import History, record_change
from millicent.subscriptions.services.release_identifier import release_identifiers_of
from millicent.subscriptions.types import Signature, SubscriptionStatus


@transaction.atomic
def terminate(*, code: str, at_ms: int, now: datetime, signature: Signature) -> History:
    """From `at_ms` on the subscription is terminated, whatever was recorded for later; its identifiers are free.

    Terminated again at the same time or later, it stays as it is; earlier moves the end back in time.
    """
    history = record_change(
        code=code,
        verb="terminate",
        at_ms=at_ms,
        now=now,
        signature=signature,
        change=lambda holding: replace(holding, status=SubscriptionStatus.TERMINATED),
        follows=lambda holding: None,
    )
    release_identifiers_of(code=code, at_ms=at_ms, now=now)
    return history
