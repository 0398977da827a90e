"""Rollover: what is left of a cycle's allowances lives on in the next, as the bill of that cycle will have it."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import polars as pl

from millicent.billing.live import NoReleaseInForce, Releases, released_catalogues
from millicent.catalog.types import Rollover
from millicent.charging.models.people import RollingBucket
from millicent.charging.ports import BalancePort
from millicent.charging.provisioning.command_rows import NameNumbers, grant_rows
from millicent.charging.provisioning.live_facts import with_cycles
from millicent.charging.provisioning.numbers import bucket_number
from millicent.charging.provisioning.telling import Telling
from millicent.charging.types import Rows
from millicent.customers.live import paying_frame
from millicent.kit.clock import to_ms
from millicent.kit.errors import Refusal
from millicent.kit.tenancy import tenant_scope
from millicent.subscriptions.live import version_frame

_AT_ONCE = 5_000
_SEEN_AFTER_MS = 10_000  # what is reserved at a cycle's end comes back, or does not, when its usage is reported


def carry_over(*, tenant_id: UUID, port: BalancePort, now: datetime, shard: int = 0) -> int:
    """Grant anew what ended and may roll over; returns how many grants. May be killed at any point and called again.

    The rules are billing's (`billing.rules.allowances.carried_over`): for offerings that are still held when the cycle
    ends, capped, as often as the allowance says. A grant's bucket follows from the one before: it is made once.
    """
    with tenant_scope(tenant_id):
        waiting = list(
            RollingBucket.objects.filter(
                shard=shard, settled=False, valid_until_ms__lte=to_ms(now) - _SEEN_AFTER_MS
            ).order_by("valid_until_ms", "bucket_id")[:_AT_ONCE]
        )
        try:
            carried = _carried(waiting, released=released_catalogues()) if waiting else []
        except NoReleaseInForce:
            return 0
    telling = Telling(port)
    if carried:
        telling.tell(_rows(carried, names=telling.names, now_ms=to_ms(now)))
    with tenant_scope(tenant_id):
        for each in carried:  # the reader may have seen the new grant first, as one that never rolled
            each.left_units = 0
            RollingBucket.objects.filter(shard=shard, bucket_id=each.bucket_id).update(rolled=each.rolled)
        RollingBucket.objects.bulk_create(carried, ignore_conflicts=True)
        RollingBucket.objects.filter(shard=shard, bucket_id__in=[each.bucket_id for each in waiting]).update(
            settled=True
        )
    return len(carried)


def _carried(waiting: Sequence[RollingBucket], *, released: Releases) -> list[RollingBucket]:
    """The buckets of the next cycle; `left_units` says what each begins with until it is kept."""
    carried = []
    for until_ms in sorted({each.valid_until_ms for each in waiting}):
        ended = [each for each in waiting if each.valid_until_ms == until_ms and each.left_units > 0]
        if not ended:
            continue
        rules = _rules(sorted({each.subscription_id for each in ended}), released=released, at_ms=until_ms)
        cycles = with_cycles(paying_frame(at_ms=until_ms, known_at_ms=2**62), at_ms=until_ms)
        ends = dict(cycles.select("billing_account_id", "cycle_until_ms").iter_rows())
        for each in ended:
            rule = rules.get((each.subscription_id, each.allowance))
            if rule is not None and (rule.cycles == 0 or each.rolled < rule.cycles):
                carried.append(_next(each, rule=rule, until_ms=ends[each.billing_account_id]))
    return carried


def _next(each: RollingBucket, *, rule: Rollover, until_ms: int) -> RollingBucket:
    left = each.left_units if rule.cap_units is None else min(each.left_units, rule.cap_units)
    return RollingBucket(
        shard=each.shard,
        bucket_id=bucket_number("rolled over", each.bucket_id),
        allowance=each.allowance,
        scope=each.scope,
        pool=each.pool,
        billing_account_id=each.billing_account_id,
        subscription_id=each.subscription_id,
        granted_at_ms=each.granted_at_ms,
        valid_until_ms=until_ms,
        rolled=each.rolled + 1,
        left_units=left,
    )


def _rules(subscription_ids: Sequence[int], *, released: Releases, at_ms: int) -> Mapping[tuple[int, str], Rollover]:
    """Rollovers of what these subscriptions hold at an instant, active or suspended."""
    view = released.at(at_ms)
    versions = version_frame(since_ms=at_ms, known_at_ms=2**62, ids=subscription_ids).filter(
        (pl.col("effective_from_ms") <= at_ms)
        & (pl.col("effective_until_ms") > at_ms)
        & pl.col("status").is_in(["active", "suspended"])
    )
    found: dict[tuple[int, str], Rollover] = {}
    for subscription_id, offering, add_ons in versions.select("subscription_id", "offering", "add_ons").iter_rows():
        for code in (offering, *json.loads(add_ons)):
            try:
                allowances = view.offering(code, currency="").allowances
            except Refusal:  # the catalogue does not know it: nothing rolls over
                continue
            found |= {(subscription_id, name): each.rollover for name, each in allowances if each.rollover is not None}
    return found


def _rows(carried: Sequence[RollingBucket], *, names: NameNumbers, now_ms: int) -> Rows:
    grants = pl.DataFrame(
        {
            "bucket_id": [each.bucket_id for each in carried],
            "subscription_id": [each.subscription_id for each in carried],
            "account_id": [each.billing_account_id for each in carried],
            "allowance": [each.allowance for each in carried],
            "scope": [each.scope for each in carried],
            "pool": [each.pool for each in carried],
            "amount": [each.left_units for each in carried],
            "valid_from_ms": [each.granted_at_ms for each in carried],
            "valid_until_ms": [each.valid_until_ms for each in carried],
        }
    )
    return grant_rows(grants, names=names, at_ms=now_ms)
