"""The itemised part of a bill: every usage of its cycle, priced again by the same replay that made the bill."""

import polars as pl

from millicent.billing.carrying import carried_into
from millicent.billing.errors import NoSuchBill
from millicent.billing.models import BillRun, IssuedBill
from millicent.billing.ports import BillingFacts
from millicent.billing.rules.allowances import granted
from millicent.billing.rules.context import bill_context
from millicent.billing.rules.cycles import CycleSpan
from millicent.billing.rules.payments import paid_in_advance
from millicent.billing.rules.pricing import grant_frame, holding_layers, off_the_bill
from millicent.billing.services.price_retail import pricing_of
from millicent.billing.types import UsageDetail
from millicent.rating.types import Leg, Reason


def itemise_bill(number: str, *, facts: BillingFacts) -> tuple[UsageDetail, ...]:
    """Usage of the bill's cycle in the currency of the bill, in the order it happened, as it was known to its run.

    Amounts are exact, in nanos; the bill's lines round their sums.
    """
    row = IssuedBill.objects.filter(number=number).first()
    if row is None:
        raise NoSuchBill(f"there is no bill {number}", number=number)
    known_ms = BillRun.objects.values_list("known_until_ms", flat=True).get(id=row.run_id)
    groups = facts.groups([row.payer_id], at_ms=row.cycle_until_ms - 1, known_until_ms=known_ms)
    pricing = pricing_of(facts, known_until_ms=known_ms)
    cycle = CycleSpan(from_ms=row.cycle_from_ms, until_ms=row.cycle_until_ms)
    context = bill_context(group=groups[0], releases=pricing.releases, cycle=cycle)
    (carried,) = carried_into([(context, cycle.from_ms)], known_at_ms=known_ms - 1)
    buckets = [*carried, *granted(context, cycle=cycle)]
    usage = facts.usage(
        [account.billing_account_id for account in context.group.accounts],
        from_ms=cycle.from_ms,
        until_ms=cycle.until_ms,
        received_until_ms=known_ms,
    )
    priced = pricing.price(usage, holdings=holding_layers([(context, cycle)]), grants=grant_frame(buckets))
    units = {code: each.unit for code, each in context.releases.at(cycle.from_ms).catalogue.specifications.items()}
    codes = {held.facts.subscription_id: held.facts.code for held in context.subscriptions}
    agreements = facts.balances.agreements([row.payer_id], known_until_ms=known_ms).get(row.payer_id, ())
    spans = paid_in_advance(context.group, releases=pricing.releases, agreements=agreements)
    advance = {account.billing_account_id: spans for account in context.group.accounts}
    return _details(
        off_the_bill(priced.rated, advance=advance), usage=usage, currency=row.currency, codes=codes, units=units
    )


def _details(
    rated: pl.DataFrame, *, usage: pl.DataFrame, currency: str, codes: dict[int, str], units: dict[str, str]
) -> tuple[UsageDetail, ...]:
    key = ["event_key_high", "event_key_low"]
    rows = (
        rated.filter(
            (pl.col("leg") == int(Leg.RETAIL))
            & (pl.col("reason") == int(Reason.PRICED))
            & (pl.col("currency") == currency)
        )
        .join(usage.select(*key, "other_party"), on=key, how="left")
        .sort("occurred_at_ms", "subscription_id", *key)
        .select(
            "occurred_at_ms",
            "subscription_id",
            "service",
            pl.col("other_party").fill_null(""),
            "zone",
            "charged_units",
            "bucket_units",
            "amount_nanos",
        )
    )
    return tuple(
        UsageDetail(
            occurred_at_ms=occurred_ms,
            subscription_code=codes.get(subscription_id, ""),
            service=service,
            other_party=other_party,
            zone=zone,
            unit=units.get(service, ""),
            quantity_units=charged + bucket,
            bucket_units=bucket,
            amount_nanos=amount_nanos,
        )
        for occurred_ms, subscription_id, service, other_party, zone, charged, bucket, amount_nanos in rows.iter_rows()
    )
