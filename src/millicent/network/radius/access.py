"""Who may come on line and with what: a subscriber's password, state and profile, and whether a password is right."""

import hmac
from dataclasses import dataclass
from hashlib import blake2b
from secrets import token_bytes
from typing import Final, Protocol

from millicent.charging.credentials import KeptCredential, is_password_right, open_password
from millicent.network.radius.clients import NO_PROFILE, Profile
from millicent.network.radius.packets import is_chap_right

_MOST_PROVED: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """A subscriber at the door. `credential` None: nobody set a password, so nobody comes in."""

    user_name: str
    subscription_id: int
    is_active: bool
    offering: str
    profile: Profile = NO_PROFILE
    framed_address: str = ""
    framed_ipv6_prefix: str = ""
    delegated_ipv6_prefix: str = ""
    credential: KeptCredential | None = None


class AccessBook(Protocol):
    """Where the door looks a user up. Called in a thread; may raise Outage."""

    def find(self, user_name: str, *, now_ms: int) -> Access | None: ...


class PasswordCheck:
    """Says whether a password is right. A slow hash is made once for each password that was right, not each time."""

    def __init__(self, *, sealing_key: bytes) -> None:
        self._sealing_key = sealing_key
        self._own_key = token_bytes(32)
        self._proved: set[bytes] = set()

    def pap(self, password: bytes, *, credential: KeptCredential) -> bool:
        if credential.sealed:
            return hmac.compare_digest(open_password(credential.secret, key=self._sealing_key), password)
        mark = blake2b(credential.secret + password, key=self._own_key, digest_size=16).digest()
        if mark in self._proved:
            return True
        if not is_password_right(password, hashed=credential.secret):
            return False
        if len(self._proved) >= _MOST_PROVED:
            self._proved.clear()
        self._proved.add(mark)
        return True

    def chap(self, answer: bytes, *, challenge: bytes, credential: KeptCredential) -> bool:
        """CHAP needs the password itself: one that was hashed cannot be used with it."""
        if not credential.sealed:
            return False
        return is_chap_right(
            answer, challenge=challenge, password=open_password(credential.secret, key=self._sealing_key)
        )
