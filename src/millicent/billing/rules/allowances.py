"""Included units: what is granted in a cycle, what is carried over from the one before."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple

from millicent.billing.rules.charges import OPEN_END_MS
from millicent.billing.rules.context import BillContext, HeldSubscription
from millicent.billing.rules.cycles import CycleSpan, cycle_from
from millicent.billing.rules.holdings import HeldRun
from millicent.billing.rules.proration import covered, length_of
from millicent.catalog.types import Allowance, CounterScope, FairUse, Proration
from millicent.kit.clock import MS_PER_DAY
from millicent.rating.rules import opening_units

UNLIMITED_UNITS = 2**62
ALONE = "alone:"  # begins the name of a pool that holds one subscription


class Bucket(NamedTuple):
    """One grant of an allowance and what is left of it. `pool` already carries its payer: pools never meet."""

    allowance: str  # "offering/allowance"
    scope: str
    owner_id: int
    pool: str
    subscription_id: int  # who brought it
    remaining: int
    valid_from_ms: int
    valid_until_ms: int
    granted_at_ms: int
    rolled: int = 0  # how many times it was carried over
    away: tuple[tuple[int, int], ...] = ()  # from, until: it is valid, and serves nobody, while its offering is left

    def serves_at(self, instant_ms: int) -> bool:
        return self.valid_from_ms <= instant_ms < self.valid_until_ms and not any(
            from_ms <= instant_ms < until_ms for from_ms, until_ms in self.away
        )


def pool_of(held: HeldSubscription) -> str:
    """Pools are shared within one payer's accounts: the same name elsewhere is another pool.

    A subscription outside any pool is a pool of its own: what a pool shares or counts together serves it alone.
    """
    return f"{held.account.payer_id}/{held.facts.pool or f'{ALONE}{held.facts.subscription_id}'}"


def granted(context: BillContext, *, cycle: CycleSpan) -> Iterator[Bucket]:
    """Every bucket that opens in this cycle: one for each allowance of each offering held.

    Who leaves an offering and comes back within the cycle goes on with the same one. What is bought once is granted
    with each purchase; a plan's, once in a cycle.
    """
    for held in context.subscriptions:
        for stays in _stays(held, cycle=cycle):
            view = context.releases.at(max(stays[0].from_ms, cycle.from_ms))
            offering = view.offering(stays[0].offering, currency=held.account.currency)
            for code, allowance in offering.allowances:
                for runs in _granting(allowance, stays=stays, cycle=cycle):
                    yield _bucket(code, allowance, runs=runs, held=held, context=context, cycle=cycle)


def _stays(held: HeldSubscription, *, cycle: CycleSpan) -> list[list[HeldRun]]:
    """Runs that are active in the cycle, those of one offering together, in the order they began."""
    found: dict[tuple[str, bool], list[HeldRun]] = {}
    for run in held.runs:
        if run.active_within(from_ms=cycle.from_ms, until_ms=cycle.until_ms):
            found.setdefault((run.offering, run.add_on), []).append(run)
    return list(found.values())


def _granting(allowance: Allowance, *, stays: list[HeldRun], cycle: CycleSpan) -> list[list[HeldRun]]:
    """Which stays have a bucket together."""
    if not allowance.one_time:
        return [stays]
    begun = [[run] for run in stays if run.from_ms >= cycle.from_ms]
    return begun if stays[0].add_on else begun[:1]


def _bucket(
    code: str,
    allowance: Allowance,
    *,
    runs: list[HeldRun],
    held: HeldSubscription,
    context: BillContext,
    cycle: CycleSpan,
) -> Bucket:
    opens_ms = max(runs[0].from_ms, cycle.from_ms)
    closes_ms = OPEN_END_MS if allowance.one_time else min(runs[-1].until_ms, cycle.until_ms)
    away = tuple((left.until_ms, back.from_ms) for left, back in pairwise(runs))
    if allowance.validity_days is not None:
        closes_ms, away = opens_ms + allowance.validity_days * MS_PER_DAY, ()
    owner_id, pool = _owner(allowance.scope, held=held)
    return Bucket(
        allowance=code,
        scope=allowance.scope.value,
        owner_id=owner_id,
        pool=pool,
        subscription_id=held.facts.subscription_id,
        remaining=_amount(allowance, runs=runs, cycle=cycle, zone=context.zone),
        valid_from_ms=opens_ms,
        valid_until_ms=closes_ms,
        granted_at_ms=opens_ms,
        away=away,
    )


def _owner(scope: CounterScope, *, held: HeldSubscription) -> tuple[int, str]:
    if scope is CounterScope.SUBSCRIPTION:
        return held.facts.subscription_id, ""
    if scope is CounterScope.POOL:
        return -1, pool_of(held)
    return held.account.billing_account_id, ""


def moved(bucket: Bucket, *, held: HeldSubscription) -> Bucket:
    """The bucket of a subscription whose account has another payer now: a pool is one of the new payer's."""
    if bucket.scope != CounterScope.POOL.value:
        return bucket
    return bucket._replace(pool=_owner(CounterScope.POOL, held=held)[1])


