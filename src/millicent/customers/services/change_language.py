"""Write to a billing account in another language."""

from dataclasses import replace
from datetime import datetime

from millicent.customers.columns import LANGUAGE_CURE, language_written
from millicent.customers.services.record_terms import Terms, record_terms
from millicent.customers.types import Signature
from millicent.kit.errors import BadInput


def change_language(
    *, code: str, language: str, at_ms: int, billed_until_ms: int, now: datetime, signature: Signature
) -> Terms:
    """From `at_ms` on bills and notices are written in this language, or in the operator's where it has no texts.

    A bill speaks the language in force when its cycle ends. `billed_until_ms` and refusals: see `record_terms`.
    """
    if language_written(language) is None:
        raise BadInput(f"{language!r} is no language", where="language", cure=LANGUAGE_CURE)
    return record_terms(
        code=code,
        verb="change_language",
        at_ms=at_ms,
        billed_until_ms=billed_until_ms,
        now=now,
        signature=signature,
        change=lambda terms: replace(terms, language=language),
        follows=lambda terms: terms.language,
        details={"language": language},
    )
