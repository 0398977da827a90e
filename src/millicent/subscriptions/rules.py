"""Pure decisions about subscriptions: normal forms of identifiers, sound histories."""

import ipaddress
import re
from collections.abc import Sequence
from itertools import pairwise

from millicent.subscriptions.errors import HistoryBroken
from millicent.subscriptions.types import IdentifierKind, SubscriptionVersion

_DIGITS = re.compile(r"[0-9]{5,15}")
_IMSI = re.compile(r"[0-9]{14,15}")
_PUNCTUATION = str.maketrans("", "", "+ -.()/\u00a0")


def normalise_identifier(kind: IdentifierKind, text: str) -> str | None:
    """The one way an identifier is written inside, or None when the text is not one.

    An MSISDN is E.164 digits without "+" (ITU-T E.164), an IMSI its 14 or 15 digits (TS 23.003), a SIP user is
    written without "sip:" and in lower case, an address in its shortest form (RFC 5952), a device in upper case.
    """
    text = text.strip()
    match kind:
        case IdentifierKind.MSISDN:
            digits = text.translate(_PUNCTUATION)
            digits = digits.removeprefix("00") if text.startswith("00") else digits
            return digits if _DIGITS.fullmatch(digits) and not digits.startswith("0") else None
        case IdentifierKind.IMSI:
            return text if _IMSI.fullmatch(text) else None
        case IdentifierKind.SIP_USER:
            return text.lower().removeprefix("sips:").removeprefix("sip:") or None
        case IdentifierKind.IP:
            return _address(text)
        case IdentifierKind.DEVICE:
            return text.upper() or None
        case IdentifierKind.RADIUS_USER:
            return text or None


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def refuse_broken_history(code: str, versions: Sequence[SubscriptionVersion]) -> None:
    """Versions follow each other without gap or overlap, and only the last may be open."""
    if not versions:
        raise HistoryBroken(f"subscription {code} has no version", subscription_code=code)
    for earlier, later in pairwise(versions):
        if earlier.effective_until_ms != later.effective_from_ms:
            raise HistoryBroken(
                f"subscription {code}: a version ends at {earlier.effective_until_ms} ms and the next begins at "
                f"{later.effective_from_ms} ms; they must meet",
                subscription_code=code,
            )
