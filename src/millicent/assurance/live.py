"""The running month told twice: charged live by the shard, and replayed as the bill to come."""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from millicent.assurance.comparing import differences_of, paired, totals_of
from millicent.assurance.types import LiveAgainstBill
from millicent.billing.live import cycle_containing
from millicent.billing.services.price_open_cycles import price_open_cycles
from millicent.charging.balance_facts import stored_facts
from millicent.charging.live_charges import charges_between, payments_of
from millicent.charging.people import Payment
from millicent.customers.selectors import billing_accounts
from millicent.kit.clock import MS_PER_DAY, to_ms
from millicent.kit.lake import Lake

_LONGEST_CYCLE_MS = 400 * MS_PER_DAY
_SAME = ("event_key_high", "event_key_low", "payer_id", "subscription_id", "service", "occurred_at_ms", "currency")
_UNITS = pl.col("charged_units") + pl.col("bucket_units")


def live_against_bill(lake: Lake, *, now: datetime, prepaid: bool = False) -> LiveAgainstBill:
    """Hold the cycles around `now` against the bills that would be written of them, in a tenant's scope.

    With `prepaid` it looks at who paid in advance instead: their usage of files is on no bill, and says what the doors
    missed (`only_file`) and what no record tells of (`only_online`).

    It looks at who pays by bill and was charged live in the cycle, and at the services that were charged live: what
    never comes through a door of charging has nothing to be held against. Sessions still open are on neither side.
    """
    at_ms = to_ms(now)
    charged = charges_between(lake, since_ms=at_ms - _LONGEST_CYCLE_MS, until_ms=at_ms + 1)
    payers = sorted(charged["billing_account_id"].unique().to_list())
    by_bill = [
        payer for payer, payment in payments_of(payers, now=now).items() if (payment is Payment.PREPAID) == prepaid
    ]
    live = _of_open_cycles(charged, payer_ids=by_bill, at_ms=at_ms)
    seen = live["payer_id"].unique().to_list()
    replayed = price_open_cycles(seen, facts=stored_facts(lake), at_ms=at_ms, known_until_ms=at_ms + 1)
    pairs = paired(
        live.select(
            *_SAME, "rule", "zone", nanos="amount_nanos", units=_UNITS, tariff="tariff", release="catalog_release"
        ),
        replayed.filter(pl.col("service").is_in(live["service"].unique().to_list())).select(
            *_SAME, "rule", "zone", "received_at_ms", "cycle_until_ms", nanos="amount_nanos", units=_UNITS,
            tariff="tariff", release="catalog_release",
        ),
    )  # fmt: skip
    return LiveAgainstBill(
        accounts=len(seen),
        compared=pairs.filter(pl.col("live_nanos").is_not_null() & pl.col("bill_nanos").is_not_null()).height,
        totals=totals_of(pairs),
        differences=differences_of(pairs),
    )


def _of_open_cycles(charged: pl.DataFrame, *, payer_ids: Sequence[int], at_ms: int) -> pl.DataFrame:
    """Live charges of these payers that began in the cycle around the instant."""
    began = {
        account.billing_account_id: cycle_containing(cycle=account.cycle, zone=account.zone, instant_ms=at_ms).from_ms
        for account in billing_accounts(ids=payer_ids)
    }
    cycles = pl.DataFrame(
        {"billing_account_id": list(began), "cycle_from_ms": list(began.values())},
        schema={"billing_account_id": pl.Int64, "cycle_from_ms": pl.Int64},
    )
    found = charged.join(cycles, on="billing_account_id").rename({"billing_account_id": "payer_id"})
    return found.filter(pl.col("occurred_at_ms") >= pl.col("cycle_from_ms"))
