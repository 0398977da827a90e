"""CloudEvents 1.0 over HTTP: structured, batched and binary content mode (HTTP protocol binding, 3.1 to 3.3)."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from millicent.kit.errors import BadInput

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"
_NEEDED = ("id", "source", "type")
_PREFIX = "ce-"


class ContentTypeStrange(BadInput):
    """The body is none of the three ways in which CloudEvents come over HTTP."""

    code = "push_content_type_strange"


def events_of(headers: Mapping[str, str], body: bytes) -> list[dict[str, Any]]:
    """The events of one request, their envelopes checked; header names in any case. What carries no usage is refused.

    Whether the usage inside is sound is not asked here: each event is counted on its own, as a record of a file is.
    """
    named = {name.lower(): value for name, value in headers.items()}
    content_type = named.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == STRUCTURED:
        said = [_json(body)]
    elif content_type == BATCHED:
        said = _json(body)
        if not isinstance(said, list):
            raise _refusal("a batch is a JSON array", where="body")
    elif f"{_PREFIX}specversion" in named:
        said = [_binary(named, content_type=content_type, body=body)]
    else:
        raise ContentTypeStrange(
            f"content type {content_type[:80]!r}", where="header", cure=f"Send {STRUCTURED}, {BATCHED} or ce- headers."
        )
    return [_checked(event, place=place) for place, event in enumerate(said)]


def _binary(headers: Mapping[str, str], *, content_type: str, body: bytes) -> dict[str, Any]:
    """Attributes in headers, percent-encoded; the body is the data."""
    if content_type != "application/json" and not content_type.endswith("+json"):
        raise ContentTypeStrange(f"data of type {content_type[:80]!r}", where="header", cure="Usage is JSON.")
    attributes = {name[len(_PREFIX) :]: unquote(value) for name, value in headers.items() if name.startswith(_PREFIX)}
    return {**attributes, "data": _json(body)}


def _json(body: bytes) -> Any:
    try:
        text = body.decode()
        said = json.loads(text, parse_constant=_no_number)
        if "\\u" in text:
            json.dumps(said, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError) as fault:
        raise _refusal(f"not JSON: {str(fault)[:200]}", where="body") from None
    return said


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _checked(event: Any, *, place: int) -> dict[str, Any]:
    where = f"event {place}"
    if not isinstance(event, dict):
        raise _refusal("not a JSON object", where=where)
    if event.get("specversion") != "1.0":
        raise _refusal("specversion is not 1.0", where=where)
    for name in _NEEDED:
        if not isinstance(event.get(name), str) or not event[name]:
            raise _refusal(f"{name} is missing", where=where)
    if not isinstance(event.get("data"), dict):
        raise _refusal("data is not a JSON object", where=where)
    return event


def _refusal(what: str, *, where: str) -> BadInput:
    return BadInput(what, where=where, cure="Send CloudEvents 1.0 in JSON; none of this request was taken.")
