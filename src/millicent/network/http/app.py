"""The charging API over HTTP/1.1 and HTTP/2: who asks, what they ask, what they are told.

    POST /charging/v1/{authorise,start,update,stop,event,refund,batch}      Authorization: Bearer <token>
    GET  /openapi.json

200  with the answer                     402  not enough is left          404  no such subscriber, session or path
400  no JSON, or not of this shape       401  no application's token      413  too large
409  done before, or out of order        422  it cannot be charged        503  try the same again later

Every refusal is problem details of RFC 9457. The same request again (session and number, or Idempotency-Key) is
answered as before, so a sender repeats until it reads something else than 503.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cache
from typing import Any, Final, Protocol

import msgspec
import structlog
from granian.rsgi import ProtocolClosed  # type: ignore[attr-defined] # it is documented there

from millicent.kit import metrics
from millicent.kit.clock import system_now, to_ms
from millicent.kit.errors import MillicentError, Outage, Refusal
from millicent.network.http.applications import Application, HttpSettings
from millicent.network.http.charging import Charging, unusable, with_key
from millicent.network.http.messages import (
    Answers,
    Authorise,
    Batch,
    Event,
    Granted,
    Operation,
    Problem,
    Refund,
    Start,
    Stop,
    Update,
)
from millicent.network.http.openapi import openapi_document

PREFIX: Final = "/charging/v1/"
MOST_BYTES: Final = 1024 * 1024
MOST_READ: Final = 8 * MOST_BYTES  # of a body that is too large, before its sender is cut off
MOST_AT_A_TIME: Final = 4_096
READ_SECONDS: Final = 10
RETRY_SECONDS: Final = 1
_KINDS: Final[dict[str, Any]] = {
    "authorise": Authorise,
    "start": Start,
    "update": Update,
    "stop": Stop,
    "event": Event,
    "refund": Refund,
    "batch": Batch,
}
_READING: Final = ("GET", "HEAD")
_JSON: Final = ("content-type", "application/json")
_PROBLEM: Final = ("content-type", "application/problem+json")
Headers = Sequence[tuple[str, str]]


class Protocol_(Protocol):
    """What granian gives of a request (RSGI): its body, whole or in pieces, and the way to answer."""

    async def __call__(self) -> bytes: ...
    def __aiter__(self) -> AsyncIterator[bytes]: ...
    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None: ...


class Refused(Exception):
    """A request is refused before anybody was asked."""

    def __init__(self, status: int, title: str, detail: str, *, code: str, allow: str = "") -> None:
        self.allow = allow
        self.problem = Problem(title=title, status=status, detail=detail, code=code)


class ChargingApp:
    """An RSGI application. One for each worker, on its loop."""

    def __init__(
        self, *, charging: Charging, settings: HttpSettings, clock: Callable[[], datetime] = system_now
    ) -> None:
        self._charging = charging
        self._settings = settings
        self._clock = clock
        self._decoders = {name: msgspec.json.Decoder(kind) for name, kind in _KINDS.items()}
        self._encoder = msgspec.json.Encoder()
        self._document = msgspec.json.format(msgspec.json.encode(openapi_document()), indent=1)
        self._being_answered = 0

    async def __rsgi__(self, scope: Any, protocol: Protocol_) -> None:
        """Answer one request, whatever it is."""
        if self._being_answered >= MOST_AT_A_TIME:
            status, headers, body = self._failed(503, "Try the same again later", "too many requests wait", "busy")
        else:
            self._being_answered += 1
            try:
                status, headers, body = await self._answer(scope, protocol)
            except ProtocolClosed:
                return  # whoever asked has gone; what was done stays done, and the same again is answered
            finally:
                self._being_answered -= 1
        _counted(status).inc()
        with suppress(ProtocolClosed):
            protocol.response_bytes(status, list(headers), body)

    async def _answer(self, scope: Any, protocol: Protocol_) -> tuple[int, Headers, bytes]:
        try:
            if scope.path == "/openapi.json":
                return self._describe(scope.method)
            application, name = self._admit(scope)
            said = await self._read(name, scope, protocol)
            return await self._charge(said, application=application, key=scope.headers.get("idempotency-key") or "")
        except Refused as refused:
            status, headers, body = self._told(refused.problem)
            return status, [*headers, *([("allow", refused.allow)] if refused.allow else [])], body
        except Refusal as refusal:
            return self._told(unusable(refusal))
        except ProtocolClosed:
            raise
        except Outage as outage:
            return self._failed(503, "Try the same again later", outage.message, outage.code)
        except Exception as fault:
            code = fault.code if isinstance(fault, MillicentError) else "defect"
            metrics.FAULTS.labels(code=code).inc()
            structlog.get_logger("millicent.http").exception("charging request failed", code=code)
            return self._failed(500, "We broke", "the defect was logged", code)

    def _describe(self, method: str) -> tuple[int, Headers, bytes]:
        if method not in _READING:
            raise Refused(405, "Another method", "this is only read", code="method", allow=", ".join(_READING))
        return 200, [_JSON], self._document

    def _admit(self, scope: Any) -> tuple[Application, str]:
        """Who asks for what. The path is looked at last: a stranger learns nothing."""
        application = self._settings.application_of(scope.headers.get("authorization") or "")
        if application is None:
            raise Refused(401, "Who are you?", "no application has that token", code="unknown_application")
        name = scope.path.removeprefix(PREFIX)
        if not scope.path.startswith(PREFIX) or name not in _KINDS:
            raise Refused(404, "Nothing is here", f"charge at {PREFIX} and one of {', '.join(_KINDS)}", code="no_path")
        if scope.method != "POST":
            raise Refused(405, "Another method", "everything here is a POST", code="method", allow="POST")
        return application, name

    async def _read(self, name: str, scope: Any, protocol: Protocol_) -> Operation | Batch:
        try:
            async with asyncio.timeout(READ_SECONDS):
                body = await _bounded(scope, protocol)
            said: Operation | Batch = self._decoders[name].decode(body)
        except TimeoutError:
            raise Refused(408, "Too slow", f"the body took over {READ_SECONDS} seconds", code="slow") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
            raise Refused(400, "This is not of the right shape", str(fault)[:500], code="shape") from None
        return said

    async def _charge(
        self, said: Operation | Batch, *, application: Application, key: str
    ) -> tuple[int, Headers, bytes]:
        now_ms = to_ms(self._clock())
        if isinstance(said, Batch):
            answers = await self._charging.charge(said.operations, application=application, now_ms=now_ms)
            return 200, [_JSON], self._encoder.encode(Answers(answers=answers))
        if len(key) > 200:
            raise Refused(400, "This is not of the right shape", "an Idempotency-Key has 200 letters", code="shape")
        (answer,) = await self._charging.charge([with_key(said, key)], application=application, now_ms=now_ms)
        return self._told(answer)

    def _told(self, answer: Granted | Problem) -> tuple[int, Headers, bytes]:
        headers = [_JSON if isinstance(answer, Granted) else _PROBLEM]
        if answer.status == 503:
            headers.append(("retry-after", str(RETRY_SECONDS)))
        if answer.status == 401:
            headers.append(("www-authenticate", "Bearer"))
        return answer.status, headers, self._encoder.encode(answer)

    def _failed(self, status: int, title: str, detail: str, code: str) -> tuple[int, Headers, bytes]:
        return self._told(Problem(title=title, status=status, detail=detail, code=code))


@cache
def _counted(status: int) -> Any:
    return metrics.PACKETS.labels(protocol="http", outcome=str(status))


async def _bounded(scope: Any, protocol: Protocol_) -> bytes:
    """The body, of which no more than MOST_BYTES are ever held.

    A sender that is told while it still sends finds its connection reset before it reads why (RFC 9112, 9.6). So what
    is somewhat too large is read to its end and let go.
    """
    length = scope.headers.get("content-length") or ""
    if length.isdecimal() and len(length) < 10 and int(length) <= MOST_BYTES:
        return await protocol()
    body, seen = bytearray(), 0
    async for piece in protocol:
        seen += len(piece)
        if seen <= MOST_BYTES:
            body += piece
        elif seen > MOST_READ:
            break
    if seen > MOST_BYTES:
        raise Refused(413, "Too large", f"at most {MOST_BYTES} bytes at a time", code="large")
    return bytes(body)
