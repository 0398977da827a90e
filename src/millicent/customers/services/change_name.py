"""Call the party of a billing account by another name."""

from datetime import datetime

from django.db import transaction

from millicent.customers.models import Party, PartyName
from millicent.customers.services.record_terms import lock_account, note_change
from millicent.customers.types import Signature
from millicent.kit.clock import to_ms
from millicent.kit.errors import BadInput


@transaction.atomic
def change_name(*, code: str, name: str, at_ms: int, now: datetime, signature: Signature) -> None:
    """From `at_ms` on, until the next name that was recorded, bills of all accounts of the party show `name`.

    A bill shows the name in force when its cycle ends, as it was known then: bills that were issued keep theirs, so
    nothing has to be refused. The same name from the same instant again changes nothing.
    """
    if not name.strip():
        raise BadInput("the name is empty", where="name", cure="Write it as it is to be printed.")
    account = lock_account(code)
    Party.objects.select_for_update().get(pk=account.party_id)  # its other accounts may be asked to change it too
    told = PartyName.objects.filter(party_id=account.party_id, effective_from_ms=at_ms, superseded_at_ms=None)
    if told.filter(name=name.strip()).exists():
        return
    told.update(superseded_at_ms=to_ms(now))
    PartyName.objects.create(
        party_id=account.party_id, name=name.strip(), effective_from_ms=at_ms, recorded_at_ms=to_ms(now)
    )
    note_change(account, verb="change_name", at_ms=at_ms, now=now, signature=signature, details={})
