"""Let another account pay for a billing account."""

from dataclasses import replace
from datetime import datetime

from django.db import transaction

from millicent.customers import selectors
from millicent.customers.errors import CyclesDiffer, PayerNotAbove, StillPaysForOthers, UnknownAccount
from millicent.customers.models import BillingAccount, BillingAccountTerms
from millicent.customers.rules import above
from millicent.customers.services.record_terms import Terms, believed_terms, record_terms
from millicent.customers.types import Signature


@transaction.atomic
def change_payer(
    *, code: str, payer: str, at_ms: int, billed_until_ms: int, now: datetime, signature: Signature
) -> Terms:
    """From `at_ms` on `payer` receives the account's charges; with its own code the account pays for itself.

    Who pays when a cycle ends pays that whole cycle. `billed_until_ms` is the later end of what the payer so far and
    the new one have on their bills. Refuses a payer that does not stand above or does not pay for itself from then on,
    an account that pays for others, a payer whose bills turn on other days, and what
    `record_terms` refuses.
    """
    accounts = _lock(code, payer)
    account, new_payer = accounts[code], accounts[payer]
    if new_payer != account:
        _refuse_stranger(account, new_payer, at_ms=at_ms)
        _refuse_deserter(account, at_ms=at_ms)
    for span in believed_terms(account):
        if span.until_ms is None or span.until_ms > at_ms:
            _refuse_other_days(BillingAccount.objects.get(pk=span.content.payer_id), new_payer)
    return record_terms(
        code=code,
        verb="change_payer",
        at_ms=at_ms,
        billed_until_ms=billed_until_ms,
        now=now,
        signature=signature,
        change=lambda terms: replace(terms, payer_id=new_payer.pk),
        follows=lambda terms: terms.payer_id,
        details={"payer": payer},
    )


def _lock(*codes: str) -> dict[str, BillingAccount]:
    """In the order of their ids: two changes that meet never wait for each other in a circle."""
    locked = {
        each.code: each for each in BillingAccount.objects.select_for_update().filter(code__in=codes).order_by("id")
    }
    for code in codes:
        if code not in locked:
            raise UnknownAccount(f"there is no billing account {code}", account_code=code)
    return locked


def _refuse_stranger(account: BillingAccount, payer: BillingAccount, *, at_ms: int) -> None:
    parents = {code: parent for code, (_, parent, _) in selectors.accounts_above(codes=[account.code]).items()}
    pays_itself = all(
        span.content.payer_id == payer.pk
        for span in believed_terms(payer)
        if span.until_ms is None or span.until_ms > at_ms
    )
    if payer.code not in above(account.code, parents=parents) or payer.opened_at_ms > at_ms or not pays_itself:
        raise PayerNotAbove(
            f"{payer.code} cannot pay for {account.code}: it does not stand above it, or does not pay for itself",
            account_code=account.code,
            payer_code=payer.code,
        )


def _refuse_deserter(account: BillingAccount, *, at_ms: int) -> None:
    paid_for = BillingAccountTerms.objects.filter(payer=account, superseded_at_ms=None).exclude(billing_account=account)
    codes = sorted(
        each.billing_account.code
        for each in paid_for.select_related("billing_account")
        if each.effective_until_ms is None or each.effective_until_ms > at_ms
    )
    if codes:
        raise StillPaysForOthers(
            f"billing account {account.code} pays for {codes[0]}: change its payer first", account_codes=codes
        )


def _refuse_other_days(before: BillingAccount, after: BillingAccount) -> None:
    """A charge belongs to the service cycle of its payer: on other days it would be another charge."""
    if _turning(before) != _turning(after):
        raise CyclesDiffer(
            f"the bills of {before.code} and {after.code} do not turn on the same days",
            payer_codes=[before.code, after.code],
        )


def _turning(account: BillingAccount) -> tuple[object, ...]:
    by_anchor = account.cycle_anchor_ms if (account.cycle_count, account.cycle_unit) != (1, "month") else 0
    return account.zone, account.cycle_day, account.cycle_count, account.cycle_unit, by_anchor
