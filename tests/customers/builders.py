"""Customers as tests want them: only what matters is said."""

from datetime import UTC, datetime
from typing import Any

from millicent.customers.services.open_billing_accounts import open_billing_accounts
from millicent.customers.types import NewBillingAccount

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def an_account(code: str, **chosen: Any) -> NewBillingAccount:
    usual: dict[str, Any] = {
        "party_code": f"party-{code}",
        "party_name": f"Customer {code}",
        "currency": "EUR",
        "zone": "Europe/Madrid",
        "opened_at_ms": 0,
    }
    return NewBillingAccount(code=code, **(usual | chosen))


def opened(*accounts: NewBillingAccount) -> dict[str, int]:
    return open_billing_accounts(accounts, now=NOW)
