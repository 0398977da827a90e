"""What a whole usage costs, for the model: by the judge of rating, second by second, or by a plain per-unit tariff."""

from dataclasses import dataclass
from math import ceil

from tests.charging.model import Bucket, Quote, Segment, Subscription
from tests.rating import judge

from millicent.catalog.types import Allowance, Catalogue


@dataclass(frozen=True)
class JudgePricer:
    """Any tariff of a small catalogue. Plans are tariff codes; `allowances` are those that buckets name."""

    catalogue: Catalogue
    allowances: dict[str, Allowance]

    def __call__(
        self, subscription: Subscription, segment: Segment, units: int, buckets: list[Bucket], free: dict[int, int]
    ) -> Quote:
        seen = [
            judge.Bucket(
                code=bucket.allowance,
                allowance=self.allowances[bucket.allowance],
                remaining=bucket.remaining,
                valid_from_ms=bucket.valid_from_ms,
                valid_until_ms=bucket.valid_until_ms,
                granted_at_ms=bucket.granted_at_ms,
                bucket_id=bucket.bucket_id,
                member_taken=bucket.taken_by.get(subscription.subscription_id, 0),
            )
            for bucket in buckets
        ]
        sitting = judge.Judge(self.catalogue, subscription.plan, seen, dict(subscription.counters))
        usage = judge.Usage(
            service=segment.traffic, instant_ms=segment.started_ms, quantity=units, number=segment.number
        )
        verdict = sitting.judge(usage)
        if verdict.reason != "PRICED":
            return Quote(reason=verdict.reason, unserved=verdict.unserved_units)
        moved = {
            name: count - subscription.counters.get(name, 0)
            for name, count in sitting.counters.items()
            if count != subscription.counters.get(name, 0)
        }
        drawn = {each.bucket_id: free[each.bucket_id] - each.remaining for each in seen}
        return Quote(
            reason="",
            amount=verdict.amount_nanos,
            draws={bucket_id: taken for bucket_id, taken in drawn.items() if taken},
            counters=moved,
            unserved=verdict.unserved_units,
        )


@dataclass(frozen=True)
class PlainPricer:
    """So many nanos for each begun increment; allowances serve first, by earliest expiry, then by number.

    For long simulations, where the judge would count seconds.
    """

    nanos: dict[str, int]  # traffic -> price of one increment
    increment: dict[str, int]
    serves: dict[str, str]  # allowance -> traffic it is for

    def __call__(
        self, subscription: Subscription, segment: Segment, units: int, buckets: list[Bucket], free: dict[int, int]
    ) -> Quote:
        step = self.increment[segment.traffic]
        left = ceil(units / step) * step
        draws = {}
        for bucket in sorted(buckets, key=lambda each: (each.valid_until_ms, each.granted_at_ms, each.bucket_id)):
            valid = bucket.valid_from_ms <= segment.started_ms < bucket.valid_until_ms
            if valid and self.serves[bucket.allowance] == segment.traffic:
                gives = min(left, max(0, free[bucket.bucket_id]))
                if gives:
                    draws[bucket.bucket_id] = gives
                left -= gives
        return Quote(reason="", amount=ceil(left / step) * self.nanos[segment.traffic], draws=draws)
