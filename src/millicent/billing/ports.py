"""Where a bill's facts come from. `sources.StoredFacts` reads the stores; a test or a what-if brings its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from millicent.billing.rules.charges import Charge
from millicent.billing.types import AccountGroupFacts, PaymentAgreement, ReleasedCatalogue
from millicent.customers.types import BillingAccountFacts, PaidByAnother


class BalanceFacts(Protocol):
    """What balances paid, so that no bill asks for it again. Charging keeps it; billing lies beneath charging."""

    def agreements(self, payer_ids: Sequence[int], *, known_until_ms: int) -> Mapping[int, Sequence[PaymentAgreement]]:
        """How these payers agreed to pay, as recorded before an instant; those without an agreement are not in it."""
        ...

    def fees(self, since_ms_by_account: Mapping[int, int]) -> Mapping[int, Sequence[Charge]]:
        """Fees that were taken from balances, oldest first, of service cycles from each account's instant on."""
        ...

    def used(self, payer_ids: Sequence[int], *, from_ms: int, until_ms: int) -> Mapping[int, Mapping[int, int]]:
        """Nanos of topped-up money that usage took in [from_ms, until_ms), by payer and subscription."""
        ...


@dataclass(frozen=True, slots=True)
class NoBalances:
    """Nobody has a balance: every plan is paid by bill, or as it says itself."""

    def agreements(self, payer_ids: Sequence[int], *, known_until_ms: int) -> Mapping[int, Sequence[PaymentAgreement]]:
        return {}

    def fees(self, since_ms_by_account: Mapping[int, int]) -> Mapping[int, Sequence[Charge]]:
        return {}

    def used(self, payer_ids: Sequence[int], *, from_ms: int, until_ms: int) -> Mapping[int, Mapping[int, int]]:
        return {}


class BillingFacts(Protocol):
    """Facts as they were known at an instant. Must be picklable: worker processes get a copy."""

    @property
    def balances(self) -> BalanceFacts:
        """What balances paid."""
        ...

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
