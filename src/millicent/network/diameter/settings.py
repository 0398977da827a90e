"""What an operator declares of the Diameter door: who we are, where we listen, who may come, what answers say.

host: ocs.example.net
realm: example.net
listen:
  - {address: 127.0.0.1, port: 3868}
  - {address: 0.0.0.0, port: 5868, certificate: ocs.pem, key: ocs.key, authority: peers.pem}
peers:
  - {host: pgw01.example.net, realm: example.net, addresses: [10.1.0.0/16]}
  - {host: "*.epc.example.net", tls: true}
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any

from millicent.kit.declarations import read_declaration
from millicent.kit.errors import BadInput
from millicent.mediation.rules.numbering import DialPlan, dial_plan_from
from millicent.network.diameter.dictionary import dictionary


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """One address that we listen on; with a certificate it speaks TLS, with an authority it asks for the peer's."""

    address: str = "127.0.0.1"
    port: int = 3868
    certificate: str = ""
    key: str = ""
    authority: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Who may connect. `host` may begin with "*." for all hosts beneath a name; no `addresses`: from anywhere."""

    host: str
    realm: str = ""  # its Origin-Realm, "" any
    addresses: tuple[str, ...] = ()
    tls: bool = False  # refused without TLS


@dataclass(frozen=True, slots=True, kw_only=True)
class DiameterSettings:
    """The whole declaration."""

    host: str
    realm: str
    listen: tuple[Listener, ...] = (Listener(),)
    peers: tuple[Peer, ...] = ()
    identifiers: tuple[str, ...] = ("e164", "imsi", "nai", "sip_uri", "private")  # the first that a request has
    dial_plan: DialPlan = field(default_factory=DialPlan)  # how other parties' numbers are written
    home_networks: tuple[str, ...] = ()  # MCC and MNC of our own networks
    currencies: tuple[str, ...] = ()  # whose amounts answers may tell
    failure_handling: str = "terminate"
    debiting_failure_handling: str = "terminate_or_buffer"
    session_failover: str = "not_supported"
    close_on_restart: bool = True  # a peer that restarted has lost its sessions
    take_over: bool = False  # an update of a session that we do not know opens it
    watchdog_seconds: int = 30
    answer_seconds: int = 10  # how long a peer may take to answer what we ask
    busy_seconds: int = 2  # without an answer of the shard for so long, what comes is told that we are too busy
    largest_message_bytes: int = 65_536
    most_connections: int = 256
    most_waiting: int = 32_768  # requests of all peers that are not answered yet
    most_waiting_per_peer: int = 16_384

    def peer_for(self, host: str, *, realm: str, address: str, tls: bool) -> Peer | None:
        """The line of the allow-list that lets this peer in."""
        for peer in self.peers:
            named = _names(peer.host, host) and peer.realm.lower() in ("", realm.lower())
            near = not peer.addresses or any(_is_within(address, each) for each in peer.addresses)
            if named and near and (tls or not peer.tls):
                return peer
        return None

    def value(self, avp: str, name: str) -> int:
        return dictionary().values[avp][name]


def _names(pattern: str, host: str) -> bool:
    return fnmatchcase(host.lower(), pattern.lower()) if pattern.startswith("*.") else pattern.lower() == host.lower()


def _is_within(address: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def read_settings(text: str, *, where: str) -> DiameterSettings:
    """The declaration in a YAML document. Raises BadInput naming the line of the document that is wrong."""
    declared = read_declaration(text, where=where)
    if not isinstance(declared, dict):
        raise BadInput("is not a mapping", where=where, cure="Write `host:`, `realm:` and `peers:`.")
    given = dict(declared)
    given["listen"] = tuple(_part(Listener, each, where=f"{where}: listen") for each in given.get("listen", [{}]))
    given["peers"] = tuple(_part(Peer, each, where=f"{where}: peers") for each in given.get("peers", []))
    given["dial_plan"] = dial_plan_from(given.get("dial_plan", {}), where=f"{where}: dial_plan")
    settings: DiameterSettings = _part(DiameterSettings, given, where=where)
    _refuse_unknown_words(settings, where=where)
    return settings


def _part(kind: Any, declared: object, *, where: str) -> Any:
    """One dataclass from a mapping of its fields; types are those of the defaults."""
    if not isinstance(declared, Mapping):
        raise BadInput(f"{declared!r} is not a mapping", where=where, cure="Write names with values.")
    known = {each.name: each for each in fields(kind)}
    strange = sorted(str(name) for name in declared.keys() - known.keys())
    if strange:
        raise BadInput(f"{strange[0]!r} is not known", where=where, cure=f"Use {', '.join(sorted(known))}.")
    for name in ("host", "realm"):
        if name in known and kind is not Listener and known[name].default != "" and not declared.get(name):
            raise BadInput(f"{name} is missing", where=where, cure=f"Write `{name}:` with a Diameter identity.")
    made = {name: tuple(each) if isinstance(each, list) else each for name, each in declared.items()}
    for name, each in made.items():
        if known[name].type in _PLAIN and not isinstance(each, _PLAIN[known[name].type]):
            raise BadInput(f"{name} cannot be {each!r}", where=where, cure=f"Write a value like {known[name].type}.")
    return kind(**made)


_PLAIN: Mapping[Any, type] = {str: str, int: int, bool: bool, "str": str, "int": int, "bool": bool}
_WORDS = {
    "failure_handling": "Credit-Control-Failure-Handling",
    "debiting_failure_handling": "Direct-Debiting-Failure-Handling",
    "session_failover": "CC-Session-Failover",
}


def _refuse_unknown_words(settings: DiameterSettings, *, where: str) -> None:
    values = dictionary().values
    said = [(name, getattr(settings, name), values[avp]) for name, avp in _WORDS.items()]
    said += [("identifiers", each, values["Subscription-Id-Type"]) for each in settings.identifiers]
    for name, word, known in said:
        if word not in known:
            raise BadInput(f"{name} cannot be {word!r}", where=where, cure=f"Use one of {', '.join(known)}.")
