"""What the network calls things, as the shard's numbers: traffic, peers, subscribers, other parties.

Each name is resolved once and found again by a hash in the loops. All of it is memory only and may be forgotten.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from millicent.charging.keys import identifier_key, traffic_text
from millicent.charging.types import NO_SERVICE, NOT_SAID, ChargingPort, NameKind
from millicent.charging.types_map import ServiceEntry, ServiceMap
from millicent.kit.kernels import Int64s
from millicent.mediation.rules.numbering import normalised
from millicent.network.diameter.codec import Final, Requests
from millicent.network.diameter.dictionary import dictionary
from millicent.network.diameter.kernel.rows import is_terminating, put_key
from millicent.network.diameter.settings import DiameterSettings
from millicent.network.files.charging_usage import RATS
from millicent.rating.compile.numbers import number_keys
from millicent.subscriptions.rules import normalise_identifier
from millicent.subscriptions.types import IdentifierKind

MOST_REMEMBERED = 65_536
_SMALLEST = 1_024
_FORWARDING_ROLE = 2
_KINDS: Mapping[str, IdentifierKind] = {
    "e164": IdentifierKind.MSISDN,
    "imsi": IdentifierKind.IMSI,
    "sip_uri": IdentifierKind.SIP_USER,
    "nai": IdentifierKind.RADIUS_USER,
    "private": IdentifierKind.RADIUS_USER,
}


class NumberTable:
    """Hashes to numbers, as an open table for the loops; it starts anew rather than grow without end."""

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self.clear()

    def clear(self) -> None:
        self.keys = np.zeros(_SMALLEST, np.uint64)
        self.numbers = np.zeros((_SMALLEST, self._columns), np.int32)
        self.count = 0

    def put(self, key: np.uint64, numbers: tuple[int, ...]) -> None:
        if 2 * self.count >= self.keys.size:
            self._grow()
        place = put_key(self.keys, key)
        self.numbers[place] = numbers
        self.count += 1

    def _grow(self) -> None:
        if self.count >= MOST_REMEMBERED:
            self.clear()
            return
        keys, numbers = self.keys, self.numbers
        self.keys = np.zeros(2 * keys.size, np.uint64)
        self.numbers = np.zeros((2 * keys.size, self._columns), np.int32)
        for place in np.flatnonzero(keys):
            self.numbers[put_key(self.keys, keys[place])] = numbers[place]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where the client of a session is, in Diameter's words."""

    key: int  # its hash in the loops
    number: int  # NameKind.PEER
    host: str
    realm: str


