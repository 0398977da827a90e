"""A charge as a document and back: what a balance paid is known again as the charge that a bill would have had."""

from collections.abc import Mapping
from typing import Any

from millicent.billing.rules.charges import Charge, ChargeKey, Part
from millicent.catalog.types import ChargeKind


def written_charge(charge: Charge) -> Mapping[str, object]:
    """Plain values only."""
    return charge._asdict() | {
        "key": list(charge.key._replace(kind=charge.key.kind.value)),  # type: ignore[arg-type]
        "texts": dict(charge.texts),
        "parts": [list(part) for part in charge.parts],
        "explanation": dict(charge.explanation),
    }


def charge_written(document: Mapping[str, Any]) -> Charge:
    """The charge that was written."""
    key = ChargeKey(*document["key"])
    return Charge(
        **{
            **document,
            "key": key._replace(kind=ChargeKind(key.kind)),
            "parts": tuple(Part(*part) for part in document["parts"]),
        }
    )
