"""Let a subscription be known to the network under a number, SIM, user name, address or device."""

from datetime import datetime

import polars as pl
from django.db import transaction

from millicent.kit.errors import BadInput
from millicent.subscriptions import selectors
from millicent.subscriptions.rules import normalise_identifier
from millicent.subscriptions.services.add_subscriptions import add_identifiers_of_frame
from millicent.subscriptions.services.record_change import lock_subscription
from millicent.subscriptions.types import NEW_IDENTIFIER_COLUMNS, HeldIdentifier


@transaction.atomic
def hold_identifier(*, code: str, held: HeldIdentifier, now: datetime) -> None:
    """The subscription holds the identifier for that time. Asked again for the same, nothing changes.

    Refuses text that is no identifier of its kind, and one that somebody else holds in a part of that time.
    """
    normal = normalise_identifier(held.kind, held.identifier)
    if normal is None:
        raise BadInput(f"{held.identifier!r} is no {held.kind}", where="identifier", cure="See docs/words.md.")
    subscription = lock_subscription(code)
    for each in selectors.identifiers_of([subscription.pk]).get(subscription.pk, ()):
        if (each.kind, each.identifier, each.effective_from_ms, each.effective_until_ms) == (
            held.kind,
            normal,
            held.effective_from_ms,
            held.effective_until_ms,
        ):
            return
    row = {
        "subscription_code": code,
        "kind": held.kind.value,
        "identifier": normal,
        "effective_from_ms": held.effective_from_ms,
        "effective_until_ms": held.effective_until_ms,
    }
    schema = {name: getattr(pl, type_name) for name, type_name in NEW_IDENTIFIER_COLUMNS.items()}
    add_identifiers_of_frame(pl.DataFrame([row], schema=schema), now=now)
