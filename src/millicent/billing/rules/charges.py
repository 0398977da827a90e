"""A charge is what a customer should pay for one thing over one time, known by its key and never twice the same."""

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from millicent.catalog.types import ChargeKind, LocalizedText

OPEN_END_MS = 2**63 - 1
NOBODY = 0  # subscription id of a charge that belongs to the account itself
_NOTHING_MORE: Mapping[str, object] = {}


class ChargeKey(NamedTuple):
    """What makes a charge the same one on every bill. `period_from_ms` is where its price's own period begins."""

    service_cycle_from_ms: int
    kind: ChargeKind
    currency: str
    billing_account_id: int
    subscription_id: int
    offering: str
    price_code: str
    service: str
    zone: str
    period_from_ms: int
    tax_category: str
    ledger_code: str
    in_advance: bool

    def digest(self) -> str:
        """Thirty-two hexadecimal digits, the same for ever: the unique key of a charge in the store."""
        return hashlib.blake2b((_SEPARATED % self).encode(), digest_size=16).hexdigest()


_SEPARATED = "\x1f".join(["%s"] * len(ChargeKey._fields))


class Part(NamedTuple):
    """A stretch of time within a charge: how many, at which price for a whole period."""

    from_ms: int
    until_ms: int
    quantity: int
    amount_nanos: int


class Charge(NamedTuple):
    """One amount under one key. `covers_until_ms` is the end of the price's period: later facts may still change it.

    `revision` counts the bill lines that hold this key already; `service_cycle_until_ms` ends its service cycle.
    A named tuple, as its key is: a run makes a dozen for each payer, and writes them down column by column.
    """

    key: ChargeKey
    service_cycle_until_ms: int
    period_from_ms: int
    period_until_ms: int
    covers_until_ms: int
    amount_nanos: int
    texts: LocalizedText
    event_count: int = 0
    charged_units: int = 0
    bucket_units: int = 0
    unit: str = ""
    parts: tuple[Part, ...] = ()
    explanation: Mapping[str, object] = _NOTHING_MORE
    revision: int = 0
