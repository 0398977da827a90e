"""How often each coupon was redeemed, counted under a lock so that two at once cannot both be the last."""

from collections.abc import Iterable, Mapping

import polars as pl
from django.db.models import F

from millicent.kit.bulk import read_rows
from millicent.subscriptions.models import CouponTally

_HOLDERS = """
SELECT held.coupon, count(DISTINCT version.subscription_id)
FROM subscriptions_version version, jsonb_array_elements_text(version.coupons) AS held(coupon)
WHERE version.superseded_at_ms IS NULL AND version.coupons <> '[]' AND held.coupon IN (SELECT unnest(%s::text[]))
GROUP BY 1
"""


def lock_tallies(coupons: Iterable[str]) -> dict[str, int]:
    """How many subscriptions redeemed each of these coupons so far; until the transaction ends nobody else redeems one.

    A coupon that is met for the first time is counted in the histories. Rows are locked in the order of their coupons,
    so two bulk imports never wait for each other in a circle. A redemption is never given back: not when the
    subscription ends either.
    """
    wanted = sorted(set(coupons))
    known = set(CouponTally.objects.filter(coupon__in=wanted).values_list("coupon", flat=True))
    fresh = [coupon for coupon in wanted if coupon not in known]
    if fresh:
        holders = dict(read_rows(_HOLDERS, [fresh]))
        CouponTally.objects.bulk_create(
            [CouponTally(coupon=coupon, redeemed=holders.get(coupon, 0)) for coupon in fresh], ignore_conflicts=True
        )
    locked = CouponTally.objects.select_for_update().filter(coupon__in=wanted).order_by("coupon")
    return dict(locked.values_list("coupon", "redeemed"))


def count_redemptions(more: Mapping[str, int]) -> None:
    """Add to tallies that this transaction has locked."""
    for coupon, count in sorted(more.items()):
        CouponTally.objects.filter(coupon=coupon).update(redeemed=F("redeemed") + count)


def coupons_held(versions: pl.DataFrame) -> pl.DataFrame:
    """subscription_code, coupon of these versions (NEW_VERSION_COLUMNS), each pair once, in their order."""
    held = versions.filter(pl.col("coupons") != "[]").select(
        "subscription_code", coupon=pl.col("coupons").str.json_decode(pl.List(pl.String))
    )
    return held.explode("coupon").drop_nulls().unique(maintain_order=True)
