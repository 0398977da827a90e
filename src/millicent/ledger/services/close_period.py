"""Close a period: from then on nothing that happened in it is posted."""

from dataclasses import dataclass
from datetime import datetime

from millicent.kit.clock import to_ms
from millicent.kit.errors import BadInput
from millicent.ledger.chain_head import current_tenant, lock_chain, read_head
from millicent.ledger.errors import PeriodGoesBack
from millicent.ledger.models import LedgerPeriodClose
from millicent.ledger.types import ChainHead


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedPeriod:
    """Everything before `closed_until_ms` is closed, sealed with the chain's head of that moment."""

    closed_until_ms: int
    closed_at_ms: int
    head: ChainHead


def close_period(*, until_ms: int, now: datetime) -> ClosedPeriod:
    """Close all time before `until_ms` (half-open). Closing the same again finds the first close.

    The seal repeats the chain's head: a chain that is cut or rewritten later contradicts it.
    """
    tenant_id = current_tenant()
    lock_chain(tenant_id)
    if until_ms > to_ms(now):
        raise BadInput("only the past can be closed", cure="Give an instant that has passed.", until_ms=until_ms)
    last = LedgerPeriodClose.objects.order_by("-closed_until_ms").first()
    if last is not None and last.closed_until_ms > until_ms:
        raise PeriodGoesBack(
            f"the ledger is closed until {last.closed_until_ms} already", closed_until_ms=last.closed_until_ms
        )
    if last is None or last.closed_until_ms < until_ms:
        head = read_head(tenant_id)
        last = LedgerPeriodClose.objects.create(
            closed_until_ms=until_ms, closed_at_ms=to_ms(now), head_sequence=head.sequence, head_hash=head.hash
        )
    return ClosedPeriod(
        closed_until_ms=last.closed_until_ms,
        closed_at_ms=last.closed_at_ms,
        head=ChainHead(sequence=last.head_sequence, hash=bytes(last.head_hash)),
    )
