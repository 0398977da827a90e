"""Writes BER as a charging function does: context tags, definite lengths (ITU-T X.690)."""

from datetime import UTC, datetime
from functools import lru_cache


def length_of(content: bytes) -> bytes:
    size = len(content)
    if size < 128:
        return bytes((size,))
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((128 | len(octets),)) + octets


@lru_cache(maxsize=512)
def _tag(number: int, constructed: bool) -> bytes:
    front = 0x80 | (0x20 if constructed else 0)
    if number < 31:
        return bytes((front | number,))
    if number < 128:
        return bytes((front | 31, number))
    return bytes((front | 31, 128 | number >> 7, number & 127))


def value(number: int, content: bytes) -> bytes:
    """A primitive element of context tag `number`."""
    return _tag(number, False) + length_of(content) + content


def group(number: int, *elements: bytes) -> bytes:
    """A constructed element of context tag `number`."""
    content = b"".join(elements)
    return _tag(number, True) + length_of(content) + content


def sequence(*elements: bytes) -> bytes:
    """An untagged SEQUENCE, as the elements of a SEQUENCE OF are."""
    content = b"".join(elements)
    return b"\x30" + length_of(content) + content


def endless(number: int, *elements: bytes) -> bytes:
    """The same as `group` with an indefinite length."""
    return _tag(number, True) + b"\x80" + b"".join(elements) + b"\0\0"


def integer(number: int, whole: int) -> bytes:
    return value(number, whole.to_bytes(whole.bit_length() // 8 + 1, "big"))


def digits(text: str) -> bytes:
    """Telephony BCD: two digits to an octet, the first in the low half, 15 fills the last."""
    even = text if len(text) % 2 == 0 else text + "f"
    return bytes.fromhex("".join(even[place + 1] + even[place] for place in range(0, len(even), 2)))


def address(text: str) -> bytes:
    """An ISDN address: international, E.164, then the digits (TS 29.002)."""
    return b"\x91" + digits(text)


def network(code: str) -> bytes:
    """PLMN-Id of MCC and MNC, 5 or 6 digits."""
    mcc, mnc = code[:3], code[3:]
    third = mnc[2] if len(mnc) == 3 else "f"
    return bytes.fromhex(mcc[1] + mcc[0] + third + mcc[2] + mnc[1] + mnc[0])


def stamp(instant_ms: int) -> bytes:
    """TimeStamp of TS 32.298, in UTC."""
    at = datetime.fromtimestamp(instant_ms // 1_000, UTC)
    return bytes.fromhex(f"{at:%y%m%d%H%M%S}") + b"+\0\0"
