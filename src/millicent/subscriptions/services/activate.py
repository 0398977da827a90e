"""Make a subscription active: a new one, or one that was pending."""

from dataclasses import replace
from datetime import datetime

from django.db import transaction

from millicent.catalog.types import Catalogue
from millicent.customers import selectors as customers
from millicent.customers.errors import UnknownAccount
from millicent.kit.clock import to_ms
from millicent.subscriptions import selectors
from millicent.subscriptions.errors import SubscriptionCodeTaken
from millicent.subscriptions.models import SubscriptionChange
from millicent.subscriptions.services.add_subscriptions import add_subscriptions
from millicent.subscriptions.services.check_eligibility import check_eligibility
from millicent.subscriptions.services.record_change import History, record_change
from millicent.subscriptions.types import (
    HeldIdentifier,
    NewSubscription,
    Signature,
    SubscriptionFacts,
    SubscriptionStatus,
    SubscriptionVersion,
)


@transaction.atomic
def activate_new(
    *,
    code: str,
    account_code: str,
    offering: str,
    at_ms: int,
    catalogue: Catalogue,
    now: datetime,
    signature: Signature,
    pool: str = "",
    quantity: int = 1,
    identifiers: tuple[HeldIdentifier, ...] = (),
) -> int:
    """Give a billing account a subscription that is active from `at_ms` on; returns its id.

    Asked again for the same one, it is found. Refuses an account that does not exist, an offering that is not sold
    to the customer, a code that names something else, an identifier that somebody holds.
    """
    account_id = customers.billing_account_ids(codes=[account_code]).get(account_code)
    if account_id is None:
        raise UnknownAccount(f"there is no billing account {account_code}", account_code=account_code)
    version = SubscriptionVersion(
        effective_from_ms=at_ms,
        effective_until_ms=None,
        offering=offering,
        status=SubscriptionStatus.ACTIVE,
        quantity=quantity,
    )
    for existing in selectors.subscriptions_by_code([code]):
        return _same(existing, account_id=account_id, version=version)
    check_eligibility(offering=offering, account_id=account_id, at_ms=at_ms, catalogue=catalogue)
    new = NewSubscription(code=code, account_code=account_code, pool=pool, versions=(version,), identifiers=identifiers)
    subscription_id = add_subscriptions([new], now=now)[code]
    SubscriptionChange.objects.create(
        subscription_id=subscription_id,
        verb="activate",
        effective_at_ms=at_ms,
        recorded_at_ms=to_ms(now),
        who=signature.who,
        why=signature.why,
        details={"offering": offering},
    )
    return subscription_id


def activate_pending(*, code: str, at_ms: int, now: datetime, signature: Signature) -> History:
    """From `at_ms` on a pending subscription is active, until the next recorded change of its status."""
    return record_change(
        code=code,
        verb="activate",
        at_ms=at_ms,
        now=now,
        signature=signature,
        change=lambda holding: replace(holding, status=SubscriptionStatus.ACTIVE),
        follows=lambda holding: holding.status,
    )


def _same(existing: SubscriptionFacts, *, account_id: int, version: SubscriptionVersion) -> int:
    first = existing.versions[0]
    asked = (account_id, version.effective_from_ms, version.offering, version.quantity)
    found = (existing.billing_account_id, first.effective_from_ms, first.offering, first.quantity)
    if asked != found:
        raise SubscriptionCodeTaken(f"subscription code {existing.code} is taken", subscription_codes=[existing.code])
    return existing.subscription_id
