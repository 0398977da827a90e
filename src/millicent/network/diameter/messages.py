"""Single messages in plain Python: whatever is not a Credit-Control request is rare enough for it."""

import ipaddress
import struct
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from millicent.kit.errors import Refusal
from millicent.network.diameter.dictionary import Avp, dictionary
from millicent.network.diameter.kernel.decode import ERROR, HEADER, PROXIABLE, REQUEST, VERSION

CAPABILITIES_EXCHANGE, RE_AUTH, CREDIT_CONTROL, ABORT_SESSION = 257, 258, 272, 274
DEVICE_WATCHDOG, DISCONNECT_PEER = 280, 282
BASE_APPLICATION, CREDIT_CONTROL_APPLICATION, RELAY = 0, 4, 0xFFFFFFFF

SUCCESS, LIMITED_SUCCESS = 2001, 2002
COMMAND_UNSUPPORTED, UNABLE_TO_DELIVER, REALM_NOT_SERVED, TOO_BUSY = 3001, 3002, 3003, 3004
APPLICATION_UNSUPPORTED, INVALID_HDR_BITS, INVALID_AVP_BITS, UNKNOWN_PEER = 3007, 3008, 3009, 3010
UNKNOWN_SESSION_ID, NO_COMMON_APPLICATION, UNSUPPORTED_VERSION, UNABLE_TO_COMPLY = 5002, 5010, 5011, 5012
INVALID_AVP_LENGTH, INVALID_MESSAGE_LENGTH, NO_COMMON_SECURITY = 5014, 5015, 5017

Value = int | str | bytes | Sequence["Field"]
Field = tuple[str, Value]  # name of the dictionary, value


