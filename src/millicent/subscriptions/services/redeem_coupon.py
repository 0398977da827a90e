"""Let a subscription have a coupon's discount."""

from dataclasses import replace
from datetime import datetime

from millicent.catalog.types import Catalogue
from millicent.subscriptions.rules import refuse_invalid_coupon
from millicent.subscriptions.services.record_change import History, record_change
from millicent.subscriptions.types import Signature


def redeem_coupon(
    *, code: str, coupon: str, catalogue: Catalogue, at_ms: int, now: datetime, signature: Signature
) -> History:
    """From `at_ms` on the coupon is held. Redeemed twice it is still held once.

    Refuses a coupon that the catalogue does not know, or that is not valid at `at_ms`.
    """
    refuse_invalid_coupon(coupon, at_ms=at_ms, discounts=catalogue.discounts)
    return record_change(
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


def _with(coupon: str, held: tuple[str, ...]) -> tuple[str, ...]:
    return held if coupon in held else (*held, coupon)
