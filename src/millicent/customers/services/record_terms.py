"""The one road by which an account's terms change after it was opened; the verbs beside this file take it."""

from collections.abc import Callable, Mapping
from datetime import datetime

from django.db import transaction

from millicent.customers.errors import AlreadyBilled, NotYetOpen, UnknownAccount
from millicent.customers.models import BillingAccount, BillingAccountChange, BillingAccountTerms
from millicent.customers.types import AccountTerms, Signature
from millicent.kit.clock import from_ms, to_ms
from millicent.kit.timeline import Rewritten, Span, rewrite, span_at

Terms = tuple[Span[AccountTerms], ...]


@transaction.atomic
def record_terms(
    *,
    code: str,
    verb: str,
    at_ms: int,
    billed_until_ms: int,
    now: datetime,
    signature: Signature,
    change: Callable[[AccountTerms], AccountTerms],
    follows: Callable[[AccountTerms], object],
    details: Mapping[str, str],
) -> Terms:
    """Change an account's terms from `at_ms` on, now or in the future; returns its new terms.

    The change runs through later spans as long as `follows` answers what it answered at `at_ms`: it ends where the next
    change of the same aspect was recorded, and leaves the others as they are.
    A bill takes the terms in force when its cycle ends for the whole cycle, so nothing changes before
    `billed_until_ms`, the end of what is billed (0: nothing is). The account's row is locked, so two changes follow
    each other. The same change again finds nothing to do and records nothing.
    """
    account = lock_account(code)
    refuse_too_early(account, at_ms=at_ms, billed_until_ms=billed_until_ms)
    terms = believed_terms(account)
    found = span_at(terms, at_ms)
    assert found is not None, "an open account has terms at every instant"
    aspect = follows(found.content)
    rewritten = rewrite(
        terms, at_ms=at_ms, change=change, goes_on=lambda content: follows(content) == aspect, now_ms=to_ms(now)
    )
    if rewritten.added:
        _write(account, rewritten=rewritten, now_ms=to_ms(now))
        note_change(account, verb=verb, at_ms=at_ms, now=now, signature=signature, details=details)
    return rewritten.after


def lock_account(code: str) -> BillingAccount:
    account = BillingAccount.objects.select_for_update().filter(code=code).first()
    if account is None:
        raise UnknownAccount(f"there is no billing account {code}", account_code=code)
    return account


def refuse_too_early(account: BillingAccount, *, at_ms: int, billed_until_ms: int) -> None:
    """What is billed stays billed; what was not open has no terms."""
    if at_ms < account.opened_at_ms:
        raise NotYetOpen(
            f"billing account {account.code} was opened at {from_ms(account.opened_at_ms).isoformat()}",
            account_code=account.code,
            at_ms=at_ms,
        )
    if at_ms < billed_until_ms:
        raise AlreadyBilled(
            f"billing account {account.code} is billed until {from_ms(billed_until_ms).isoformat()}: "
            "change it from then on",
            account_code=account.code,
            at_ms=at_ms,
            billed_until_ms=billed_until_ms,
        )


def believed_terms(account: BillingAccount) -> Terms:
    """What we believe now, oldest first."""
    rows = BillingAccountTerms.objects.filter(billing_account=account, superseded_at_ms=None)
    return tuple(
        Span(
            from_ms=row.effective_from_ms,
            until_ms=row.effective_until_ms,
            content=AccountTerms(
                payer_id=row.payer_id,
                language=row.language,
                segment=row.segment,
                country=row.country,
                jurisdiction=row.jurisdiction,
                is_business=row.is_business,
                tax_number=row.tax_number,
                reseller=row.reseller,
                address=row.address,
            ),
            learned_at_ms=row.recorded_at_ms,
            row_id=row.pk,
        )
        for row in rows.order_by("effective_from_ms")
    )


def _write(account: BillingAccount, *, rewritten: Rewritten[AccountTerms], now_ms: int) -> None:
    replaced = [span.row_id for span in rewritten.superseded]
    marked = BillingAccountTerms.objects.filter(pk__in=replaced).update(superseded_at_ms=now_ms)
    assert marked == len(replaced), "terms were superseded behind the lock"
    BillingAccountTerms.objects.bulk_create(
        BillingAccountTerms(
            billing_account=account,
            effective_from_ms=span.from_ms,
            effective_until_ms=span.until_ms,
            payer_id=span.content.payer_id,
            language=span.content.language,
            segment=span.content.segment,
            country=span.content.country,
            jurisdiction=span.content.jurisdiction,
            is_business=span.content.is_business,
            tax_number=span.content.tax_number,
            reseller=span.content.reseller,
            address=span.content.address,
            recorded_at_ms=now_ms,
        )
        for span in rewritten.added
    )


def note_change(
    account: BillingAccount,
    *,
    verb: str,
    at_ms: int,
    now: datetime,
    signature: Signature,
    details: Mapping[str, str],
) -> None:
    """Keep who did it and why."""
    BillingAccountChange.objects.create(
        billing_account=account,
        verb=verb,
        effective_at_ms=at_ms,
        recorded_at_ms=to_ms(now),
        who=signature.who,
        why=signature.why,
        details=dict(details),
    )
