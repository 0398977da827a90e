"""Catalogue releases by time, and offerings with their bundles opened up."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from millicent.billing.rules.charges import OPEN_END_MS
from millicent.billing.types import ReleasedCatalogue
from millicent.catalog.types import Allowance, Catalogue, Commitment, Discount, OneTimePrice, RecurringPrice
from millicent.kit.errors import Refusal


class UnknownOffering(Refusal):
    """A subscription holds an offering that the release in force does not know."""

    code = "unknown_offering"


class NoReleaseInForce(Refusal):
    """No catalogue was ever released."""

    code = "no_release_in_force"


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferingView:
    """An offering with everything it brings, its children's included; what it says itself goes first."""

    code: str
    tariff: str
    recurring: tuple[RecurringPrice, ...]
    one_time: tuple[OneTimePrice, ...]
    allowances: tuple[tuple[str, Allowance], ...]  # ("offering/allowance", allowance)
    commitments: tuple[Commitment, ...]
    discounts: tuple[Discount, ...]
    usage_tax_category: str
    usage_ledger_code: str


class ReleaseView:
    """One release, its offerings opened up once and kept."""

    def __init__(self, released: ReleasedCatalogue) -> None:
        self.number = released.number
        self.effective_from_ms = released.effective_from_ms
        self.catalogue: Catalogue = released.catalogue
        self._offerings: dict[tuple[str, str], OfferingView] = {}

    def offering(self, code: str, *, currency: str) -> OfferingView:
        """What the offering brings to an account of this currency."""
        found = self._offerings.get((code, currency))
        if found is None:
            found = self._offerings[code, currency] = self._opened(code, currency=currency)
        return found

    def _opened(self, code: str, *, currency: str) -> OfferingView:
        offering = self.catalogue.offerings.get(code)
        if offering is None:
            raise UnknownOffering(f"release {self.number} has no offering {code!r}", offering=code)
        children = [self.offering(child, currency=currency) for child in offering.children]
        own = tuple((f"{code}/{each.code}", each) for each in offering.allowances)
        return OfferingView(
            code=code,
            tariff=offering.tariff or next((child.tariff for child in children if child.tariff), ""),
            recurring=_first_of_each(
                _in_currency(offering.recurring, currency), (each for child in children for each in child.recurring)
            ),
            one_time=_first_of_each(
                _in_currency(offering.one_time, currency), (each for child in children for each in child.one_time)
            ),
            allowances=own + tuple(pair for child in children for pair in child.allowances),
            commitments=_first_of_each(
                offering.commitments, (each for child in children for each in child.commitments)
            ),
            discounts=_first_of_each(offering.discounts, (each for child in children for each in child.discounts)),
            usage_tax_category=offering.usage_tax_category,
            usage_ledger_code=offering.usage_ledger_code,
        )


class _Coded(Protocol):
    @property
    def code(self) -> str: ...


class _Priced(_Coded, Protocol):
    @property
    def currency(self) -> str: ...


AnyCoded = TypeVar("AnyCoded", bound=_Coded)
AnyPriced = TypeVar("AnyPriced", bound=_Priced)


def _first_of_each(own: Iterable[AnyCoded], inherited: Iterable[AnyCoded]) -> tuple[AnyCoded, ...]:
    """Own entries, then those of the children whose code the bundle does not give itself."""
    said = tuple(own)
    codes = {each.code for each in said}
    return said + tuple(each for each in inherited if each.code not in codes)


def _in_currency(prices: Sequence[AnyPriced], currency: str) -> tuple[AnyPriced, ...]:
    """Where one code has prices in several currencies, the account's currency decides; a single one stays."""
    wanted = {price.code for price in prices if price.currency == currency}
    return tuple(price for price in prices if price.currency == currency or price.code not in wanted)


class Releases:
    """All releases by the time they took effect; of two with the same time the later number counts.

    The first one is also in force before its own date: a fee whose period began earlier has no other price.
    """

    def __init__(self, released: Sequence[ReleasedCatalogue]) -> None:
        ordered = sorted(released, key=lambda each: (each.effective_from_ms, each.number))
        if not ordered:
            raise NoReleaseInForce("no catalogue was ever released: nothing can be billed")
        self.views = tuple(ReleaseView(each) for each in ordered)
        self._starts = [view.effective_from_ms for view in self.views]

    def at(self, instant_ms: int) -> ReleaseView:
        return self.views[max(bisect_right(self._starts, instant_ms) - 1, 0)]

    def within(self, *, from_ms: int, until_ms: int) -> Iterator[tuple[ReleaseView, int, int]]:
        """Releases in force during [from_ms, until_ms), each with its own stretch of it."""
        for place, view in enumerate(self.views):
            ends = self._starts[place + 1] if place + 1 < len(self.views) else OPEN_END_MS
            start, end = max(from_ms, view.effective_from_ms if place else from_ms), min(until_ms, ends)
            if start < end:
                yield view, start, end
