"""Which codes exist, noted before anything is read: a reference to a faulty thing is no second fault."""

from millicent.catalog.loading.nodes import Node
from millicent.catalog.loading.reading import Reading

_BY_CODE = {
    "specifications": "specification",
    "networks": "network zone",
    "discounts": "discount",
    "taxes": "tax",
    "ledger": "ledger code",
}
_ONE_EACH = {"calendar": "calendar", "zones": "zone", "deck": "deck", "tariff": "tariff", "offering": "offering"}
_PRICES = ("recurring", "one_time", "commitments", "rules")


def declare_all(kind: str, document: Node, *, reading: Reading) -> None:
    if kind in _BY_CODE:
        for code, node in document.fields.items():
            reading.declare(_BY_CODE[kind], code, node)
    elif kind in _ONE_EACH and "code" in document.fields:
        own = document.fields["code"]
        reading.declare(_ONE_EACH[kind], own.text, own)
    _declare_inside(kind, document, reading=reading)


def _declare_inside(kind: str, document: Node, *, reading: Reading) -> None:
    own = document.fields["code"].text if "code" in document.fields else ""
    if kind == "zones":
        for code in _codes(document, "zones"):
            reading.declare("zone", f"{own}/{code.text}", code)
    if kind == "calendar":
        for code in _codes(document, "bands"):
            for space in ("band", f"band of calendar {own}"):
                reading.declared.setdefault(space, {}).setdefault(code.text, code)
    if kind == "taxes":
        for tax in document.fields.values():
            categories = tax.fields.get("categories")
            for word in (categories.parts or [categories]) if categories else []:
                reading.declared.setdefault("tax category", {}).setdefault(word.text, word)
    for key in _PRICES:
        for code in _codes(document, key):
            reading.declared.setdefault("price", {}).setdefault(code.text, code)


def _codes(document: Node, key: str) -> list[Node]:
    parts = document.fields[key].parts if key in document.fields else []
    return [part.fields["code"] for part in parts if "code" in part.fields]
