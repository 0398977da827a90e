"""The door for usage that is pushed over HTTP: who may, how much, and what is answered. Default-deny.

    POST /push/<tenant>/<source>      Authorization: Bearer <token>

202  counted, durable: the body says how many were accepted, suspended, duplicate       400  no CloudEvents
401  no such source, or not its token     413  too large     415  another content type      503  try the same again

The same request again is answered with the same batch, so a sender repeats until it reads 202.
"""

import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from hashlib import sha256
from threading import BoundedSemaphore
from typing import Final
from uuid import UUID

import structlog
from django.db import Error, connections

from millicent.kit import metrics
from millicent.kit.clock import system_now
from millicent.kit.errors import MillicentError, Outage, Refusal
from millicent.kit.models import Tenant
from millicent.kit.tenancy import tenant_scope
from millicent.mediation.road import PrepareRoad, prepare_roads
from millicent.mediation.selectors import push_token_sha256
from millicent.mediation.services.accept_pushed_usage import accept_pushed_usage
from millicent.mediation.stores import MediationStores
from millicent.network.push.cloud_events import ContentTypeStrange, events_of

MOST_BYTES: Final = 16 * 1024 * 1024
MOST_AT_A_TIME: Final = 8
RETRY_SECONDS: Final = 5
FRESH_SECONDS: Final = 10  # so long a push may not see a new subscriber
_PATH: Final = re.compile(r"/push/([^/?#]{1,200})/([^/?#]{1,200})")
_REPORTED: Final = ("batch_id", "records_in", "accepted", "suspended", "rejected", "duplicate")
_TITLES: Final = {
    400: "This is no usage",
    401: "Who are you?",
    404: "Nothing is here",
    411: "How long is it?",
    413: "Too large",
    415: "Another content type",
    500: "We broke",
    503: "Try the same again later",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What goes back: `content` as JSON; a refusal is problem details of RFC 9457."""

    status: int
    content: Mapping[str, object]
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def content_type(self) -> str:
        return "application/json" if self.status == 202 else "application/problem+json"


class PushDoor:
    """Answers requests in as many threads as come, a few of them at a time; the others are asked to come again."""

    def __init__(
        self, *, stores_of: Callable[[UUID], MediationStores], clock: Callable[[], datetime] = system_now
    ) -> None:
        self._stores_of = stores_of
        self._clock = clock
        self._places = BoundedSemaphore(MOST_AT_A_TIME)
        self._roads: dict[UUID, PrepareRoad] = {}

    def answer(self, path: str, *, headers: Mapping[str, str], read: Callable[[int], bytes]) -> Answer:
        """Take the usage of one request. `read` gives the body and is asked only once the sender is known."""
        if not self._places.acquire(blocking=False):
            return _problem(503, f"{MOST_AT_A_TIME} requests are being taken already")
        try:
            return self._answer(path, headers=headers, read=read)
        except ContentTypeStrange as refusal:
            return _problem(415, refusal.message)
        except Refusal as refusal:
            return _problem(400, refusal.message, code=refusal.code)
        except Outage as outage:
            return _failed(503, outage.message, code=outage.code)
        except Error:
            return _failed(503, "the database does not answer", code=Outage.code)
        except OSError as fault:  # the disk is full, or the sender fell silent
            return _failed(503, type(fault).__name__, code=Outage.code)
        except MillicentError as defect:
            return _failed(500, "the defect was logged", code=defect.code)
        except Exception:
            return _failed(500, "the defect was logged", code="defect")
        finally:
            connections.close_all()
            self._places.release()

    def _answer(self, path: str, *, headers: Mapping[str, str], read: Callable[[int], bytes]) -> Answer:
        named = {name.lower(): value for name, value in headers.items()}
        place = _PATH.fullmatch(path)
        if place is None:
            return _problem(404, "usage is pushed to /push/<tenant>/<source>")
        source = place[2]
        tenant_id = _tenant_of(place[1], source=source, authorization=named.get("authorization", ""))
        if tenant_id is None:
            return _problem(401, "no source takes pushes here with that token")
        length = named.get("content-length", "")
        if not length.isdecimal():
            return _problem(411, "Content-Length is missing")
        if len(length) > len(str(MOST_BYTES)) or int(length) > MOST_BYTES:  # thousands of digits are not even read
            return _problem(413, f"at most {MOST_BYTES} bytes at a time")
        body = read(int(length))
        if len(body) != int(length):
            return _problem(400, "the body is shorter than its Content-Length")
        report = accept_pushed_usage(
            events_of(named, body),
            tenant_id=tenant_id,
            stores=self._stores_of(tenant_id),
            source=source,
            now=self._clock(),
            prepare=self._roads.setdefault(tenant_id, prepare_roads(fresh_seconds=FRESH_SECONDS)),
        )
        counted = asdict(report)
        return Answer(status=202, content={name: counted[name] for name in _REPORTED})


def _tenant_of(code: str, *, source: str, authorization: str) -> UUID | None:
    """The tenant whose source has this token; None for whatever else, and nothing says which of it was wrong."""
    scheme, _, token = authorization.partition(" ")
    tenant_id = Tenant.objects.filter(code=code).values_list("id", flat=True).first()
    if tenant_id is None or scheme.lower() != "bearer" or not token.strip():
        return None
    with tenant_scope(tenant_id):
        kept = push_token_sha256(source)
    given = sha256(token.strip().encode()).hexdigest()
    return tenant_id if kept and hmac.compare_digest(kept, given) else None


def _failed(status: int, detail: str, *, code: str) -> Answer:
    metrics.FAULTS.labels(code=code).inc()
    structlog.get_logger("millicent.push").exception("push failed", code=code, status=status)
    return _problem(status, detail, code=code)


def _problem(status: int, detail: str, *, code: str = "") -> Answer:
    headers = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": str(RETRY_SECONDS)}}.get(status, {})
    content: dict[str, object] = {"type": "about:blank", "title": _TITLES[status], "status": status, "detail": detail}
    return Answer(status=status, content=content | ({"code": code} if code else {}), headers=headers)
