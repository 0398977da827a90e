"""Requests seen a moment ago: the same one again gets the same answer, or none while the first is being worked on."""

from typing import Final

GENERATION_MS: Final = 10_000  # an access server gives up, or changes its Identifier, before twice that
_MOST_OF_A_GENERATION: Final = 200_000
PENDING: Final = b""


def request_key(wire: bytes, *, sender: bytes) -> bytes:
    """RFC 5080 clause 2.2.2: source address and port, Identifier and Request Authenticator."""
    return sender + wire[1:2] + wire[4:20]


class RecentRequests:
    """Remembers for one to two generations, and never more than so many of each."""

    def __init__(self) -> None:
        self._new: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}
        self._begun_ms = 0

    def begin(self, key: bytes, *, now_ms: int) -> bytes | None:
        """None for a new request, which is PENDING from now on; else its answer, or PENDING."""
        if now_ms - self._begun_ms >= GENERATION_MS or len(self._new) >= _MOST_OF_A_GENERATION:
            self._old, self._new, self._begun_ms = self._new, {}, now_ms
        known = self._new.get(key)
        if known is None:
            known = self._old.get(key)
        if known is None:
            self._new[key] = PENDING
        return known

    def answer(self, key: bytes, response: bytes) -> None:
        """What the request was answered with. It is kept where the request is still remembered."""
        (self._old if key in self._old and key not in self._new else self._new)[key] = response

    def forget(self, key: bytes) -> None:
        """The request was not answered: when it comes again it is a new one."""
        self._new.pop(key, None)
        self._old.pop(key, None)
