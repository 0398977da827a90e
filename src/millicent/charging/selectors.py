"""Reads of charging for people: balances, statements, orders, spending status. What doors ask the shard is not here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Any, Protocol

import polars as pl
from django.db.models import Count

from millicent.charging.models.durability import ProjectedBalance
from millicent.charging.models.people import BalanceLine, BalanceOrder, VoucherBatch
from millicent.charging.orders import as_order
from millicent.charging.people import Order, OrderState
from millicent.charging.services.export_charges import MONTH_COLUMN, scan_charged
from millicent.charging.types import BucketKind
from millicent.kit.bulk import read_rows
from millicent.kit.clock import from_ms
from millicent.kit.lake import Lake
from millicent.rating.types import Reason


class LookingPort(Protocol):
    """The running shard, as far as it can be looked at: `charging.client`."""

    def look(self, what: str, **asked: object) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """One bucket as the screens see it: a moment behind the shard."""

    bucket_id: int
    kind: BucketKind
    billing_account_id: int
    subscription_id: int | None
    currency: str  # "" of units
    allowance: str  # "" of money and credit
    remaining: int
    reserved: int
    valid_from_ms: int
    valid_until_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementLine:
    """One line of a balance's history, with who asked for it and why where somebody did."""

    happened_at_ms: int
    kind: BucketKind
    currency: str
    subscription_id: int | None
    bucket_id: int
    change: int
    remaining: int
    cause: str  # "" usage
    who: str
    why: str
    usage: Mapping[str, str]  # service, other party, quantity ...


def balances_of(account_ids: Sequence[int]) -> list[Balance]:
    """Every bucket of these accounts and of the subscriptions they pay for, money first."""
    rows = ProjectedBalance.objects.filter(billing_account_id__in=list(account_ids)).order_by(
        "billing_account_id", "-kind", "valid_until_ms", "bucket_id"
    )
    return [
        Balance(
            bucket_id=row.bucket_id,
            kind=BucketKind(row.kind),
            billing_account_id=row.billing_account_id,
            subscription_id=row.subscription_id,
            currency=row.currency,
            allowance=row.allowance,
            remaining=row.remaining,
            reserved=row.reserved,
            valid_from_ms=row.valid_from_ms,
            valid_until_ms=row.valid_until_ms,
        )
        for row in rows
    ]


def money_left(account_id: int) -> int:
    """Money that is there, reserved or not, in nanos; credit is not money."""
    return sum(each.remaining for each in balances_of([account_id]) if each.kind is BucketKind.MONEY)


def statement(
    account_id: int, *, from_ms: int = 0, until_ms: int = 2**62, limit: int | None = None
) -> list[StatementLine]:
    """The history of an account's balances in [from_ms, until_ms), oldest first; with `limit` the latest so many."""
    lines = BalanceLine.objects.filter(
        billing_account_id=account_id, happened_at_ms__gte=from_ms, happened_at_ms__lt=until_ms
    ).order_by("-happened_at_ms", "-sequence", "-place")
    chosen = list(lines if limit is None else lines[:limit])[::-1]
    keys = {line.order_key for line in chosen if line.order_key}
    orders = {order.key: order for order in BalanceOrder.objects.filter(key__in=keys)}
    return [_statement_line(line, orders.get(line.order_key)) for line in chosen]


def _statement_line(line: BalanceLine, order: BalanceOrder | None) -> StatementLine:
    return StatementLine(
        happened_at_ms=line.happened_at_ms,
        kind=BucketKind(line.kind),
        currency=line.currency,
        subscription_id=line.subscription_id,
        bucket_id=line.bucket_id,
        change=line.change,
        remaining=line.remaining,
        cause=line.cause,
        who=order.who if order else "",
        why=order.why if order else "",
        usage=line.facts,
    )


def orders_waiting() -> list[Order]:
    """Adjustments that wait for a second person, oldest first."""
    waiting = BalanceOrder.objects.filter(state=OrderState.WAITING.value).order_by("asked_at_ms", "id")
    return [as_order(each) for each in waiting]


def money_by_currency() -> dict[str, int]:
    """All customers' money as their histories have it: what the ledger's prepaid liability must equal."""
    rows = read_rows(
        "SELECT currency, sum(change)::numeric FROM charging_balance_line WHERE kind = %s GROUP BY 1 ORDER BY 1",
        [int(BucketKind.MONEY)],
    )
    return {currency: int(total) for currency, total in rows}


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchCount:
    """One batch of vouchers and how far it is used."""

    code: str
    currency: str
    amount_nanos: int
    made: int
    redeemed: int
    blocked: int  # one by one
    is_blocked: bool  # as a whole
    valid_until_ms: int
    made_by: str


