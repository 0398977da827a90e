"""Let a subscription have a coupon's discount."""

from dataclasses import replace
from datetime import datetime

from django.db import transaction

from millicent.catalog.types import Catalogue
from millicent.subscriptions.rules import refuse_invalid_coupon, refuse_used_up_coupon
from millicent.subscriptions.services.record_change import History, believed_history, lock_subscription, record_change
from millicent.subscriptions.services.tally_coupons import count_redemptions, lock_tallies
from millicent.subscriptions.types import Signature


@transaction.atomic
def redeem_coupon(
    *, code: str, coupon: str, catalogue: Catalogue, at_ms: int, now: datetime, signature: Signature
) -> History:
    """From `at_ms` on the coupon is held. Redeemed twice by one subscription it is still held, and counted, once.

    Refuses a coupon that the catalogue does not know, that is not valid at `at_ms`, or that was redeemed as often as
    the catalogue allows. The coupon's tally is locked before it is looked at: of two subscriptions that come at once
    for the last redemption, one gets it.
    """
    refuse_invalid_coupon(coupon, at_ms=at_ms, discounts=catalogue.discounts)
    held_before = any(coupon in span.content.coupons for span in believed_history(lock_subscription(code)))
    if not held_before:
        refuse_used_up_coupon(catalogue.discounts[coupon], redeemed=lock_tallies([coupon])[coupon])
    history = record_change(
        code=code,
        verb="redeem_coupon",
        at_ms=at_ms,
        now=now,
        signature=signature,
        change=lambda holding: replace(
            holding, coupons=(*holding.coupons, coupon) if coupon not in holding.coupons else holding.coupons
        ),
        follows=lambda holding: coupon in holding.coupons,
        details={"coupon": coupon},
    )
    if not held_before:
        count_redemptions({coupon: 1})
    return history