class Naming:
    """Turns the texts of messages into numbers that commands carry."""

    def __init__(self, port: ChargingPort, *, settings: DiameterSettings, services: ServiceMap) -> None:
        self._port = port
        self._settings = settings
        self._services = services
        self._identifiers: dict[tuple[int, bytes], int] = {}
        self._parties: dict[bytes, tuple[int, int]] = {}
        self._policies: dict[Final, int] = {}
        kinds = dictionary().values["Subscription-Id-Type"]
        self._kind_of = {number: _KINDS[name] for name, number in kinds.items()}
        self.ranks = np.full(len(kinds), NOT_SAID, np.int64)
        for place, name in enumerate(settings.identifiers):
            self.ranks[kinds[name]] = len(settings.identifiers) - place
        self.traffic = NumberTable(columns=2)
        self.peers = NumberTable(columns=1)
        self.routes: dict[int, Route] = {}  # by NameKind.PEER
        self.routes_by_key: dict[int, Route] = {}
        self.finals, self.offsets = np.zeros(0, np.uint8), np.zeros(1, np.int64)
        self._policy_of(Final())

    def forget(self) -> None:
        """Another process serves the shard now: its numbers are others."""
        self.traffic.clear()
        self.peers.clear()
        self.routes.clear()
        self.routes_by_key.clear()

    # subscribers and other parties

    def name_parties(self, requests: Requests) -> None:
        """Fill in what the loop does not read itself: names that are no digits, and other parties' numbers."""
        messages, raw = requests.messages, requests.buffer
        sound = messages["result"] == 0
        for row in np.flatnonzero(sound & (messages["subscriber"] == 0)):
            messages["subscriber"][row] = self._identifier(messages[row], raw)
        spoken = sound & ((messages["called_at"] >= 0) | (messages["calling_at"] >= 0))
        if spoken.any():
            self._other_parties(np.flatnonzero(spoken), requests)

    def _identifier(self, message: np.void, raw: np.ndarray) -> int:
        at, length, kind = int(message["id_at"]), int(message["id_length"]), int(message["id_type"])
        if at < 0:
            at, length, kind = int(message["user_at"]), int(message["user_length"]), 3
        if at < 0:
            return 0
        text = bytes(raw[at : at + length])
        found = self._identifiers.get((kind, text))
        if found is None:
            named = self._kind_of[kind]
            normal = normalise_identifier(named, text.decode("utf-8", "replace"))
            found = identifier_key(named, normal) if normal else 0
            _remember(self._identifiers, (kind, text), found)
        return found

    def _other_parties(self, rows: Int64s, requests: Requests) -> None:
        """Called party of what goes out, calling party of what comes in; normalised as mediation does."""
        messages, raw = requests.messages, requests.buffer
        texts = {}
        for row in rows:
            message = messages[row]
            side = "calling" if is_terminating(message) else "called"
            at, length = int(message[f"{side}_at"]), int(message[f"{side}_length"])
            texts[int(row)] = bytes(raw[at : at + length]) if at >= 0 else b""
        strange = [text for text in {*texts.values()} if text not in self._parties]
        if strange:
            written = pl.Series([_user_part(text) for text in strange], dtype=pl.String)
            keys, digits = number_keys(normalised(written, self._settings.dial_plan)[0])
            for text, key, count in zip(strange, keys.tolist(), digits.tolist(), strict=True):
                _remember(self._parties, text, (key, count))
        for row, text in texts.items():
            messages["other_key"][row], messages["other_digits"][row] = self._parties.get(text, (0, 0))

    # traffic and peers

    async def name_traffic(self, unit: np.void, message: np.void, raw: np.ndarray) -> None:
        """Have a number for what one service of a message is; -1 where no service is declared for it."""
        context = _text_of(message, "context", raw)
        service_id = int(unit["service_id"])
        entry = self._services.service_for(
            context, max(int(unit["group"]), 0), service_id if service_id >= 0 else NO_SERVICE
        )
        if entry is None:
            self.traffic.put(unit["traffic"], (NOT_SAID, 0))
            return
        text = self._traffic_text(entry, unit=unit, message=message, raw=raw)
        number = await self._port.number_of(NameKind.TRAFFIC, text)
        policy = self._services.policy_for(entry.service, entry.unit)
        final = Final(redirect_address=policy.redirect_address, filter_ids=policy.filter_ids)
        self.traffic.put(unit["traffic"], (number, self._policy_of(final)))

    def _traffic_text(self, entry: ServiceEntry, *, unit: np.void, message: np.void, raw: np.ndarray) -> str:
        visited = _text_of(message, "network", raw)
        return traffic_text(
            service=entry.service,
            direction=_direction_of(message) or entry.direction,
            call_type=entry.call_type,
            visited_network="" if visited in self._settings.home_networks else visited,
            attributes=_attributes(unit=unit, message=message, raw=raw),
        )

    async def name_peer(self, *, key: int, host: str, realm: str) -> Route:
        """Have a number for an Origin-Host."""
        number = await self._port.number_of(NameKind.PEER, host)
        self.peers.put(np.uint64(key), (number,))
        if len(self.routes) >= MOST_REMEMBERED:
            self.routes.clear()
            self.routes_by_key.clear()
        self.routes[number] = self.routes_by_key[key] = route = Route(key=key, number=number, host=host, realm=realm)
        return route

    def _policy_of(self, final: Final) -> int:
        """Which three Final-Unit-Indications are a policy's; made when it is met first."""
        if final not in self._policies:
            self._policies[final] = len(self._policies)
            blocks = [np.frombuffer(block, np.uint8) for block in final.blocks()]
            ends = self.offsets[-1] + np.cumsum([block.size for block in blocks])
            self.finals = np.concatenate([self.finals, *blocks])
            self.offsets = np.concatenate([self.offsets, ends.astype(np.int64)])
        return self._policies[final]


def _remember(known: dict, key: object, value: object) -> None:  # type: ignore[type-arg]
    """A peer that makes up names must not fill our memory."""
    if len(known) >= MOST_REMEMBERED:
        known.clear()
    known[key] = value


def _text_of(message: np.void, name: str, raw: np.ndarray) -> str:
    at, length = int(message[f"{name}_at"]), int(message[f"{name}_length"])
    return bytes(raw[at : at + length]).decode("utf-8", "replace") if at >= 0 else ""


def _direction_of(message: np.void) -> str:
    """As the usage of a charging record has it; "" where the request does not say."""
    if is_terminating(message):
        return "terminating"
    if message["role"] == _FORWARDING_ROLE:
        return "forwarded"
    return "originating" if message["role"] == 0 or message["message_type"] >= 0 else ""


def _attributes(*, unit: np.void, message: np.void, raw: np.ndarray) -> str:
    """What charging records say of the same usage, as far as it tells few kinds of traffic apart."""
    said = {"apn": _text_of(message, "station", raw)}
    if message["rat_at"] >= 0 and message["rat_length"] > 0:
        said["rat"] = RATS.get(int(raw[int(message["rat_at"])]), "other")
    if unit["group"] >= 0:
        said["rating_group"] = str(int(unit["group"]))
    if unit["service_id"] >= 0:
        said["service_id"] = str(int(unit["service_id"]))
    found = {name: value for name, value in sorted(said.items()) if value}
    return json.dumps(found, separators=(",", ":"), ensure_ascii=False) if found else ""


def _user_part(text: bytes) -> str:
    """The number in "sip:+34600000001@ims.example.net;user=phone" or "tel:+34-600-000-001"."""
    number = text.decode("utf-8", "replace")
    for scheme in ("sips:", "sip:", "tel:"):
        if number[: len(scheme)].lower() == scheme:
            number = number[len(scheme) :]
            break
    return number.partition("@")[0].partition(";")[0]
