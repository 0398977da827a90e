"""Price the usage of many payers in one call; find the one that breaks the call when it breaks."""

from collections.abc import Sequence
from itertools import pairwise

import polars as pl

from millicent.billing.ports import BillingFacts
from millicent.billing.rules.charges import OPEN_END_MS
from millicent.billing.rules.pricing import interrupted, laid_aside
from millicent.billing.rules.releases import Releases
from millicent.billing.types import ReleasedCatalogue
from millicent.catalog.types import Catalogue
from millicent.rating.program import TariffProgram
from millicent.rating.services import Priced, compile_catalogue, price_usage
from millicent.rating.types import Leg, Reason

_PROGRAMS: dict[int, tuple[Catalogue, TariffProgram]] = {}
_KEPT_PROGRAMS = 8


class Pricing:
    """The releases known to a run, opened up and compiled once for a process."""

    def __init__(self, released: Sequence[ReleasedCatalogue]) -> None:
        self.released = tuple(released)
        self.releases = Releases(released)
        self._programs = [(each.effective_from_ms, each.number, _program(each.catalogue)) for each in released]

    def price(self, usage: pl.DataFrame, *, holdings: Sequence[pl.DataFrame], grants: pl.DataFrame) -> Priced:
        """Price usage by the plans' tariffs, and what they have no price for by the add-ons', layer after layer.

        Counters open at nothing: a cycle's tiers begin with the cycle. Buckets and counters pass from layer to layer,
        so an allowance that serves both serves the plan's usage first.
        """
        away = interrupted(grants)
        priced = self._in_turn(usage, holdings=holdings[0], grants=grants, counters=None, away=away)
        for layer in holdings[1:]:
            left = usage.join(_without_price(priced.rated, holdings=layer), on=_EVENT_KEY, how="semi")
            if len(left):
                again = self._in_turn(left, holdings=layer, grants=priced.grants, counters=priced.counters, away=away)
                priced = _joined(priced, again)
        return priced

    def _in_turn(
        self,
        usage: pl.DataFrame,
        *,
        holdings: pl.DataFrame,
        grants: pl.DataFrame,
        counters: pl.DataFrame | None,
        away: Sequence[tuple[int, int, int]],
    ) -> Priced:
        """Price one stretch of time after the other where an offering is left and taken again between them."""
        if not away:
            return self._price(usage, holdings=holdings, grants=grants, counters=counters)
        cuts = sorted({instant_ms for _, *span in away for instant_ms in span})
        parts = []
        for from_ms, until_ms in pairwise([0, *cuts, OPEN_END_MS]):
            within = usage.filter(pl.col("occurred_at_ms").is_between(from_ms, until_ms, closed="left"))
            serving = laid_aside(grants, away=away, at_ms=from_ms)
            part = self._price(within, holdings=holdings, grants=serving, counters=counters)
            left = grants.drop("remaining").join(part.grants.select("bucket_id", "remaining"), on="bucket_id")
            grants, counters = left.sort("bucket_id").select(grants.columns), part.counters
            parts.append(part)
        return Priced(
            rated=pl.concat([part.rated for part in parts]),
            grants=grants,
            counters=parts[-1].counters,
            draws=pl.concat([part.draws for part in parts]),
        )

    def _price(
        self, usage: pl.DataFrame, *, holdings: pl.DataFrame, grants: pl.DataFrame, counters: pl.DataFrame | None
    ) -> Priced:
        return price_usage(programs=self._programs, usage=usage, holdings=holdings, grants=grants, counters=counters)


_EVENT_KEY = ("event_key_high", "event_key_low")
_ANOTHER_TARIFF_MAY = (Reason.NO_TARIFF, Reason.NO_DESTINATION, Reason.NO_RULE, Reason.NO_SUBSCRIPTION)


def _asked_again(rated: pl.DataFrame) -> pl.DataFrame:
    """Retail charges that this tariff has no price for, but another may have."""
    return rated.filter(
        (pl.col("leg") == int(Leg.RETAIL)) & pl.col("reason").is_in([int(each) for each in _ANOTHER_TARIFF_MAY])
    )


def _without_price(rated: pl.DataFrame, *, holdings: pl.DataFrame) -> pl.DataFrame:
    return _asked_again(rated).join(holdings, on="subscription_id", how="semi")


def _joined(priced: Priced, again: Priced) -> Priced:
    """The first answer where the second has no price either. Only retail legs are asked twice."""
    answered = again.rated.filter(pl.col("leg") == int(Leg.RETAIL)).join(
        _asked_again(again.rated), on=_EVENT_KEY, how="anti"
    )
    retail = pl.col("leg") == int(Leg.RETAIL)
    kept = pl.concat(
        [
            priced.rated.filter(~retail),
            priced.rated.filter(retail).join(answered, on=_EVENT_KEY, how="anti", maintain_order="left"),
        ]
    )
    return Priced(
        rated=pl.concat([kept, answered]),
        grants=again.grants,
        counters=again.counters,
        draws=pl.concat([priced.draws, again.draws]),
    )


def pricing_of(facts: BillingFacts, *, known_until_ms: int) -> Pricing:
    return Pricing(facts.releases(known_until_ms=known_until_ms))


def _program(catalogue: Catalogue) -> TariffProgram:
    """Compiled once for each catalogue value; the value is kept with it, so that its identity stays its own."""
    kept = _PROGRAMS.get(id(catalogue))
    if kept is None:
        while len(_PROGRAMS) >= _KEPT_PROGRAMS:
            _PROGRAMS.pop(next(iter(_PROGRAMS)))
        kept = _PROGRAMS[id(catalogue)] = (catalogue, compile_catalogue(catalogue))
    return kept[1]
