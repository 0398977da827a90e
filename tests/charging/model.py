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
PLACES = 12  # buckets that one segment can refer to
CROWDED = 4  # so few places left: a segment that is not measured in time ends, so that the next slice finds some


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
    opened: int = 0  # what its allowance gave
    near_told: bool = False  # that it ends soon
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
    paid: dict[int, int] = field(default_factory=dict)  # bucket id -> nanos: in the order they were first taken from
    uncollected: int = 0
    old_cycle: dict[str, int] | None = (
        None  # a cycle ended meanwhile: what the counters of that one stand at without us
    )
    payer: int | None = None  # the account that granted its slice, where the subscription has moved since

    def refers_to(self) -> set[int]:
        """Buckets that the segment took from, and may give back to."""
        return {number for number, taken in (*self.draws.items(), *self.paid.items()) if taken}


@dataclass
class Group:
    segment: Segment
    granted: int = 0
    stale: bool = False  # its segment ends with the next report
    held_draws: dict[int, int] = field(default_factory=dict)
    held_counters: dict[str, int] = field(default_factory=dict)
    held_money: dict[int, int] = field(default_factory=dict)
    deadline_ms: int = FOREVER
    total: int = 0  # since the session began, for peers that report totals


@dataclass
class Session:
    key: object
    subscription_id: int
    last_request: int
    opened_ms: int
    deadline_ms: int
    groups: dict[object, Group] = field(default_factory=dict)
    money: int = 0


@dataclass
class Deed:
    """What a one-time event took: all of it may be given back, once."""

    subscription_id: int
    units: int
    draws: dict[int, int]
    paid: dict[int, int]
    counters: dict[str, int]
    refunded: bool = False


