"""What services for people need from outside, one small Protocol each."""

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
