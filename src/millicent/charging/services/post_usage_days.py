"""Prepaid usage becomes revenue, one entry a day; and what the ledger says of customers' money is held against it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from django.db.models import F, Sum

from millicent.charging.declared import MS_PER_DAY
from millicent.charging.history.postings import PREPAID
from millicent.charging.models.people import UsageDay
from millicent.charging.selectors import money_by_currency
from millicent.charging.services.declare_services import declared_charging
from millicent.charging.services.tax_of_balances import BalanceTax
from millicent.kit.clock import to_ms
from millicent.kit.tenancy import tenant_scope
from millicent.ledger.errors import PeriodIsClosed
from millicent.ledger.selectors import account_balance
from millicent.ledger.services.post_entries import post_entries
from millicent.ledger.types import Entry, Posting

_SETTLING_MS = 3_600_000  # a day is posted when it has been over for so long


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepaidCheck:
    """Customers' money in one currency, told twice. `difference_nanos` is 0 or something is broken."""

    currency: str
    balances_nanos: int  # what histories of balances add up to
    liability_nanos: int  # what the ledger owes customers
    unposted_nanos: int  # usage of days that are not posted yet

    @property
    def difference_nanos(self) -> int:
        return self.liability_nanos - self.unposted_nanos - self.balances_nanos


def post_usage_days(*, tenant_id: UUID, now: datetime, shard: int = 0) -> int:
    """Post the usage of days that are over; what comes for a posted day later is posted as a further entry."""
    with tenant_scope(tenant_id):
        waiting = UsageDay.objects.select_for_update().filter(
            shard=shard, day_ms__lte=to_ms(now) - MS_PER_DAY - _SETTLING_MS
        )
        days = list(
            waiting.exclude(amount_nanos=F("posted_nanos")).order_by("day_ms", "currency", "ledger_account", "taxes")
        )
        for day in days:
            UsageDay.objects.filter(pk=day.pk).update(posted_nanos=day.amount_nanos, postings=day.postings + 1)
        tax = BalanceTax(declared_charging().prepaid)
        post_open_entries([_entry(day, tax=tax) for day in days], now=now)
        return len(days)


def post_open_entries(entries: Sequence[Entry], *, now: datetime) -> None:
    """Post entries; what happened in a period that was closed meanwhile is posted on the first open instant."""
    try:
        if entries:
            post_entries(entries, now=now)
    except PeriodIsClosed as closed:
        open_ms = closed.facts["closed_until_ms"]
        assert isinstance(open_ms, int), "a closed period says until when"
        post_entries([_moved_on(entry, open_ms=open_ms) for entry in entries], now=now)


def check_prepaid() -> list[PrepaidCheck]:
    """For each currency, whether the ledger owes customers what their balances hold. In a tenant's scope."""
    balances = money_by_currency()
    unposted = dict(
        UsageDay.objects.values_list("currency").annotate(waiting=Sum(F("amount_nanos") - F("posted_nanos")))
    )
    return [
        PrepaidCheck(
            currency=currency,
            balances_nanos=balances.get(currency, 0),
            liability_nanos=-account_balance(ledger_account=PREPAID, currency=currency),
            unposted_nanos=int(unposted.get(currency, 0)),
        )
        for currency in sorted({*balances, *unposted})
    ]


def _entry(day: UsageDay, *, tax: BalanceTax) -> Entry:
    """What is new of a day: revenue and the taxes within it, which add up to what balances paid, to the nano."""
    amount_nanos = day.amount_nanos - day.posted_nanos
    codes = [code for code in day.taxes.split(",") if code]
    earned = tax.earned(tax.split(amount_nanos, codes=codes, at_ms=day.day_ms), revenue=day.ledger_account)
    named = ":".join((day.ledger_account, day.taxes)) if day.taxes else day.ledger_account
    return Entry(
        template="prepaid_used" if amount_nanos > 0 else "prepaid_usage_reversed",
        reference=f"prepaid_used:{day.shard}:{day.day_ms}:{day.currency}:{named}:{day.postings + 1}"[:200],
        currency=day.currency,
        occurred_at_ms=day.day_ms + MS_PER_DAY - 1,
        postings=(
            Posting(ledger_account=PREPAID, amount_nanos=amount_nanos),
            *(Posting(ledger_account=path, amount_nanos=-nanos) for path, nanos in earned),
        ),
    )


def _moved_on(entry: Entry, *, open_ms: int) -> Entry:
    if entry.occurred_at_ms >= open_ms:
        return entry
    facts = {**entry.facts, "happened_at_ms": str(entry.occurred_at_ms)}
    return replace(entry, occurred_at_ms=open_ms, facts=facts)