def voucher_batches() -> list[BatchCount]:
    """Every batch, oldest first."""
    batches = VoucherBatch.objects.order_by("id").annotate(
        redeemed=Count("vouchers__redeemed_at_ms"), blocked=Count("vouchers__blocked_at_ms")
    )
    return [
        BatchCount(
            code=batch.code,
            currency=batch.currency,
            amount_nanos=batch.amount_nanos,
            made=batch.voucher_count,
            redeemed=batch.redeemed,
            blocked=batch.blocked,
            is_blocked=batch.blocked_at_ms is not None,
            valid_until_ms=batch.valid_until_ms,
            made_by=batch.made_by,
        )
        for batch in batches
    ]


# ---------------------------------------------------------------- spending status (3GPP TS 29.219: Sy; TS 29.594)


@unique
class SpendingState(StrEnum):
    """Named states of a counter. A policy side subscribes to these words and never sees amounts."""

    ACTIVE = "active"
    PART_USED = "part_used"
    EXHAUSTED = "exhausted"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendingCounter:
    """One policy counter: a spend limit, or what one allowance gave a subscription."""

    code: str  # "spend_limit", or "offering/allowance"
    unit: str  # "nanos" | "units"
    used: int
    limit: int | None  # None: without an end
    state: SpendingState


def spending_status(port: LookingPort, *, subscription_id: int, part_percent: int = 80) -> list[SpendingCounter]:
    """Every counter of a subscription with its state, as the shard has it now; by code.

    Buckets of one allowance count together. An open slice is not used yet. Raises Outage when the shard is silent.
    """
    return [
        SpendingCounter(
            code=row["code"],
            unit=row["unit"],
            used=row["used"],
            limit=row["limit"],
            state=spending_state(used=row["used"], limit=row["limit"], part_percent=part_percent),
        )
        for row in port.look("spending", subscription_id=subscription_id)
    ]


def spending_state(*, used: int, limit: int | None, part_percent: int) -> SpendingState:
    if limit is None:
        return SpendingState.ACTIVE
    if used >= limit:
        return SpendingState.EXHAUSTED
    return SpendingState.PART_USED if used * 100 >= limit * part_percent else SpendingState.ACTIVE


# ---------------------------------------------------------------- the running month, beside the bill to come

RUNNING_COLUMNS = {
    "subscription_id": pl.Int64,
    "service": pl.String,
    "tariff": pl.String,
    "currency": pl.String,
    "event_count": pl.Int64,
    "charged_units": pl.Int64,
    "bucket_units": pl.Int64,
    "amount_nanos": pl.Int64,
    "uncollected_nanos": pl.Int64,
    "unpriced_count": pl.Int64,
}


def running_cycle(
    lake: Lake, *, since_ms: int, until_ms: int, account_ids: Sequence[int] | None = None
) -> pl.DataFrame:
    """What live charging made of usage that began in [since_ms, until_ms): RUNNING_COLUMNS, sorted by its first four.

    `account_ids` are payers. The sums of a bill's replay by the same columns are what it is held against.
    Sessions still open are not in it.
    """
    charged = scan_charged(lake)
    if charged is None:
        return pl.DataFrame(schema=RUNNING_COLUMNS)
    chosen = charged.filter(
        (pl.col(MONTH_COLUMN) >= _month(since_ms))
        & (pl.col(MONTH_COLUMN) <= _month(until_ms - 1))
        & (pl.col("occurred_at_ms") >= since_ms)
        & (pl.col("occurred_at_ms") < until_ms)
    )
    if account_ids is not None:
        chosen = chosen.filter(pl.col("billing_account_id").is_in(list(account_ids)))
    priced = pl.col("reason") == int(Reason.PRICED)
    keys = list(RUNNING_COLUMNS)[:4]
    summed = chosen.group_by(keys).agg(
        priced.sum().alias("event_count"),
        *(pl.col(name).filter(priced).sum() for name in ("charged_units", "bucket_units", "amount_nanos")),
        pl.col("uncollected_nanos").sum(),
        (~priced).sum().alias("unpriced_count"),
    )
    return summed.sort(keys).select(pl.col(name).cast(kind) for name, kind in RUNNING_COLUMNS.items()).collect()


def _month(instant_ms: int) -> str:
    return from_ms(instant_ms).strftime("%Y-%m")
