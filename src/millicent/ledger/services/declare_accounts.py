"""Declare ledger accounts of the operator's own, such as those that a catalogue's ledger codes name."""

from collections.abc import Iterable
from datetime import datetime

from millicent.kit.clock import to_ms
from millicent.ledger.chart import check_path, is_declared
from millicent.ledger.models import DeclaredLedgerAccount


def declare_accounts(paths: Iterable[str], *, now: datetime) -> list[str]:
    """Add accounts to the chart and return those that were new. Declaring again changes nothing."""
    wanted = sorted(set(paths))
    for path in wanted:
        check_path(path)
    known = frozenset(DeclaredLedgerAccount.objects.values_list("path", flat=True))
    fresh = [path for path in wanted if not is_declared(path, own=known)]
    DeclaredLedgerAccount.objects.bulk_create(
        [DeclaredLedgerAccount(path=path, declared_at_ms=to_ms(now)) for path in fresh], ignore_conflicts=True
    )
    return fresh
