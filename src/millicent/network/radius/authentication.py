"""Access-Requests: is it true, who is it, may they, with what. The shard says whether there is anything left to use."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final

import numpy as np
import structlog

from millicent.charging.types import ChargingPort, Door, Flag, Result, Verb, commands
from millicent.charging.types_map import ServiceEntry
from millicent.network.radius.access import Access, AccessBook, PasswordCheck
from millicent.network.radius.accounting import RADIUS_GROUP, Accounting
from millicent.network.radius.clients import Client
from millicent.network.radius.granting import (
    MOST_ASKED,
    grant_attributes,
    limits_of,
    may_use,
    session_attributes,
)
from millicent.network.radius.packets import Attributes, Packet, reveal_password, signature_of
from millicent.network.radius.reports import Outcome, user_key
from millicent.network.radius.words import Attribute, Code

_REFUSED: Final = {
    Result.INSUFFICIENT: "nothing is left",
    Result.NOT_SERVED: "the service is blocked",
    Result.UNKNOWN_SUBSCRIBER: "no such subscription",
}


def examine(packet: Packet, *, client: Client, warn: Callable[[Client], None]) -> Outcome | None:
    """None for a request that may be worked on; else why it gets no answer.

    Without Message-Authenticator anybody on the way may turn our Reject into an Accept (CVE-2024-3596). A client
    declared old enough may do without, but never with a Proxy-State, which is what the forgery needs.
    """
    signed = signature_of(packet, authenticator=packet.authenticator, secret=client.secret)
    if signed is False:
        return Outcome.FORGED
    if signed is None:
        if client.signed_only or packet.code == Code.STATUS_SERVER or packet.first(Attribute.PROXY_STATE) is not None:
            return Outcome.UNSIGNED
        warn(client)
    return None if packet.code in (Code.ACCESS_REQUEST, Code.STATUS_SERVER) else Outcome.STRANGE


class Authentication:
    """Answers true requests: a code and its attributes."""

    def __init__(
        self,
        *,
        port: ChargingPort,
        accounting: Accounting,
        entry: ServiceEntry,
        book: AccessBook,
        passwords: PasswordCheck,
        executor: Executor,
        interim_seconds: int,
    ) -> None:
        self._port = port
        self._accounting = accounting
        self._entry = entry
        self._book = book
        self._passwords = passwords
        self._executor = executor
        self._interim_seconds = interim_seconds

    async def decide(self, packet: Packet, *, client: Client, now_ms: int) -> tuple[Code, Attributes]:
        """Accept or Reject. Raises Outage where we cannot know: the access server then asks another server."""
        user = packet.text(Attribute.USER_NAME).strip()
        loop = asyncio.get_running_loop()
        access = await loop.run_in_executor(self._executor, self._identify, packet, client, user, now_ms)
        if access is None or not access.is_active:
            return _reject("wrong user name or password" if access is None else "the service is blocked")
        answer = await self.available(user, now_ms=now_ms)
        if not may_use(answer):
            structlog.get_logger("millicent.radius").info("access refused", result=int(answer["result"]))
            return _reject(_REFUSED.get(Result(int(answer["result"])), "nothing is left"))
        return Code.ACCESS_ACCEPT, [
            *session_attributes(client, access=access, interim_seconds=self._interim_seconds),
            *grant_attributes(
                client, profile=access.profile, throttled=bool(answer["throttled"]), limits=limits_of(answer)
            ),
        ]

    def _identify(self, packet: Packet, client: Client, user: str, now_ms: int) -> Access | None:
        """The subscriber whose password this is. Runs in a thread: it reads tables and makes slow hashes."""
        access = self._book.find(user, now_ms=now_ms) if user else None
        if access is None or access.credential is None:
            return None
        hidden, chap = packet.first(Attribute.USER_PASSWORD), packet.first(Attribute.CHAP_PASSWORD)
        if hidden is not None:
            clear = reveal_password(hidden, authenticator=packet.authenticator, secret=client.secret)
            right = clear is not None and self._passwords.pap(clear, credential=access.credential)
        elif chap is not None:
            challenge = packet.first(Attribute.CHAP_CHALLENGE) or packet.authenticator
            right = self._passwords.chap(chap, challenge=challenge, credential=access.credential)
        else:
            right = False  # EAP and others are not spoken here
        return access if right else None

    async def available(self, user: str, *, now_ms: int) -> np.void:
        """The shard's answer to: how much could this subscriber use, if everything were taken now?"""
        rows = commands(1)
        rows["verb"] = Verb.CHECK
        rows["door"] = Door.RADIUS
        rows["flags"] = Flag.ASKED
        rows["received_ms"] = now_ms
        rows["subscriber_key"] = user_key(user)
        rows["group"] = RADIUS_GROUP
        rows["traffic"] = await self._accounting.traffic()
        rows["asked"][0, self._entry.unit] = MOST_ASKED
        answers = await self._port.submit(rows)
        answer: np.void = answers[0]
        return answer


def _reject(why: str) -> tuple[Code, Attributes]:
    return Code.ACCESS_REJECT, [(Attribute.REPLY_MESSAGE, why.encode())]
