"""Give a billing account its tax number, and say whether it is a business."""

from dataclasses import replace
from datetime import datetime

from millicent.customers.columns import TAX_NUMBER_CURE
from millicent.customers.rules import is_sound_tax_number
from millicent.customers.services.record_terms import Terms, believed_terms, lock_account, record_terms
from millicent.customers.types import Signature
from millicent.kit.errors import BadInput
from millicent.kit.timeline import span_at


def change_tax_number(
    *,
    code: str,
    tax_number: str,
    is_business: bool,
    at_ms: int,
    billed_until_ms: int,
    now: datetime,
    signature: Signature,
) -> Terms:
    """From `at_ms` on bills show this number ("": none). A business with one abroad may be under reverse charge.

    The number has to be one of the account's country at that time, or a VAT number of the European Union: the check
    digits are computed, no register is asked. A country whose numbers nobody here knows is not checked.
    `billed_until_ms` and refusals: see `record_terms`.
    """
    number = tax_number.strip()
    account = lock_account(code)
    found = span_at(believed_terms(account), at_ms)
    country = found.content.country if found is not None else ""
    if number and not is_sound_tax_number(number, country=country):
        raise BadInput(f"{number!r} is no tax number of {country}", where="tax number", cure=TAX_NUMBER_CURE)
    return record_terms(
        code=code,
        verb="change_tax_number",
        at_ms=at_ms,
        billed_until_ms=billed_until_ms,
        now=now,
        signature=signature,
        change=lambda terms: replace(terms, tax_number=number, is_business=is_business),
        follows=lambda terms: (terms.tax_number, terms.is_business),
        details={"tax_number": number, "business": "yes" if is_business else "no"},
    )
