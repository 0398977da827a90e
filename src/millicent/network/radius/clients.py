"""Which access servers may speak to us, and with which secret. Default-deny: an unknown address gets no answer."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum, unique
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

_MOST_REMEMBERED: Final = 65_536
_NAMES_OF_ONE_CLIENT: Final = 1_024


@unique
class Vendor(StrEnum):
    """Whose attributes a client understands beside the standard ones."""

    STANDARD = "standard"
    MIKROTIK = "mikrotik"
    CISCO = "cisco"
    WISPR = "wispr"


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """An access server, or a network of them that share a secret."""

    name: str
    network: IPv4Network | IPv6Network
    secret: bytes = field(repr=False)
    vendor: Vendor = Vendor.STANDARD
    coa_port: int = 3799
    signed_only: bool = True  # an Access-Request without Message-Authenticator is dropped


class Clients:
    """The allow-list. The narrowest network that holds an address says who it is."""

    def __init__(self, clients: Iterable[Client]) -> None:
        self.every = sorted(clients, key=lambda client: client.network.prefixlen, reverse=True)
        self._found: dict[str, Client | None] = {}
        self._nas_names: dict[str, set[str]] = {}

    def at(self, address: str) -> Client | None:
        """The client at an address of a datagram; None: it is not to be answered."""
        if address not in self._found:
            if len(self._found) >= _MOST_REMEMBERED:  # forged senders must not fill our memory
                self._found.clear()
            self._found[address] = self._look_up(_plain_address(address))
        return self._found[address]

    def _look_up(self, address: IPv4Address | IPv6Address) -> Client | None:
        return next((client for client in self.every if address in client.network), None)

    def peer_text(self, client: Client, *, address: str, nas: str) -> str:
        """What the shard knows an access server by: the address it speaks from, and its own name.

        Behind one address, a proxy, may stand many. Names are for ever in the shard, so a client has so many and no
        more; the rest of them share one.
        """
        names = self._nas_names.setdefault(client.name, set())
        if nas not in names and len(names) >= _NAMES_OF_ONE_CLIENT:
            return f"{address}/"
        names.add(nas)
        return f"{address}/{nas}"


def address_of_peer(peer: str) -> str:
    """Where the access server of `Clients.peer_text` listens."""
    return peer.partition("/")[0]


def _plain_address(text: str) -> IPv4Address | IPv6Address:
    """An address without its scope; one of IPv4 that came over an IPv6 socket as what it is."""
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What an offering gives on line, beside its price. Rates are texts of the access server's own language."""

    rate_limit: str = ""  # MikroTik: rx/tx as the router sees it, from and to the user: "50M/600M"
    throttled_rate_limit: str = ""  # beyond fair use
    pool: str = ""  # Framed-Pool
    ipv6_pool: str = ""  # Framed-IPv6-Pool: the prefix of the link
    delegated_ipv6_pool: str = ""  # the prefix for the network behind the customer's router
    policy_in: str = ""  # names of QoS policies on a Cisco
    policy_out: str = ""
    throttled_policy_in: str = ""
    throttled_policy_out: str = ""
    filter_id: str = ""

    def is_throttling(self) -> bool:
        return bool(self.throttled_rate_limit or self.throttled_policy_in or self.throttled_policy_out)


NO_PROFILE: Final = Profile()


@dataclass(frozen=True, slots=True, kw_only=True)
class RadiusSettings:
    """Everything that an operator declares about RADIUS."""

    clients: tuple[Client, ...]
    profiles: Mapping[str, Profile] = field(default_factory=dict)  # offering -> what it gives
    listen_address: str = "127.0.0.1"
    authentication_port: int = 1812
    accounting_port: int = 1813
    interim_seconds: int = 300
    workers: int = 0  # processes beside that of the shard; 0: the door is opened in it
