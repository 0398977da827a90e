"""The one road by which a subscription's history changes; every verb beside this file takes it."""

from collections.abc import Callable, Mapping
from datetime import datetime

from django.db import transaction

from millicent.kit.clock import to_ms
from millicent.kit.timeline import Rewritten, Span, rewrite, span_at
from millicent.subscriptions.errors import NothingBefore, TransitionRefused, UnknownSubscription
from millicent.subscriptions.models import Subscription, SubscriptionChange, SubscriptionVersionRow
from millicent.subscriptions.rules import refuse_bad_transitions
from millicent.subscriptions.types import Holding, Signature, SubscriptionStatus

History = tuple[Span[Holding], ...]


@transaction.atomic
def record_change(
    *,
    code: str,
    verb: str,
    at_ms: int,
    now: datetime,
    signature: Signature,
    change: Callable[[Holding], Holding],
    follows: Callable[[Holding], object],
    details: Mapping[str, str] | None = None,
    may_be_terminated: bool = False,
) -> History:
    """Change what a subscription is from `at_ms` on, now, in the future or back-dated; returns its new history.

    The change runs through later versions as long as `follows` answers what it answered at `at_ms`: a back-dated
    change of plan ends where the next change of plan was recorded, and leaves suspensions as they are.
    The subscription's row is locked, so two changes of one subscription follow each other. The same change again
    finds nothing left to do and records nothing. Refuses an instant before the subscription began, any change of a
    terminated one, and a life cycle that TRANSITIONS does not allow; on refusal nothing was changed.
    """
    subscription = lock_subscription(code)
    history = believed_history(subscription)
    found = span_at(history, at_ms)
    if found is None:
        raise NothingBefore(f"subscription {code} did not exist at {at_ms} ms", subscription_code=code, at_ms=at_ms)
    aspect = follows(found.content)
    rewritten = rewrite(
        history,
        at_ms=at_ms,
        change=change,
        goes_on=lambda holding: follows(holding) == aspect,
        now_ms=to_ms(now),
    )
    if not rewritten.added:
        return rewritten.after
    if found.content.status is SubscriptionStatus.TERMINATED and not may_be_terminated:
        raise TransitionRefused(
            f"subscription {code} was terminated; nothing of it can change", subscription_code=code, verb=verb
        )
    refuse_bad_transitions(code, [span.content.status for span in rewritten.after])
    _write(subscription, rewritten=rewritten, now_ms=to_ms(now))
    SubscriptionChange.objects.create(
        subscription=subscription,
        verb=verb,
        effective_at_ms=at_ms,
        recorded_at_ms=to_ms(now),
        who=signature.who,
        why=signature.why,
        details=dict(details or {}),
    )
    return rewritten.after


def lock_subscription(code: str) -> Subscription:
    subscription = Subscription.objects.select_for_update().filter(code=code).first()
    if subscription is None:
        raise UnknownSubscription(f"there is no subscription {code}", subscription_code=code)
    return subscription


def believed_history(subscription: Subscription) -> History:
    """What we believe now, oldest first."""
    rows = SubscriptionVersionRow.objects.filter(subscription=subscription, superseded_at_ms=None)
    return tuple(
        Span(
            from_ms=row.effective_from_ms,
            until_ms=row.effective_until_ms,
            content=_holding(row),
            learned_at_ms=row.learned_at_ms,
            row_id=row.pk,
        )
        for row in rows.order_by("effective_from_ms")
    )


def _holding(row: SubscriptionVersionRow) -> Holding:
    return Holding(
        offering=row.offering,
        status=SubscriptionStatus(row.status),
        quantity=row.quantity,
        price_overrides=row.price_overrides,
        add_ons=tuple(row.add_ons),
        coupons=tuple(row.coupons),
        characteristics=row.characteristics,
    )


def _write(subscription: Subscription, *, rewritten: Rewritten[Holding], now_ms: int) -> None:
    replaced = [span.row_id for span in rewritten.superseded]
    marked = SubscriptionVersionRow.objects.filter(pk__in=replaced).update(superseded_at_ms=now_ms)
    assert marked == len(replaced), "a version was superseded behind the lock"
    SubscriptionVersionRow.objects.bulk_create(
        SubscriptionVersionRow(
            subscription=subscription,
            effective_from_ms=span.from_ms,
            effective_until_ms=span.until_ms,
            offering=span.content.offering,
            status=span.content.status.value,
            quantity=span.content.quantity,
            price_overrides=dict(span.content.price_overrides),
            add_ons=list(span.content.add_ons),
            coupons=list(span.content.coupons),
            characteristics=dict(span.content.characteristics),
            learned_at_ms=span.learned_at_ms,
            recorded_at_ms=now_ms,
        )
        for span in rewritten.added
    )
