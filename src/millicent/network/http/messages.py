"""What is said over HTTP: requests, answers and problems as types. The OpenAPI document is made from them.

Amounts of money are texts in the currency's main unit ("0.125"), quantities whole numbers, instants RFC 3339.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

Name = Annotated[str, Meta(min_length=1, max_length=128)]
Key = Annotated[str, Meta(min_length=1, max_length=200, description="The same key again is the same request.")]
Count = Annotated[int, Meta(ge=0, le=2**50)]
Number = Annotated[int, Meta(ge=1, le=2**32 - 2, description="Rises from report to report within a session.")]
Kind = Literal["msisdn", "imsi", "sip_user", "radius_user", "ip", "device"]
Direction = Literal["originating", "terminating", "forwarded"]


class Subscriber(Struct, kw_only=True, forbid_unknown_fields=True):
    """Who uses the service, as the network knows them."""

    kind: Kind
    identifier: Name


class Quantities(Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How much; say what the service is counted in. `total_octets` may be left out where both ways are said."""

    seconds: Count | None = None
    total_octets: Count | None = None
    input_octets: Count | None = None
    output_octets: Count | None = None
    units: Count | None = None


class Usage(Struct, kw_only=True, forbid_unknown_fields=True):
    """What is used, by whom, and with whom."""

    subscriber: Subscriber
    service: Name
    other_party: Annotated[str, Meta(max_length=64, description="E.164, with or without +; the other end.")] = ""
    direction: Direction = "originating"
    call_type: Annotated[str, Meta(pattern="^[a-z0-9_-]{0,32}$")] = ""
    visited_network: Annotated[str, Meta(pattern="^[0-9]{0,6}$", description="MCC and MNC.")] = ""


class Authorise(Usage, tag_field="operation", tag="authorise"):
    """May this be used, and how much at most? Nothing is held: whoever wants to be sure starts."""

    asked: Quantities | None = None


class Start(Usage, tag_field="operation", tag="start"):
    """Begin a session and hold its first slice. The same session again is answered as before."""

    session_id: Name
    asked: Quantities | None = None


class Update(Struct, kw_only=True, forbid_unknown_fields=True, tag_field="operation", tag="update"):
    """Report what was used since the last report, and ask for the next slice."""

    session_id: Name
    number: Number
    used: Quantities
    asked: Quantities | None = None


class Stop(Struct, kw_only=True, forbid_unknown_fields=True, tag_field="operation", tag="stop"):
    """Report the last usage and end the session. The same session again is answered as before."""

    session_id: Name
    used: Quantities


class Event(Usage, tag_field="operation", tag="event"):
    """Something that happens at once: a message, a purchase. `amount` where the application knows the price."""

    mode: Literal["debit", "enquire", "record"] = "debit"
    used: Quantities | None = None
    amount: Annotated[str, Meta(max_length=32)] | None = None
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] | None = None
    key: Key | None = None  # in a batch; alone, the header Idempotency-Key has it


class Refund(Struct, kw_only=True, forbid_unknown_fields=True, tag_field="operation", tag="refund"):
    """Give back what an event took: all of it, from where it was taken."""

    event_key: Key
    key: Key | None = None


Operation = Authorise | Start | Update | Stop | Event | Refund


class Batch(Struct, kw_only=True, forbid_unknown_fields=True):
    """Operations that are done one after the other, and are all durable before the answer."""

    operations: Annotated[list[Operation], Meta(min_length=1, max_length=1000)]


class Money(Struct, kw_only=True, frozen=True):
    amount: str
    currency: str


class Granted(Struct, kw_only=True, omit_defaults=True, tag_field="outcome", tag="answer"):
    """How it went. `maximum_duration_seconds` is what a switch sets its timer to."""

    status: Literal[200]
    allowed: bool
    why: str = ""  # where nothing is allowed
    unit: str = ""
    granted: int | None = None
    maximum_duration_seconds: int | None = None
    final: Literal["", "terminate", "redirect", "restrict"] = ""  # what comes when this slice is used
    ask_again_within_seconds: int | None = None
    ask_again_at: int | None = None  # when so many units of the slice are left
    price_changes_at: str | None = None
    throttled: bool = False
    charged: Money | None = None
    session_total: Money | None = None
    price: Money | None = None
    available: Money | None = None
    uncollected: Money | None = None
    repeated: bool = False  # this is the answer of before: nothing was done again


class Problem(Struct, kw_only=True, omit_defaults=True, tag_field="outcome", tag="problem"):
    """Problem details of RFC 9457. `code` is stable."""

    title: str
    status: int
    detail: str
    code: str
    type: str = "about:blank"
    available: Money | None = None


class Answers(Struct, kw_only=True):
    """One for each operation, in their order; each has its own `status`."""

    answers: list[Granted | Problem]
