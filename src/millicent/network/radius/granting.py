"""What an access server is told of a subscriber: rates, addresses and limits, in its vendor's attributes."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Network
from re import compile as pattern
from typing import Final, TypeVar

import numpy as np
import structlog

from millicent.charging.types import NO_LIMIT, Result, Unit
from millicent.network.radius.access import Access
from millicent.network.radius.clients import Client, Profile, Vendor
from millicent.network.radius.packets import number, vendor_attribute, vendor_text
from millicent.network.radius.reports import new_class
from millicent.network.radius.words import (
    CISCO,
    CISCO_AVPAIR,
    MIKROTIK,
    MIKROTIK_DELEGATED_IPV6_POOL,
    MIKROTIK_RATE_LIMIT,
    MIKROTIK_TOTAL_LIMIT,
    MIKROTIK_TOTAL_LIMIT_GIGAWORDS,
    WISPR,
    WISPR_BANDWIDTH_MAX_DOWN,
    WISPR_BANDWIDTH_MAX_UP,
    Attribute,
)

MOST_ASKED: Final = 2**50  # octets or seconds: beyond it nothing is a limit
_Address = TypeVar("_Address", IPv4Address, IPv6Network)
_LARGEST_NUMBER: Final = 2**32 - 1
_RATE: Final = pattern(r"(\d{1,9})([kKmMgG]?)(?:/(\d{1,9})([kKmMgG]?))?(?: .{1,200})?")
_SCALES: Final = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a session may last and how much it may carry, from its beginning. None: without end."""

    seconds: int | None = None
    octets: int | None = None


NO_LIMITS: Final = Limits()


def limits_of(answer: np.void, *, seconds_so_far: int = 0, octets_so_far: int = 0) -> Limits:
    """What a grant lets a session come to. RADIUS counts from the session's beginning, a grant from now."""
    granted = int(answer["granted_units"])
    if granted < 0 or granted >= min(MOST_ASKED, NO_LIMIT):
        return NO_LIMITS
    unit = Unit(int(answer["unit"]))
    if unit is Unit.SECONDS:
        return Limits(seconds=seconds_so_far + granted)
    return Limits(octets=octets_so_far + granted) if unit is Unit.TOTAL_OCTETS else NO_LIMITS


def may_use(answer: np.void) -> bool:
    """Whether there is anything left to use. Of a CHECK, INSUFFICIENT says only that it is less than was asked."""
    result, granted = int(answer["result"]), int(answer["granted_units"])
    return granted > 0 if result == Result.INSUFFICIENT else result == Result.DONE and granted != 0


def grant_attributes(
    client: Client, *, profile: Profile, throttled: bool, limits: Limits = NO_LIMITS
) -> list[tuple[int, bytes]]:
    """Rates and limits: what may be sent when a session begins, and again while it lasts."""
    return [*_limit_attributes(client, limits), *_rate_attributes(client, profile=profile, throttled=throttled)]


def _limit_attributes(client: Client, limits: Limits) -> list[tuple[int, bytes]]:
    attributes: list[tuple[int, bytes]] = []
    if limits.seconds is not None:
        attributes.append((Attribute.SESSION_TIMEOUT, number(min(limits.seconds, _LARGEST_NUMBER))))
    if limits.octets is not None and client.vendor is Vendor.MIKROTIK:
        high, low = divmod(limits.octets, 2**32)
        attributes.append(vendor_attribute(MIKROTIK, MIKROTIK_TOTAL_LIMIT, number(low)))
        if high:
            attributes.append(vendor_attribute(MIKROTIK, MIKROTIK_TOTAL_LIMIT_GIGAWORDS, number(high)))
    return attributes


def _rate_attributes(client: Client, *, profile: Profile, throttled: bool) -> list[tuple[int, bytes]]:
    rate = (profile.throttled_rate_limit if throttled else "") or profile.rate_limit
    inward = (profile.throttled_policy_in if throttled else "") or profile.policy_in
    outward = (profile.throttled_policy_out if throttled else "") or profile.policy_out
    match client.vendor:
        case Vendor.MIKROTIK:
            return [vendor_text(MIKROTIK, MIKROTIK_RATE_LIMIT, rate)] if rate else []
        case Vendor.CISCO:
            named = {"ip:sub-qos-policy-in": inward, "ip:sub-qos-policy-out": outward}
            return [vendor_text(CISCO, CISCO_AVPAIR, f"{name}={policy}") for name, policy in named.items() if policy]
        case Vendor.WISPR:
            return _wispr(rate)
        case Vendor.STANDARD:
            return [(Attribute.FILTER_ID, profile.filter_id.encode())] if profile.filter_id else []


