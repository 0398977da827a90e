"""Reads of charging for people: balances, statements, orders, spending status. What doors ask the shard is not here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Count

from millicent.charging.models.durability import ProjectedBalance
from millicent.charging.models.people import BalanceLine, BalanceOrder, VoucherBatch
from millicent.charging.orders import as_order
from millicent.charging.people import Order, OrderState
from millicent.charging.types import BucketKind
from millicent.kit.bulk import read_rows


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