@dataclass
class Policy:
    slice_units: int = NO_LIMIT
    least_units: int = 1
    share: int = 1
    validity_seconds: int = 3600
    grace_seconds: int = 300

    @property
    def life_ms(self) -> int:
        return 1000 * (self.validity_seconds + self.grace_seconds)


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
        self.deeds: dict[object, Deed] = {}
        self.thresholds: dict[str, tuple[int, ...]] = {}  # allowance, or "" for spending -> percents of its states
        self.lead_ms = {"money": 0, "units": 0}  # how long before its end a bucket is told of
        self.now_ms = 0  # of verbs that say no instant themselves
        self.near: list[tuple[int, int, int]] = []  # bucket, what was left, its end: told so far
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
            and not bucket.ended
            and bucket.valid_from_ms <= now_ms < bucket.valid_until_ms
        ]
        return self.in_order(valid)

    @staticmethod
    def in_order(money: list[Bucket]) -> list[Bucket]:
        return sorted(
            money,
            key=lambda each: (
                each.kind == "credit",
                -each.priority,
                each.valid_until_ms,
                each.granted_at_ms,
                each.bucket_id,
            ),
        )

    def available(self, subscription: Subscription, now_ms: int) -> int:
        money = sum(max(0, self.free(bucket.bucket_id)) for bucket in self.purse(subscription.account_id, now_ms))
        return min(money, self.may_spend(subscription), NO_LIMIT)

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
        if segment.payer is not None:  # nothing but what it was granted from
            own = {*segment.draws, *group.held_draws}
            buckets = [self.buckets[number] for number in sorted(own)]
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
        if segment.old_cycle is not None:
            before = {**subscription.counters, **segment.old_cycle}
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
            if group.segment.old_cycle is None:
                subscription.counters[name] -= units
        group.held_draws, group.held_counters, group.held_money = {}, {}, {}
        group.granted = 0

    def settle(self, session: Session, group_key: object, group: Group, units: int, now_ms: int, answer: Answer) -> str:
        """Usage that happened: priced as part of the whole, paid as far as money reaches."""
        subscription = self.subscriptions[session.subscription_id]
        segment = group.segment
        quote = self.quote(subscription, group, segment.used + units)
        kept = dict(group.held_money)
        self.release_holds(subscription, group)
        if quote.reason:
            self.charges.append((group_key, units, 0, 0))
            return quote.reason
        taken = self.take_over(subscription, segment, quote, now_ms, kept, answer)
        segment.used += units
        session.money += taken
        return ""

    def take_over(
        self,
        subscription: Subscription,
        segment: Segment,
        quote: Quote,
        now_ms: int,
        kept: dict[int, int],
        answer: Answer,
    ) -> int:
        """The segment's price is another one from now on. Returns the money that was taken for it."""
        self.draw(subscription, segment, quote)
        due = quote.amount - segment.amount
        segment.amount = quote.amount
        if due >= 0:
            taken = self.pay(subscription, segment, due, now_ms, kept)
            segment.uncollected += due - taken
            answer.uncollected += due - taken
        else:
            forgiven = min(-due, segment.uncollected)
            segment.uncollected -= forgiven
            taken = -self.give_back(subscription, segment, -due - forgiven)
        answer.charged += taken
        return taken

    def draw(self, subscription: Subscription, segment: Segment, quote: Quote) -> None:
        for bucket_id in {*segment.draws, *quote.draws}:
            change = quote.draws.get(bucket_id, 0) - segment.draws.get(bucket_id, 0)
            bucket = self.buckets[bucket_id]
            bucket.remaining -= change
            mine = subscription.subscription_id
            bucket.taken_by[mine] = bucket.taken_by.get(mine, 0) + change
        if segment.old_cycle is not None:
            segment.draws = dict(quote.draws)
            return
        for name in {*segment.counters, *quote.counters}:
            change = quote.counters.get(name, 0) - segment.counters.get(name, 0)
            subscription.counters[name] = subscription.counters.get(name, 0) + change
        segment.draws, segment.counters = dict(quote.draws), dict(quote.counters)

    def pay(self, subscription: Subscription, segment: Segment, due: int, now_ms: int, kept: dict[int, int]) -> int:
        """Take what is due; first what was held of buckets that ended meanwhile. Returns what was taken.

        Of whoever moved all that was held is taken first.
        """
        left = wanted = min(due, self.may_spend(subscription))
        payer = subscription.account_id if segment.payer is None else segment.payer
        valid = [bucket.bucket_id for bucket in self.purse(payer, now_ms)]
        held = [each.bucket_id for each in self.in_order([self.buckets[number] for number in kept])]
        sources = [(number, kept[number]) for number in held if segment.payer is not None or number not in valid]
        sources += [(number, FOREVER) for number in valid]
        for number, most in sources:
            there = min(most, self.free(number)) if number in valid else most
            gives = min(left, there)
            if gives > 0:
                self.buckets[number].remaining -= gives
                segment.paid[number] = segment.paid.get(number, 0) + gives
                left -= gives
        subscription.spent += wanted - left
        return wanted - left

    def may_spend(self, subscription: Subscription) -> int:
        if subscription.spend_limit >= NO_LIMIT:
            return FOREVER
        held = sum(
            sum(group.held_money.values())
            for session, group in self.groups()
            if session.subscription_id == subscription.subscription_id
        )
        return max(0, subscription.spend_limit - subscription.spent - held)

    def give_back(self, subscription: Subscription, segment: Segment, nanos: int) -> int:
        given = 0
        for number in reversed(list(segment.paid)):
            back = min(segment.paid[number], nanos - given)
            self.buckets[number].remaining += back
            segment.paid[number] -= back
            given += back
            if not segment.paid[number]:
                del segment.paid[number]
        assert given == nanos, "prices that only rise never give back more than was taken"
        subscription.spent -= given
        return given

    # -------------------------------------------------------- slices

    def can_pay(
        self, subscription: Subscription, group: Group, units: int, now_ms: int, money: int | None = None
    ) -> tuple[Quote, str]:
        """The price of a slice, and "" or why it cannot be held."""
        quote = self.quote(subscription, group, group.segment.used + units)
        if quote.reason or quote.unserved:
            return quote, quote.reason or "INSUFFICIENT"
        need = max(0, quote.amount - group.segment.amount)
        if need > (self.available(subscription, now_ms) if money is None else money):
            return quote, "INSUFFICIENT"
        return quote, "" if self.finds_places(subscription, group.segment, quote, need, now_ms) else "INSUFFICIENT"

    def finds_places(self, subscription: Subscription, segment: Segment, quote: Quote, need: int, now_ms: int) -> bool:
        """A segment refers to so many buckets at most."""
        places = segment.refers_to() | {number for number, taken in quote.draws.items() if taken}
        for bucket in self.purse(subscription.account_id, now_ms):
            gives = min(need, self.free(bucket.bucket_id))
            if gives > 0:
                places.add(bucket.bucket_id)
                need -= gives
        return len(places) <= PLACES

    def largest(self, subscription: Subscription, group: Group, most: int, now_ms: int) -> tuple[int, str]:
        """The largest slice that can be paid, by halving, and why there is none."""
        low, high, why = 0, most, ""
        units = most
        while low < high:
            _, wrong = self.can_pay(subscription, group, units, now_ms)
            if not wrong:
                low = units
            else:
                high = units - 1
                why = wrong
            units = (low + high + 1) // 2
        return low, "" if low else why

    def is_served(self, subscription: Subscription) -> bool:
        return not subscription.barred and not self.accounts[subscription.account_id].barred

    def grant(self, session: Session, group: Group, asked: int, now_ms: int, answer: Answer) -> str:
        """The next slice: as much as asked, as the policy says, as can be paid; it is held from now on."""
        subscription = self.subscriptions[session.subscription_id]
        policy = self.policies(group.segment.traffic)
        if not self.is_served(subscription):
            return "NOT_SERVED"
        wanted = policy.slice_units if asked == NOT_SAID else min(asked, policy.slice_units)
        answer.granted = 0
        if wanted == 0:
            return ""
        limit = min(wanted * policy.share, NO_LIMIT)
        most, wrong = self.largest(subscription, group, limit, now_ms)
        if most == 0:
            return "INSUFFICIENT" if wrong in ("INSUFFICIENT", "BUCKET_BLOCKED", "LIMIT_REACHED") else "NOT_PRICED"
        units = min(wanted, max(most // policy.share, min(most, policy.least_units)))
        quote, wrong = self.can_pay(subscription, group, units, now_ms)
        assert not wrong, "the search and the price disagree"
        self.hold(subscription, group, quote, now_ms)
        group.granted = units
        answer.granted = units
        answer.final = units == most and most < limit
        answer.price = max(0, quote.amount - group.segment.amount)
        return ""

    def hold(self, subscription: Subscription, group: Group, quote: Quote, now_ms: int) -> None:
        segment = group.segment
        for bucket_id in {*segment.draws, *quote.draws}:
            more = quote.draws.get(bucket_id, 0) - segment.draws.get(bucket_id, 0)
            if more > 0:
                group.held_draws[bucket_id] = more
                taken_by = self.buckets[bucket_id].taken_by
                taken_by[subscription.subscription_id] = taken_by.get(subscription.subscription_id, 0) + more
        for name in {*segment.counters, *quote.counters}:
            more = quote.counters.get(name, 0) - segment.counters.get(name, 0)
            if more > 0 and segment.old_cycle is None:
                group.held_counters[name] = more
                subscription.counters[name] = subscription.counters.get(name, 0) + more
        left = max(0, quote.amount - segment.amount)
        for bucket in self.purse(subscription.account_id, now_ms):
            gives = min(left, self.free(bucket.bucket_id))
            if gives > 0:
                group.held_money[bucket.bucket_id] = gives
                left -= gives
        assert left == 0, "a slice is held that nobody can pay"

    # -------------------------------------------------------- sessions

    def open(self, key: object, request: int, subscription_id: int, *, now_ms: int) -> Answer:
        if (key, request, "open") in self.answers:
            return self._again((key, request, "open"))
        if key in self.sessions:
            return Answer("ALREADY")
        if subscription_id not in self.subscriptions:
            return Answer("UNKNOWN_SUBSCRIBER")
        subscription = self.subscriptions[subscription_id]
        if not self.is_served(subscription):
            return Answer("NOT_SERVED")
        # who says nothing more is given the time of a slice
        self.sessions[key] = Session(key, subscription_id, request, now_ms, now_ms + Policy().life_ms)
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
        after: int = 0,
        asked: int | None = None,
        final: bool = False,
        cumulative: bool = False,
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
        used = self.since_last(group, used, cumulative=cumulative)
        wrong = self.report(session, group_key, group, used, min(max(0, after), used), final, now_ms, answer)
        if not wrong and asked is not None and not final:
            wrong = self.grant(session, group, asked, now_ms, answer)
        if wrong:
            answer.result = wrong if wrong in ("INSUFFICIENT", "NOT_SERVED", "NOT_PRICED") else "NOT_PRICED"
            answer.granted = NOT_SAID
        group.deadline_ms = now_ms + self.policies(traffic).life_ms
        if final:
            self.close_group(session, group_key)
            session.deadline_ms = group.deadline_ms
        answer.session_money = session.money
        answer.available = self.available(subscription, now_ms)
        return self._remember(again, answer)

    @staticmethod
    def since_last(group: Group, used: int, *, cumulative: bool) -> int:
        if used == NOT_SAID:
            return 0
        new = max(0, used - group.total) if cumulative else used
        group.total = max(group.total, used) if cumulative else group.total + used
        return new

    def report(
        self, session: Session, group_key: object, group: Group, used: int, after: int, final: bool, now_ms: int,
        answer: Answer,
    ) -> str:  # fmt: skip
        """What was used, and a new segment where one begins. Returns why it has no price."""
        subscription = self.subscriptions[session.subscription_id]
        if group.segment.payer is not None:
            return self.report_what_was_left(session, group_key, group, used, final, now_ms, answer)
        in_time = group.segment.traffic == "voice"
        ends = group.segment.plan != subscription.plan or (group.stale and not in_time)
        if in_time or not ends:
            after = 0
        ends = (ends and not final) or after > 0
        if used - after > 0:
            wrong = self.settle(session, group_key, group, used - after, now_ms, answer)
        else:
            self.release_holds(subscription, group)
            wrong = ""
        crowded = not in_time and not final and len(group.segment.refers_to()) > PLACES - CROWDED
        if wrong or not (ends or crowded):
            return wrong
        self.close_segment(group_key, group)
        group.segment = Segment(group.segment.traffic, group.segment.number, now_ms, subscription.plan)
        group.stale = False
        return self.settle(session, group_key, group, after, now_ms, answer) if after > 0 else ""

    def report_what_was_left(
        self, session: Session, group_key: object, group: Group, used: int, final: bool, now_ms: int, answer: Answer
    ) -> str:
        """Its slice was granted before the subscription moved: that much is used there, the rest by the new payer."""
        within = min(used, group.granted)
        if within > 0:
            wrong = self.settle(session, group_key, group, within, now_ms, answer)
            if wrong:
                return wrong
        else:
            self.release_holds(self.subscriptions[session.subscription_id], group)
        if final and used == within:
            return ""
        self.close_segment(group_key, group)
        plan = self.subscriptions[session.subscription_id].plan
        group.segment = Segment(group.segment.traffic, group.segment.number, now_ms, plan)
        group.stale = False
        return self.settle(session, group_key, group, used - within, now_ms, answer) if used > within else ""

    def close_segment(self, group_key: object, group: Group) -> None:
        segment = group.segment
        self.charges.append((group_key, segment.used, segment.amount, segment.uncollected))
        refers_to = segment.refers_to()
        segment.draws, segment.paid = {}, {}
        self.forget(refers_to)

    def forget(self, numbers: set[int]) -> None:
        """What came back to a bucket that ended, and that no segment refers to any more, is lost."""
        for number in numbers:
            if self.buckets[number].ended and not self.is_used(number):
                del self.buckets[number]

    def is_used(self, number: int) -> bool:
        return self.held(number) != 0 or any(number in group.segment.refers_to() for _, group in self.groups())

    def close_group(self, session: Session, group_key: object) -> None:
        group = session.groups.pop(group_key)
        self.release_holds(self.subscriptions[session.subscription_id], group)
        self.close_segment(group_key, group)

    def end(self, key: object, request: int, *, now_ms: int) -> Answer:
        again = (key, request, "end")
        if again in self.answers:
            return self._again(again)
        session = self.sessions.get(key)
        if session is None:
            return Answer("UNKNOWN_SESSION")
        if request < session.last_request:
            return Answer("OUT_OF_ORDER")
        self.close_session(session)
        subscription = self.subscriptions[session.subscription_id]
        answer = Answer("DONE", session_money=session.money, available=self.available(subscription, now_ms))
        return self._remember(again, answer)

    def close_session(self, session: Session) -> None:
        for group_key in list(session.groups):
            self.close_group(session, group_key)
        del self.sessions[session.key]

    def sweep(self, now_ms: int) -> None:
        """Groups without a sign of life are closed, and sessions without groups; what they held goes back."""
        for session in list(self.sessions.values()):
            dues = [group.deadline_ms for group in session.groups.values()] or [session.deadline_ms]
            if min(dues) > now_ms:
                continue
            for group_key, group in list(session.groups.items()):
                if group.deadline_ms <= now_ms:
                    self.close_group(session, group_key)
            if not session.groups:
                del self.sessions[session.key]

    # -------------------------------------------------------- one-time events

    def event(
        self, verb: str, key: object, subscription_id: int, *, traffic: str, units: int, number: str = "", now_ms: int
    ) -> Answer:
        """DEBIT, RECORD, CHECK or ENQUIRE."""
        again = (key, verb)
        if key and again in self.answers:
            return self._again(again)
        if subscription_id not in self.subscriptions:
            return Answer("UNKNOWN_SUBSCRIBER")
        subscription = self.subscriptions[subscription_id]
        answer = Answer("DONE")
        if verb != "record" and not self.is_served(subscription):
            answer.result = "NOT_SERVED"
        else:
            group = Group(Segment(traffic, number, now_ms, subscription.plan))
            getattr(self, f"_{verb}")(key, subscription, group, units, now_ms, answer)
        answer.available = self.available(subscription, now_ms)
        return self._remember(again, answer) if key else answer

    def _enquire(
        self, key: object, subscription: Subscription, group: Group, units: int, now_ms: int, answer: Answer
    ) -> None:
        quote = self.quote(subscription, group, units)
        answer.price = 0 if quote.reason else quote.amount
        answer.result = "NOT_PRICED" if quote.reason else "DONE"

    def _check(
        self, key: object, subscription: Subscription, group: Group, units: int, now_ms: int, answer: Answer
    ) -> None:
        if units == 0:
            return
        most, wrong = self.largest(subscription, group, units, now_ms)
        if most == 0:
            poor = wrong in ("INSUFFICIENT", "BUCKET_BLOCKED", "LIMIT_REACHED")
            answer.result = "INSUFFICIENT" if poor else "NOT_PRICED"
            return
        answer.granted = most
        answer.price = self.quote(subscription, group, most).amount
        answer.result = "DONE" if most == units else "INSUFFICIENT"

    def _debit(
        self, key: object, subscription: Subscription, group: Group, units: int, now_ms: int, answer: Answer
    ) -> None:
        quote, wrong = self.can_pay(subscription, group, units, now_ms)
        if wrong:
            answer.result = "NOT_PRICED" if quote.reason else "INSUFFICIENT"
            answer.price = 0 if quote.reason else quote.amount
            return
        self._record(key, subscription, group, units, now_ms, answer)

    def _record(
        self, key: object, subscription: Subscription, group: Group, units: int, now_ms: int, answer: Answer
    ) -> None:
        segment = group.segment
        quote = self.quote(subscription, group, units)
        if quote.reason:
            answer.result = "NOT_PRICED"
            self.charges.append((key, units, 0, 0))
            return
        self.take_over(subscription, segment, quote, now_ms, {}, answer)
        answer.granted, answer.price = units, quote.amount
        if key:
            self.deeds[key] = Deed(
                subscription.subscription_id, units, dict(segment.draws), dict(segment.paid), dict(segment.counters)
            )
        segment.used = units
        self.close_segment(key, group)

    def refund(self, key: object, event: object, *, now_ms: int) -> Answer:
        """Give back what an event took: to the buckets that are there, else to what is owed and then to money."""
        again = (key, "refund")
        if again in self.answers:
            return self._again(again)
        deed = self.deeds.get(event)
        if deed is None:
            return Answer("UNKNOWN_SESSION")
        if deed.refunded:
            return Answer("ALREADY")
        deed.refunded = True
        subscription = self.subscriptions[deed.subscription_id]
        lost = given = sum(deed.paid.values())
        for number, taken in (*deed.draws.items(), *deed.paid.items()):
            bucket = self.buckets.get(number)
            if bucket is None or bucket.ended:
                continue
            bucket.remaining += taken
            if bucket.kind in ("money", "credit"):
                lost -= taken
            else:
                bucket.taken_by[deed.subscription_id] -= taken
        for name, units in deed.counters.items():
            subscription.counters[name] = max(0, subscription.counters[name] - units)
        if lost and not self.give_money(subscription.account_id, lost, now_ms):
            given -= lost
        subscription.spent -= given
        self.charges.append((key, -deed.units, -given, 0))
        answer = Answer("DONE", granted=deed.units, charged=-given, available=self.available(subscription, now_ms))
        return self._remember(again, answer)

    def give_money(self, account_id: int, nanos: int, now_ms: int) -> bool:
        purse = self.purse(account_id, now_ms)
        credit = [bucket for bucket in purse if bucket.kind == "credit"]
        money = [bucket for bucket in purse if bucket.kind == "money"]
        if credit:
            owed = max(0, self.accounts[account_id].credit_limit - credit[0].remaining)
            pays = min(nanos, owed) if money else nanos
            credit[0].remaining += pays
            nanos -= pays
        if money:
            money[0].remaining += nanos
        return bool(purse)

    # -------------------------------------------------------- balances

    def top_up(
        self, key: object, account_id: int, nanos: int, *, bucket_id: int, valid_until_ms: int = FOREVER, **parts: int
    ) -> Answer:
        if key in self.answers:
            return self._again(key)
        if account_id not in self.accounts:
            return Answer("UNKNOWN_ACCOUNT")
        if nanos <= 0:
            return Answer("INVALID")
        result = self.receive(account_id, nanos, bucket_id, valid_until_ms, self.now_ms, **parts)
        return self._remember(key, Answer(result)) if result == "DONE" else Answer(result)

    def receive(
        self, account_id: int, nanos: int, bucket_id: int, valid_until_ms: int, now_ms: int, **parts: int
    ) -> str:
        bucket = self.buckets.get(bucket_id)
        if bucket is None:
            owner = ("account", account_id)
            self.buckets[bucket_id] = Bucket(
                bucket_id, "money", nanos, account_id, owner, valid_until_ms=valid_until_ms, **parts
            )
            self.expect_end(self.buckets[bucket_id], now_ms)
            return "DONE"
        if bucket.kind != "money" or bucket.account_id != account_id or bucket.ended:
            return "ALREADY"
        bucket.remaining += nanos
        if bucket.valid_until_ms < valid_until_ms < FOREVER:  # where none is said it ends when it was to end
            bucket.valid_until_ms = valid_until_ms
            self.expect_end(bucket, now_ms)
        return "DONE"

    def expect_end(self, bucket: Bucket, now_ms: int) -> None:
        """It has a new end. One that is already near is not told of."""
        lead_ms = self.lead_ms.get(bucket.kind, 0)
        bucket.near_told = bool(lead_ms) and bucket.valid_until_ms - lead_ms <= now_ms

    def warn(self, now_ms: int) -> None:
        """Of buckets with something left, once for each end, so long before it."""
        for bucket in self.buckets.values():
            lead_ms = self.lead_ms.get(bucket.kind, 0)
            near = lead_ms and bucket.valid_until_ms - lead_ms <= now_ms < bucket.valid_until_ms
            if near and not bucket.ended and not bucket.near_told:
                bucket.near_told = True
                if bucket.remaining > 0:
                    self.near.append((bucket.bucket_id, bucket.remaining, bucket.valid_until_ms))

    # -------------------------------------------------------- policy counters

    def status(self, subscription_id: int, allowance: str, now_ms: int) -> int:
        """How many thresholds of a counter are reached: of the bucket that is least used; of "" of the limit."""
        subscription = self.subscriptions[subscription_id]
        if not allowance:
            limit = subscription.spend_limit
            return NOT_SAID if limit >= NO_LIMIT else self.reached("", subscription.spent, limit)
        return min(
            (
                self.reached(allowance, bucket.opened - bucket.remaining, bucket.opened)
                for bucket in self.catalogue_buckets(subscription)
                if bucket.allowance == allowance and not bucket.ended
                if bucket.valid_from_ms <= now_ms < bucket.valid_until_ms
            ),
            default=NOT_SAID,
        )

    def reached(self, allowance: str, used: int, whole: int) -> int:
        return sum(100 * used >= percent * whole for percent in self.thresholds[allowance])

    def adjust(self, bucket_id: int, change: int, *, forced: bool = False) -> Answer:
        bucket = self.buckets.get(bucket_id)
        if bucket is None or bucket.ended:
            return Answer("UNKNOWN_BUCKET")
        if change == 0:
            return Answer("INVALID")
        if change < 0 and self.free(bucket_id) + change < 0 and not forced:
            return Answer("INSUFFICIENT")
        bucket.remaining += change
        return Answer("DONE")

    def transfer(self, key: object, giver: int, taker: int, nanos: int, *, bucket_id: int, now_ms: int) -> Answer:
        if key in self.answers:
            return self._again(key)
        purse = [bucket for bucket in self.purse(giver, now_ms) if bucket.kind == "money"]
        if nanos <= 0 or giver == taker:
            return Answer("INVALID")
        if sum(max(0, self.free(bucket.bucket_id)) for bucket in purse) < nanos:
            return Answer("INSUFFICIENT")
        result = self.receive(taker, nanos, bucket_id, FOREVER, now_ms, granted_at_ms=now_ms)
        if result != "DONE":
            return Answer(result)
        left = nanos
        for bucket in purse:
            gives = min(left, max(0, self.free(bucket.bucket_id)))
            bucket.remaining -= gives
            left -= gives
        return self._remember(key, Answer("DONE", charged=nanos))

    def credit(self, account_id: int, limit: int) -> Answer:
        """What may be owed. What is owed already stays owed."""
        account = self.accounts[account_id]
        number = -2 - account_id
        bucket = self.buckets.setdefault(number, Bucket(number, "credit", 0, account_id, ("account", account_id)))
        bucket.remaining += limit - account.credit_limit
        account.credit_limit = limit
        return Answer("DONE")

    def grant_units(self, bucket: Bucket) -> None:
        self.buckets[bucket.bucket_id] = bucket
        bucket.opened = bucket.remaining
        self.expect_end(bucket, self.now_ms)
        self.mark(bucket)

    def mark(self, bucket: Bucket) -> None:
        """Whoever may use the bucket has another choice from now on."""
        for session, group in self.groups():
            if bucket.kind in ("money", "credit"):
                group.stale |= self.subscriptions[session.subscription_id].account_id == bucket.account_id
            elif bucket in self.catalogue_buckets(self.subscriptions[session.subscription_id]):
                group.stale = True

    def expire(self, bucket_id: int) -> Answer:
        bucket = self.buckets.get(bucket_id)
        if bucket is None or bucket.ended:
            return Answer("UNKNOWN_BUCKET")
        self.end_bucket(bucket)
        return Answer("DONE")

    def end_bucket(self, bucket: Bucket) -> None:
        """What is free of it is lost; what is reserved stays until its usage is reported."""
        self.mark(bucket)
        bucket.ended = True
        bucket.remaining -= max(0, self.free(bucket.bucket_id))
        self.forget({bucket.bucket_id})

    # -------------------------------------------------------- people and time

    def change(self, subscription_id: int, **changed: object) -> None:
        """A plan, a limit or a status."""
        subscription = self.subscriptions[subscription_id]
        for session, group in self.groups():
            if session.subscription_id == subscription_id:
                group.stale = True
        for name, value in changed.items():
            setattr(subscription, name, value)

    def move(self, subscription_id: int, *, account_id: int, pool: str, now_ms: int) -> None:
        """What was granted stays where it is held until it is reported; all that comes belongs to the new owner."""
        for session in self.sessions.values():
            for group_key, group in session.groups.items() if session.subscription_id == subscription_id else ():
                if group.segment.payer is not None:
                    continue
                if group.granted:
                    group.segment.payer = self.subscriptions[subscription_id].account_id
                    continue
                self.close_segment(group_key, group)
                old = group.segment
                group.segment = Segment(old.traffic, old.number, now_ms, old.plan)
                group.stale = True
        subscription = self.subscriptions[subscription_id]
        subscription.account_id, subscription.pool = account_id, pool

    def roll(self, subscription_id: int) -> None:
        """A cycle begins. What is still going on is counted with the cycle in which it began."""
        subscription = self.subscriptions[subscription_id]
        for session, group in reversed(list(self.groups())):
            if session.subscription_id != subscription_id:
                continue
            group.stale = True
            segment = group.segment
            if segment.old_cycle is None and (segment.counters or group.held_counters):
                names = {*segment.counters, *group.held_counters}
                segment.old_cycle = {
                    name: subscription.counters[name] - group.held_counters.get(name, 0) - segment.counters.get(name, 0)
                    for name in names
                }
                for name, units in group.held_counters.items():
                    subscription.counters[name] -= units
                group.held_counters = {}
        subscription.counters = dict.fromkeys(subscription.counters, 0)
        subscription.spent = 0

    def tick(self, now_ms: int) -> None:
        """Buckets end, then sessions without a sign of life."""
        self.now_ms = now_ms
        for bucket in list(self.buckets.values()):
            if bucket.valid_until_ms <= now_ms and not bucket.ended:
                self.end_bucket(bucket)
        self.forget(set(self.buckets))
        self.warn(now_ms)
        self.sweep(now_ms)

    # -------------------------------------------------------- what must always hold

    def check(self) -> None:
        for bucket in self.buckets.values():
            assert self.held(bucket.bucket_id) >= 0, bucket
            if bucket.kind != "credit":
                assert self.free(bucket.bucket_id) >= 0, bucket

    def _remember(self, key: object, answer: Answer) -> Answer:
        self.answers[key] = answer
        return answer

    def _again(self, key: object) -> Answer:
        return Answer(**{**vars(self.answers[key]), "stored": True})
