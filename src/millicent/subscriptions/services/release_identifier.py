"""Give identifiers back, so that another subscription may hold them from then on."""

from datetime import datetime

from django.db import transaction

from millicent.kit.clock import to_ms
from millicent.subscriptions.models import ServiceIdentifier
from millicent.subscriptions.services.record_change import lock_subscription
from millicent.subscriptions.types import IdentifierKind


@transaction.atomic
def release_identifier(*, code: str, kind: IdentifierKind, identifier: str, at_ms: int, now: datetime) -> bool:
    """The subscription holds this identifier until `at_ms` only. Returns False when there was nothing to release."""
    subscription = lock_subscription(code)
    held = ServiceIdentifier.objects.filter(subscription=subscription, kind=kind.value, identifier=identifier)
    return _end(list(held.filter(superseded_at_ms=None)), at_ms=at_ms, now=now) > 0


@transaction.atomic
def release_identifiers_of(*, code: str, at_ms: int, now: datetime) -> int:
    """The same for everything the subscription holds; returns how many."""
    held = ServiceIdentifier.objects.filter(subscription=lock_subscription(code), superseded_at_ms=None)
    return _end(list(held), at_ms=at_ms, now=now)


def _end(held: list[ServiceIdentifier], *, at_ms: int, now: datetime) -> int:
    """Supersede each row that reaches beyond `at_ms` and, if it began before, record its shorter form."""
    reaching = [row for row in held if row.effective_until_ms is None or row.effective_until_ms > at_ms]
    ServiceIdentifier.objects.filter(pk__in=[row.pk for row in reaching]).update(superseded_at_ms=to_ms(now))
    ServiceIdentifier.objects.bulk_create(
        ServiceIdentifier(
            kind=row.kind,
            identifier=row.identifier,
            subscription_id=row.subscription_id,
            effective_from_ms=row.effective_from_ms,
            effective_until_ms=at_ms,
            recorded_at_ms=to_ms(now),
        )
        for row in reaching
        if row.effective_from_ms < at_ms
    )
    return len(reaching)
