"""The shard against the slow model: the same verbs to both, every answer, balance and charge compared."""

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.charging.model import NOT_SAID, Account, Bucket, Model, Policy, Subscription
from tests.charging.pricers import JudgePricer
from tests.charging.shard.builders import NUMBER, World
from tests.rating.builders import (
    CENT,
    EURO,
    NOON,
    a_card,
    a_catalogue,
    a_rule,
    a_slot,
    a_tariff,
    an_allowance,
)

from millicent.catalog.types import Catalogue, CounterScope, Match, TierLadder, TierModel, TierStep
from millicent.charging.conservation import balances
from millicent.charging.shard import Shard
from millicent.charging.types import BucketKind, Result, Verb
from millicent.rating.services import compile_catalogue

REDUCED = os.environ.get("MILLICENT_JUDGE_REDUCED") == "1"
EXAMPLES = int(os.environ.get("MILLICENT_MODEL_EXAMPLES", "8" if REDUCED else "60"))
ALLOWANCES = (
    an_allowance(100, code="seconds", match=Match(services=("voice",))),
    an_allowance(100, code="bytes", match=Match(services=("data",)), member_cap=70),
    an_allowance(100, code="any", match=Match(), priority=-1, whole_increments=True),
)
STAIRS = TierLadder(
    model=TierModel.GRADUATED,
    counter="month",
    scope=CounterScope.SUBSCRIPTION,
    steps=(
        TierStep(floor_units=0, amount_nanos=CENT, per_units=1, flat_nanos=0),
        TierStep(floor_units=150, amount_nanos=3 * CENT, per_units=1, flat_nanos=EURO),
    ),
)


def the_catalogue() -> Catalogue:
    """Every way of pricing that a slice has to get right: connect fee, slots, bands, tiers, minimum, increments."""
    peak = a_rule("peak", a_card(7 * CENT, per=60), match=Match(services=("voice",), bands=("peak",)))
    connected = a_card(connect_nanos=5 * CENT + 1, slots=(a_slot(CENT, increment=60), a_slot(CENT, start=60)))
    return a_catalogue(
        a_tariff(
            peak,
            a_rule("voice", connected, match=Match(services=("voice",))),
            a_rule("data", a_card(CENT, per=7, increment=10, minimum_charge_nanos=3 * CENT)),
            code="plain",
            decimals=4,
        ),
        a_tariff(a_rule(card=a_card(slots=(a_slot(0, increment=10),), ladder=STAIRS)), code="tiers", decimals=9),
        a_tariff(a_rule(card=a_card(2 * CENT, per=60, increment=1)), code="fine", decimals=2),
        allowances=ALLOWANCES,
    )


CATALOGUE = the_catalogue()
PLANS = ("plain", "tiers", "fine")
SESSIONS = ("a", "b", "c")
SUBSCRIPTIONS = (1, 2, 3)
ACCOUNT_OF = {1: 10, 2: 10, 3: 20}
quantities = st.sampled_from((0, 1, 9, 60, 61, 100, 240, 600))


