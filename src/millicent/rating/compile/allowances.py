"""Allowances to rows, and the order in which buckets are tried."""

from dataclasses import dataclass
from fractions import Fraction

from millicent.catalog.types import Allowance, AllowanceKind, Catalogue, FairUse, Match
from millicent.kit.errors import BadInput
from millicent.rating.compile.rational import exact_rate
from millicent.rating.compile.schedules import Candidate, ScheduleTables
from millicent.rating.kernel.arrays import (
    ALLOWANCE_COLUMNS,
    ALWAYS,
    FAIR_CHARGE,
    FAIR_NONE,
    FAIR_THROTTLE,
    NOTHING,
)

_FAIR = {FairUse.NONE: FAIR_NONE, FairUse.THROTTLE: FAIR_THROTTLE, FairUse.CHARGE: FAIR_CHARGE}
_FACTOR_LIMIT = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledAllowance:
    """One allowance of one offering. `rank` sorts buckets: most specific first, then higher priority."""

    code: str  # "offering/allowance"
    allowance: Allowance
    row: tuple[int, ...]
    price_per: int
    rank: tuple[int, int]


def compile_allowances(catalogue: Catalogue) -> list[CompiledAllowance]:
    """Every allowance of every offering, in catalogue order."""
    compiled = [
        _compile(f"{offering.code}/{allowance.code}", allowance, where=offering.where)
        for offering in catalogue.offerings.values()
        for allowance in offering.allowances
    ]
    assert all(len(each.row) == ALLOWANCE_COLUMNS for each in compiled)
    return compiled


def specificity(match: Match) -> int:
    """How many kinds of selector it uses; a destination zone counts for two, each attribute for one."""
    kinds = (
        match.services,
        match.directions,
        match.call_types,
        match.origin_zones,
        match.visited_zones,
        match.bands,
        match.segments,
    )
    return sum(1 for kind in kinds if kind) + (2 if match.zones else 0) + len(match.attributes)


def fair_floor(allowance: Allowance) -> int:
    """What remains at the moment fair use is used up. Below it usage is flagged or charged."""
    return 0 if allowance.unlimited else allowance.amount - allowance.fair_use_units


def _compile(code: str, allowance: Allowance, *, where: str) -> CompiledAllowance:
    price, per = Fraction(0), 1
    increment = 1
    if allowance.price is not None:
        if allowance.price.start_units != 0 or allowance.price.increment_units < 1 or allowance.price.per_units < 1:
            raise BadInput(f"the price of allowance {code} must start at 0", where=where, cure="Remove its start.")
        price = Fraction(allowance.price.amount_nanos, allowance.price.per_units)
        increment = allowance.price.increment_units
    rate = exact_rate(price, where=code)
    per = rate.per
    factor = allowance.factor
    if not factor > 0 or max(factor.numerator, factor.denominator) > _FACTOR_LIMIT:
        raise BadInput(f"the factor of allowance {code} is {factor}", where=where, cure="Use a simple positive ratio.")
    money = allowance.kind is AllowanceKind.MONEY
    return CompiledAllowance(
        code=code,
        allowance=allowance,
        row=(
            int(money),
            int(allowance.unlimited),
            NOTHING if allowance.member_cap is None else allowance.member_cap,
            int(allowance.whole_increments),
            factor.numerator,
            factor.denominator,
            *(rate.amount, rate.per, rate.limit),
            increment,
            int(allowance.blocker),
            _FAIR[allowance.fair_use],
            fair_floor(allowance),
        ),
        price_per=per,
        rank=(-specificity(allowance.match), -allowance.priority),
    )


def window_of(allowance: Allowance, *, calendar: int, schedules: ScheduleTables) -> int:
    """The schedule of when an allowance serves under one calendar: inside its window and inside its match's bands.

    A band that the calendar does not have is a time that never comes.
    """
    known = {band.code for band in schedules.calendars[calendar].bands}
    asked = [bands for bands in (allowance.window, allowance.match.bands) if bands]
    if not asked:
        return ALWAYS
    day_long = [tuple(code for code in bands if code in known) for bands in asked]
    if any(not bands for bands in day_long):
        return schedules.never()
    if len(day_long) == 1:
        return schedules.add(calendar, (Candidate(priority=0, order=0, bands=day_long[0], case=0),))
    return schedules.both(calendar, day_long[0], day_long[1])
