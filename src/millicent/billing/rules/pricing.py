"""What rating is told about many payers at once, and its answer as charges: columns in, columns out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import polars as pl

from millicent.billing.rules.allowances import Bucket, pool_of
from millicent.billing.rules.charges import OPEN_END_MS, Charge, ChargeKey
from millicent.billing.rules.columns import columns_of
from millicent.billing.rules.context import BillContext, HeldSubscription
from millicent.billing.rules.cycles import CycleSpan
from millicent.billing.rules.holdings import HeldRun
from millicent.billing.rules.rounding import to_minor_units
from millicent.billing.rules.words import case_words, together, with_case
from millicent.billing.types import OffBill
from millicent.catalog.types import ChargeKind, LocalizedText
from millicent.rating.types import COUNTER_COLUMNS, GRANT_COLUMNS, HOLDING_COLUMNS, Leg, Reason


def schema_of(columns: Mapping[str, str]) -> pl.Schema:
    return pl.Schema({name: getattr(pl, kind) for name, kind in columns.items()})


NO_COUNTERS = pl.DataFrame(schema=schema_of(COUNTER_COLUMNS))
AWAY = "away"
AGGREGATED = ("subscription_id", "service", "zone", "tariff", "rule", "currency")


def holding_layers(work: Sequence[tuple[BillContext, CycleSpan]]) -> list[pl.DataFrame]:
    """Which tariff prices whose usage, for the cycle of each payer: the plans' tariffs, then those of add-ons.

    A layer is asked about what no layer before it could price. The n-th add-on of a subscription that brings a tariff
    is in layer n, so within a layer a subscription has one tariff at a time.
    """
    layers: list[list[tuple[object, ...]]] = [[]]
    for context, cycle in work:
        for held in context.subscriptions:
            add_ons = 0
            for run in held.runs:
                rows = _holdings(run, held=held, context=context, cycle=cycle)
                if not run.add_on:
                    layers[0] += rows
                elif any(row[_TARIFF] for row in rows):
                    add_ons += 1
                    layers += [[] for _ in range(add_ons + 1 - len(layers))]
                    layers[add_ons] += rows
    return [pl.DataFrame(rows, schema=schema_of(HOLDING_COLUMNS), orient="row") for rows in layers]


_TARIFF = tuple(HOLDING_COLUMNS).index("tariff")


def _holdings(
    run: HeldRun, *, held: HeldSubscription, context: BillContext, cycle: CycleSpan
) -> list[tuple[object, ...]]:
    """One run's tariff, release by release; nothing when the cycle does not see the run."""
    if run.from_ms >= cycle.until_ms or run.until_ms <= cycle.from_ms:
        return []
    return [
        (
            held.facts.subscription_id,
            held.account.billing_account_id,
            pool_of(held),
            from_ms,
            until_ms,
            view.offering(run.offering, currency=held.account.currency).tariff,
            held.account.segment,
            held.account.reseller,
        )
        for view, from_ms, until_ms in context.releases.within(from_ms=run.from_ms, until_ms=run.until_ms)
        if from_ms < cycle.until_ms and until_ms > cycle.from_ms
    ]


def grant_frame(buckets: Sequence[Bucket]) -> pl.DataFrame:
    """Buckets as rating wants them, with when they serve nobody; `bucket_id` is the place in the sequence."""
    columns = columns_of(buckets, fields=Bucket._fields) | {"bucket_id": range(len(buckets))}
    schema = schema_of(GRANT_COLUMNS) | {AWAY: pl.List(pl.List(pl.Int64))}
    return pl.DataFrame({name: columns[name] for name in schema}, schema=schema)


def interrupted(grants: pl.DataFrame) -> list[tuple[int, int, int]]:
    """(bucket id, from, until) of every time that a bucket serves nobody while its offering is left."""
    if AWAY not in grants.columns:
        return []
    some = grants.filter(pl.col(AWAY).list.len() > 0).select("bucket_id", AWAY)
    return [(bucket_id, from_ms, until_ms) for bucket_id, away in some.iter_rows() for from_ms, until_ms in away]


def laid_aside(grants: pl.DataFrame, *, away: Sequence[tuple[int, int, int]], at_ms: int) -> pl.DataFrame:
    """The grants with those that serve nobody at an instant valid for ever later."""
    asleep = [bucket_id for bucket_id, from_ms, until_ms in away if from_ms <= at_ms < until_ms]
    later = pl.when(pl.col("bucket_id").is_in(asleep)).then(pl.lit(OPEN_END_MS, pl.Int64))
    return grants.with_columns(later.otherwise("valid_from_ms").alias("valid_from_ms"))


def closing_buckets(buckets: Sequence[Bucket], *, grants: pl.DataFrame) -> list[Bucket]:
    """The same buckets with what pricing left of them."""
    left = dict(zip(grants["bucket_id"].to_list(), grants["remaining"].to_list(), strict=True))
    return [
        bucket if left[place] == bucket.remaining else bucket._replace(remaining=left[place])
        for place, bucket in enumerate(buckets)
    ]


