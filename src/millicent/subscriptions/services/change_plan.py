"""Move a subscription to another offering."""

from dataclasses import replace
from datetime import datetime

from django.db import transaction

from millicent.catalog.types import Catalogue
from millicent.kit.timeline import span_at
from millicent.subscriptions.services.check_eligibility import check_eligibility
from millicent.subscriptions.services.record_change import History, believed_history, lock_subscription, record_change
from millicent.subscriptions.types import Signature


@transaction.atomic
def change_plan(
    *, code: str, offering: str, at_ms: int, catalogue: Catalogue, now: datetime, signature: Signature
) -> History:
    """From `at_ms` on the subscription has another offering, until the next recorded change of plan.

    A back-dated change therefore leaves later changes of plan as they are. Refuses an offering that is not sold to
    this customer.
    """
    subscription = lock_subscription(code)
    found = span_at(believed_history(subscription), at_ms)
    earlier = found.content.offering if found else ""
    check_eligibility(
        offering=offering,
        account_id=subscription.billing_account_id,
        at_ms=at_ms,
        catalogue=catalogue,
        leaving=earlier,
    )
    return record_change(
        code=code,
        verb="change_plan",
        at_ms=at_ms,
        now=now,
        signature=signature,
        change=lambda holding: replace(holding, offering=offering),
        follows=lambda holding: holding.offering,
        details={"offering": offering, "earlier": earlier},
    )
