"""Brings the catalogue's expectations and the rating kernel together: what `catalog check` prices them with."""

import json
from collections.abc import Sequence

import numpy as np
import polars as pl

from millicent.catalog.expectations import PricedExpectation
from millicent.catalog.types import Allowance, Catalogue, Expectation, Measure
from millicent.rating.services import compile_catalogue, price_usage
from millicent.rating.types import COUNTER_COLUMNS, GRANT_COLUMNS, HOLDING_COLUMNS, USAGE_COLUMNS, Leg, Reason

_OPEN_MS = int(np.iinfo(np.int64).max)
_SINCE_EVER_MS = 0


def price_expectations(catalogue: Catalogue, expectations: Sequence[Expectation], /) -> list[PricedExpectation]:
    """Each expectation is the only usage of a subscription of its own, whose allowances are fresh."""
    if not expectations:
        return []
    numbered = list(enumerate(expectations, start=1))
    priced = price_usage(
        programs=[(_SINCE_EVER_MS, 1, compile_catalogue(catalogue))],
        usage=_frame([_usage(number, each, catalogue=catalogue) for number, each in numbered], USAGE_COLUMNS),
        holdings=_frame([_holding(number, each) for number, each in numbered], HOLDING_COLUMNS),
        grants=_grants(numbered, catalogue=catalogue),
        counters=_counters(numbered, catalogue=catalogue),
    )
    retail = priced.rated.filter(pl.col("leg") == int(Leg.RETAIL)).sort("subscription_id")
    return [
        PricedExpectation(
            amount_nanos=row["amount_nanos"],
            charged_units=row["charged_units"],
            included_units=row["bucket_units"],
            rule=row["rule"],
            zone=row["zone"],
            reason=Reason(row["reason"]).name,
        )
        for row in retail.iter_rows(named=True)
    ]


def _frame(rows: list[dict[str, object]], columns: dict[str, str]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={name: getattr(pl, type_name) for name, type_name in columns.items()})


def _usage(number: int, each: Expectation, *, catalogue: Catalogue) -> dict[str, object]:
    measure = catalogue.specifications[each.service].measure
    return {
        "event_key_high": 0,
        "event_key_low": number,
        "batch_id": 0,
        "record_number": number,
        "source": "expectation",
        "received_at_ms": each.occurred_at_ms,
        "occurred_at_ms": each.occurred_at_ms,
        "service": each.service,
        "direction": each.direction,
        "call_type": each.call_type,
        "answered": each.answered,
        "identifier_kind": "msisdn",
        "identifier": str(number),
        "other_party": each.other_party,
        "origin_number": each.origin_number,
        "visited_network": each.visited_network,
        "duration_ms": each.quantity_units * 1000 if measure is Measure.DURATION else 0,
        "uplink_bytes": each.quantity_units if measure is Measure.UPLINK_VOLUME else 0,
        "downlink_bytes": each.quantity_units if measure in (Measure.TOTAL_VOLUME, Measure.DOWNLINK_VOLUME) else 0,
        "events": each.quantity_units if measure is Measure.EVENTS else 0,
        "content_nanos": each.content_nanos,
        "attributes": json.dumps(dict(each.attributes)) if each.attributes else "",
        "supplier": "",
        "subscription_id": number,
        "billing_account_id": number,
    }


def _holding(number: int, each: Expectation) -> dict[str, object]:
    return {
        "subscription_id": number,
        "billing_account_id": number,
        "pool": f"pool-{number}",
        "effective_from_ms": _SINCE_EVER_MS,
        "effective_until_ms": _OPEN_MS,
        "tariff": each.tariff,
        "segment": each.segment,
        "reseller": "",
    }


def _grants(numbered: Sequence[tuple[int, Expectation]], *, catalogue: Catalogue) -> pl.DataFrame:
    rows: list[dict[str, object]] = []
    for number, each in numbered:
        if not each.offering:
            continue
        for allowance in catalogue.offerings[each.offering].allowances:
            rows.append(_grant(number, each, allowance=allowance, bucket_id=len(rows) + 1))
    return _frame(rows, GRANT_COLUMNS)


def _grant(number: int, each: Expectation, *, allowance: Allowance, bucket_id: int) -> dict[str, object]:
    shared = allowance.scope.value == "pool"
    return {
        "bucket_id": bucket_id,
        "allowance": f"{each.offering}/{allowance.code}",
        "scope": allowance.scope.value,
        "owner_id": -1 if shared else number,
        "pool": f"pool-{number}" if shared else "",
        "remaining": allowance.amount,
        "valid_from_ms": _SINCE_EVER_MS,
        "valid_until_ms": _OPEN_MS,
        "granted_at_ms": _SINCE_EVER_MS,
    }


def _counters(numbered: Sequence[tuple[int, Expectation]], *, catalogue: Catalogue) -> pl.DataFrame:
    rows: list[dict[str, object]] = []
    for number, each in numbered:
        ladders = (rule.card.ladder for rule in catalogue.tariffs[each.tariff].rules if rule.card.ladder)
        scopes = {ladder.counter: ladder.scope.value for ladder in ladders}
        for counter, used in each.counters.items():
            scope = scopes.get(counter, "subscription")
            shared = scope == "pool"
            rows.append(
                {
                    "counter": counter,
                    "scope": scope,
                    "owner_id": -1 if shared else number,
                    "pool": f"pool-{number}" if shared else "",
                    "units": used,
                }
            )
    return _frame(rows, COUNTER_COLUMNS)
