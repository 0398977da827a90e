"""The OpenAPI document of the charging API, made from its types: it cannot say something else than they do."""

from typing import Any, Final

import msgspec

from millicent import __version__
from millicent.network.http.messages import (
    Answers,
    Authorise,
    Batch,
    Event,
    Granted,
    Problem,
    Refund,
    Start,
    Stop,
    Update,
)

_OPERATIONS: Final[dict[str, tuple[Any, Any, bool]]] = {  # name -> request, answer, whether it needs a key
    "authorise": (Authorise, Granted, False),
    "start": (Start, Granted, False),
    "update": (Update, Granted, False),
    "stop": (Stop, Granted, False),
    "event": (Event, Granted, True),
    "refund": (Refund, Granted, True),
    "batch": (Batch, Answers, False),
}
_REFUSALS: Final = {
    "400": "Not of the right shape",
    "401": "No application has that token",
    "402": "Not enough is left",
    "403": "Barred",
    "404": "No such subscriber or session",
    "405": "Another method: Allow says which",
    "408": "The body took too long",
    "409": "Done before by another request, or out of order",
    "413": "Too large",
    "422": "It cannot be charged",
    "500": "We broke: the defect was logged, the same again is safe",
    "503": "Try the same again after Retry-After seconds",
}
_PLACE: Final = "#/components/schemas/{name}"


def openapi_document() -> dict[str, Any]:
    """OpenAPI 3.1."""
    kinds = [*(request for request, _, _ in _OPERATIONS.values()), Granted, Answers, Problem]
    _, schemas = msgspec.json.schema_components(kinds, ref_template=_PLACE)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Millicent charging",
            "version": __version__,
            "description": "Charging in real time for switches and applications. No answer is given that is not "
            "durable; the same request again is answered as before. Whole numbers are written without a fraction: 60, "
            "never 60.0. A field that is not described here is refused.",
        },
        "security": [{"token": []}],
        "paths": {
            f"/charging/v1/{name}": {"post": _operation(name, request, answer, keyed=keyed)}
            for name, (request, answer, keyed) in _OPERATIONS.items()
        },
        "components": {"schemas": schemas, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _operation(name: str, request: Any, answer: Any, *, keyed: bool) -> dict[str, Any]:
    text = {"type": "string", "minLength": 1, "maxLength": 200}
    key = {"name": "Idempotency-Key", "in": "header", "required": True, "schema": text}
    problem = {"application/problem+json": {"schema": _reference(Problem)}}
    return {
        "operationId": name,
        "summary": (request.__doc__ or "").partition("\n")[0],
        **({"parameters": [key]} if keyed else {}),
        "requestBody": {"required": True, "content": {"application/json": {"schema": _reference(request)}}},
        "responses": {
            "200": {"description": "How it went", "content": {"application/json": {"schema": _reference(answer)}}},
            **{status: {"description": why, "content": problem} for status, why in _REFUSALS.items()},
        },
    }


def _reference(kind: Any) -> dict[str, str]:
    return {"$ref": _PLACE.format(name=kind.__name__)}
