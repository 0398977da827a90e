"""One RADIUS packet at a time: read, written, signed and checked. RFC 2865, 2866, 2869, 5176; Blast-RADIUS."""

import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import md5
from typing import Final

from millicent.network.radius.words import (
    AUTHENTICATOR_BYTES,
    EMPTY_AUTHENTICATOR,
    HEADER_BYTES,
    LARGEST_PACKET,
    LONGEST_VALUE,
    Attribute,
    Code,
)

Attributes = Sequence[tuple[int, bytes]]
_SIGNATURE_BYTES: Final = 2 + AUTHENTICATOR_BYTES


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet whose lengths are right; whether it is true is for `verified_request` to say."""

    code: int
    identifier: int
    authenticator: bytes
    attributes: Attributes
    wire: bytes  # as it came, without what was padded

    def first(self, kind: int) -> bytes | None:
        return next((value for each, value in self.attributes if each == kind), None)

    def text(self, kind: int) -> str:
        """An attribute as text, "" where it is absent; bytes that are no UTF-8 keep their place as replacements."""
        return (self.first(kind) or b"").decode("utf-8", "replace")

    def every(self, kind: int) -> list[tuple[int, bytes]]:
        return [(each, value) for each, value in self.attributes if each == kind]


def read_packet(datagram: bytes) -> Packet | None:
    """A packet, or None where a length is wrong: such a datagram is dropped in silence (RFC 2865 clause 3)."""
    if len(datagram) < HEADER_BYTES:
        return None
    length = int.from_bytes(datagram[2:4], "big")
    if not HEADER_BYTES <= length <= min(len(datagram), LARGEST_PACKET):
        return None
    wire = datagram[:length]
    attributes = read_attributes(wire[HEADER_BYTES:])
    if attributes is None:
        return None
    return Packet(wire[0], wire[1], wire[4:HEADER_BYTES], attributes, wire)


def read_attributes(content: bytes) -> list[tuple[int, bytes]] | None:
    """The attributes in their order, or None where a length is wrong."""
    found, at = [], 0
    while at < len(content):
        if at + 2 > len(content):
            return None
        whole = content[at + 1]
        if whole < 2 or at + whole > len(content):
            return None
        found.append((content[at], content[at + 2 : at + whole]))
        at += whole
    return found


def write_attributes(attributes: Attributes) -> bytes:
    """Their bytes. A value longer than 253 bytes is a mistake of the caller."""
    assert all(len(value) <= LONGEST_VALUE for _, value in attributes)
    return b"".join(bytes((kind, len(value) + 2)) + value for kind, value in attributes)


def number(value: int) -> bytes:
    return value.to_bytes(4, "big")


def vendor_attribute(vendor: int, kind: int, value: bytes) -> tuple[int, bytes]:
    """RFC 2865 clause 5.26, in the recommended form."""
    return Attribute.VENDOR_SPECIFIC, number(vendor) + bytes((kind, len(value) + 2)) + value


def vendor_text(vendor: int, kind: int, text: str) -> tuple[int, bytes]:
    return vendor_attribute(vendor, kind, text.encode()[: LONGEST_VALUE - 6])


def _header(code: int, identifier: int, length: int) -> bytes:
    return bytes((code, identifier)) + length.to_bytes(2, "big")


def write_answer(code: int, *, request: Packet, attributes: Attributes, secret: bytes, signed: bool) -> bytes:
    """An answer with its Response Authenticator, and the request's Proxy-State in its order.

    `signed` puts the Message-Authenticator first of all: what stands before it could be made to collide.
    """
    content = write_attributes([*attributes, *request.every(Attribute.PROXY_STATE)])
    if signed:
        placeholder = write_attributes([(Attribute.MESSAGE_AUTHENTICATOR, EMPTY_AUTHENTICATOR)])
        header = _header(code, request.identifier, HEADER_BYTES + len(placeholder) + len(content))
        unsigned = header + request.authenticator + placeholder + content
        signature = hmac.digest(secret, unsigned, "md5")
        content = write_attributes([(Attribute.MESSAGE_AUTHENTICATOR, signature)]) + content
    header = _header(code, request.identifier, HEADER_BYTES + len(content))
    authenticator = md5(header + request.authenticator + content + secret, usedforsecurity=False).digest()
    return header + authenticator + content


def write_request(code: int, *, identifier: int, attributes: Attributes, secret: bytes) -> bytes:
    """An Accounting, CoA or Disconnect request, signed first of all: RFC 5176 clause 2.3 and RFC 2866 clause 3."""
    content = write_attributes(attributes)
    placeholder = write_attributes([(Attribute.MESSAGE_AUTHENTICATOR, EMPTY_AUTHENTICATOR)])
    header = _header(code, identifier, HEADER_BYTES + len(placeholder) + len(content))
    signature = hmac.digest(secret, header + EMPTY_AUTHENTICATOR + placeholder + content, "md5")
    content = write_attributes([(Attribute.MESSAGE_AUTHENTICATOR, signature)]) + content
    authenticator = md5(header + EMPTY_AUTHENTICATOR + content + secret, usedforsecurity=False).digest()
    return header + authenticator + content


def write_access_request(
    *, identifier: int, authenticator: bytes, attributes: Attributes, secret: bytes, code: Code = Code.ACCESS_REQUEST
) -> bytes:
    """An Access-Request or Status-Server as an access server sends it: the authenticator is random, the rest signed."""
    placeholder = write_attributes([(Attribute.MESSAGE_AUTHENTICATOR, EMPTY_AUTHENTICATOR)])
    content = write_attributes(attributes)
    header = _header(code, identifier, HEADER_BYTES + len(placeholder) + len(content)) + authenticator
    signature = hmac.digest(secret, header + placeholder + content, "md5")
    return header + write_attributes([(Attribute.MESSAGE_AUTHENTICATOR, signature)]) + content


def is_request_authentic(wire: bytes | memoryview, *, secret: bytes) -> bool:
    """Whether the Request Authenticator of accounting, CoA or Disconnect was made with the secret."""
    digest = md5(wire[:4], usedforsecurity=False)
    digest.update(EMPTY_AUTHENTICATOR)
    digest.update(wire[HEADER_BYTES:])
    digest.update(secret)
    return hmac.compare_digest(digest.digest(), wire[4:HEADER_BYTES])


def is_answer_authentic(answer: Packet, *, request: bytes, secret: bytes) -> bool:
    """Whether an answer belongs to our request: its authenticator, and its Message-Authenticator where it has one."""
    wire = answer.wire
    made = md5(wire[:4] + request[4:HEADER_BYTES] + wire[HEADER_BYTES:] + secret, usedforsecurity=False).digest()
    if not hmac.compare_digest(made, answer.authenticator):
        return False
    return signature_of(answer, authenticator=request[4:HEADER_BYTES], secret=secret) is not False


def signature_of(packet: Packet, *, authenticator: bytes, secret: bytes) -> bool | None:
    """True or False for a right or wrong Message-Authenticator (RFC 3579 clause 3.2); None where there is none."""
    at = next(_places(packet, Attribute.MESSAGE_AUTHENTICATOR), None)
    if at is None:
        return None
    if packet.wire[at + 1] != _SIGNATURE_BYTES:
        return False
    given = packet.wire[at + 2 : at + _SIGNATURE_BYTES]
    unsigned = (
        packet.wire[:4]
        + authenticator
        + packet.wire[HEADER_BYTES : at + 2]
        + EMPTY_AUTHENTICATOR
        + packet.wire[at + _SIGNATURE_BYTES :]
    )
    return hmac.compare_digest(hmac.digest(secret, unsigned, "md5"), given)


def _places(packet: Packet, kind: int) -> Iterator[int]:
    at = HEADER_BYTES
    for each, value in packet.attributes:
        if each == kind:
            yield at
        at += len(value) + 2


def reveal_password(hidden: bytes, *, authenticator: bytes, secret: bytes) -> bytes | None:
    """User-Password in clear (RFC 2865 clause 5.2); None where its length cannot be."""
    if not hidden or len(hidden) % 16 or len(hidden) > 128:
        return None
    clear, last = b"", authenticator
    for start in range(0, len(hidden), 16):
        block = hidden[start : start + 16]
        mask = md5(secret + last, usedforsecurity=False).digest()
        clear += bytes(left ^ right for left, right in zip(block, mask, strict=True))
        last = block
    return clear.rstrip(b"\0")


def hide_password(clear: bytes, *, authenticator: bytes, secret: bytes) -> bytes:
    """The other way round, as an access server does it."""
    padded = clear + bytes(-len(clear) % 16 or (16 if not clear else 0))
    hidden, last = b"", authenticator
    for start in range(0, len(padded), 16):
        mask = md5(secret + last, usedforsecurity=False).digest()
        last = bytes(left ^ right for left, right in zip(padded[start : start + 16], mask, strict=True))
        hidden += last
    return hidden


def is_chap_right(answer: bytes, *, challenge: bytes, password: bytes) -> bool:
    """CHAP-Password: one byte of identity and sixteen of MD5 (RFC 2865 clause 5.3, RFC 1994)."""
    if len(answer) != 17:
        return False
    made = md5(answer[:1] + password + challenge, usedforsecurity=False).digest()
    return hmac.compare_digest(made, answer[1:])
