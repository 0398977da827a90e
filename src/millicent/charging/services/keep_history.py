"""Read the journal for people: statement lines, ledger entries, lost balances, notifications; each batch once."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

import polars as pl

from millicent.catalog.selectors import catalogue_of, latest_release
from millicent.charging.declared import MS_PER_DAY
from millicent.charging.history.lines import line_frame
from millicent.charging.history.movements import EXPIRED, movement_frame
from millicent.charging.history.notices import notifications_of, occasions_of_losses, occasions_of_notices
from millicent.charging.history.postings import OrderFacts, entries_of
from millicent.charging.history.recorded import keep_recorded
from millicent.charging.history.rolling import keep_rolling, rolling_allowances
from millicent.charging.journal.read import JournalledBatch, read_once
from millicent.charging.models.people import BalanceOrder, LostBalance, Notification
from millicent.charging.models.plans import BalanceFee
from millicent.charging.people import OrderVerb
from millicent.charging.remembered import HISTORY_READER
from millicent.charging.services.add_usage_days import add_usage_days
from millicent.charging.services.declare_services import declared_charging
from millicent.charging.services.post_usage_days import post_open_entries
from millicent.charging.services.tax_of_balances import BalanceTax
from millicent.charging.services.top_up import REPAID
from millicent.charging.types import BucketKind
from millicent.kit.bulk import insert_frame
from millicent.kit.tenancy import tenant_scope


def keep_history(*, tenant_id: UUID, now: datetime, shard: int = 0) -> int:
    """Take the next batches of the journal; returns how many. All that is written and the position are one commit.

    Killed at any point, nothing is kept twice and nothing is left out. 0: the reader is at the journal's end.
    """
    with tenant_scope(tenant_id):
        return read_once(reader=HISTORY_READER, shard=shard, take=partial(take_batches, shard=shard, now=now))


def take_batches(batches: Sequence[JournalledBatch], *, shard: int, now: datetime) -> None:
    """What people see of these batches. In the reader's transaction; the ledger comes last, for it locks its chain."""
    moved = movement_frame(batches, shard=shard)
    tax = BalanceTax(declared_charging().prepaid)
    if len(moved):
        insert_frame(line_frame(moved, shard=shard), table="charging_balance_line")
        add_usage_days(moved, shard=shard, tax=tax)
    keep_recorded(batches, shard=shard)
    keep_rolling(batches, moved, shard=shard, rolling=_rolling())
    occasions = [*occasions_of_notices(batches, shard=shard), *occasions_of_losses(_keep_lost(moved, shard=shard))]
    if occasions:
        names = _allowance_names()
        Notification.objects.bulk_create(notifications_of(occasions, shard=shard, names=names))
    if len(moved):
        post_open_entries(
            entries_of(moved, _orders_of(moved, tax=tax), shard=shard, tax=tax if tax.when_sold else None), now=now
        )


def _keep_lost(moved: pl.DataFrame, *, shard: int) -> list[LostBalance]:
    """Money that expired is remembered until its grace ends."""
    lost = moved.filter(
        (pl.col("cause") == EXPIRED) & (pl.col("kind") == int(BucketKind.MONEY)) & (pl.col("change") < 0)
    )
    if not len(lost):
        return []
    grace_ms = declared_charging().top_ups.grace_days * MS_PER_DAY
    return LostBalance.objects.bulk_create(
        LostBalance(
            shard=shard,
            sequence=sequence,
            place=place,
            billing_account_id=account_id,
            currency=currency,
            amount_nanos=-change,
            expired_at_ms=happened_at_ms,
            grace_until_ms=happened_at_ms + grace_ms,
        )
        for sequence, place, account_id, currency, change, happened_at_ms in lost.select(
            "sequence", "place", "billing_account_id", "currency", "change", "happened_at_ms"
        ).iter_rows()
    )


def _orders_of(moved: pl.DataFrame, *, tax: BalanceTax) -> dict[str, OrderFacts]:
    keys = [key for key in moved["order_key"].unique().to_list() if key]
    shares = _fee_shares(keys, tax=tax)
    return {
        order.key: OrderFacts(
            key=order.key,
            verb=OrderVerb(order.verb),
            channel=order.channel,
            fee_nanos=order.fee_nanos,
            is_repayment=order.cause == REPAID,
            shares=shares.get(order.key, ()),
            who=order.who,
            why=order.why,
        )
        for order in BalanceOrder.objects.filter(key__in=keys)
    }


def _fee_shares(order_keys: Sequence[str], *, tax: BalanceTax) -> Mapping[str, tuple[tuple[str, int], ...]]:
    """What each ledger account earns of fees: by order."""
    sums: dict[str, dict[str, int]] = {}
    kept = BalanceFee.objects.filter(order__key__in=[key for key in order_keys if key.startswith("fee:")])
    for fee in kept.select_related("order").order_by("id"):
        at_ms = fee.order.asked_at_ms
        codes = tax.codes(fee.billing_account_id, payer_id=fee.payer_id, tax_category=fee.tax_category, at_ms=at_ms)
        parts = tax.split(fee.amount_nanos, codes=codes, at_ms=at_ms)
        by_path = sums.setdefault(fee.order.key, {})
        for path, nanos in tax.earned(parts, revenue=fee.ledger_account):
            by_path[path] = by_path.get(path, 0) + nanos
    return {key: tuple(sorted(by_path.items())) for key, by_path in sums.items()}


def _rolling() -> frozenset[str]:
    release = latest_release()
    return rolling_allowances(catalogue_of(release.number)) if release else frozenset()


def _allowance_names() -> dict[str, dict[str, str]]:
    """Texts of every allowance of the latest release, by "offering/allowance"."""
    release = latest_release()
    if release is None:
        return {}
    offerings = catalogue_of(release.number).offerings
    return {
        f"{code}/{allowance.code}": dict(allowance.names)
        for code, offering in offerings.items()
        for allowance in offering.allowances
    }
