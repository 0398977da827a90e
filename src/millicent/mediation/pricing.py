"""The list price of usage at collection: what it costs before allowances, accumulated tiers and discounts.

It serves control, fraud and spend limits. The bill computes its own prices by replaying the cycle.
"""

import threading

import polars as pl

from millicent.catalog.selectors import catalogue_of, releases
from millicent.customers.selectors import segment_frame
from millicent.mediation.facts import RATED_SCHEMA
from millicent.mediation.refine import ListPrice
from millicent.rating.services import TariffProgram, compile_catalogue, prepare_holdings, price_stateless
from millicent.rating.types import HOLDING_COLUMNS
from millicent.subscriptions.selectors import plan_frame

_compiled: dict[str, TariffProgram] = {}  # by digest of the release: compiled once in a process
_MOST_COMPILED = 8
_pricing = threading.Lock()  # a program learns new classes of usage while it prices: one thread at a time


def list_price_in_force() -> ListPrice | None:
    """How to price usage by the released catalogue; None while nothing was released. Inside a tenant's scope."""
    known = releases()
    if not known:
        return None
    programs = [(each.effective_from_ms, each.number, _program(each.number, digest=each.digest)) for each in known]
    tariffs = {code: offering.tariff or "" for code, offering in catalogue_of(known[-1].number).offerings.items()}
    holdings = prepare_holdings(holding_frame(plan_frame(), segments=segment_frame(), tariffs=tariffs))

    def list_price(usage: pl.DataFrame) -> pl.DataFrame:
        if usage.is_empty():
            return pl.DataFrame(schema=RATED_SCHEMA)
        with _pricing:
            return price_stateless(programs=programs, usage=usage, holdings=holdings)

    return list_price


def services_on_sale() -> frozenset[str] | None:
    """Service codes that any release knows: others are suspended. None while nothing was released."""
    known = releases()
    if not known:
        return None
    return frozenset(code for each in known for code in catalogue_of(each.number).specifications)


def holding_frame(plans: pl.DataFrame, *, segments: pl.DataFrame, tariffs: dict[str, str]) -> pl.DataFrame:
    """Which tariff prices whose usage when (rating.types.HOLDING_COLUMNS)."""
    held = plans.join(segments, on="billing_account_id", how="left").with_columns(
        pl.col("segment", "reseller").fill_null(""),
        tariff=pl.col("offering").replace_strict(tariffs, default="", return_dtype=pl.String)
        if tariffs
        else pl.lit(""),
    )
    return held.select(pl.col(name).cast(getattr(pl, kind)) for name, kind in HOLDING_COLUMNS.items())


def _program(number: int, *, digest: str) -> TariffProgram:
    with _pricing:
        if digest not in _compiled:
            while len(_compiled) >= _MOST_COMPILED:
                _compiled.pop(next(iter(_compiled)))
            _compiled[digest] = compile_catalogue(catalogue_of(number))
        return _compiled[digest]