def _wispr(rate: str) -> list[tuple[int, bytes]]:
    rates = bits_per_second(rate)
    if rates is None:
        return []
    up, down = (min(each, _LARGEST_NUMBER) for each in rates)
    return [
        vendor_attribute(WISPR, WISPR_BANDWIDTH_MAX_UP, number(up)),
        vendor_attribute(WISPR, WISPR_BANDWIDTH_MAX_DOWN, number(down)),
    ]


def bits_per_second(rate: str) -> tuple[int, int] | None:
    """From and to the user; one rate is both. None where the text is no rate."""
    found = _RATE.fullmatch(rate)
    if found is None:
        return None
    up = int(found[1]) * _SCALES[found[2].lower()]
    return up, int(found[3]) * _SCALES[found[4].lower()] if found[3] else up


def session_attributes(client: Client, *, access: Access, interim_seconds: int) -> list[tuple[int, bytes]]:
    """What stands in an Access-Accept only: where the session lives, and how often it is reported."""
    profile = access.profile
    attributes: list[tuple[int, bytes]] = [(Attribute.ACCT_INTERIM_INTERVAL, number(interim_seconds))]
    if (address := _address(access)) is not None:
        attributes.append((Attribute.FRAMED_IP_ADDRESS, address.packed))
    elif profile.pool:
        attributes.append((Attribute.FRAMED_POOL, profile.pool.encode()))
    attributes += _ipv6_attributes(client, access=access)
    attributes.append((Attribute.CLASS, new_class(access.offering)))
    if profile.filter_id and client.vendor is not Vendor.STANDARD:
        attributes.append((Attribute.FILTER_ID, profile.filter_id.encode()))
    return attributes


def _address(access: Access) -> IPv4Address | None:
    return _read(IPv4Address, access.framed_address, access=access)


def _ipv6_attributes(client: Client, *, access: Access) -> list[tuple[int, bytes]]:
    """Prefixes of the subscription's own, else pools (RFC 3162, RFC 4818, RFC 6911; MikroTik's own delegated pool)."""
    profile = access.profile
    attributes: list[tuple[int, bytes]] = []
    if (framed := _read(IPv6Network, access.framed_ipv6_prefix, access=access)) is not None:
        attributes.append((Attribute.FRAMED_IPV6_PREFIX, _prefix(framed)))
    elif profile.ipv6_pool:
        attributes.append((Attribute.FRAMED_IPV6_POOL, profile.ipv6_pool.encode()))
    if (delegated := _read(IPv6Network, access.delegated_ipv6_prefix, access=access)) is not None:
        attributes.append((Attribute.DELEGATED_IPV6_PREFIX, _prefix(delegated)))
    elif profile.delegated_ipv6_pool and client.vendor is Vendor.MIKROTIK:
        attributes.append(vendor_text(MIKROTIK, MIKROTIK_DELEGATED_IPV6_POOL, profile.delegated_ipv6_pool))
    elif profile.delegated_ipv6_pool:
        attributes.append((Attribute.DELEGATED_IPV6_PREFIX_POOL, profile.delegated_ipv6_pool.encode()))
    return attributes


def _prefix(network: IPv6Network) -> bytes:
    """RFC 3162 clause 2.3: a reserved byte, the length, and as many bytes of the prefix as it has."""
    return bytes((0, network.prefixlen)) + network.network_address.packed[: -(-network.prefixlen // 8)]


def _read(kind: type[_Address], text: str, *, access: Access) -> _Address | None:
    """An address that somebody wrote. What is none is left out and told: a typing error keeps nobody out."""
    if not text:
        return None
    try:
        return kind(text)
    except ValueError:
        structlog.get_logger("millicent.radius").warning(
            "an address of a subscription is none", subscription=access.subscription_id, address=text
        )
        return None
