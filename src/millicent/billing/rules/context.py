"""What every part of the bill computation is told about one payer and one bill."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from millicent.billing.rules.charges import ChargeKey
from millicent.billing.rules.cycles import CycleSpan, cycle_containing, cycle_from
from millicent.billing.rules.holdings import HeldRun, held_runs
from millicent.billing.rules.releases import Releases
from millicent.billing.types import AccountGroupFacts
from millicent.catalog.types import ChargeKind, OneTimePrice, RecurringPrice
from millicent.customers.types import BillingAccountFacts
from millicent.subscriptions.types import SubscriptionFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldSubscription:
    """A subscription, the account it belongs to, and its runs."""

    facts: SubscriptionFacts
    account: BillingAccountFacts
    runs: tuple[HeldRun, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BillContext:
    """One payer, the cycle being billed, and how far back facts have changed since they were billed.

    `cycle` ends with the bill; `upcoming` is what is charged in advance. `replay_from_ms` is the start of the oldest
    service cycle that is computed again; `spans` are the service cycles as earlier bills cut them. `terms` are the
    accounts as they were in cycles that are computed again, by the end of the cycle.
    """

    group: AccountGroupFacts
    subscriptions: tuple[HeldSubscription, ...]
    releases: Releases
    cycle: CycleSpan
    upcoming: CycleSpan
    replay_from_ms: int
    spans: tuple[CycleSpan, ...]
    terms: Mapping[int, tuple[BillingAccountFacts, ...]] = field(default_factory=dict)

    @property
    def zone(self) -> str:
        return self.group.payer.zone

    def service_cycle(self, instant_ms: int) -> CycleSpan:
        """The service cycle an instant lies in: as it was billed, else as the account's bill day says."""
        if self.cycle.from_ms <= instant_ms < self.cycle.until_ms:
            return self.cycle
        if self.upcoming.from_ms <= instant_ms < self.upcoming.until_ms:
            return self.upcoming
        for span in self.spans:
            if span.from_ms <= instant_ms < span.until_ms:
                return span
        payer = self.group.payer
        return cycle_containing(cycle=payer.cycle, zone=payer.zone, instant_ms=instant_ms)

    def during(self, cycle: CycleSpan) -> "BillContext":
        """The same with the terms of a cycle that is computed again: a later change of terms does not reprice it."""
        if cycle.until_ms not in self.terms:
            return self
        group = self.group_then(cycle.until_ms)
        accounts = {account.billing_account_id: account for account in group.accounts}
        held = tuple(replace(each, account=accounts[each.account.billing_account_id]) for each in self.subscriptions)
        return replace(self, group=group, subscriptions=held)

    def group_then(self, until_ms: int) -> AccountGroupFacts:
        """The group with its accounts as they were in the cycle that ended then; as they are when it is no replay."""
        if until_ms not in self.terms:
            return self.group
        then = {account.billing_account_id: account for account in self.terms[until_ms]}
        accounts = tuple(then.get(each.billing_account_id, each) for each in self.group.accounts)
        return replace(self.group, payer=accounts[0], accounts=accounts)

    def full_cycle(self, span: CycleSpan) -> CycleSpan:
        """The cycle that a service cycle is a part of: longer than itself only where a new bill day cut it short."""
        payer = self.group.payer
        full = cycle_containing(cycle=payer.cycle, zone=payer.zone, instant_ms=span.until_ms - 1)
        return full if full.until_ms == span.until_ms and full.from_ms < span.from_ms else span


def bill_context(
    *,
    group: AccountGroupFacts,
    releases: Releases,
    cycle: CycleSpan,
    replay_from_ms: int | None = None,
    spans: tuple[CycleSpan, ...] = (),
) -> BillContext:
    accounts = {account.billing_account_id: account for account in group.accounts}
    return BillContext(
        group=group,
        subscriptions=tuple(
            HeldSubscription(facts=each, account=accounts[each.billing_account_id], runs=held_runs(each))
            for each in sorted(group.subscriptions, key=lambda each: each.subscription_id)
        ),
        releases=releases,
        cycle=cycle,
        upcoming=cycle_from(cycle=group.payer.cycle, zone=group.payer.zone, start_ms=cycle.until_ms),
        replay_from_ms=cycle.from_ms if replay_from_ms is None else replay_from_ms,
        spans=spans,
    )


def fee_key(
    price: OneTimePrice | RecurringPrice,
    *,
    kind: ChargeKind,
    held: HeldSubscription,
    run: HeldRun,
    service_cycle_from_ms: int,
    period_from_ms: int,
    in_advance: bool,
) -> ChargeKey:
    """What makes a fee of a subscription the same one on every bill. Service and zone are of usage, not of fees."""
    return ChargeKey(
        service_cycle_from_ms=service_cycle_from_ms,
        kind=kind,
        currency=price.currency,
        billing_account_id=held.account.billing_account_id,
        subscription_id=held.facts.subscription_id,
        offering=run.offering,
        price_code=price.code,
        service="",
        zone="",
        period_from_ms=period_from_ms,
        tax_category=price.tax_category,
        ledger_code=price.ledger_code,
        in_advance=in_advance,
    )
