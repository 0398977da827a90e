"""Subscriptions and a small catalogue as tests want them: only what matters is said."""

from datetime import datetime
from typing import Any

from tests.customers.builders import an_account, opened

from millicent.catalog.types import Catalogue, Discount, Eligibility, Offering, Operator
from millicent.kit.clock import from_ms
from millicent.subscriptions import selectors
from millicent.subscriptions.services.add_subscriptions import add_subscriptions
from millicent.subscriptions.types import (
    HeldIdentifier,
    IdentifierKind,
    NewSubscription,
    Signature,
    SubscriptionFacts,
    SubscriptionStatus,
    SubscriptionVersion,
)

SALES = Signature(who="sales", why="customer asked")


def at(now_ms: int) -> datetime:
    return from_ms(now_ms)


def a_catalogue(*offerings: Offering, discounts: tuple[Discount, ...] = ()) -> Catalogue:
    return Catalogue(
        operator=Operator(code="op", legal_name="Op", country="ES", currency="EUR", zone="Europe/Madrid"),
        specifications={},
        calendars={},
        zone_maps={},
        network_zones={},
        decks={},
        tariffs={},
        offerings={offering.code: offering for offering in offerings},
        discounts={discount.code: discount for discount in discounts},
        taxes={},
        ledger_codes={},
    )


def an_offering(code: str, *, add_on: bool = False, **eligibility: tuple[str, ...]) -> Offering:
    return Offering(code=code, names={"en": code}, add_on=add_on, eligibility=Eligibility(**eligibility))


PLANS = a_catalogue(
    an_offering("small"),
    an_offering("large"),
    an_offering("office", segments=("business",)),
    an_offering("roaming", add_on=True, requires=("large",)),
    an_offering("quiet", add_on=True, excludes=("roaming",)),
    discounts=(Discount(code="WELCOME", names={"en": "Welcome"}, scope=None, coupon=True, valid_until_ms=500),),  # type: ignore[arg-type]
)


def a_version(**chosen: Any) -> SubscriptionVersion:
    usual: dict[str, Any] = {
        "effective_from_ms": 0,
        "effective_until_ms": None,
        "offering": "small",
        "status": SubscriptionStatus.ACTIVE,
    }
    return SubscriptionVersion(**(usual | chosen))


def a_number(identifier: str = "34600000001", *, since: int = 0, until: int | None = None) -> HeldIdentifier:
    return HeldIdentifier(
        kind=IdentifierKind.MSISDN, identifier=identifier, effective_from_ms=since, effective_until_ms=until
    )


def subscribed(code: str = "S", *, account: str = "A", now_ms: int = 0, **chosen: Any) -> int:
    """A subscription on an account that is opened if need be; returns the subscription's id."""
    from millicent.customers import selectors as customers

    if not customers.billing_account_ids(codes=[account]):
        opened(an_account(account))
    usual: dict[str, Any] = {"versions": (a_version(),)}
    new = NewSubscription(code=code, account_code=account, **(usual | chosen))
    return add_subscriptions([new], now=at(now_ms))[code]


def facts(code: str = "S", *, known_at_ms: int | None = None) -> SubscriptionFacts:
    return selectors.subscriptions_by_code([code], known_at_ms=known_at_ms)[0]


def story(code: str = "S", *, known_at_ms: int | None = None) -> list[tuple[int, int | None, str, str]]:
    """A history in short: from, until, offering, status."""
    return [
        (version.effective_from_ms, version.effective_until_ms, version.offering, version.status.value)
        for version in facts(code, known_at_ms=known_at_ms).versions
    ]
