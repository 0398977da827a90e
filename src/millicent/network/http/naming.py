"""What applications name, as the shard's numbers and keys; and its numbers as names."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from millicent.charging.keys import identifier_key, traffic_text
from millicent.charging.types import ChargingPort, NameKind, Unit
from millicent.kit.errors import Refusal
from millicent.mediation.rules.numbering import DialPlan, normalised
from millicent.network.http.messages import Subscriber, Usage
from millicent.rating.compile.numbers import number_keys
from millicent.subscriptions.rules import normalise_identifier
from millicent.subscriptions.types import IdentifierKind

_MOST_TRAFFICS = 10_000  # names are for ever in the shard: nobody makes up more of them than this


class Unusable(Refusal):
    """A request over HTTP names something that cannot be charged."""

    code = "charging_request_unusable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """What can be charged: each service with its unit, and the currencies of tariffs."""

    services: Mapping[str, Unit]
    currencies: tuple[str, ...]


class Naming:
    """Asks the shard once for each name. All of it is memory only, and forgotten when another shard takes over."""

    def __init__(self, port: ChargingPort, *, offered: Offered) -> None:
        self.offered = offered
        self._port = port
        self._traffics: OrderedDict[tuple[str, str, str, str], int] = OrderedDict()
        self._peers: dict[str, int] = {}
        self._currencies: dict[int, str] = {}
        port.on_restart(self._forget)

    def _forget(self) -> None:
        self._traffics.clear()
        self._peers.clear()
        self._currencies.clear()

    async def traffic(self, usage: Usage) -> int:
        place = (usage.service, usage.direction, usage.call_type, usage.visited_network)
        number = self._traffics.get(place)
        if number is None:
            if len(self._traffics) >= _MOST_TRAFFICS:
                raise Unusable("too many kinds of usage were named; call_type and visited_network have few values")
            text = traffic_text(
                service=usage.service,
                direction=usage.direction,
                call_type=usage.call_type,
                visited_network=usage.visited_network,
            )
            number = self._traffics[place] = await self._port.number_of(NameKind.TRAFFIC, text)
        return number

    async def peer(self, application: str) -> int:
        number = self._peers.get(application)
        if number is None:
            number = self._peers[application] = await self._port.number_of(NameKind.PEER, application)
        return number

    async def currency(self, number: int) -> str:
        """The currency of an answer; "" for one that no tariff has."""
        if number not in self._currencies and len(self._currencies) < len(self.offered.currencies):
            for code in self.offered.currencies:
                self._currencies[await self._port.number_of(NameKind.CURRENCY, code)] = code
        return self._currencies.get(number, "")


@lru_cache(maxsize=262_144)
def _subscriber_key(kind: str, identifier: str) -> int:
    normal = normalise_identifier(IdentifierKind(kind), identifier)
    return identifier_key(IdentifierKind(kind), normal) if normal else 0


def subscriber_key(subscriber: Subscriber) -> int:
    """What the shard knows a subscriber by. Raises Unusable for a text that cannot be one of its kind."""
    key = _subscriber_key(subscriber.kind, subscriber.identifier)
    if not key:
        raise Unusable(f"{subscriber.identifier!r} is no {subscriber.kind}")
    return key


@lru_cache(maxsize=65_536)
def other_party(written: str) -> tuple[int, int]:
    """Key and digits of the other end's number, normalised as mediation does; (0, 0) for none."""
    if not written:
        return 0, 0
    keys, digits = number_keys(normalised(pl.Series([written], dtype=pl.String), DialPlan())[0])
    return int(keys[0]), int(digits[0])
