"""Pieces of the schema that several kinds of document share. A `description` doubles as the cure for a fault."""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

Schema = dict[str, Any]

_CODE = "^[a-z0-9][a-z0-9_.-]{0,62}$"


def text(description: str, **more: Any) -> Schema:
    return {"type": ["string", "integer", "number"], "description": description, **more}


def word(description: str) -> Schema:
    return {"type": ["string", "integer"], "minLength": 1, "description": description}


def whole(description: str, *, least: int = 0, most: int | None = None) -> Schema:
    limits = {"minimum": least} | ({"maximum": most} if most is not None else {})
    return {"type": "integer", "description": description, **limits}


def flag(description: str) -> Schema:
    return {"type": "boolean", "description": description}


def one_of(kind: type[Enum] | Sequence[str], description: str) -> Schema:
    words = list(kind) if not isinstance(kind, type) else [each.name.lower() for each in kind]
    return {"enum": words, "description": description}


def words(description: str) -> Schema:
    """One word or a list of them."""
    one = {"type": ["string", "integer"]}
    return {"type": ["string", "integer", "array"], "items": one, "description": description}


def list_of(part: Schema, description: str, *, least: int = 0) -> Schema:
    return {"type": "array", "items": part, "minItems": least, "description": description}


def fields(properties: Mapping[str, Schema], *, required: Sequence[str] = (), description: str = "") -> Schema:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
        "description": description,
    }


def by_code(part: Schema, description: str) -> Schema:
    return {
        "type": "object",
        "propertyNames": {"pattern": _CODE},
        "additionalProperties": part,
        "description": description,
    }


CODE: Schema = {
    "type": ["string", "integer"],
    "pattern": _CODE,
    "description": "A code: small letters, digits, dash, dot, underscore; 63 at most.",
}
NAMES: Schema = {
    "type": ["object", "string"],
    "additionalProperties": {"type": ["string", "integer"]},
    "propertyNames": {"pattern": "^[a-z]{2}$"},
    "description": "Words for customers by language: {en: Calls, es: Llamadas}. `en` is always there.",
}
CURRENCY: Schema = {"type": "string", "pattern": "^[A-Z]{3}$", "description": "An ISO 4217 currency such as EUR."}
MONEY = text('An amount such as "19.90" or "19.90 EUR".')
PRICE = text('An amount for a quantity: "0.15/min", "2.00/GB", "5/100 messages"; "0.05" for one counted thing.')
INCREMENTS = text('First and following steps: "60/60", "30/6", "1", "100 kB/100 kB".')
QUANTITY = text('A quantity such as "30 min", "10 GB", "500 messages".')
SHARE = text('A share such as "21%".')
INSTANT = text('A date, or date and time: "2026-12-25", "2026-12-25 18:30".')
VALID = fields({"from": INSTANT, "until": INSTANT}, description="From (included) until (excluded).")
TAX_CATEGORY = word("A tax category that taxes.yaml names, such as standard.")
LEDGER = word("A ledger code that ledger.yaml names, such as usage.")

MATCH = fields(
    {
        "service": words("Codes of specifications.yaml."),
        "direction": {
            **words("originating, terminating or forwarded."),
        },
        "call_type": words("onnet, offnet, national, international, roaming, or a word of your own."),
        "zone": words('Destination: "map/zone", or "map" for every zone of the map.'),
        "origin_zone": words('Zone of the calling number: "map/zone".'),
        "visited": words("Zones of networks.yaml."),
        "band": words("Bands of the tariff's calendar."),
        "segment": words("Customer segments."),
        "attributes": {
            "type": "object",
            "additionalProperties": words("A value or a list of values."),
            "description": "Declared attributes and their values: {qos_5qi: [1, 2]}.",
        },
    },
    description="Which usage this is for. What is not named is not asked; all that is named must hold.",
)
