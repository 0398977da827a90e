"""Names of the outside world as numbers of a fixed size: identifiers, sessions, traffic."""

from hashlib import blake2b

from millicent.subscriptions.types import IdentifierKind

_KIND_BITS = 60
_KINDS = {kind: number for number, kind in enumerate(IdentifierKind, start=1)}
_DIGITS = frozenset({IdentifierKind.MSISDN, IdentifierKind.IMSI})
LONGEST_NUMBER = 17  # digits that fit beside the kind
SEPARATOR = "\x1f"


def identifier_key(kind: IdentifierKind, identifier: str) -> int:
    """64 bits: the kind above, below it the digits of a number, or a hash of any other name.

    Numbers keep their value so that a door may build their keys in a loop. Two names that share a hash would share a
    balance: whoever loads identifiers refuses the second.
    """
    if kind in _DIGITS and identifier.isascii() and identifier.isdigit() and len(identifier) <= LONGEST_NUMBER:
        return (_KINDS[kind] << _KIND_BITS) | int(identifier)
    hashed = int.from_bytes(blake2b(identifier.encode(), digest_size=8).digest(), "big")
    return (_KINDS[kind] << _KIND_BITS) | (hashed >> (64 - _KIND_BITS))


def session_key(door: str, *parts: str) -> tuple[int, int]:
    """128 bits for what tells a session or an idempotent request from all others of its door."""
    digest = blake2b(SEPARATOR.join((door, *parts)).encode(), digest_size=16).digest()
    return int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big")


def traffic_text(
    *,
    service: str,
    direction: str = "originating",
    call_type: str = "",
    visited_network: str = "",
    attributes: str = "",
) -> str:
    """What a usage is, apart from who, when, whither and how much: NameKind.TRAFFIC.

    `attributes` is a JSON object with sorted keys, "" for none, as in rating.types.USAGE_COLUMNS.
    """
    return SEPARATOR.join((service, direction, call_type, visited_network, attributes))


def plan_text(*, tariff: str, segment: str) -> str:
    """Which tariff prices a subscription's usage, seen from which segment: NameKind.PLAN."""
    return f"{tariff}{SEPARATOR}{segment}"
