"""Words for balances as people handle them: how an account pays, what may be asked of a balance, where that stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum, unique

from millicent.catalog.types import Payment
from millicent.charging.types import NoticeKind

__all__ = [
    "TRANSITIONS",
    "NotificationState",
    "Order",
    "OrderState",
    "OrderVerb",
    "Payment",
    "PeopleNotice",
    "notice_word",
]


@unique
class OrderVerb(StrEnum):
    TOP_UP = "top_up"
    BONUS = "bonus"
    ADJUST = "adjust"
    TRANSFER = "transfer"
    ADVANCE = "advance"  # emergency credit: money now, owed until the next top-up
    RESTORE = "restore"  # what expired within its grace comes back
    FEE = "fee"  # what a plan costs, or what of it comes back


@unique
class OrderState(StrEnum):
    WAITING = "waiting"  # for a second person
    ASKED = "asked"  # the shard is or will be asked
    DONE = "done"
    REFUSED = "refused"


TRANSITIONS: Mapping[OrderState, frozenset[OrderState]] = {
    OrderState.WAITING: frozenset({OrderState.ASKED, OrderState.REFUSED}),
    OrderState.ASKED: frozenset({OrderState.DONE, OrderState.REFUSED}),
    OrderState.DONE: frozenset(),
    OrderState.REFUSED: frozenset(),
}


@unique
class NotificationState(StrEnum):
    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


@unique
class PeopleNotice(IntEnum):
    """What people are told that no command of the shard says. Numbers are for ever; below 100 they are the shard's."""

    FEE_UNPAID = 100  # the balance did not reach for a plan: it is not renewed


def notice_word(kind: int) -> str:
    """The word for a kind of notification."""
    names: dict[int, str] = {int(each): each.name.lower() for each in (*NoticeKind, *PeopleNotice)}
    return names[kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What came of an order. `repeated`: an earlier call with the same key had brought it already."""

    key: str
    verb: OrderVerb
    state: OrderState
    billing_account_id: int
    amount_nanos: int
    currency: str
    available_nanos: int | None = None  # what the account can pay after it, where the shard said so
    refusal: str = ""
    repeated: bool = False
