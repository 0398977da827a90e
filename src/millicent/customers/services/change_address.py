"""Print another address on a billing account's bills."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from millicent.customers.services.record_terms import Terms, record_terms
from millicent.customers.types import Signature
from millicent.kit.errors import BadInput


def change_address(
    *, code: str, address_lines: Sequence[str], at_ms: int, billed_until_ms: int, now: datetime, signature: Signature
) -> Terms:
    """From `at_ms` on bills go to this address. Where the account is taxed is another matter: `change_tax_place`.

    `billed_until_ms` and refusals: see `record_terms`.
    """
    address = "\n".join(line.strip() for line in address_lines)
    if not address.strip():
        raise BadInput("the address is empty", where="address", cure="Write its lines, separated by |.")
    return record_terms(
        code=code,
        verb="change_address",
        at_ms=at_ms,
        billed_until_ms=billed_until_ms,
        now=now,
        signature=signature,
        change=lambda terms: replace(terms, address=address),
        follows=lambda terms: terms.address,
        details={},
    )