class PricedSum(NamedTuple):
    """A row of `UsageSums.priced`: what one line of usage says."""

    billing_account_id: int
    subscription_id: int
    service: str
    zone: str
    tariff: str
    rule: str
    currency: str
    amount_nanos: int
    charged_units: int
    bucket_units: int
    event_count: int


class UnpricedSum(NamedTuple):
    """A row of `UsageSums.unpriced`."""

    billing_account_id: int
    subscription_id: int
    service: str
    reason: int
    event_count: int
    first_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageSums:
    """Priced usage summed by what one bill line says, and what could not be priced, by reason."""

    priced: list[PricedSum]
    unpriced: list[UnpricedSum]


def sum_usage(rated: pl.DataFrame) -> UsageSums:
    """Retail legs only. Both are in a fixed order, so that the same facts give the same bytes."""
    retail = rated.filter(pl.col("leg") == int(Leg.RETAIL))
    good = pl.col("reason") == int(Reason.PRICED)
    priced = (
        retail.filter(good)
        .group_by("billing_account_id", *AGGREGATED)
        .agg(
            pl.col("amount_nanos").sum(),
            pl.col("charged_units").sum(),
            pl.col("bucket_units").sum(),
            pl.len().cast(pl.Int64).alias("event_count"),
        )
        .sort("billing_account_id", *AGGREGATED)
    )
    unpriced = (
        retail.filter(~good)
        .group_by("billing_account_id", "subscription_id", "service", "reason")
        .agg(pl.len().cast(pl.Int64).alias("event_count"), pl.col("occurred_at_ms").min().alias("first_at_ms"))
        .sort("billing_account_id", "subscription_id", "service", "reason")
    )
    return UsageSums(
        priced=[PricedSum._make(row) for row in priced.select(PricedSum._fields).iter_rows()],
        unpriced=[UnpricedSum._make(row) for row in unpriced.select(UnpricedSum._fields).iter_rows()],
    )


def off_the_bill(rated: pl.DataFrame, *, advance: Mapping[int, Sequence[CycleSpan]]) -> pl.DataFrame:
    """The same, where what was used while its payer paid in advance has that as its reason.

    It was priced with the rest, because it took of the same allowances and tiers. `advance` is by billing account.
    """
    spans = [(account, span.from_ms, span.until_ms) for account, found in advance.items() for span in found]
    if not spans:
        return rated
    names = ("billing_account_id", "advance_from_ms", "advance_until_ms")
    windows = pl.DataFrame(spans, schema=dict.fromkeys(names, pl.Int64), orient="row")
    inside = (pl.col("occurred_at_ms") >= pl.col("advance_from_ms")) & (
        pl.col("occurred_at_ms") < pl.col("advance_until_ms")
    )
    numbered = rated.with_row_index("place")
    retail = numbered.filter(pl.col("leg") == int(Leg.RETAIL))
    paid = retail.select("place", "billing_account_id", "occurred_at_ms").join(windows, on="billing_account_id")
    reason = pl.when(pl.col("place").is_in(paid.filter(inside)["place"].implode()))
    return numbered.with_columns(
        reason.then(pl.lit(int(OffBill.PAID_IN_ADVANCE), rated.schema["reason"])).otherwise("reason").alias("reason")
    ).drop("place")


class UsageTexts:
    """Names of usage lines by release, service, zone, tariff and rule; made once each."""

    def __init__(self) -> None:
        self._plain: dict[tuple[int, str, str], tuple[LocalizedText, str]] = {}
        self._made: dict[tuple[int, str, str, str, str], tuple[LocalizedText, str]] = {}

    def of(self, context: BillContext, *, row: PricedSum, at_ms: int) -> tuple[LocalizedText, str]:
        """Texts and unit of one service to one zone, with the bands of its price where it has any."""
        view = context.releases.at(at_ms)
        key = (view.number, row.service, row.zone, row.tariff, row.rule)
        if key not in self._made:
            names, unit = self._without_case(context, row=row, at_ms=at_ms)
            tariff = view.catalogue.tariffs.get(row.tariff)
            bands = next((each.match.bands for each in tariff.rules if each.code == row.rule), ()) if tariff else ()
            self._made[key] = (with_case(names, case_words(bands)) if bands else names, unit)
        return self._made[key]

    def _without_case(self, context: BillContext, *, row: PricedSum, at_ms: int) -> tuple[LocalizedText, str]:
        view = context.releases.at(at_ms)
        key = (view.number, row.service, row.zone)
        if key not in self._plain:
            specification = view.catalogue.specifications.get(row.service)
            names = specification.names if specification else {"en": row.service}
            self._plain[key] = (
                together(names, _zone_names(context, zone=row.zone, at_ms=at_ms)),
                specification.unit if specification else "",
            )
        return self._plain[key]


