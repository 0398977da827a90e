"""Charges of the running cycles as the lake has them, for the stages above. Beside `selectors`, and as open."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import polars as pl

from millicent.billing.live import NoReleaseInForce, released_catalogues
from millicent.charging.people import Payment
from millicent.charging.provisioning.live_facts import live_facts
from millicent.charging.services.declare_services import declared_charging
from millicent.charging.services.export_charges import CHARGED_COLUMNS, MONTH_COLUMN, scan_charged
from millicent.charging.types import NameKind
from millicent.kit.bulk import read_rows
from millicent.kit.clock import from_ms, to_ms
from millicent.kit.lake import Lake


def charges_between(
    lake: Lake, *, since_ms: int, until_ms: int, account_ids: Sequence[int] | None = None
) -> pl.DataFrame:
    """Rows of the table `charged` of usage that began in [since_ms, until_ms). `account_ids` are payers."""
    charged = scan_charged(lake)
    if charged is None:
        return pl.DataFrame(schema={name: getattr(pl, kind) for name, kind in CHARGED_COLUMNS.items()})
    first, last = (from_ms(each).strftime("%Y-%m") for each in (since_ms, until_ms - 1))
    began = (pl.col("occurred_at_ms") >= since_ms) & (pl.col("occurred_at_ms") < until_ms)
    chosen = charged.filter((pl.col(MONTH_COLUMN) >= first) & (pl.col(MONTH_COLUMN) <= last) & began)
    if account_ids is not None:
        chosen = chosen.filter(pl.col("billing_account_id").is_in(list(account_ids)))
    return chosen.select(list(CHARGED_COLUMNS)).collect()


def payments_of(account_ids: Sequence[int], *, now: datetime) -> Mapping[int, Payment]:
    """How these paying accounts pay now, as the shard is told. Runs in a tenant's scope; nobody without a release."""
    try:
        released = released_catalogues()
    except NoReleaseInForce:
        return {}
    if not account_ids:
        return {}
    accounts = live_facts(
        at_ms=to_ms(now),
        known_at_ms=to_ms(now),
        released=released,
        declared=declared_charging(),
        account_ids=list(account_ids),
    ).accounts
    wanted = set(account_ids)
    return {
        account_id: Payment(payment)
        for account_id, payment in accounts.select("account_id", "payment").iter_rows()
        if account_id in wanted
    }


def endless_allowances(*, shard: int = 0) -> frozenset[int]:
    """The shard's numbers of allowances that some release has without an end. In a tenant's scope."""
    try:
        views = released_catalogues().views
    except NoReleaseInForce:
        return frozenset()
    offerings = [offering for view in views for offering in view.catalogue.offerings.values()]
    texts = [f"{each.code}/{one.code}" for each in offerings for one in each.allowances if one.unlimited]
    rows = read_rows(
        "SELECT number FROM charging_name WHERE shard = %s AND kind = %s AND text = ANY(%s)",
        [shard, NameKind.ALLOWANCE.value, texts],
    )
    return frozenset(int(number) for (number,) in rows)
