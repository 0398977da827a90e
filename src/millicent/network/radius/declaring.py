"""radius.yaml: which access servers there are, and what each offering gives on line.

    listen: {address: 10.0.0.5, authentication_port: 1812, accounting_port: 1813}
    interim_seconds: 300
    workers: 0
    clients:
      tower-1: {address: 10.1.0.0/24, vendor: mikrotik, secret: {environment: TOWER_1_SECRET}}
      old-bras: {address: 10.2.0.1, vendor: cisco, secret: {file: /run/secrets/bras}, message_authenticator: optional}
    profiles:
      fibre-600: {rate_limit: 600M/600M, throttled_rate_limit: 10M/10M, pool: residential}

A secret never stands in the file: an environment variable or a file of its own has it.
"""

from collections.abc import Mapping
from dataclasses import fields
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Final

from millicent.kit.declarations import read_declaration
from millicent.kit.errors import BadInput
from millicent.network.radius.clients import Client, Profile, RadiusSettings, Vendor
from millicent.network.radius.granting import bits_per_second

SHORTEST_SECRET: Final = 12  # bytes; MD5 over a short one is guessed off line from one captured packet
_TOP: Final = frozenset({"listen", "interim_seconds", "workers", "clients", "profiles"})
_LISTEN: Final = frozenset({"address", "authentication_port", "accounting_port"})
_CLIENT: Final = frozenset({"address", "vendor", "secret", "coa_port", "message_authenticator"})
_PROFILE: Final = frozenset(each.name for each in fields(Profile))
_INTERIMS: Final = range(60, 3601)  # RFC 2869 clause 5.16 warns of less than a minute
_WORKERS: Final = range(65)


def read_radius_settings(text: str, *, environment: Mapping[str, str], where: str = "radius.yaml") -> RadiusSettings:
    """What a radius.yaml declares, with its secrets. Raises BadInput, which never repeats a secret."""
    declared = _mapping(read_declaration(text, where=where), _TOP, where=where)
    listen = _mapping(declared.get("listen", {}), _LISTEN, where=f"{where}: listen")
    clients = _named(declared.get("clients", {}), where=f"{where}: clients")
    profiles = _named(declared.get("profiles", {}), where=f"{where}: profiles")
    if not clients:
        raise BadInput("declares no client", where=where, cure="Name at least one access server.")
    return RadiusSettings(
        clients=tuple(
            _client(name, each, environment=environment, where=f"{where}: clients.{name}")
            for name, each in clients.items()
        ),
        profiles={name: _profile(each, where=f"{where}: profiles.{name}") for name, each in profiles.items()},
        listen_address=str(listen.get("address", "127.0.0.1")),
        authentication_port=_port(listen.get("authentication_port", 1812), where=f"{where}: listen"),
        accounting_port=_port(listen.get("accounting_port", 1813), where=f"{where}: listen"),
        interim_seconds=_within(declared, "interim_seconds", _INTERIMS, default=300, where=where),
        workers=_within(declared, "workers", _WORKERS, default=0, where=where),
    )


def _client(name: str, declared: object, *, environment: Mapping[str, str], where: str) -> Client:
    chosen = _mapping(declared, _CLIENT, where=where)
    signed = chosen.get("message_authenticator", "required")
    if signed not in ("required", "optional"):
        raise BadInput("message_authenticator is required or optional", where=where)
    return Client(
        name=name,
        network=_network(chosen.get("address"), where=where),
        secret=_secret(chosen.get("secret"), environment=environment, where=where),
        vendor=_vendor(chosen.get("vendor", "standard"), where=where),
        coa_port=_port(chosen.get("coa_port", 3799), where=where),
        signed_only=signed == "required",
    )


def _secret(declared: object, *, environment: Mapping[str, str], where: str) -> bytes:
    chosen = _mapping(declared, frozenset({"environment", "file"}), where=f"{where}.secret")
    if len(chosen) != 1:
        cure = "Write secret: {environment: NAME} or secret: {file: PATH}."
        raise BadInput("says not where its secret is", where=where, cure=cure)
    ((kind, place),) = chosen.items()
    if kind == "environment":
        secret = environment.get(str(place), "").encode()
    else:
        try:
            secret = Path(str(place)).read_bytes().strip()
        except OSError as fault:
            raise BadInput(f"its secret cannot be read: {fault.strerror}", where=where) from None
    if len(secret) < SHORTEST_SECRET:
        raise BadInput(
            f"the secret in {kind} {place} is missing or shorter than {SHORTEST_SECRET} bytes", where=where,
            cure="Make one with: openssl rand -base64 24",
        )  # fmt: skip
    return secret


def _profile(declared: object, *, where: str) -> Profile:
    chosen = {name: str(text) for name, text in _mapping(declared, _PROFILE, where=where).items()}
    for name in ("rate_limit", "throttled_rate_limit"):
        if chosen.get(name) and bits_per_second(chosen[name]) is None:
            raise BadInput(f"{name} {chosen[name]!r} is no rate", where=where, cure="Write from/to the user: 50M/600M.")
    long = [name for name, text in chosen.items() if len(text.encode()) > 200]
    if long:
        raise BadInput(f"{long[0]} is longer than 200 bytes", where=where)
    return Profile(**chosen)


def _vendor(text: object, *, where: str) -> Vendor:
    try:
        return Vendor(str(text))
    except ValueError:
        raise BadInput(f"{text!r} is no vendor", where=where, cure=f"One of {', '.join(Vendor)}.") from None


def _network(text: object, *, where: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(str(text), strict=False)
    except ValueError:
        raise BadInput(f"{text!r} is no address", where=where, cure="Write 10.1.0.1 or 10.1.0.0/24.") from None


def _port(value: object, *, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 65_535:
        raise BadInput(f"{value!r} is no port", where=where)
    return value


def _within(declared: Mapping[str, Any], name: str, allowed: range, *, default: int, where: str) -> int:
    value = declared.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value not in allowed:
        raise BadInput(f"{name} is {allowed.start} to {allowed.stop - 1}", where=where)
    return value


def _named(value: object, *, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise BadInput("is not a table of names", where=where)
    return {str(name): each for name, each in value.items()}


def _mapping(value: object, known: frozenset[str], *, where: str) -> Mapping[str, Any]:
    named = _named(value, where=where)
    unknown = sorted(named.keys() - known)
    if unknown:
        raise BadInput(f"does not know {unknown[0]!r}", where=where, cure=f"It knows {', '.join(sorted(known))}.")
    return named