def _amount(allowance: Allowance, *, runs: list[HeldRun], cycle: CycleSpan, zone: str) -> int:
    """Units by quantity; where it is prorated, of a cycle that began late or was interrupted the share of the days
    held, rounded down.

    Of an unlimited allowance with fair use, the units after which it ends.
    """
    if allowance.unlimited and allowance.fair_use is FairUse.NONE:
        return UNLIMITED_UNITS
    opens_ms = max(runs[0].from_ms, cycle.from_ms)
    quantity = next(piece.quantity for piece in runs[0].pieces if piece.until_ms > opens_ms)
    whole = opening_units(allowance) * quantity
    if not allowance.prorate_first_cycle or (runs[0].from_ms <= cycle.from_ms and len(runs) == 1):
        return whole
    days = length_of(period=cycle, proration=Proration.BY_DAY, zone=zone, months=0)
    ends_ms = [*(run.until_ms for run in runs[:-1]), cycle.until_ms]
    held = sum(
        covered(
            from_ms=run.from_ms,
            until_ms=until_ms,
            period=cycle,
            proration=Proration.BY_DAY,
            zone=zone,
            months=0,
            last_day=False,
        )
        for run, until_ms in zip(runs, ends_ms, strict=True)
    )
    return whole * held // days


def carried_over(context: BillContext, *, closing: list[Bucket], ended: CycleSpan) -> list[Bucket]:
    """What of a closed cycle's buckets lives on in the next: longer validity, or rollover.

    Rollover is for offerings that are still held; it is capped, and ends after its number of cycles (0: never).
    What is unlimited does not roll over; while it is valid it lives on, however far beyond fair use it is.
    """
    following = cycle_from(cycle=context.group.payer.cycle, zone=context.zone, start_ms=ended.until_ms)
    rules = _rules_by_code(context, at_ms=ended.until_ms)
    kept = []
    for bucket in closing:
        unlimited = _is_unlimited(bucket, context=context)
        if bucket.remaining <= 0 and not unlimited:
            continue
        if bucket.valid_until_ms > ended.until_ms:
            kept.append(bucket)
            continue
        if unlimited:
            continue
        allowance = rules.get((bucket.subscription_id, bucket.allowance))
        rollover = allowance.rollover if allowance else None
        if rollover is not None and (rollover.cycles == 0 or bucket.rolled < rollover.cycles):
            cap = bucket.remaining if rollover.cap_units is None else min(bucket.remaining, rollover.cap_units)
            kept.append(bucket._replace(remaining=cap, valid_until_ms=following.until_ms, rolled=bucket.rolled + 1))
    return kept


def _is_unlimited(bucket: Bucket, *, context: BillContext) -> bool:
    """As the release in force when it was granted says."""
    code, _, name = bucket.allowance.rpartition("/")
    offering = context.releases.at(bucket.granted_at_ms).catalogue.offerings.get(code)
    return offering is not None and any(each.code == name and each.unlimited for each in offering.allowances)


def _rules_by_code(context: BillContext, *, at_ms: int) -> Mapping[tuple[int, str], Allowance]:
    """Allowances of what is held at an instant, by who brings them."""
    found: dict[tuple[int, str], Allowance] = {}
    view = context.releases.at(at_ms)
    for held in context.subscriptions:
        for run in held.runs:
            if run.from_ms <= at_ms < run.until_ms:
                for code, allowance in view.offering(run.offering, currency=held.account.currency).allowances:
                    found[held.facts.subscription_id, code] = allowance
    return found