class ShardAgainstModel(RuleBasedStateMachine):
    """Accounts 10 and 20; subscriptions 1 and 2 share account 10, all three share pool "p"."""

    @initialize(plans=st.tuples(*[st.sampled_from(PLANS)] * 3), limit=st.sampled_from((2**60, EURO)))
    def begin(self, plans: tuple[str, ...], limit: int) -> None:
        self.world = World(compile_catalogue(CATALOGUE))
        self.twin = Shard([(0, 1, compile_catalogue(CATALOGUE))])
        self.replayed = 0
        self.model = Model(
            JudgePricer(CATALOGUE, {f"plan/{each.code}": each for each in ALLOWANCES}),
            lambda service: Policy(slice_units=600, least_units=10, share=2),
        )
        self.requests = dict.fromkeys(SESSIONS, 0)
        self.traffic: dict[str, str] = {}
        self.next_bucket = 1000
        for service in ("voice", "data"):
            self.world.policy(service, slice_units=600, most=600, least=10, share=2)
        self.world.account(20)
        for account_id in (10, 20):
            self.model.accounts[account_id] = Account(account_id)
        for subscription_id, plan in zip(SUBSCRIPTIONS, plans, strict=True):
            self.know(subscription_id, plan=plan, limit=limit if subscription_id == 1 else 2**60)

    def know(self, subscription_id: int, *, plan: str, limit: int) -> None:
        account_id = ACCOUNT_OF[subscription_id]
        self.world.subscriber(subscription_id, account_id=account_id, tariff=plan, pool="p", spend_limit=limit)
        self.model.subscriptions[subscription_id] = Subscription(
            subscription_id, account_id, plan, pool="p", spend_limit=limit
        )

    # ------------------------------------------------------------ balances

    @rule(account_id=st.sampled_from((10, 20)), cents=st.integers(0, 900), priority=st.sampled_from((0, 1)))
    def money_comes(self, account_id: int, cents: int, priority: int) -> None:
        self.next_bucket += 1
        number = self.next_bucket
        self.world.top_up(cents * CENT, bucket=number, account_id=account_id, priority=priority)
        self.model.top_up(
            ("top-up", number),
            account_id,
            cents * CENT,
            bucket_id=number,
            priority=priority,
            granted_at_ms=self.world.now_ms,
        )

    @rule(account_id=st.sampled_from((10, 20)), cents=st.sampled_from((0, 50, 500)))
    def credit_changes(self, account_id: int, cents: int) -> None:
        answer = self.world.credit(cents * CENT, account_id=account_id)
        expected = self.model.credit(account_id, cents * CENT)
        assert Result(int(answer["result"])).name == expected.result

    @rule(
        allowance=st.sampled_from(("seconds", "bytes", "any")),
        scope=st.sampled_from((0, 1, 2)),
        owner=st.sampled_from(SUBSCRIPTIONS),
        units=st.sampled_from((1, 35, 100, 250)),
        days=st.sampled_from((1, 30)),
    )
    def units_are_granted(self, allowance: str, scope: int, owner: int, units: int, days: int) -> None:
        self.next_bucket += 1
        who: int = {0: owner, 1: ACCOUNT_OF[owner], 2: 0}[scope]
        until_ms = self.world.now_ms + days * 86_400_000
        self.world.grant(
            units, bucket=self.next_bucket, allowance=f"plan/{allowance}", scope=scope, owner=who, pool="p",
            from_ms=self.world.now_ms, until_ms=until_ms,
        )  # fmt: skip
        owners: dict[int, tuple[str, object]] = {0: ("subscription", who), 1: ("account", who), 2: ("pool", "p")}
        self.model.grant_units(
            Bucket(
                self.next_bucket,
                "units",
                units,
                account_id=ACCOUNT_OF[owner],
                owner=owners[scope],
                allowance=f"plan/{allowance}",
                valid_from_ms=self.world.now_ms,
                valid_until_ms=until_ms,
                granted_at_ms=self.world.now_ms,
            )
        )

    # ------------------------------------------------------------ sessions

    @rule(session=st.sampled_from(SESSIONS), subscription_id=st.sampled_from((*SUBSCRIPTIONS, 9)))
    def a_session_opens(self, session: str, subscription_id: int) -> None:
        request = self.requests[session]
        answer = self.world.open(session, request=request, subscription=subscription_id)
        expected = self.model.open(session, request, subscription_id, now_ms=self.world.now_ms)
        assert Result(int(answer["result"])).name == expected.result
        assert bool(answer["stored"]) == expected.stored

    @rule(
        session=st.sampled_from(SESSIONS),
        group=st.sampled_from((1, 2)),
        used=st.one_of(st.none(), quantities),
        asked=st.one_of(st.none(), st.just(NOT_SAID), quantities),
        final=st.sampled_from((False, False, False, True)),
        again=st.sampled_from((False, False, True)),
    )
    def units_are_used(
        self, session: str, group: int, used: int | None, asked: int | None, final: bool, again: bool
    ) -> None:
        """Groups of odd number are calls, the others data. `again`: with the number of the last request."""
        if not again:
            self.requests[session] += 1
        service = "voice" if group == 1 else "data"
        number = NUMBER if service == "voice" else ""
        answer = self.world.units(
            session, request=self.requests[session], group=group, used=used, asked=asked, final=final,
            service=service, number=number,
        )  # fmt: skip
        expected = self.model.units(
            session,
            self.requests[session],
            group,
            now_ms=self.world.now_ms,
            traffic=service,
            number=number,
            used=NOT_SAID if used is None else used,
            asked=asked,
            final=final,
        )
        assert {
            "result": Result(int(answer["result"])).name,
            "granted": int(answer["granted_units"]),
            "charged": int(answer["charged_nanos"]),
            "session_money": int(answer["session_nanos"]),
            "available": int(answer["available_nanos"]),
            "uncollected": int(answer["uncollected_nanos"]),
            "final": bool(answer["final"]),
            "stored": bool(answer["stored"]),
            "price": int(answer["price_nanos"]),
        } == vars(expected)

    @rule(session=st.sampled_from(SESSIONS))
    def a_session_ends(self, session: str) -> None:
        self.requests[session] += 1
        answer = self.world.end(session, request=self.requests[session])
        expected = self.model.end(session, self.requests[session], now_ms=self.world.now_ms)
        assert Result(int(answer["result"])).name == expected.result

    # ------------------------------------------------------------ time and people

    @rule(minutes=st.sampled_from((1, 20, 70, 24 * 60)))
    def time_passes(self, minutes: int) -> None:
        self.world.later(minutes * 60_000)
        self.world.tick()
        self.model.tick(self.world.now_ms)

    @rule(subscription_id=st.sampled_from(SUBSCRIPTIONS), plan=st.sampled_from(PLANS))
    def the_plan_changes(self, subscription_id: int, plan: str) -> None:
        limit = self.model.subscriptions[subscription_id].spend_limit
        self.world.subscriber(
            subscription_id, account_id=ACCOUNT_OF[subscription_id], tariff=plan, pool="p", spend_limit=limit
        )
        self.model.change_plan(subscription_id, plan)

    @precondition(lambda self: hasattr(self, "world"))
    @invariant()
    def both_hold_the_same(self) -> None:
        self.model.check()
        there = balances(self.world.shard.tables())
        expected = {each.bucket_id: each.remaining for each in self.model.buckets.values() if each.kind != "credit"}
        assert {number: there[number] for number in expected if number in there} == {
            number: units for number, units in expected.items() if number in there
        }
        assert all(units == 0 for number, units in expected.items() if number not in there)
        for batch in self.world.batches[self.replayed :]:
            self.twin.replay(batch.images, batch.names)
        self.replayed = len(self.world.batches)
        theirs = {name: rows.tobytes() for name, rows in self.twin.tables().items()}
        assert theirs == self.world.state()

    @precondition(lambda self: hasattr(self, "world"))
    @invariant()
    def what_was_charged_is_what_was_taken(self) -> None:
        self.world.check_conservation()

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        charged = [
            (int(row["units"]), int(row["amount_nanos"]), int(row["uncollected_nanos"])) for row in self.world.charges()
        ]
        assert sorted(charged) == sorted(each[1:] for each in self.model.charges if each[1] or each[2])


ShardAgainstModel.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestShardAgainstModel = ShardAgainstModel.TestCase
assert NOON and BucketKind and Verb
