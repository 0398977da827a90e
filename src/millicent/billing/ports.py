"""Where a bill's facts come from. `sources.StoredFacts` reads the stores; a test or a what-if brings its own."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import polars as pl

from millicent.billing.types import AccountGroupFacts, ReleasedCatalogue
from millicent.customers.types import BillingAccountFacts, PaidByAnother


class BillingFacts(Protocol):
    """Facts as they were known at an instant. Must be picklable: worker processes get a copy."""

    def releases(self, *, known_until_ms: int) -> Sequence[ReleasedCatalogue]:
        """Every catalogue release recorded before an instant."""
        ...

    def payers(self, *, at_ms: int, known_until_ms: int) -> Sequence[BillingAccountFacts]:
        """Every account that pays for itself or for others, by id."""
        ...

    def paid_by_others(
        self, account_ids: Sequence[int], *, at_ms: int, known_until_ms: int
    ) -> Mapping[int, Sequence[PaidByAnother]]:
        """When others paid for these accounts, as far as that is over at an instant; most accounts are not in it."""
        ...

    def groups(self, payer_ids: Sequence[int], *, at_ms: int, known_until_ms: int) -> Sequence[AccountGroupFacts]:
        """What these payers pay for, with the subscriptions' histories as they were known."""
        ...

    def terms(self, account_ids: Sequence[int], *, at_ms: int, known_until_ms: int) -> Sequence[BillingAccountFacts]:
        """These accounts with the terms in force at an instant; one that was not open then is left out."""
        ...

    def usage(
        self,
        account_ids: Sequence[int],
        *,
        from_ms: int,
        until_ms: int,
        received_from_ms: int | None = None,
        received_until_ms: int,
    ) -> pl.DataFrame:
        """Usage that began in [from_ms, until_ms) with the columns of `rating.types.USAGE_COLUMNS`, in any order."""
        ...
