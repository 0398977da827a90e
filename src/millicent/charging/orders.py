"""Orders to a balance: kept first, carried out by the shard, then settled. A kill in between loses nothing.

An order's key is its caller's: the same key again is the same order. Carrying out sends the same command under the
same key, which the shard answers from memory when it has done it; so `settle_orders` may try again at any time.
The key travels in the command's text, and readers of the journal find the order by it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from millicent.charging.errors import BalanceRefused, KeyReused
from millicent.charging.keys import session_key
from millicent.charging.models.people import BalanceLine, BalanceOrder
from millicent.charging.people import TRANSITIONS, Order, OrderState, OrderVerb
from millicent.charging.ports import BalancePort
from millicent.charging.provisioning.command_rows import rows_of
from millicent.charging.provisioning.numbers import bucket_number
from millicent.charging.remembered import refuse_while_forgetful
from millicent.charging.types import NOT_SAID, Flag, NameKind, Result, Rows, Verb
from millicent.kit.clock import to_ms
from millicent.kit.tenancy import tenant_scope

MAIN_BALANCE = "main balance"
_SAME = ("verb", "billing_account_id", "other_account_id", "currency", "amount_nanos", "cause")
_ADDS = frozenset({OrderVerb.TOP_UP, OrderVerb.BONUS, OrderVerb.ADVANCE, OrderVerb.RESTORE, OrderVerb.ADJUST})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One order to be kept. `bucket_id` None: the main balance of whoever receives."""

    key: str
    verb: OrderVerb
    billing_account_id: int
    currency: str
    amount_nanos: int
    cause: str
    who: str
    why: str = ""
    channel: str = ""
    other_account_id: int | None = None
    bucket_id: int | None = None
    priority: int = 0
    fee_nanos: int = 0
    valid_until_ms: int | None = None
    state: OrderState = OrderState.ASKED


def main_bucket(account_id: int) -> int:
    """The bucket of an account's main balance: there is one, and it grows."""
    return bucket_number(MAIN_BALANCE, account_id)


def keep_orders(wanted: Sequence[Wanted], *, now: datetime) -> list[BalanceOrder]:
    """Keep orders, or find those that an earlier call kept. In the caller's tenant scope.

    Raises KeyReused when a key stands for something else.
    """
    return [_kept(each, now_ms=to_ms(now)) for each in wanted]


def _kept(wanted: Wanted, *, now_ms: int) -> BalanceOrder:
    receiver = wanted.billing_account_id if wanted.other_account_id is None else wanted.other_account_id
    values = {
        "verb": wanted.verb.value,
        "billing_account_id": wanted.billing_account_id,
        "other_account_id": wanted.other_account_id,
        "bucket_id": main_bucket(receiver) if wanted.bucket_id is None else wanted.bucket_id,
        "currency": wanted.currency,
        "amount_nanos": wanted.amount_nanos,
        "fee_nanos": wanted.fee_nanos,
        "priority": wanted.priority,
        "valid_until_ms": wanted.valid_until_ms,
        "cause": wanted.cause,
        "channel": wanted.channel,
        "who": wanted.who,
        "why": wanted.why,
        "state": wanted.state.value,
        "asked_at_ms": now_ms,
    }
    order, made = BalanceOrder.objects.get_or_create(key=wanted.key, defaults=values)
    if not made and any(getattr(order, name) != values[name] for name in _SAME):
        raise KeyReused(f"the key {wanted.key!r} stands for another order", key=wanted.key)
    return order


def carry_out(
    orders: Sequence[BalanceOrder], *, tenant_id: UUID, port: BalancePort, now: datetime, repeated: bool = False
) -> list[Order]:
    """Have the shard do what is asked and write down what came of it. Outside any transaction; raises Outage.

    After an Outage the orders stay asked: `settle_orders` finishes them. `repeated`: an earlier call may have sent
    them; one that the history of balances names was done and is not sent again, however long ago that was.
    """
    told = _told([order.key for order in orders], tenant_id=tenant_id) if repeated else frozenset()
    done = []
    for order in orders:
        available_nanos: int | None = None
        if order.state == OrderState.ASKED and order.key in told:
            settle(order, result=Result.DONE, tenant_id=tenant_id, now=now)
        elif order.state == OrderState.ASKED:
            answers = _submit(order, port=port, now_ms=to_ms(now))
            # of a transfer it is the receiver's, and none of the giver's business
            available_nanos = None if order.other_account_id else int(answers["available_nanos"][0])
            settle(order, result=Result(int(answers["result"][0])), tenant_id=tenant_id, now=now)
        done.append(as_order(order, available_nanos=available_nanos, repeated=repeated))
    return done


