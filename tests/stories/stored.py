"""An operator whose facts are in the stores: released files, customers in PostgreSQL, usage in the lake."""

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any
from uuid import UUID

import polars as pl
from tests.billing.builders import a_call, a_moment, at, usage_frame
from tests.catalog.builders import examined

from millicent.catalog.services.release_catalogue import release_catalogue
from millicent.customers.services.open_billing_accounts import open_billing_accounts
from millicent.customers.types import NewBillingAccount
from millicent.kit.lake import Lake
from millicent.kit.tenancy import tenant_scope
from millicent.mediation.facts import MONTH_COLUMN, USAGE_TABLE, months_of, with_bucket
from millicent.subscriptions.selectors import subscriptions_by_code
from millicent.subscriptions.services.add_subscriptions import add_subscriptions
from millicent.subscriptions.types import NewSubscription, SubscriptionStatus, SubscriptionVersion

OPENED = at(2024, 9, 1)
HOME, AWAY, NOWHERE = "34910000000", "33140000000", "8888"
_sequences = count()


def open_stored_operator(tenant_id: UUID, *, customers: Sequence[str], payers: Mapping[str, str] | None = None) -> None:
    """Customers who opened on 1 September 2024 with one "plan" each: ten euro ahead, ten cents a minute at home."""
    with tenant_scope(tenant_id):
        release_catalogue(examination=examined(), effective_from_ms=OPENED, author="ana", recorded_at_ms=OPENED)
        open_billing_accounts([_account(code, payer=(payers or {}).get(code, "")) for code in customers], now=_DAY)
        add_subscriptions([_subscription(code) for code in customers], now=_DAY)


_DAY = a_moment(2024, 9, 1)


def _account(code: str, *, payer: str) -> NewBillingAccount:
    return NewBillingAccount(
        code=code,
        party_code=f"P-{code}",
        party_name=f"Customer {code}",
        currency="EUR",
        zone="Europe/Madrid",
        opened_at_ms=OPENED,
        country="ES",
        parent_code=payer,
        payer_code=payer,
    )


def _subscription(code: str) -> NewSubscription:
    version = SubscriptionVersion(
        effective_from_ms=OPENED,
        effective_until_ms=None,
        offering="plan",
        status=SubscriptionStatus.ACTIVE,
        recorded_at_ms=OPENED,
    )
    return NewSubscription(code=f"S-{code}", account_code=code, versions=(version,))


def put_in_lake(lake: Lake, *calls: dict[str, Any]) -> None:
    """One commit for each month, as mediation makes them."""
    for month, part in months_of(with_bucket(usage_frame(calls))):
        lake.append(
            USAGE_TABLE,
            part.with_columns(pl.lit(month).alias(MONTH_COLUMN)),
            writer="story",
            sequence=next(_sequences),
            partition_by=(MONTH_COLUMN,),
        )


def a_stored_call(tenant_id: UUID, code: str, at_ms: int, *, seconds: int, **changes: Any) -> dict[str, Any]:
    """A call of one customer's subscription, by the customer's code."""
    with tenant_scope(tenant_id):
        (held,) = subscriptions_by_code([f"S-{code}"])
    return a_call(
        at_ms,
        seconds=seconds,
        subscription_id=held.subscription_id,
        billing_account_id=held.billing_account_id,
        event_key_low=held.subscription_id,
        other_party=changes.pop("other_party", HOME),
        **changes,
    )
