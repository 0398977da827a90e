"""Small catalogues, accounts and usage. A builder shows only what a test is about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fractions import Fraction
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from millicent.billing.ports import BalanceFacts, NoBalances
from millicent.billing.types import AccountGroupFacts, ReleasedCatalogue
from millicent.catalog.types import (
    MONTHLY,
    Allowance,
    Catalogue,
    Match,
    Measure,
    Offering,
    OneTimePrice,
    OneTimeTrigger,
    Operator,
    PriceCard,
    Proration,
    RecurringPrice,
    ServiceSpecification,
    Slot,
    Tariff,
    TariffCalendar,
    TariffRule,
    Tax,
    Zone,
    ZoneMap,
)
from millicent.customers.types import BillCycle, BillingAccountFacts, PaidByAnother
from millicent.kit.clock import to_ms
from millicent.rating.types import USAGE_COLUMNS
from millicent.subscriptions.types import SubscriptionFacts, SubscriptionStatus, SubscriptionVersion

EUR = 1_000_000_000
CENT = EUR // 100
MADRID = "Europe/Madrid"
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
_ZONE_NAMES = {"spain": {"en": "Spain", "es": "España"}, "france": {"en": "France", "es": "Francia"}}


def at(*parts: int, zone: str = MADRID) -> int:
    """An instant by the wall clock of a zone: at(2026, 10, 1) is the first of October, midnight in Madrid."""
    return to_ms(datetime(*parts, tzinfo=ZoneInfo(zone)).astimezone(UTC))  # type: ignore[misc]


def a_moment(*parts: int, zone: str = MADRID) -> datetime:
    return datetime(*parts, tzinfo=ZoneInfo(zone)).astimezone(UTC)  # type: ignore[misc]


def a_fee(amount_nanos: int, **changes: Any) -> RecurringPrice:
    code = changes.pop("code", "monthly_fee")
    values: dict[str, Any] = {
        "names": {"en": code},
        "currency": "EUR",
        "period": MONTHLY,
        "proration": Proration.BY_DAY,
    }
    return RecurringPrice(code=code, amount_nanos=amount_nanos, **(values | changes))


def a_one_time_fee(amount_nanos: int, *, trigger: OneTimeTrigger, **changes: Any) -> OneTimePrice:
    code = changes.pop("code", trigger.value)
    return OneTimePrice(
        code=code, names={"en": code}, amount_nanos=amount_nanos, currency="EUR", trigger=trigger, **changes
    )


def an_offering(code: str, **changes: Any) -> Offering:
    return Offering(code=code, names={"en": code}, **changes)


def a_tax(code: str, rate: Fraction, **changes: Any) -> Tax:
    values: dict[str, Any] = {"jurisdiction": "ES", "categories": ("standard",)}
    return Tax(code=code, names={"en": code}, rate=rate, **(values | changes))


def a_tariff(code: str = "voice", *, nanos_per_minute: int = 6 * CENT, currency: str = "EUR") -> Tariff:
    """Calls at one price per minute, by the second; the zone "spain" only."""
    return Tariff(
        code=code,
        names={"en": code},
        currency=currency,
        calendar="plain",
        rules=(
            TariffRule(
                code="spain",
                match=Match(services=("voice",), zones=("world/spain",)),
                card=PriceCard(
                    slots=(Slot(start_units=0, increment_units=1, amount_nanos=nanos_per_minute, per_units=60),)
                ),
            ),
        ),
    )


def minutes_included(minutes: int, *, code: str = "minutes", **changes: Any) -> Allowance:
    return Allowance(code=code, names={"en": code}, match=Match(services=("voice",)), amount=minutes * 60, **changes)


def a_catalogue(
    *offerings: Offering,
    taxes: Sequence[Tax] = (),
    tariffs: Sequence[Tariff] = (),
    discounts: Sequence[Any] = (),
    currency: str = "EUR",
    zones: Mapping[str, str] = MappingProxyType({"spain": "34"}),
) -> Catalogue:
    return Catalogue(
        operator=Operator(code="aurora", legal_name="Aurora", country="ES", currency=currency, zone=MADRID),
        specifications={
            "voice": ServiceSpecification(
                code="voice", names={"en": "Calls", "es": "Llamadas"}, measure=Measure.DURATION, unit="second"
            )
        },
        calendars={"plain": TariffCalendar(code="plain", zone=MADRID, bands=())},
        zone_maps={
            "world": ZoneMap(
                code="world",
                zones=tuple(
                    Zone(code=code, names=_ZONE_NAMES[code], prefixes=(prefix,)) for code, prefix in zones.items()
                ),
            )
        },
        network_zones={},
        decks={},
        tariffs={tariff.code: tariff for tariff in (tariffs or (a_tariff(),))},
        offerings={offering.code: offering for offering in offerings},
        discounts={discount.code: discount for discount in discounts},
        taxes={tax.code: tax for tax in taxes},
        ledger_codes={"recurring": "revenue:recurring", "usage": "revenue:usage", "one_time": "revenue:one_time"},
    )


def an_account(account_id: int = 1, **changes: Any) -> BillingAccountFacts:
    values: dict[str, Any] = {
        "code": f"A-{account_id}",
        "party_name": f"Customer {account_id}",
        "payer_id": account_id,
        "parent_id": None,
        "currency": "EUR",
        "zone": MADRID,
        "cycle": BillCycle(day=1),
        "country": "ES",
        "opened_at_ms": at(2026, 9, 1),
    }
    return BillingAccountFacts(billing_account_id=account_id, **(values | changes))


def a_version(
    from_ms: int, until_ms: int | None = None, *, offering: str = "plan", **changes: Any
) -> SubscriptionVersion:
    values: dict[str, Any] = {"status": SubscriptionStatus.ACTIVE, "recorded_at_ms": from_ms}
    return SubscriptionVersion(
        effective_from_ms=from_ms, effective_until_ms=until_ms, offering=offering, **(values | changes)
    )


def a_subscription(
    *versions: SubscriptionVersion, subscription_id: int = 11, account_id: int = 1, pool: str = ""
) -> SubscriptionFacts:
    return SubscriptionFacts(
        subscription_id=subscription_id,
        code=f"S-{subscription_id}",
        billing_account_id=account_id,
        pool=pool,
        versions=versions or (a_version(at(2026, 9, 1)),),
    )


def a_call(at_ms: int, *, seconds: int, **changes: Any) -> dict[str, Any]:
    """One call of subscription 11 to a Spanish number; received when it was made, unless said."""
    values: dict[str, Any] = {
        name: {"String": "", "Boolean": False}.get(kind, 0) for name, kind in USAGE_COLUMNS.items()
    }
    values |= {
        "event_key_high": at_ms,
        "event_key_low": seconds,
        "received_at_ms": at_ms,
        "occurred_at_ms": at_ms,
        "service": "voice",
        "direction": "originating",
        "answered": True,
        "identifier_kind": "msisdn",
        "identifier": "34600000001",
        "other_party": "34910000000",
        "duration_ms": seconds * 1000,
        "events": 1,
        "subscription_id": 11,
        "billing_account_id": 1,
    }
    return values | changes


def usage_frame(calls: Sequence[dict[str, Any]]) -> pl.DataFrame:
    schema = {name: getattr(pl, kind) for name, kind in USAGE_COLUMNS.items()}
    return pl.DataFrame([tuple(call[name] for name in schema) for call in calls], schema=schema, orient="row")


@dataclass(frozen=True, kw_only=True)
class KnownFacts:
    """Facts in memory, as `billing.ports.BillingFacts`. Picklable, so worker processes get them too."""

    catalogues: tuple[ReleasedCatalogue, ...]
    accounts: tuple[BillingAccountFacts, ...]
    subscriptions: tuple[SubscriptionFacts, ...] = ()
    calls: pl.DataFrame
    balances: BalanceFacts = field(default_factory=NoBalances)

    def releases(self, *, known_until_ms: int) -> Sequence[ReleasedCatalogue]:
        return self.catalogues

    def paid_by_others(
        self, account_ids: Sequence[int], *, at_ms: int, known_until_ms: int
    ) -> Mapping[int, Sequence[PaidByAnother]]:
        return {}

    def payers(self, *, at_ms: int, known_until_ms: int) -> Sequence[BillingAccountFacts]:
        return [each for each in self.accounts if each.payer_id == each.billing_account_id]

    def groups(self, payer_ids: Sequence[int], *, at_ms: int, known_until_ms: int) -> Sequence[AccountGroupFacts]:
        return [
            self._group(payer)
            for payer in self.payers(at_ms=at_ms, known_until_ms=known_until_ms)
            if payer.billing_account_id in payer_ids
        ]

    def terms(self, account_ids: Sequence[int], *, at_ms: int, known_until_ms: int) -> Sequence[BillingAccountFacts]:
        return [each for each in self.accounts if each.billing_account_id in account_ids]

    def _group(self, payer: BillingAccountFacts) -> AccountGroupFacts:
        members = sorted(
            (each for each in self.accounts if each.payer_id == payer.billing_account_id),
            key=lambda each: (each.billing_account_id != payer.billing_account_id, each.billing_account_id),
        )
        ids = {each.billing_account_id for each in members}
        return AccountGroupFacts(
            payer=payer,
            accounts=tuple(members),
            subscriptions=tuple(each for each in self.subscriptions if each.billing_account_id in ids),
        )

    def usage(
        self,
        account_ids: Sequence[int],
        *,
        from_ms: int,
        until_ms: int,
        received_from_ms: int | None = None,
        received_until_ms: int,
    ) -> pl.DataFrame:
        return self.calls.filter(
            pl.col("billing_account_id").is_in(list(account_ids))
            & (pl.col("occurred_at_ms") >= from_ms)
            & (pl.col("occurred_at_ms") < until_ms)
            & (pl.col("received_at_ms") >= (received_from_ms or 0))
            & (pl.col("received_at_ms") < received_until_ms)
        )

    def with_calls(self, *calls: dict[str, Any]) -> "KnownFacts":
        return replace(self, calls=pl.concat([self.calls, usage_frame(calls)]))

    def with_subscriptions(self, *subscriptions: SubscriptionFacts) -> "KnownFacts":
        """Replace the subscriptions: a later history of the same ones."""
        return replace(self, subscriptions=subscriptions)


def facts(
    *offerings: Offering,
    accounts: Sequence[BillingAccountFacts] | None = None,
    subscriptions: Sequence[SubscriptionFacts] | None = None,
    calls: Sequence[dict[str, Any]] = (),
    **catalogue: Any,
) -> KnownFacts:
    """One account with one subscription to "plan", unless said otherwise."""
    return KnownFacts(
        catalogues=(ReleasedCatalogue(number=1, effective_from_ms=0, catalogue=a_catalogue(*offerings, **catalogue)),),
        accounts=tuple(accounts or (an_account(),)),
        subscriptions=tuple(subscriptions if subscriptions is not None else (a_subscription(),)),
        calls=usage_frame(calls),
    )