class MessageBroken(Refusal):
    """A Diameter message cannot be read."""

    code = "diameter_message_broken"

    def __init__(self, text: str, *, result: int, failed: bytes = b"") -> None:
        super().__init__(text, result=result)
        self.result = result
        self.failed = failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Twenty octets (RFC 6733 clause 3)."""

    length: int
    flags: int
    command: int
    application: int
    hop_by_hop: int
    end_to_end: int

    @property
    def is_request(self) -> bool:
        return bool(self.flags & REQUEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One AVP as it came."""

    vendor: int
    code: int
    flags: int
    content: bytes
    raw: bytes  # with its header, without padding

    @property
    def avp(self) -> Avp | None:
        return dictionary().get(self.vendor, self.code)

    @property
    def number(self) -> int:
        return int.from_bytes(self.content, "big")

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")

    def parts(self) -> tuple["Part", ...]:
        return tuple(read_parts(self.content))


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message: its header and its AVPs in their order."""

    header: Header
    parts: tuple[Part, ...] = field(default=())

    def all(self, name: str) -> list[Part]:
        wanted = dictionary().named(name)
        return [part for part in self.parts if (part.vendor, part.code) == (wanted.vendor, wanted.code)]

    def first(self, name: str) -> Part | None:
        return next(iter(self.all(name)), None)

    def text(self, name: str) -> str:
        found = self.first(name)
        return found.text if found else ""

    def number(self, name: str) -> int | None:
        found = self.first(name)
        return found.number if found else None


def read_header(raw: bytes) -> Header:
    """The header of whatever has twenty octets."""
    first, second, application, hop_by_hop, end_to_end = struct.unpack_from(">IIIII", raw)
    return Header(
        length=first & 0xFFFFFF,
        flags=second >> 24,
        command=second & 0xFFFFFF,
        application=application,
        hop_by_hop=hop_by_hop,
        end_to_end=end_to_end,
    )


def read_message(raw: bytes) -> Message:
    """A message whose frame is whole. Raises MessageBroken with the Result-Code and the AVP to blame."""
    return Message(header=read_header(raw), parts=tuple(read_parts(raw[HEADER:], strict=True)))


def read_parts(raw: bytes, *, strict: bool = False) -> Iterable[Part]:
    """AVPs one after the other; strictly: with bits and lengths that the dictionary allows."""
    at = 0
    while at < len(raw):
        left = len(raw) - at
        flags = raw[at + 4] if left >= 8 else 0
        body = 12 if flags & 0x80 else 8
        length = int.from_bytes(raw[at + 5 : at + 8], "big") if left >= 8 else 0
        if left < 8 or length < body or length > left:
            blamed = cut_short(raw[at : at + body])
            raise MessageBroken(f"an AVP of {length} octets", result=INVALID_AVP_LENGTH, failed=blamed)
        whole = raw[at : at + length]
        vendor = int.from_bytes(whole[8:12], "big") if flags & 0x80 else 0
        part = Part(vendor=vendor, code=int.from_bytes(whole[:4], "big"), flags=flags, content=whole[body:], raw=whole)
        if strict:
            _refuse_strange(part)
        yield part
        at += -(-length // 4) * 4


def _refuse_strange(part: Part) -> None:
    known = part.avp
    if part.flags & 0x1F:
        raise MessageBroken("reserved bits of an AVP are set", result=INVALID_AVP_BITS, failed=part.raw)
    if known is None and part.flags & 0x40:
        raise MessageBroken(f"AVP {part.code} is not known", result=5001, failed=part.raw)
    if known is not None and known.width and len(part.content) != known.width:
        raise MessageBroken(f"{known.name} has a wrong length", result=INVALID_AVP_LENGTH, failed=example(known))


def cut_short(raw: bytes) -> bytes:
    """An AVP with a wrong length, as it should begin: its header, then zeros (RFC 6733 clause 7.5)."""
    head = raw[:12].ljust(8, b"\0")
    has_vendor = bool(head[4] & 0x80) and len(head) == 12
    known = dictionary().get(int.from_bytes(head[8:12]) if has_vendor else 0, int.from_bytes(head[:4]))
    if known is not None:
        return example(known)
    head = head if has_vendor else head[:8]
    return head[:4] + bytes([head[4] & (0xC0 if has_vendor else 0x40)]) + len(head).to_bytes(3) + head[8:]


def proxies_in(raw: bytes) -> bytes:
    """Every Proxy-Info of a message, with its padding, as far as its AVPs can be read."""
    found = b""
    with suppress(MessageBroken):
        for part in read_parts(raw[HEADER:]):
            if (part.vendor, part.code) == (0, dictionary().named("Proxy-Info").code):
                found += part.raw + bytes(-len(part.raw) % 4)
    return found


def example(avp: Avp) -> bytes:
    """An AVP as it would be, with nothing in it: for Failed-AVP where one is missing or has a wrong length."""
    return avp_bytes(avp, bytes(avp.width))


def avp_bytes(avp: Avp, content: bytes) -> bytes:
    """One AVP with its padding."""
    flags = (0x80 if avp.vendor else 0) | (0x40 if avp.must else 0)
    head = struct.pack(">II", avp.code, flags << 24 | (len(content) + (12 if avp.vendor else 8)))
    vendor = struct.pack(">I", avp.vendor) if avp.vendor else b""
    return head + vendor + content + bytes(-len(content) % 4)


def write_fields(fields: Iterable[Field]) -> bytes:
    """AVPs by name, in this order. Groups are sequences of fields."""
    known = dictionary()
    return b"".join(avp_bytes(known.named(name), _content(known.named(name), value)) for name, value in fields)


def _content(avp: Avp, value: Value) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, int):
        return value.to_bytes(avp.width or 4, "big", signed=value < 0)
    if not isinstance(value, str):
        return write_fields(value)
    if avp.kind == "address":
        address = ipaddress.ip_address(value)
        return (1 if address.version == 4 else 2).to_bytes(2, "big") + address.packed
    return value.encode()


def message_bytes(
    *, command: int, application: int, flags: int, hop_by_hop: int, end_to_end: int, content: bytes
) -> bytes:
    """A whole message around AVPs that are written already."""
    head = struct.pack(
        ">IIIII", VERSION << 24 | (HEADER + len(content)), flags << 24 | command, application, hop_by_hop, end_to_end
    )
    return head + content


def answer_bytes(header: Header, content: bytes, *, error: bool = False) -> bytes:
    """An answer to a request: the same command and identifiers; P as it came."""
    return message_bytes(
        command=header.command,
        application=header.application,
        flags=(header.flags & PROXIABLE) | (ERROR if error else 0),
        hop_by_hop=header.hop_by_hop,
        end_to_end=header.end_to_end,
        content=content,
    )


def refusal_bytes(
    header: Header,
    *,
    result: int,
    identity: Sequence[Field],
    session: bytes = b"",
    failed: bytes = b"",
    proxies: bytes = b"",
    why: str = "",
) -> bytes:
    """An answer that says no. Protocol errors (3xxx) set the E bit; Failed-AVP holds the AVP to blame."""
    content = write_fields([("Session-Id", session)]) if session else b""
    content += write_fields([("Result-Code", result), *identity])
    content += write_fields([("Error-Message", why)]) if why else b""
    content += write_fields([("Failed-AVP", failed + bytes(-len(failed) % 4))]) if failed else b""
    return answer_bytes(header, content + proxies, error=3000 <= result < 4000)
