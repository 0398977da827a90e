"""Put an add-on on a subscription."""

from dataclasses import replace
from datetime import datetime

from django.db import transaction

from millicent.catalog.types import Catalogue
from millicent.subscriptions.services.check_eligibility import check_eligibility
from millicent.subscriptions.services.record_change import History, lock_subscription, record_change
from millicent.subscriptions.types import Signature


@transaction.atomic
def add_add_on(
    *, code: str, add_on: str, at_ms: int, catalogue: Catalogue, now: datetime, signature: Signature
) -> History:
    """From `at_ms` on the add-on is held; one that is held already is not added again.

    Refuses an offering that is no add-on, or that is not sold to this customer beside what the customer has.
    """
    account_id = lock_subscription(code).billing_account_id
    check_eligibility(offering=add_on, account_id=account_id, at_ms=at_ms, catalogue=catalogue, as_add_on=True)
    return record_change(
        code=code,
        verb="add_add_on",
        at_ms=at_ms,
        now=now,
        signature=signature,
        change=lambda holding: replace(
            holding, add_ons=holding.add_ons if add_on in holding.add_ons else (*holding.add_ons, add_on)
        ),
        follows=lambda holding: add_on in holding.add_ons,
        details={"add_on": add_on},
    )
