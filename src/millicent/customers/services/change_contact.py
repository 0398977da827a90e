"""Reach the party of a billing account at another e-mail address or telephone number."""

from datetime import datetime

from django.db import transaction

from millicent.customers.models import Contact, Party
from millicent.customers.services.record_terms import lock_account, note_change
from millicent.customers.types import ContactKind, Signature
from millicent.kit.clock import to_ms


@transaction.atomic
def change_contact(*, code: str, kind: ContactKind, reach: str, now: datetime, signature: Signature) -> None:
    """From now on the party is reached here; "" removes what there was. No money depends on it: it has no history.

    That it was changed is kept, with who and why; the address itself is not, so that it can be forgotten.
    """
    account = lock_account(code)
    Party.objects.select_for_update().get(pk=account.party_id)  # its other accounts may be asked to change it too
    standing = Contact.objects.filter(party_id=account.party_id, kind=kind.value)
    if [each.reach for each in standing] == [reach] * bool(reach):
        return
    standing.delete()
    if reach:
        Contact.objects.create(party_id=account.party_id, kind=kind.value, reach=reach)
    note_change(
        account,
        verb="change_contact",
        at_ms=to_ms(now),
        now=now,
        signature=signature,
        details={"kind": kind.value},
    )
