"""Price the usage of many payers in one call; find the one that breaks the call when it breaks."""

from collections.abc import Sequence

import polars as pl

from millicent.billing.ports import BillingFacts
from millicent.billing.rules.releases import Releases
from millicent.billing.types import ReleasedCatalogue
from millicent.catalog.types import Catalogue
from millicent.rating.program import TariffProgram
from millicent.rating.services import Priced, compile_catalogue, price_usage

_PROGRAMS: dict[int, tuple[Catalogue, TariffProgram]] = {}
_KEPT_PROGRAMS = 8


class Pricing:
    """The releases known to a run, opened up and compiled once for a process."""

    def __init__(self, released: Sequence[ReleasedCatalogue]) -> None:
        self.released = tuple(released)
        self.releases = Releases(released)
        self._programs = [(each.effective_from_ms, each.number, _program(each.catalogue)) for each in released]

    def price(self, usage: pl.DataFrame, *, holdings: pl.DataFrame, grants: pl.DataFrame) -> Priced:
        """Counters open at nothing: a cycle's tiers begin with the cycle."""
        return price_usage(programs=self._programs, usage=usage, holdings=holdings, grants=grants, counters=None)


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
