"""What services for people need from outside, one small Protocol each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from millicent.charging.types import NameKind, Rows


class BalancePort(Protocol):
    """The shard as services reach it: `millicent.charging.client`, or the shard itself in a test."""

    def submit(self, commands: Rows, texts: bytes = b"") -> Rows:
        """Apply and answer, durably. Raises kit.errors.Outage when nothing can be made durable: nothing was done."""
        ...

    def number_of(self, kind: NameKind, text: str) -> int:
        """The shard's number for a text."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What a gateway took. `reference` is its own name for the payment; `fault` "" when the money is ours."""

    reference: str
    fault: str = ""


class PaymentGateway(Protocol):
    """Takes money from a payment method that a customer left. No gateway is built in."""

    def collect(self, *, method: str, amount_nanos: int, currency: str, key: str) -> Collected:
        """Take an amount once for each `key`, however often it is asked. Raises Outage when it may be asked again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One notification as it leaves the outbox. `key` is the same when it is delivered twice."""

    key: str
    kind: str
    language: str
    text: str
    reach: dict[str, str] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)


class Notifier(Protocol):
    """Brings messages to people, or to whoever does."""

    def deliver(self, message: Message) -> None:
        """Hand a message over. Raises Outage when it should be tried again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusReport:
    """The statuses of a subscription's policy counters, as one watcher asked for them.

    `statuses` has every counter that looks at something of theirs. `final`: nothing follows, the subscription is gone.
    `number` rises with each report of one watcher: a report that is told twice has the same number.
    """

    reference: str
    subscription_id: int
    number: int
    statuses: Mapping[str, str] = field(default_factory=dict)
    final: bool = False


class SpendingStatus(Protocol):
    """Spending limit control for a policy function: Sy (TS 29.219) and Nchf_SpendingLimitControl (TS 29.594) alike."""

    def subscribe(
        self, *, reference: str, subscription_id: int, counters: Sequence[str] = (), listener: str
    ) -> Mapping[str, str]:
        """Watch counters, or all of them, under a reference of the watcher's own. Returns their statuses now.

        Once more under the same reference: what is watched changes. Raises PolicyCounterUnknown,
        WatchedSubscriptionUnknown, Outage.
        """
        ...

    def unsubscribe(self, *, reference: str) -> bool:
        """Watch no longer. False when there was no such reference."""
        ...


class StatusListener(Protocol):
    """Brings reports to the policy function that asked for them."""

    def tell(self, report: StatusReport) -> None:
        """Hand a report over. Raises Outage when it should be tried again."""
        ...
