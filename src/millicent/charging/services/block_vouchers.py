"""Make vouchers worthless: a whole batch that was lost or stolen, or single ones by their serials."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from millicent.charging.errors import UnknownVoucherBatch
from millicent.charging.models.people import Voucher, VoucherBatch
from millicent.kit.clock import to_ms
from millicent.kit.errors import BadInput


@transaction.atomic
def block_vouchers(*, batch: str, who: str, why: str, now: datetime, serials: Sequence[int] = ()) -> int:
    """Block what was not redeemed yet; returns how many vouchers that are. Blocked again, it stays as it was.

    Without `serials` the whole batch. What was redeemed stays redeemed: take it back by an adjustment. In a tenant's
    scope.
    """
    if not why.strip():
        raise BadInput("vouchers are blocked for a reason", where="why", cure="Say why.")
    found = VoucherBatch.objects.select_for_update().filter(code=batch).first()
    if found is None:
        raise UnknownVoucherBatch(f"there is no voucher batch {batch!r}", batch=batch)
    open_ones = Voucher.objects.filter(batch=found, redeemed_at_ms=None, blocked_at_ms=None)
    if serials:
        return open_ones.filter(serial__in=serials).update(blocked_at_ms=to_ms(now))
    if found.blocked_at_ms is not None:
        return 0
    VoucherBatch.objects.filter(pk=found.pk).update(blocked_at_ms=to_ms(now), blocked_by=who, blocked_why=why)
    return open_ones.count()
