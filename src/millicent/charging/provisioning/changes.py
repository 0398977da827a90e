"""Whom to look at again: what was recorded, began, ended or turned between two instants."""

from millicent.charging.models.people import AccountAgreement
from millicent.charging.models.plans import FeeStanding
from millicent.charging.provisioning.live_facts import cycle_of
from millicent.customers.live import accounts_changed, accounts_turning, cycle_turns, paid_together
from millicent.subscriptions.live import billing_accounts_of, subscriptions_changed

LOOK_BACK_MS = 120_000


def accounts_affected(*, then_ms: int, now_ms: int, grace_ms: int = 0) -> list[int]:
    """Accounts to look at again, with all that the same payers pay for: it decides how an account pays."""
    since_ms = then_ms - LOOK_BACK_MS
    changed = subscriptions_changed(recorded_since_ms=since_ms, from_ms=then_ms, until_ms=now_ms)
    begun = [turn for turn in cycle_turns() if then_ms < cycle_of(turn, at_ms=now_ms).from_ms <= now_ms]
    unpaid = FeeStanding.objects.filter(
        paid=False, unpaid_since_ms__gt=then_ms - grace_ms, unpaid_since_ms__lte=now_ms - grace_ms
    )
    accounts = {
        *accounts_changed(recorded_since_ms=since_ms, from_ms=then_ms, until_ms=now_ms),
        *AccountAgreement.objects.filter(recorded_at_ms__gt=since_ms).values_list("billing_account_id", flat=True),
        *FeeStanding.objects.filter(changed_at_ms__gt=since_ms).values_list("payer_id", flat=True),
        *unpaid.values_list("payer_id", flat=True),
        *billing_accounts_of(changed),
        *accounts_turning(begun),
    }
    return paid_together(ids=sorted(accounts)) if accounts else []
