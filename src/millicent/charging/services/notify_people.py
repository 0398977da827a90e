"""Put a notification into the outbox that no command of the shard stands behind."""

from millicent.charging.history.texts import language_of, money_text, people_text
from millicent.charging.models.people import BalanceOrder, Notification
from millicent.charging.people import PeopleNotice
from millicent.customers.live import account_contacts

_PLACE = 2_000_000


def notify_of_order(order: BalanceOrder, *, kind: PeopleNotice, amount_nanos: int, at_ms: int, shard: int) -> None:
    """Once for each order and kind, in the language of the account. In a tenant's scope."""
    language, reach = account_contacts(ids=[order.billing_account_id]).get(order.billing_account_id, ("", {}))
    language = language_of(language)
    told = money_text(amount_nanos, order.currency, language=language)
    note = Notification(
        shard=shard,
        sequence=-order.pk,  # below zero: no batch of the journal stands behind it
        place=_PLACE + int(kind),
        kind=int(kind),
        billing_account_id=order.billing_account_id,
        language=language,
        reach=dict(reach),
        text=people_text(kind, language=language, amount=told),
        facts={"kind": kind.name.lower(), "amount_nanos": str(amount_nanos), "currency": order.currency},
        happened_at_ms=at_ms,
    )
    Notification.objects.bulk_create([note], ignore_conflicts=True)
