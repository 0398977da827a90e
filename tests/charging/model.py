"""Charging once more, slowly: dictionaries and lists, no arrays, no shared code with `millicent.charging`.

It is written from the promises in `types.py`, most literally: reservations are plain sums over the open slices,
every price is asked of a `Pricer`. The shard is compared with it answer by answer and bucket by bucket.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

FOREVER = 2**63 - 1
NO_LIMIT = 2**60
NOT_SAID = -1


@dataclass
class Bucket:
    """`remaining` counts what is reserved too."""

    bucket_id: int
    kind: str  # "units" | "catalogue_money" | "money" | "credit"
    remaining: int
    account_id: int
    owner: tuple[str, object] = ("account", 0)  # ("subscription", id) | ("account", id) | ("pool", name)
    allowance: str = ""
    valid_from_ms: int = 0
    valid_until_ms: int = FOREVER
    granted_at_ms: int = 0
    priority: int = 0
    ended: bool = False
    taken_by: dict[int, int] = field(default_factory=dict)  # member -> taken, with what the member holds


@dataclass
class Account:
    account_id: int
    currency: str = "EUR"
    barred: bool = False
    credit_limit: int = 0
    owed: int = 0


@dataclass
class Subscription:
    subscription_id: int
    account_id: int
    plan: str
    pool: str = ""
    barred: bool = False
    spend_limit: int = NO_LIMIT
    spent: int = 0
    counters: dict[str, int] = field(default_factory=dict)  # with what open slices hold


@dataclass
class Quote:
    """What a whole usage would cost and draw, given what is free. `reason` "" means it can be priced."""

    reason: str
    amount: int = 0
    draws: dict[int, int] = field(default_factory=dict)  # bucket id -> taken
    counters: dict[str, int] = field(default_factory=dict)  # counter -> units moved
    unserved: int = 0


class Pricer(Protocol):
    def __call__(
        self, subscription: Subscription, segment: "Segment", units: int, buckets: list[Bucket], free: dict[int, int]
    ) -> Quote: ...


@dataclass
class Segment:
    """One usage, as far as it has come."""

    traffic: str
    number: str
    started_ms: int
    plan: str
    used: int = 0
    amount: int = 0  # price of `used`
    draws: dict[int, int] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    paid: list[tuple[int, int]] = field(default_factory=list)  # bucket id, nanos: in the order they were taken
    uncollected: int = 0


@dataclass
class Group:
    segment: Segment
    granted: int = 0
    stale: bool = False  # its segment ends with the next report
    held_draws: dict[int, int] = field(default_factory=dict)
    held_counters: dict[str, int] = field(default_factory=dict)
    held_money: dict[int, int] = field(default_factory=dict)
    deadline_ms: int = FOREVER


@dataclass
class Session:
    key: object
    subscription_id: int
    last_request: int
    opened_ms: int
    groups: dict[object, Group] = field(default_factory=dict)
    money: int = 0


@dataclass
class Policy:
    slice_units: int = NO_LIMIT
    least_units: int = 1
    share: int = 1
    validity_seconds: int = 3600
    grace_seconds: int = 300


@dataclass
class Answer:
    result: str
    granted: int = NOT_SAID
    charged: int = 0
    session_money: int = 0
    available: int = 0
    uncollected: int = 0
    final: bool = False
    stored: bool = False
    price: int = 0


class Model:
    """Accounts, their buckets, their sessions."""

    def __init__(self, pricer: Pricer, policies: Callable[[str], Policy] = lambda service: Policy()) -> None:
        self.pricer = pricer
        self.policies = policies
        self.accounts: dict[int, Account] = {}
        self.subscriptions: dict[int, Subscription] = {}
        self.buckets: dict[int, Bucket] = {}
        self.sessions: dict[object, Session] = {}
        self.answers: dict[object, Answer] = {}
        self.charges: list[tuple[object, int, int, int]] = []  # group key, units, amount, uncollected

    # -------------------------------------------------------- what is free

    def groups(self) -> Iterator[tuple[Session, Group]]:
        for session in self.sessions.values():
            for group in session.groups.values():
                yield session, group

    def held(self, bucket_id: int) -> int:
        return sum(
            group.held_draws.get(bucket_id, 0) + group.held_money.get(bucket_id, 0) for _, group in self.groups()
        )

    def free(self, bucket_id: int) -> int:
        return self.buckets[bucket_id].remaining - self.held(bucket_id)

    def purse(self, account_id: int, now_ms: int) -> list[Bucket]:
        """Money in the order it is taken, credit last."""
        valid = [
            bucket
            for bucket in self.buckets.values()
            if bucket.account_id == account_id
            and bucket.kind in ("money", "credit")
            and bucket.valid_from_ms <= now_ms < bucket.valid_until_ms
        ]
        return sorted(
            valid,
            key=lambda each: (
                each.kind == "credit",
                -each.priority,
                each.valid_until_ms,
                each.granted_at_ms,
                each.bucket_id,
            ),
        )

    def available(self, subscription: Subscription, now_ms: int) -> int:
        money = sum(self.free(bucket.bucket_id) for bucket in self.purse(subscription.account_id, now_ms))
        if subscription.spend_limit < NO_LIMIT:
            held = sum(
                sum(group.held_money.values())
                for session, group in self.groups()
                if session.subscription_id == subscription.subscription_id
            )
            money = min(money, max(0, subscription.spend_limit - subscription.spent - held))
        return min(money, NO_LIMIT)

    def catalogue_buckets(self, subscription: Subscription) -> list[Bucket]:
        owners = {
            ("subscription", subscription.subscription_id),
            ("account", subscription.account_id),
            ("pool", subscription.pool) if subscription.pool else None,
        }
        return [
            bucket
            for bucket in self.buckets.values()
            if bucket.kind in ("units", "catalogue_money") and bucket.owner in owners
        ]

    # -------------------------------------------------------- prices

    def quote(self, subscription: Subscription, group: Group, units: int) -> Quote:
        """The whole segment as one usage of `units`, with what it took so far and holds put back."""
        segment = group.segment
        buckets = self.catalogue_buckets(subscription)
        free = {
            bucket.bucket_id: self.free(bucket.bucket_id)
            + segment.draws.get(bucket.bucket_id, 0)
            + group.held_draws.get(bucket.bucket_id, 0)
            for bucket in buckets
        }
        before = {
            name: count - segment.counters.get(name, 0) - group.held_counters.get(name, 0)
            for name, count in subscription.counters.items()
        }
        mine = subscription.subscription_id
        taken = {
            bucket.bucket_id: bucket.taken_by.get(mine, 0)
            - segment.draws.get(bucket.bucket_id, 0)
            - group.held_draws.get(bucket.bucket_id, 0)
            for bucket in buckets
        }
        seen = [
            Bucket(**{**vars(bucket), "remaining": free[bucket.bucket_id], "taken_by": {mine: taken[bucket.bucket_id]}})
            for bucket in buckets
        ]
        asked = Subscription(**{**vars(subscription), "counters": before, "plan": segment.plan})
        return self.pricer(asked, segment, units, seen, free)

    def release_holds(self, subscription: Subscription, group: Group) -> None:
        for bucket_id, units in group.held_draws.items():
            self.buckets[bucket_id].taken_by[subscription.subscription_id] -= units
        for name, units in group.held_counters.items():
            subscription.counters[name] -= units
        group.held_draws, group.held_counters, group.held_money = {}, {}, {}
        group.granted = 0

    def settle(self, session: Session, group: Group, units: int, now_ms: int, answer: Answer) -> str:
        """Usage that happened: priced as part of the whole, paid as far as money reaches."""
        subscription = self.subscriptions[session.subscription_id]
        segment = group.segment
        quote = self.quote(subscription, group, segment.used + units)
        self.release_holds(subscription, group)
        if quote.reason:
            return quote.reason
        self.draw(subscription, segment, quote)
        due = quote.amount - segment.amount
        segment.used += units
        segment.amount = quote.amount
        taken = self.pay(subscription, segment, due, now_ms)
        answer.charged += taken
        session.money += taken
        answer.uncollected += max(0, due - taken)
        segment.uncollected += max(0, due - taken)
        return ""

    def draw(self, subscription: Subscription, segment: Segment, quote: Quote) -> None:
        for bucket_id in {*segment.draws, *quote.draws}:
            change = quote.draws.get(bucket_id, 0) - segment.draws.get(bucket_id, 0)
            bucket = self.buckets[bucket_id]
            bucket.remaining -= change
            mine = subscription.subscription_id
            bucket.taken_by[mine] = bucket.taken_by.get(mine, 0) + change
        for name in {*segment.counters, *quote.counters}:
            change = quote.counters.get(name, 0) - segment.counters.get(name, 0)
            subscription.counters[name] = subscription.counters.get(name, 0) + change
        segment.draws, segment.counters = dict(quote.draws), dict(quote.counters)

    def pay(self, subscription: Subscription, segment: Segment, due: int, now_ms: int) -> int:
        """Take what is due, or give back what was too much; returns what was taken."""
        if due < 0:
            return -self.give_back(subscription, segment, -due)
        left = min(due, self.available(subscription, now_ms))
        taken = 0
        for bucket in self.purse(subscription.account_id, now_ms):
            gives = min(left, self.free(bucket.bucket_id))
            if gives <= 0:
                continue
            bucket.remaining -= gives
            segment.paid.append((bucket.bucket_id, gives))
            left -= gives
            taken += gives
        subscription.spent += taken
        return taken

    def give_back(self, subscription: Subscription, segment: Segment, nanos: int) -> int:
        given = 0
        while nanos > given and segment.paid:
            bucket_id, took = segment.paid.pop()
            back = min(took, nanos - given)
            self.buckets[bucket_id].remaining += back
            if took > back:
                segment.paid.append((bucket_id, took - back))
            given += back
        subscription.spent -= given
        return given

    # -------------------------------------------------------- slices

    def can_pay(self, subscription: Subscription, group: Group, units: int, now_ms: int) -> Quote | None:
        quote = self.quote(subscription, group, group.segment.used + units)
        if quote.reason or quote.unserved:
            return None
        need = max(0, quote.amount - group.segment.amount)
        return quote if need <= self.available(subscription, now_ms) else None

    def largest(self, subscription: Subscription, group: Group, wanted: int, now_ms: int) -> int:
        low, high = 0, wanted
        while low < high:
            middle = (low + high + 1) // 2
            if self.can_pay(subscription, group, middle, now_ms) is not None:
                low = middle
            else:
                high = middle - 1
        return low

    def grant(self, session: Session, group: Group, asked: int, now_ms: int, answer: Answer) -> str:
        """The next slice: as much as asked, as the policy says, as can be paid; it is held from now on."""
        subscription = self.subscriptions[session.subscription_id]
        policy = self.policies(group.segment.traffic)
        if subscription.barred or self.accounts[subscription.account_id].barred:
            return "NOT_SERVED"
        wanted = policy.slice_units if asked == NOT_SAID else min(asked, policy.slice_units)
        most = self.largest(subscription, group, min(wanted * policy.share, NO_LIMIT), now_ms)
        if most == 0 and wanted > 0:
            first = self.quote(subscription, group, group.segment.used + 1)
            poor = not first.reason and not first.unserved
            return "INSUFFICIENT" if poor or first.reason in ("BUCKET_BLOCKED", "LIMIT_REACHED") else "NOT_PRICED"
        units = min(wanted, max(most // policy.share, min(most, policy.least_units)))
        quote = self.can_pay(subscription, group, units, now_ms)
        assert quote is not None, "the search and the price disagree"
        self.hold(subscription, group, quote, now_ms)
        group.granted = units
        group.deadline_ms = now_ms + 1000 * (policy.validity_seconds + policy.grace_seconds)
        answer.granted = units
        answer.final = units == most and most < wanted * policy.share
        answer.price = max(0, quote.amount - group.segment.amount)
        return ""

    def hold(self, subscription: Subscription, group: Group, quote: Quote, now_ms: int) -> None:
        segment = group.segment
        for bucket_id in {*segment.draws, *quote.draws}:
            more = quote.draws.get(bucket_id, 0) - segment.draws.get(bucket_id, 0)
            if more:
                group.held_draws[bucket_id] = more
                taken_by = self.buckets[bucket_id].taken_by
                taken_by[subscription.subscription_id] = taken_by.get(subscription.subscription_id, 0) + more
        for name in {*segment.counters, *quote.counters}:
            more = quote.counters.get(name, 0) - segment.counters.get(name, 0)
            if more:
                group.held_counters[name] = more
                subscription.counters[name] = subscription.counters.get(name, 0) + more
        left = max(0, quote.amount - segment.amount)
        for bucket in self.purse(subscription.account_id, now_ms):
            gives = min(left, self.free(bucket.bucket_id))
            if gives > 0:
                group.held_money[bucket.bucket_id] = gives
                left -= gives
        assert left == 0, "a slice is held that nobody can pay"

    # -------------------------------------------------------- verbs

    def open(self, key: object, request: int, subscription_id: int, *, now_ms: int) -> Answer:
        if (key, request, "open") in self.answers:
            return self._again((key, request, "open"))
        if subscription_id not in self.subscriptions:
            return Answer("UNKNOWN_SUBSCRIBER")
        if key in self.sessions:
            return Answer("ALREADY")
        subscription = self.subscriptions[subscription_id]
        if subscription.barred or self.accounts[subscription.account_id].barred:
            return Answer("NOT_SERVED")
        self.sessions[key] = Session(key, subscription_id, request, now_ms)
        return self._remember((key, request, "open"), Answer("DONE"))

    def units(
        self,
        key: object,
        request: int,
        group_key: object,
        *,
        now_ms: int,
        traffic: str,
        number: str = "",
        used: int = NOT_SAID,
        asked: int | None = None,
        final: bool = False,
    ) -> Answer:
        """`asked` None: nothing is asked for; NOT_SAID: as much as the policy gives."""
        again = (key, request, group_key, "units")
        if again in self.answers:
            return self._again(again)
        session = self.sessions.get(key)
        if session is None:
            return Answer("UNKNOWN_SESSION")
        if request < session.last_request:
            return Answer("OUT_OF_ORDER")
        session.last_request = request
        answer = Answer("DONE")
        subscription = self.subscriptions[session.subscription_id]
        group = session.groups.get(group_key)
        if group is None:
            began_ms = session.opened_ms if used > 0 else now_ms
            group = session.groups[group_key] = Group(Segment(traffic, number, began_ms, subscription.plan))
        wrong = ""
        if used != NOT_SAID:
            wrong = self.settle(session, group, used, now_ms, answer)
        else:
            self.release_holds(subscription, group)
        if not wrong and not final:
            self.renew_segment(subscription, session, group_key, group, now_ms)
        if not wrong and asked is not None and not final:
            wrong = self.grant(session, group, asked, now_ms, answer)
        if wrong:
            answer.result = wrong if wrong in ("INSUFFICIENT", "NOT_SERVED", "NOT_PRICED") else "NOT_PRICED"
            answer.granted = NOT_SAID
        if final:
            self.close_group(session, group_key)
        answer.session_money = session.money
        answer.available = self.available(subscription, now_ms)
        return self._remember(again, answer)

    def renew_segment(
        self, subscription: Subscription, session: Session, group_key: object, group: Group, now_ms: int
    ) -> None:
        """The plan changed; or, of what is not measured in time, what the owner holds."""
        segment = group.segment
        if segment.plan == subscription.plan and not (group.stale and segment.traffic != "voice"):
            return
        self.charges.append((group_key, segment.used, segment.amount, segment.uncollected))
        group.segment = Segment(segment.traffic, segment.number, now_ms, subscription.plan)
        group.stale = False

    def close_group(self, session: Session, group_key: object) -> None:
        group = session.groups.pop(group_key)
        self.release_holds(self.subscriptions[session.subscription_id], group)
        segment = group.segment
        self.charges.append((group_key, segment.used, segment.amount, segment.uncollected))

    def end(self, key: object, request: int, *, now_ms: int) -> Answer:
        again = (key, request, "end")
        if again in self.answers:
            return self._again(again)
        session = self.sessions.get(key)
        if session is None:
            return Answer("UNKNOWN_SESSION")
        for group_key in list(session.groups):
            self.close_group(session, group_key)
        del self.sessions[key]
        subscription = self.subscriptions[session.subscription_id]
        answer = Answer("DONE", session_money=session.money, available=self.available(subscription, now_ms))
        return self._remember(again, answer)

    def sweep(self, now_ms: int) -> None:
        """Sessions without a sign of life are closed; what they held goes back."""
        for session in list(self.sessions.values()):
            if session.groups and all(group.deadline_ms <= now_ms for group in session.groups.values()):
                for group_key in list(session.groups):
                    self.close_group(session, group_key)
                del self.sessions[session.key]

    def top_up(self, key: object, account_id: int, nanos: int, *, bucket_id: int, **parts: int) -> Answer:
        if key in self.answers:
            return self._again(key)
        if account_id not in self.accounts:
            return Answer("UNKNOWN_ACCOUNT")
        if bucket_id in self.buckets:
            self.buckets[bucket_id].remaining += nanos
        else:
            self.buckets[bucket_id] = Bucket(bucket_id, "money", nanos, account_id, ("account", account_id), **parts)
        return self._remember(key, Answer("DONE"))

    def credit(self, account_id: int, limit: int) -> Answer:
        """What may be owed; never less than what is owed or held already."""
        account = self.accounts[account_id]
        number = -account_id
        bucket = self.buckets.setdefault(
            number, Bucket(number, "credit", 0, account_id, ("account", account_id), granted_at_ms=0)
        )
        owed = account.credit_limit - bucket.remaining
        account.credit_limit = limit
        bucket.remaining = limit - owed
        return Answer("DONE")

    def grant_units(self, bucket: Bucket) -> None:
        self.buckets[bucket.bucket_id] = bucket
        self.mark(bucket)

    def mark(self, bucket: Bucket) -> None:
        """Whoever may use the bucket has another choice from now on."""
        for session, group in self.groups():
            if bucket in self.catalogue_buckets(self.subscriptions[session.subscription_id]):
                group.stale = True

    def change_plan(self, subscription_id: int, plan: str) -> None:
        self.subscriptions[subscription_id].plan = plan

    def tick(self, now_ms: int) -> None:
        """Buckets end, then sessions without a sign of life."""
        for bucket in self.buckets.values():
            if bucket.valid_until_ms <= now_ms and not bucket.ended:
                self.mark(bucket)
                bucket.ended = True
                bucket.remaining = self.held(bucket.bucket_id)
        self.sweep(now_ms)

    # -------------------------------------------------------- what must always hold

    def check(self) -> None:
        for bucket in self.buckets.values():
            assert self.free(bucket.bucket_id) >= 0, bucket
            assert bucket.remaining >= 0, bucket

    def _remember(self, key: object, answer: Answer) -> Answer:
        self.answers[key] = answer
        return answer

    def _again(self, key: object) -> Answer:
        return Answer(**{**vars(self.answers[key]), "stored": True})
