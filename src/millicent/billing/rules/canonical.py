"""A bill as text that is the same for ever: what its digest is taken over, and the JSON that its rows hold.

Each part is written once and stands both in its row and in the text of the whole bill.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache

from millicent.billing.rules.charges import Charge, Part
from millicent.billing.rules.computed import ComputedBill, ComputedLine
from millicent.catalog.types import LocalizedText

canonical = json.JSONEncoder(ensure_ascii=False, sort_keys=True).encode
_quoted = lru_cache(maxsize=16_384)(canonical)
_KEPT_TEXTS = 4_096
# What was written is kept with the value that it was written from, so that the value's id stays its own.
_texts: dict[int, tuple[LocalizedText, str]] = {}
_explanations: dict[tuple[int, tuple[Part, ...]], tuple[Mapping[str, object], str]] = {}


def texts_written(texts: LocalizedText) -> str:
    """Texts in their languages, written once for each catalogue value: thousands of lines say the same words."""
    written = _texts.get(id(texts))
    if written is None:
        if len(_texts) >= _KEPT_TEXTS:
            _texts.clear()
        written = _texts[id(texts)] = (texts, canonical(dict(texts)))
    return written[1]


def explanation_written(charge: Charge) -> str:
    """The inputs of a charge's amount, its parts among them.

    A fee's explanation is shared by everybody who held it for the same time, so it is written once.
    """
    explanation, parts = charge.explanation, charge.parts
    if not parts:
        return canonical(explanation)
    key = (id(explanation), parts)
    written = _explanations.get(key)
    if written is None:
        if len(_explanations) >= _KEPT_TEXTS:
            _explanations.clear()
        written = _explanations[key] = (explanation, canonical({**explanation, "parts": parts}))
    return written[1]


def _line_written(line: ComputedLine) -> str:
    """One line of a bill. What has no place here (its revision, its service cycle) does not change the bill."""
    charge, key = line.charge, line.charge.key
    return (
        f'[{line.number}, "{line.kind.value}", {key.billing_account_id}, {_quoted(line.subscription_code)}, '
        f"{texts_written(line.texts)}, {_quoted(key.offering)}, {_quoted(key.price_code)}, {_quoted(key.service)}, "
        f"{_quoted(key.zone)}, {charge.period_from_ms}, {charge.period_until_ms}, {charge.event_count}, "
        f"{charge.charged_units}, {charge.bucket_units}, {_quoted(charge.unit)}, {line.net_nanos}, "
        f"{_quoted(key.tax_category)}, {_quoted(key.ledger_code)}, {'true' if key.in_advance else 'false'}, "
        f"{line.explanation}]"
    )


def bill_digest(bill: ComputedBill) -> str:
    """SHA-256 of all that the facts decide: the same facts give the same digest, whatever number it is issued under."""
    taxes = [
        [tax.tax, tax.jurisdiction, str(tax.rate), tax.base_nanos, tax.amount_nanos, tax.inclusive, tax.note]
        for tax in bill.taxes
    ]
    before = canonical(
        {
            "currency": bill.currency,
            "cycle": (bill.cycle.from_ms, bill.cycle.until_ms),
            "due_at_ms": bill.due_at_ms,
            "issued_at_ms": bill.issued_at_ms,
        }
    )
    lines = ", ".join([_line_written(line) for line in bill.lines])
    totals = (bill.net_nanos, bill.tax_nanos, bill.total_nanos)
    after = canonical({"payer": bill.payer.code, "taxes": taxes, "totals": totals})
    return hashlib.sha256(f'{before[:-1]}, "lines": [{lines}], {after[1:]}'.encode()).hexdigest()