def told_apart(charges: Iterable[Charge]) -> dict[ChargeKey, Charge]:
    """The same charges by key; of those that say the same of one subscription, each says its tariff's rule too.

    Where one rule's code is in several tariffs, the tariff is said.
    """
    alike: dict[tuple[int, str, str, str, str], list[Charge]] = {}
    for charge in charges:
        key = charge.key
        said = (key.subscription_id, key.currency, key.service, key.zone, next(iter(charge.texts.values()), ""))
        alike.setdefault(said, []).append(charge)
    return {
        charge.key: charge._replace(texts=with_case(charge.texts, case_words(code))) if code else charge
        for same in alike.values()
        for charge, code in zip(same, _telling_codes(same), strict=True)
    }


def _telling_codes(same: Sequence[Charge]) -> list[tuple[str, ...]]:
    """What tells these apart: nothing of one alone, else their rules, their tariffs, or both."""
    if len(same) == 1:
        return [()]
    prices = [tuple(charge.key.price_code.rsplit("/", 1)) for charge in same]
    for part in (slice(1, 2), slice(0, 1)):
        if len({price[part] for price in prices}) == len(prices):
            return [price[part] for price in prices]
    return prices


def _zone_names(context: BillContext, *, zone: str, at_ms: int) -> Mapping[str, str]:
    if not zone:
        return {}
    map_code, _, zone_code = zone.rpartition("/")
    maps = context.releases.at(at_ms).catalogue.zone_maps
    for zone_map in (maps[map_code],) if map_code in maps else maps.values():
        for each in zone_map.zones:
            if each.code == zone_code:
                return each.names
    return {"en": zone_code}


def usage_charges(
    rows: Sequence[PricedSum], *, context: BillContext, cycle: CycleSpan, texts: UsageTexts
) -> dict[ChargeKey, Charge]:
    """One charge for each sum of one payer: rounded to the minor unit here, once."""
    held_by_id = {held.facts.subscription_id: held for held in context.subscriptions}
    sold: dict[tuple[int, str], _SoldAs] = {}
    charges = []
    for row in rows:
        whose = (row.subscription_id, row.tariff)
        if whose not in sold:
            sold[whose] = _sold_as(held_by_id[row.subscription_id], tariff=row.tariff, context=context, cycle=cycle)
        charges.append(_usage_charge(row, sold=sold[whose], context=context, cycle=cycle, texts=texts))
    return told_apart(charges)


class _SoldAs(NamedTuple):
    """The offering whose tariff priced a usage, and what it says of tax and ledger."""

    billing_account_id: int
    offering: str
    tax_category: str
    ledger_code: str


def _usage_charge(
    row: PricedSum, *, sold: _SoldAs, context: BillContext, cycle: CycleSpan, texts: UsageTexts
) -> Charge:
    names, unit = texts.of(context, row=row, at_ms=cycle.from_ms)
    return Charge(
        key=ChargeKey(
            service_cycle_from_ms=cycle.from_ms,
            kind=ChargeKind.USAGE,
            currency=row.currency,
            billing_account_id=sold.billing_account_id,
            subscription_id=row.subscription_id,
            offering=sold.offering,
            price_code=f"{row.tariff}/{row.rule}",
            service=row.service,
            zone=row.zone,
            period_from_ms=cycle.from_ms,
            tax_category=sold.tax_category,
            ledger_code=sold.ledger_code,
            in_advance=False,
        ),
        service_cycle_until_ms=cycle.until_ms,
        period_from_ms=cycle.from_ms,
        period_until_ms=cycle.until_ms,
        covers_until_ms=cycle.until_ms,
        amount_nanos=to_minor_units(row.amount_nanos, 1, row.currency),
        texts=names,
        event_count=row.event_count,
        charged_units=row.charged_units,
        bucket_units=row.bucket_units,
        unit=unit,
        explanation={"sum_nanos": row.amount_nanos},
    )


def _sold_as(held: HeldSubscription, *, tariff: str, context: BillContext, cycle: CycleSpan) -> _SoldAs:
    """The plan or add-on whose tariff priced it, the latest held in the cycle, with its tax category and ledger code.

    Plans are looked at first, as they are when usage is priced.
    """
    account_id = held.account.billing_account_id
    for run in sorted(held.runs, key=lambda run: (run.add_on, -run.from_ms)):
        if run.from_ms >= cycle.until_ms or run.until_ms <= cycle.from_ms:
            continue
        for release, _, _ in context.releases.within(from_ms=run.from_ms, until_ms=min(run.until_ms, OPEN_END_MS)):
            view = release.offering(run.offering, currency=held.account.currency)
            if view.tariff == tariff:
                return _SoldAs(account_id, view.code, view.usage_tax_category, view.usage_ledger_code)
    return _SoldAs(account_id, "", "standard", "usage")
