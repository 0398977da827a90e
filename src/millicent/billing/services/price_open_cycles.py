"""Price the usage of cycles that no bill has closed yet, as their bills would if they were written now."""

from collections.abc import Sequence

import polars as pl

from millicent.billing.carrying import carried_into
from millicent.billing.ports import BillingFacts
from millicent.billing.rules.allowances import Bucket, granted
from millicent.billing.rules.context import BillContext, bill_context
from millicent.billing.rules.cycles import cycle_containing
from millicent.billing.rules.pricing import grant_frame, holding_layers
from millicent.billing.services.price_retail import pricing_of
from millicent.rating.types import Leg

_PAYERS_AT_ONCE = 500
_KEY = ("event_key_high", "event_key_low")
OPEN_USAGE_COLUMNS = {  # of the answer, beside the event key
    "payer_id": "Int64",
    "subscription_id": "Int64",
    "service": "String",
    "occurred_at_ms": "Int64",
    "received_at_ms": "Int64",
    "cycle_from_ms": "Int64",
    "cycle_until_ms": "Int64",
    "currency": "String",
    "tariff": "String",
    "catalog_release": "Int32",
    "rule": "String",
    "zone": "String",
    "charged_units": "Int64",
    "bucket_units": "Int64",
    "amount_nanos": "Int64",
    "reason": "Int16",
}


def price_open_cycles(
    payer_ids: Sequence[int], *, facts: BillingFacts, at_ms: int, known_until_ms: int
) -> pl.DataFrame:
    """Retail charges of all usage in each payer's cycle around `at_ms`: event key and OPEN_USAGE_COLUMNS, unordered.

    Amounts are exact, in nanos: the bill rounds their sums. Usage of earlier cycles that came late is not in it. Runs
    in a tenant's scope and changes nothing.
    """
    pricing = pricing_of(facts, known_until_ms=known_until_ms)
    schema = {
        **dict.fromkeys(_KEY, pl.Int64),
        **{name: getattr(pl, kind) for name, kind in OPEN_USAGE_COLUMNS.items()},
    }
    parts = [pl.DataFrame(schema=schema)]
    for start in range(0, len(payer_ids), _PAYERS_AT_ONCE):
        some = payer_ids[start : start + _PAYERS_AT_ONCE]
        contexts = [
            bill_context(
                group=group,
                releases=pricing.releases,
                cycle=cycle_containing(cycle=group.payer.cycle, zone=group.payer.zone, instant_ms=at_ms),
            )
            for group in facts.groups(some, at_ms=at_ms, known_until_ms=known_until_ms)
        ]
        usage = _usage(contexts, facts=facts, known_until_ms=known_until_ms)
        if usage.is_empty():
            continue
        rated = pricing.price(
            usage.drop("payer_id", "cycle_from_ms", "cycle_until_ms"),
            holdings=holding_layers([(context, context.cycle) for context in contexts]),
            grants=grant_frame(_buckets(contexts)),
        ).rated
        facts_of_usage = usage.select(*_KEY, "received_at_ms", "payer_id", "cycle_from_ms", "cycle_until_ms")
        retail = rated.filter(pl.col("leg") == int(Leg.RETAIL)).join(facts_of_usage, on=_KEY)
        parts.append(retail.select(pl.col(name).cast(kind) for name, kind in schema.items()))
    return pl.concat(parts)


def _usage(contexts: Sequence[BillContext], *, facts: BillingFacts, known_until_ms: int) -> pl.DataFrame:
    """Usage of every account in the cycle of its payer: accounts with the same cycle are read together."""
    payers: dict[tuple[int, int], dict[int, int]] = {}
    for context in contexts:
        members = payers.setdefault((context.cycle.from_ms, context.cycle.until_ms), {})
        payer_id = context.group.payer.billing_account_id
        members.update((account.billing_account_id, payer_id) for account in context.group.accounts)
    parts = []
    for (from_ms, until_ms), members in payers.items():
        found = facts.usage(list(members), from_ms=from_ms, until_ms=until_ms, received_until_ms=known_until_ms)
        parts.append(
            found.with_columns(
                payer_id=pl.col("billing_account_id").replace_strict(members, return_dtype=pl.Int64),
                cycle_from_ms=pl.lit(from_ms, pl.Int64),
                cycle_until_ms=pl.lit(until_ms, pl.Int64),
            )
        )
    return pl.concat(parts) if parts else pl.DataFrame()


def _buckets(contexts: Sequence[BillContext]) -> list[Bucket]:
    """What each cycle opens with: what the one before left, as its bill has it, and what is granted."""
    carried = carried_into([(context, context.cycle.from_ms) for context in contexts])
    buckets: list[Bucket] = []
    for context, left in zip(contexts, carried, strict=True):
        buckets += [*left, *granted(context, cycle=context.cycle)]
    return buckets