def _told(keys: Sequence[str], *, tenant_id: UUID) -> frozenset[str]:
    """Those of the orders that a balance's history names. Raises HistoryBehind where it cannot be trusted."""
    with tenant_scope(tenant_id):
        refuse_while_forgetful()
        return frozenset(BalanceLine.objects.filter(order_key__in=keys).values_list("order_key", flat=True))


def settle(order: BalanceOrder, *, result: Result, tenant_id: UUID, now: datetime) -> None:
    """The shard's answer is the end of an order."""
    state = OrderState.DONE if result is Result.DONE else OrderState.REFUSED
    refusal = "" if result is Result.DONE else result.name.lower()
    with tenant_scope(tenant_id):
        move(order, state, refusal=refusal, settled_at_ms=to_ms(now))


def move(order: BalanceOrder, state: OrderState, **values: object) -> None:
    """Along TRANSITIONS and no other way. An order that somebody else settled meanwhile stays as they left it."""
    before = OrderState(order.state)
    assert state in TRANSITIONS[before], f"an order does not go from {before} to {state}"
    changed = {"state": state.value, **values}
    if BalanceOrder.objects.filter(pk=order.pk, state=before.value).update(**changed) == 0:
        order.refresh_from_db()
        return
    for name, value in changed.items():
        setattr(order, name, value)


def as_order(order: BalanceOrder, *, available_nanos: int | None = None, repeated: bool = False) -> Order:
    return Order(
        key=order.key,
        verb=OrderVerb(order.verb),
        state=OrderState(order.state),
        billing_account_id=order.billing_account_id,
        amount_nanos=order.amount_nanos,
        currency=order.currency,
        available_nanos=available_nanos,
        refusal=order.refusal,
        repeated=repeated,
    )


def refuse_unless_done(order: Order) -> Order:
    """The same order when it is done or waits; else BalanceRefused with what the shard said."""
    if order.state is OrderState.REFUSED:
        words = _WORDS.get(order.refusal, order.refusal.replace("_", " "))
        raise BalanceRefused(f"the balance was not changed: {words}", key=order.key, result=order.refusal)
    return order


_WORDS: Mapping[str, str] = {
    "insufficient": "there is not enough money",
    "unknown_account": "no live balance is kept for this account yet",
    "unknown_bucket": "the account has no main balance yet",
    "currency_differs": "the accounts have different currencies",
}


def _submit(order: BalanceOrder, *, port: BalancePort, now_ms: int) -> Rows:
    text = order.key.encode()
    rows = command_of(order, port=port, now_ms=now_ms, text_length=len(text))
    answers = port.submit(rows, text)
    if answers["result"][0] == Result.ALREADY and not answers["stored"][0] and order.verb in _ADDS:
        # the bucket has ended and its last usage is still to be reported: what comes now has a bucket of its own
        rows["bucket_id"] = bucket_number(f"order {order.key}", order.billing_account_id)
        rows["key_high"], rows["key_low"] = session_key("order", str(order.tenant_id), order.key, "own bucket")
        answers = port.submit(rows, text)
    return answers


def command_of(order: BalanceOrder, *, port: BalancePort, now_ms: int, text_length: int) -> Rows:
    """An order as one row of COMMAND."""
    rows = rows_of(_verb_of(order), 1, at_ms=now_ms)
    rows["key_high"], rows["key_low"] = session_key("order", str(order.tenant_id), order.key)
    rows["account_id"] = order.billing_account_id
    rows["other_account_id"] = NOT_SAID if order.other_account_id is None else order.other_account_id
    rows["bucket_id"] = order.bucket_id
    rows["amount"] = order.amount_nanos
    rows["priority"] = order.priority
    rows["from_ms"] = NOT_SAID
    rows["until_ms"] = NOT_SAID if order.valid_until_ms is None else order.valid_until_ms
    rows["other_name"] = port.number_of(NameKind.CAUSE, order.cause)
    rows["text_length"] = text_length
    if order.approved_by:
        rows["flags"] = Flag.FORCED
    return rows


def _verb_of(order: BalanceOrder) -> Verb:
    """What adds money opens the balance where there is none: an adjustment upwards is filled in like a top-up."""
    if order.verb == OrderVerb.TRANSFER:
        return Verb.TRANSFER
    return Verb.TOP_UP if order.amount_nanos > 0 else Verb.ADJUST
