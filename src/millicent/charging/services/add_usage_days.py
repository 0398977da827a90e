"""Customers' own money that usage took, by day, revenue account and taxes within: posted when the day is over."""

from collections.abc import Mapping

import polars as pl
from django.db.models import F

from millicent.catalog.selectors import catalogue_of, latest_release
from millicent.catalog.types import Catalogue
from millicent.charging.declared import MS_PER_DAY
from millicent.charging.models.people import UsageDay
from millicent.charging.services.tax_of_balances import BalanceTax
from millicent.charging.types import BucketKind
from millicent.subscriptions.live import account_by_subscription, version_frame

_REVENUE, _STANDARD = "revenue:usage", "standard"


def add_usage_days(moved: pl.DataFrame, *, shard: int, tax: BalanceTax) -> None:
    """Add what these movements took to their days. In the reader's transaction."""
    used = moved.filter((pl.col("cause") == "") & (pl.col("kind") == int(BucketKind.MONEY)))
    if not len(used):
        return
    day = (pl.col("happened_at_ms") // MS_PER_DAY * MS_PER_DAY).alias("day_ms")
    whose = used.group_by(day, "currency", "billing_account_id", "subscription_id").agg(-pl.col("change").sum())
    release = latest_release()
    catalogue = catalogue_of(release.number) if release else None
    categories = _categories(whose, catalogue=catalogue)
    accounts = account_by_subscription(whose["subscription_id"].unique().to_list())
    sums: dict[tuple[int, str, str], int] = {}
    for day_ms, currency, payer_id, subscription_id, nanos in whose.iter_rows():
        codes = tax.codes(
            accounts.get(subscription_id, payer_id), payer_id=payer_id,
            tax_category=categories.get(subscription_id, _STANDARD), at_ms=day_ms,
        )  # fmt: skip
        key = (day_ms, currency, ",".join(codes))
        sums[key] = sums.get(key, 0) + nanos
    revenue = catalogue.ledger_codes.get("usage", _REVENUE) if catalogue else _REVENUE
    for (day_ms, currency, taxes), amount_nanos in sorted(sums.items()):
        kept, _ = UsageDay.objects.get_or_create(
            shard=shard, day_ms=day_ms, currency=currency, ledger_account=revenue, taxes=taxes,
            defaults={"amount_nanos": 0},
        )  # fmt: skip
        UsageDay.objects.filter(pk=kept.pk).update(amount_nanos=F("amount_nanos") + amount_nanos)


def _categories(whose: pl.DataFrame, *, catalogue: Catalogue | None) -> Mapping[int, str]:
    """The tax category of each subscription's usage: that of the plan it held when the first of this was used."""
    if catalogue is None:
        return {}
    first_ms = int(whose["day_ms"].min())  # type: ignore[arg-type]
    ids = [each for each in whose["subscription_id"].unique().to_list() if each >= 0]
    versions = version_frame(since_ms=first_ms, known_at_ms=2**62, ids=ids)
    found: dict[int, str] = {}
    for subscription_id, offering in versions.select("subscription_id", "offering").iter_rows():
        if offering in catalogue.offerings:
            found.setdefault(subscription_id, catalogue.offerings[offering].usage_tax_category)
    return found
