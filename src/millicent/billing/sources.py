"""Facts from the stores: customers, subscriptions and releases in PostgreSQL, usage in the lake."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from millicent.billing.ports import BalanceFacts, NoBalances
from millicent.billing.types import AccountGroupFacts, ReleasedCatalogue
from millicent.catalog.selectors import catalogue_of, releases
from millicent.customers.selectors import billing_accounts, paid_by_others, payer_groups
from millicent.customers.types import BillingAccountFacts, PaidByAnother
from millicent.kit.lake import Lake
from millicent.mediation.selectors import usage_of
from millicent.subscriptions.selectors import subscriptions_of
from millicent.subscriptions.types import SubscriptionFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFacts:
    """What an installation knows. Reads happen in the caller's tenant transaction.

    `charging.balance_facts.stored_facts` makes it with the balances of the installation.
    """

    lake: Lake
    balances: BalanceFacts = field(default_factory=NoBalances)

    def releases(self, *, known_until_ms: int) -> Sequence[ReleasedCatalogue]:
        return [
            ReleasedCatalogue(
                number=each.number, effective_from_ms=each.effective_from_ms, catalogue=catalogue_of(each.number)
            )
            for each in releases()
            if each.recorded_at_ms < known_until_ms
        ]

    def payers(self, *, at_ms: int, known_until_ms: int) -> Sequence[BillingAccountFacts]:
        return [group.payer for group in payer_groups(at_ms=at_ms, known_at_ms=known_until_ms - 1)]

    def paid_by_others(
        self, account_ids: Sequence[int], *, at_ms: int, known_until_ms: int
    ) -> Mapping[int, Sequence[PaidByAnother]]:
        return paid_by_others(ids=account_ids, at_ms=at_ms, known_at_ms=known_until_ms - 1)

    def groups(self, payer_ids: Sequence[int], *, at_ms: int, known_until_ms: int) -> Sequence[AccountGroupFacts]:
        groups = payer_groups(payer_ids=payer_ids, at_ms=at_ms, known_at_ms=known_until_ms - 1)
        account_ids = [account.billing_account_id for group in groups for account in group.accounts]
        by_account: dict[int, list[SubscriptionFacts]] = defaultdict(list)
        for subscription in subscriptions_of(account_ids, known_at_ms=known_until_ms - 1):
            by_account[subscription.billing_account_id].append(subscription)
        return [
            AccountGroupFacts(
                payer=group.payer,
                accounts=group.accounts,
                subscriptions=tuple(
                    each for account in group.accounts for each in by_account.get(account.billing_account_id, ())
                ),
            )
            for group in groups
        ]

    def terms(self, account_ids: Sequence[int], *, at_ms: int, known_until_ms: int) -> Sequence[BillingAccountFacts]:
        return billing_accounts(ids=account_ids, at_ms=at_ms, known_at_ms=known_until_ms - 1)

    def usage(
        self,
        account_ids: Sequence[int],
        *,
        from_ms: int,
        until_ms: int,
        received_from_ms: int | None = None,
        received_until_ms: int,
    ) -> pl.DataFrame:
        return usage_of(
            self.lake,
            account_ids=account_ids,
            from_ms=from_ms,
            until_ms=until_ms,
            received_from_ms=received_from_ms,
            received_until_ms=received_until_ms,
        ).collect()
