"""Ledger entries from movements of money: what people paid, gave, were given and lost. Pure.

Money of customers stands in `liability:prepaid`, to the nano what their balances hold. Usage is not here: it is summed
by day (`UsageDay`). Credit is not here either: a bill makes it receivable.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from millicent.charging.history.movements import EXPIRED
from millicent.charging.people import OrderVerb
from millicent.charging.types import BucketKind
from millicent.ledger.types import Entry, Posting

PREPAID = "liability:prepaid"
_RECEIVABLE = "asset:receivable"
_WITHOUT_CLEARING = {"cash": "asset:bank:cash", "bank": "asset:bank"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFacts:
    """What an entry says of the order behind a movement."""

    key: str
    verb: OrderVerb
    channel: str
    fee_nanos: int
    is_repayment: bool
    shares: tuple[tuple[str, int], ...]  # of a fee: what each ledger account earns of it
    who: str
    why: str


class SoldTax(Protocol):
    """Tax that is due when a balance is filled."""

    def sold(self, gross_nanos: int, *, account_id: int, at_ms: int) -> Mapping[str, int]: ...


def entries_of(
    moved: pl.DataFrame, orders: Mapping[str, OrderFacts], *, shard: int, tax: SoldTax | None = None
) -> list[Entry]:
    """One entry for each command that moved money for another reason than usage. `tax`: where it is due when sold."""
    money = moved.filter((pl.col("cause") != "") & (pl.col("kind") == int(BucketKind.MONEY)))
    entries = []
    keys = ("sequence", "command", "cause", "currency")
    if not len(money):
        return []
    for group, rows in money.group_by(keys, maintain_order=True):
        sequence, command, cause, currency = group
        sides = rows.group_by("billing_account_id", maintain_order=True).agg(pl.col("change").sum())
        changes = {account: change for account, change in sides.iter_rows() if change}
        if not changes:
            continue
        order = orders.get(rows["order_key"][0])
        template, postings = _entry_of(changes, cause=str(cause), order=order)
        if tax is not None and len(changes) == 1 and (order is None or order.verb is not OrderVerb.FEE):
            postings = _with_tax(postings, tax=tax, is_sale=template in _SALES, at_ms=int(rows["happened_at_ms"][0]))
        entries.append(
            Entry(
                template=template,
                reference=f"balance:{shard}:{sequence}:{command}:{cause}"[:200],
                currency=str(currency),
                occurred_at_ms=int(rows["happened_at_ms"][0]),
                postings=postings,
                facts=_facts(str(cause), order),
            )
        )
    return entries


def _entry_of(changes: Mapping[int, int], *, cause: str, order: OrderFacts | None) -> tuple[str, tuple[Posting, ...]]:
    """The template and its postings; in the books a balance that grows is a credit."""
    prepaid = [_posting(PREPAID, -change, account) for account, change in changes.items()]
    if len(changes) > 1:
        return "balance_transferred", tuple(prepaid)
    ((account, change),) = changes.items()
    template, others = _other_side(change, cause=cause, order=order)
    return template, (*prepaid, *(_posting(path, nanos, account) for path, nanos in others if nanos))


def _with_tax(postings: tuple[Posting, ...], *, tax: SoldTax, is_sale: bool, at_ms: int) -> tuple[Posting, ...]:
    """Tax within what a balance was filled with is owed at once, and waits beside the balance until that is used.

    What is no sale (gifts, what expired or came back) moves what waits, and the other side by as much.
    """
    prepaid, *others = postings
    account_id = prepaid.billing_account_id
    assert account_id is not None, "a balance is somebody's"
    taxes = tax.sold(-prepaid.amount_nanos, account_id=account_id, at_ms=at_ms)
    waits = sum(taxes.values())
    if not waits:
        return postings
    asset = _posting("asset:prepaid_tax", waits, account_id)
    if is_sale:
        owed = [_posting(f"liability:tax:{code}", -nanos, account_id) for code, nanos in taxes.items()]
        return (*postings, asset, *owed)
    first = _posting(others[0].ledger_account, others[0].amount_nanos - waits, account_id)
    return (prepaid, *([first] if first.amount_nanos else []), *others[1:], asset)


_SALES = ("topped_up", "advance_granted", "advance_repaid")


def _other_side(change: int, *, cause: str, order: OrderFacts | None) -> tuple[str, list[tuple[str, int]]]:
    if cause == EXPIRED:
        return "balance_expired", [("revenue:breakage", change)]
    if order is not None and (order.is_repayment or order.verb in _SIDES):
        side = _repaid if order.is_repayment else _SIDES[order.verb]
        return side(change, order)
    if change < 0:
        return "balance_adjusted", [("revenue:adjustments", change)]
    return "topped_up", [(clearing_account(cause), change)]


def clearing_account(channel: str) -> str:
    """Where the money of a channel waits until it reaches the bank; cash and transfers are there already."""
    word = re.sub(r"[^a-z0-9_.-]+", "_", channel.lower()).strip("_.-")
    return _WITHOUT_CLEARING.get(word, f"asset:clearing:{word or 'unknown'}")


Sides = tuple[str, list[tuple[str, int]]]


def _topped_up(change: int, order: OrderFacts) -> Sides:
    return "topped_up", [(clearing_account(order.channel), change)]


def _adjusted(change: int, order: OrderFacts) -> Sides:
    if change > 0:
        return "goodwill_granted", [("expense:goodwill", change)]
    return "balance_adjusted", [("revenue:adjustments", change)]


def _advanced(change: int, order: OrderFacts) -> Sides:
    return "advance_granted", [(_RECEIVABLE, change + order.fee_nanos), ("revenue:one_time", -order.fee_nanos)]


def _repaid(change: int, order: OrderFacts) -> Sides:
    return "advance_repaid", [(_RECEIVABLE, change)]


def _restored(change: int, order: OrderFacts) -> Sides:
    return "balance_restored", [("revenue:breakage", change)]


def _paid_for_a_plan(change: int, order: OrderFacts) -> Sides:
    template = "prepaid_fee_taken" if change < 0 else "prepaid_fee_returned"
    return template, [(path, -nanos) for path, nanos in order.shares]


_SIDES: Mapping[OrderVerb, Callable[[int, OrderFacts], Sides]] = {
    OrderVerb.TOP_UP: _topped_up,
    OrderVerb.BONUS: _adjusted,
    OrderVerb.ADJUST: _adjusted,
    OrderVerb.ADVANCE: _advanced,
    OrderVerb.RESTORE: _restored,
    OrderVerb.FEE: _paid_for_a_plan,
}


def _posting(path: str, nanos: int, account_id: int) -> Posting:
    return Posting(ledger_account=path, amount_nanos=nanos, billing_account_id=account_id)


def _facts(cause: str, order: OrderFacts | None) -> Mapping[str, str]:
    said = {"cause": cause}
    if order is not None:
        said |= {"order": order.key, "who": order.who}
        if order.why:
            said["why"] = order.why
    return said
