"""Judges for a whole month: several subscriptions with what they share, every party's leg, one release after another.

Like the judge, it reads the catalogue's values and shares no code with `millicent.rating`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tests.rating.judge import Bucket, Judge, Usage, Verdict, specificity

from millicent.catalog.types import Allowance, Catalogue, CounterScope, TierLadder

RETAIL, SUPPLIER, RESELLER = 0, 1, 2


@dataclass(frozen=True)
class Member:
    """One subscription: whose it is, with whom it shares, and who stands between it and the operator."""

    subscription_id: int
    account_id: int
    pool: str = ""
    segment: str = ""
    resellers: tuple[str, ...] = ()
    tariff: str = "tariff"


@dataclass(frozen=True)
class SharedBucket:
    """A bucket as it was granted: by scope it is of one subscription, one account, or one pool."""

    allowance: str
    scope: CounterScope
    owner_id: int
    pool: str
    remaining: int
    valid_from_ms: int
    valid_until_ms: int
    granted_at_ms: int
    bucket_id: int

    def may_be_used_by(self, member: Member) -> bool:
        owner = {CounterScope.SUBSCRIPTION: member.subscription_id, CounterScope.ACCOUNT: member.account_id}
        if self.scope is CounterScope.POOL:
            return bool(member.pool) and member.pool == self.pool
        return owner[self.scope] == self.owner_id


@dataclass(frozen=True)
class LegVerdict:
    leg: int
    party: str
    tariff: str
    verdict: Verdict
    margin_nanos: int | None = None


class _SeatedJudge(Judge):
    """A judge who knows whose counters move, and by which release buckets are ranked."""

    def __init__(self, catalogue: Catalogue, tariff: str, buckets, counters, *, owners, newest) -> None:
        super().__init__(catalogue, tariff, buckets, counters)
        self.owners = owners  # by scope
        self.newest: dict[str, Allowance] = newest

    def _counter(self, ladder: TierLadder):
        return ladder.counter, ladder.scope, self.owners[ladder.scope]

    def _rank(self, bucket: Bucket) -> tuple[int, int]:
        known = self.newest[bucket.code]
        return -specificity(known.match), -known.priority


NOBODY = None  # whoever has no pool keeps no counter of one: it begins at nothing with each usage


class Court:
    """Everybody's buckets and counters, usage after usage in the order of time."""

    def __init__(
        self, releases: Sequence[tuple[int, Catalogue]], members: Sequence[Member], buckets: Sequence[SharedBucket]
    ) -> None:
        self.releases = sorted(releases, key=lambda release: release[0])
        self.members = {member.subscription_id: member for member in members}
        self.granted = list(buckets)
        self.remaining = {bucket.bucket_id: bucket.remaining for bucket in buckets}
        self.taken: dict[tuple[int, int], int] = {}  # (subscription, bucket): what this member took
        self.counters: dict = {}
        self.newest = {code: each for _, catalogue in self.releases for code, each in allowances_of(catalogue).items()}

    def judge(self, usage: Usage) -> list[LegVerdict]:
        """Every leg of one usage, the chain from the customer upwards and the supplier last in the margins."""
        catalogue = [each for from_ms, each in self.releases if from_ms <= usage.instant_ms][-1]
        member = self.members[usage.subscription_id]
        usage = replace(usage, segment=member.segment)
        legs = [(RETAIL, "", member.tariff)]
        for level, code in enumerate(member.resellers):
            legs.append((RESELLER + level, code, catalogue.reseller_tariffs.get(code, "")))
        if usage.supplier and catalogue.supplier_tariffs:
            legs.append((SUPPLIER, usage.supplier, catalogue.supplier_tariffs.get(usage.supplier, "")))
        found = {
            leg: LegVerdict(leg, party, tariff, self._leg(catalogue, tariff, usage, member=member, party=party))
            for leg, party, tariff in sorted(legs)
        }
        return self._with_margins(catalogue, [found[leg] for leg, _, _ in legs])

    def _leg(self, catalogue: Catalogue, tariff: str, usage: Usage, *, member: Member, party: str) -> Verdict:
        if tariff not in catalogue.tariffs:
            return Verdict(reason="NO_TARIFF")
        if party:
            return self._sit(catalogue, tariff, usage, [], dict.fromkeys(CounterScope, ("party", party)))
        known = allowances_of(catalogue)
        buckets = [
            Bucket(
                code=each.allowance,
                allowance=known[each.allowance],
                remaining=self.remaining[each.bucket_id],
                valid_from_ms=each.valid_from_ms,
                valid_until_ms=each.valid_until_ms,
                granted_at_ms=each.granted_at_ms,
                bucket_id=each.bucket_id,
                member_taken=self.taken.get((member.subscription_id, each.bucket_id), 0),
            )
            for each in self.granted
            if each.may_be_used_by(member) and each.allowance in known
        ]
        owners = {
            CounterScope.SUBSCRIPTION: member.subscription_id,
            CounterScope.ACCOUNT: member.account_id,
            CounterScope.POOL: member.pool or NOBODY,
        }
        verdict = self._sit(catalogue, tariff, usage, buckets, owners)
        for bucket in buckets:
            self.remaining[bucket.bucket_id] = bucket.remaining
            self.taken[member.subscription_id, bucket.bucket_id] = bucket.member_taken
        return verdict

    def _sit(self, catalogue: Catalogue, tariff: str, usage: Usage, buckets: list[Bucket], owners: dict) -> Verdict:
        judge = _SeatedJudge(catalogue, tariff, buckets, self.counters, owners=owners, newest=self.newest)
        verdict = judge.judge(usage)
        self.counters = {key: units for key, units in judge.counters.items() if key[2] is not NOBODY}
        return verdict

    def _with_margins(self, catalogue: Catalogue, chain: list[LegVerdict]) -> list[LegVerdict]:
        judged = []
        for place, leg in enumerate(chain):
            following = chain[place + 1] if place + 1 < len(chain) else None
            both = [leg, following]
            if following and all(each.verdict.reason == "PRICED" for each in both):
                currencies = {catalogue.tariffs[each.tariff].currency for each in both}
                if len(currencies) == 1:
                    leg = replace(leg, margin_nanos=leg.verdict.amount_nanos - following.verdict.amount_nanos)
            judged.append(leg)
        return sorted(judged, key=lambda each: each.leg)


def allowances_of(catalogue: Catalogue) -> dict[str, Allowance]:
    return {f"plan/{each.code}": each for each in catalogue.offerings["plan"].allowances}
