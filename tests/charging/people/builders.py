"""An operator with prepaid and postpaid customers, and a shard that only writes down what it is told."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
from tests.billing.builders import EUR, a_moment, at
from tests.catalog.builders import examined

from millicent.catalog.services.release_catalogue import release_catalogue
from millicent.charging.types import ANSWER, NameKind, Result, Rows, Verb
from millicent.customers.services.open_billing_accounts import open_billing_accounts
from millicent.customers.types import NewBillingAccount
from millicent.kit.tenancy import tenant_scope
from millicent.subscriptions.services.add_subscriptions import add_subscriptions
from millicent.subscriptions.types import (
    HeldIdentifier,
    IdentifierKind,
    NewSubscription,
    SubscriptionStatus,
    SubscriptionVersion,
)

NOVEMBER = at(2026, 11, 1)
DECEMBER = at(2026, 12, 1)
FIRST = a_moment(2026, 11, 1)
NOW = a_moment(2026, 11, 10, 12)
OFFERINGS = """\
code: prepaid
services: [voice, data, sms]
tariff: basic
payment: prepaid
allowances:
  - {code: minutes, when: {service: voice}, amount: 100 min, prorate_first_cycle: true}
---
code: plan
services: [voice, data, sms]
tariff: basic
recurring:
  - {code: monthly, price: 10.00}
allowances:
  - {code: data, when: {service: data}, amount: 10 GB, rollover: {cycles: 1, cap: 4 GB}}
---
code: family
services: [voice, data, sms]
tariff: basic
allowances:
  - {code: shared, when: {service: data}, amount: 50 GB, scope: pool}
---
code: extra
services: [data]
add_on: true
allowances:
  - {code: once, when: {service: data}, amount: 1 GB, once: true}
"""
TARIFF = """\
code: basic
calendar: week
rules:
  - {code: home, when: {service: voice, zone: world/home}, price: 0.10/min}
  - {code: away, when: {service: voice, zone: world/away}, price: 0.30/min}
  - {code: sms, when: {service: sms}, price: 0.05}
  - {code: data, when: {service: data}, price: 2.00/GB}
"""


def an_operator(
    *, offerings: str = OFFERINGS, tariff: str = TARIFF, since_ms: int = 0, others: Mapping[str, str] | None = None
) -> None:
    """A released catalogue. Within a tenant's scope."""
    files = {"offerings/plan.yaml": offerings, "tariffs/basic.yaml": tariff, **(others or {})}
    examination = examined(files)
    assert examination.catalogue is not None, examination.faults
    release_catalogue(examination=examination, effective_from_ms=since_ms, author="ana", recorded_at_ms=since_ms)


def a_customer(
    code: str,
    *,
    offering: str = "prepaid",
    number: str = "",
    since_ms: int = NOVEMBER,
    recorded: datetime = FIRST,
    payer: str = "",
    pool: str = "",
    language: str = "en",
    **held: Any,
) -> tuple[int, int]:
    """A billing account with one subscription; returns the ids of both."""
    account = NewBillingAccount(
        code=code,
        party_code=f"party-{code}",
        party_name=f"Customer {code}",
        currency="EUR",
        zone="Europe/Madrid",
        opened_at_ms=min(since_ms, NOVEMBER),
        country="ES",
        parent_code=payer,
        payer_code=payer,
        email=f"{code.lower()}@example.org",
        language=language,
    )
    account_id = open_billing_accounts([account], now=recorded)[code]
    return account_id, a_subscription(
        f"S-{code}", account=code, offering=offering, number=number, since_ms=since_ms, recorded=recorded, pool=pool,
        **held,
    )  # fmt: skip


def a_subscription(
    code: str,
    *,
    account: str,
    offering: str = "prepaid",
    number: str = "",
    since_ms: int = NOVEMBER,
    recorded: datetime = FIRST,
    pool: str = "",
    **held: Any,
) -> int:
    version = SubscriptionVersion(
        effective_from_ms=since_ms,
        effective_until_ms=None,
        offering=offering,
        status=SubscriptionStatus.ACTIVE,
        **held,
    )
    identifiers = (
        HeldIdentifier(kind=IdentifierKind.MSISDN, identifier=number or _number(code), effective_from_ms=since_ms),
    )
    new = NewSubscription(code=code, account_code=account, versions=(version,), pool=pool, identifiers=identifiers)
    return add_subscriptions([new], now=recorded)[code]


def _number(code: str) -> str:
    return "346" + "".join(f"{ord(letter) % 10}" for letter in code.ljust(8, "-"))[:8]


class Listening:
    """A BalancePort that keeps every command and says DONE. `told` reads the commands back in words."""

    def __init__(self) -> None:
        self.rows: list[Rows] = []
        self.names: dict[tuple[NameKind, str], int] = {}
        self.result = Result.DONE

    def submit(self, commands: Rows, texts: bytes = b"") -> Rows:
        self.rows.append(commands.copy())
        answers = np.zeros(len(commands), ANSWER)
        answers["result"] = self.result
        return answers

    def number_of(self, kind: NameKind, text: str) -> int:
        return self.names.setdefault((kind, text), len(self.names) + 10)

    def text(self, number: int) -> str:
        return next((text for (_, text), known in self.names.items() if known == number), "")

    def told(self, verb: Verb) -> Rows:
        rows = np.concatenate(self.rows) if self.rows else np.zeros(0)
        return rows[rows["verb"] == verb]

    def forget(self) -> None:
        self.rows.clear()


def grants(port: Listening, subscription_id: int) -> list[tuple[str, int]]:
    """(allowance, amount) of what a subscription was granted, in order."""
    rows = port.told(Verb.GRANT)
    return [(port.text(row["name"]), int(row["amount"])) for row in rows if row["subscription_id"] == subscription_id]


def later(moment: datetime, **passed: int) -> datetime:
    return moment + timedelta(**passed)


__all__ = [
    "DECEMBER", "EUR", "NOVEMBER", "NOW", "UUID", "Listening", "Mapping", "Sequence", "a_customer", "a_moment",
    "a_subscription", "an_operator", "at", "grants", "later", "tenant_scope",
]  # fmt: skip
