"""The shard against the slow model: the same verbs to both, every answer, balance and charge compared."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.charging.model import FOREVER, NOT_SAID, Account, Answer, Bucket, Model, Policy, Pricer, Subscription
from tests.charging.pricers import JudgePricer, PlainPricer
from tests.charging.shard.builders import NUMBER, World
from tests.rating.builders import (
    CENT,
    EURO,
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
from millicent.charging.types import Flag, NameKind, NoticeKind, Result, Verb
from millicent.rating.services import compile_catalogue

REDUCED = os.environ.get("MILLICENT_JUDGE_REDUCED") == "1"
EXAMPLES = int(os.environ.get("MILLICENT_MODEL_EXAMPLES", "4" if REDUCED else "25"))
STEPS = int(os.environ.get("MILLICENT_MODEL_STEPS", "30"))
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


def the_plain_catalogue() -> Catalogue:
    """So much a unit, and allowances of data."""
    rules = (
        a_rule("voice", a_card(2 * CENT), match=Match(services=("voice",))),
        a_rule("sms", a_card(5 * CENT), match=Match(services=("sms",))),
        a_rule("data", a_card(3)),
    )
    data = Match(services=("data",))
    return a_catalogue(
        *(a_tariff(*rules, code=code, decimals=9) for code in PLANS),
        allowances=tuple(an_allowance(100, code=code, match=data) for code in ("seconds", "bytes", "any")),
    )


PLANS = ("plain", "tiers", "fine")
COUNTED = ("seconds", "bytes", "any")
EVENTS = tuple(f"event-{number}" for number in range(6))
SESSIONS = ("a", "b", "c")
SUBSCRIPTIONS = (1, 2, 3)
ACCOUNT_OF = {1: 10, 2: 10, 3: 20}
quantities = st.sampled_from((0, 1, 9, 60, 61, 100, 240, 600))


def told(answer: object) -> dict[str, object]:
    """An answer of the shard in the words of the model."""
    return {
        "result": Result(int(answer["result"])).name,
        "granted": int(answer["granted_units"]),
        "charged": int(answer["charged_nanos"]),
        "session_money": int(answer["session_nanos"]),
        "available": int(answer["available_nanos"]),
        "uncollected": int(answer["uncollected_nanos"]),
        "final": bool(answer["final"]),
        "stored": bool(answer["stored"]),
        "price": int(answer["price_nanos"]),
    }


class ShardAgainstModel(RuleBasedStateMachine):
    """Accounts 10 and 20; subscriptions 1 and 2 share account 10, all three share pool "p"."""

    catalogue = the_catalogue()
    pricer: Pricer = JudgePricer(catalogue, {f"plan/{each.code}": each for each in ALLOWANCES})

    @initialize(plans=st.tuples(*[st.sampled_from(PLANS)] * 3), limit=st.sampled_from((2**60, EURO)))
    def begin(self, plans: tuple[str, ...], limit: int) -> None:
        self.world = World(compile_catalogue(self.catalogue))
        self.twin = Shard([(0, 1, compile_catalogue(self.catalogue))])
        self.replayed = 0
        self.model = Model(type(self).pricer, lambda service: Policy(slice_units=600, least_units=10, share=2))
        self.requests = dict.fromkeys(SESSIONS, 0)
        self.next_bucket = 1000
        self.next_key = 0
        self.forced = False
        self.gone: set[int] = set()
        for service in ("voice", "data", "sms"):
            self.world.policy(service, slice_units=600, most=600, least=10, share=2)
        self.declare_what_is_told()
        self.world.account(20)
        for account_id in (10, 20):
            self.model.accounts[account_id] = Account(account_id)
        for subscription_id, plan in zip(SUBSCRIPTIONS, plans, strict=True):
            spend = limit if subscription_id == 1 else 2**60
            self.model.subscriptions[subscription_id] = Subscription(
                subscription_id, ACCOUNT_OF[subscription_id], plan, pool="p", spend_limit=spend
            )
            self.tell_of(subscription_id)

    def declare_what_is_told(self) -> None:
        """A counter for each allowance and one for spending; money and units are told of before they end."""
        self.model.now_ms = self.world.now_ms
        self.model.lead_ms = {"money": 20 * 3_600_000, "units": 2 * 3_600_000}
        leads = self.world.row(Verb.THRESHOLDS)
        leads["asked"][0, :3] = (80, *(each // 1000 for each in self.model.lead_ms.values()))
        self.world.do(leads)
        self.model.thresholds = {"": (50, 100), **{f"plan/{each}": (30, 80, 100) for each in COUNTED}}
        for allowance, percents in self.model.thresholds.items():
            row = self.world.row(
                Verb.COUNTER, name=self.world.number(NameKind.POLICY_COUNTER, allowance),
                other_name=self.world.number(NameKind.ALLOWANCE, allowance) if allowance else NOT_SAID,
            )  # fmt: skip
            row["asked"][0, : len(percents)] = percents
            self.world.do(row)

    def tell_of(self, subscription_id: int) -> None:
        """The shard is told what the model knows of a subscription."""
        known = self.model.subscriptions[subscription_id]
        self.world.subscriber(
            subscription_id, account_id=known.account_id, tariff=known.plan, pool=known.pool,
            spend_limit=known.spend_limit, flags=Flag.BARRED if known.barred else 0,
        )  # fmt: skip

    def key(self) -> str:
        self.next_key += 1
        return f"key-{self.next_key}"

    def same(self, answer: object, expected: Answer) -> None:
        assert told(answer) == vars(expected)

    def same_result(self, answer: object, expected: Answer) -> None:
        assert (Result(int(answer["result"])).name, bool(answer["stored"])) == (expected.result, expected.stored)

    # ------------------------------------------------------------ balances

    @rule(
        account_id=st.sampled_from((10, 20)),
        cents=st.integers(0, 900),
        priority=st.sampled_from((0, 1)),
        days=st.sampled_from((0, 1, 30)),
        again=st.booleans(),
    )
    def money_comes(self, account_id: int, cents: int, priority: int, days: int, again: bool) -> None:
        """`again`: into the bucket of the last one, whosever it is."""
        self.next_bucket += 0 if again else 1
        number, key = self.next_bucket, self.key()
        until_ms = self.world.now_ms + days * 86_400_000 if days else FOREVER
        answer = self.world.top_up(
            cents * CENT, bucket=number, account_id=account_id, priority=priority, key=key,
            until_ms=until_ms if days else 0,
        )  # fmt: skip
        expected = self.model.top_up(
            key, account_id, cents * CENT, bucket_id=number, priority=priority, valid_until_ms=until_ms,
            granted_at_ms=self.world.now_ms,
        )  # fmt: skip
        self.same_result(answer, expected)

    @rule(number=st.integers(1, 6), change=st.sampled_from((-300, -1, 0, 1, 50)), forced=st.booleans())
    def a_balance_is_corrected(self, number: int, change: int, forced: bool) -> None:
        bucket_id = 1000 + number
        nanos = change * CENT
        known = self.model.buckets.get(bucket_id)
        if known is not None and known.kind == "units":
            nanos = change
        forced = forced and change == -1
        flags = Flag.FORCED if forced else 0
        self.forced |= forced
        answer = self.world.do(self.world.row(Verb.ADJUST, bucket_id=bucket_id, amount=nanos, flags=flags))
        self.same_result(answer, self.model.adjust(bucket_id, nanos, forced=forced))

    @rule(giver=st.sampled_from((10, 20)), cents=st.sampled_from((0, 1, 200, 2000)), again=st.booleans())
    def money_is_transferred(self, giver: int, cents: int, again: bool) -> None:
        self.next_bucket += 0 if again else 1
        taker, key = 30 - giver, self.key()
        row = self.world.row(Verb.TRANSFER, key=key, account_id=giver, other_account_id=taker, amount=cents * CENT,
                             bucket_id=self.next_bucket)  # fmt: skip
        for _ in range(2):  # sent twice, done once
            expected = self.model.transfer(
                key, giver, taker, cents * CENT, bucket_id=self.next_bucket, now_ms=self.world.now_ms
            )
            self.same_result(self.world.do(row), expected)

    @rule(account_id=st.sampled_from((10, 20)), cents=st.sampled_from((0, 50, 500)))
    def credit_changes(self, account_id: int, cents: int) -> None:
        answer = self.world.credit(cents * CENT, account_id=account_id)
        self.same_result(answer, self.model.credit(account_id, cents * CENT))

    @rule(
        allowance=st.sampled_from(("seconds", "bytes", "any")),
        scope=st.sampled_from((0, 1, 2)),
        owner=st.sampled_from(SUBSCRIPTIONS),
        units=st.sampled_from((1, 35, 100, 250)),
        days=st.sampled_from((1, 30)),
    )
    def units_are_granted(self, allowance: str, scope: int, owner: int, units: int, days: int) -> None:
        self.next_bucket += 1
        account_id = self.model.subscriptions[owner].account_id
        who: int = {0: owner, 1: account_id, 2: 0}[scope]
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
                account_id=account_id,
                owner=owners[scope],
                allowance=f"plan/{allowance}",
                valid_from_ms=self.world.now_ms,
                valid_until_ms=until_ms,
                granted_at_ms=self.world.now_ms,
            )
        )

    @rule(number=st.integers(1, 8))
    def a_bucket_ends(self, number: int) -> None:
        answer = self.world.do(self.world.row(Verb.EXPIRE, bucket_id=1000 + number))
        self.same_result(answer, self.model.expire(1000 + number))

    # ------------------------------------------------------------ sessions

    @rule(session=st.sampled_from(SESSIONS), subscription_id=st.sampled_from((*SUBSCRIPTIONS, 9)))
    def a_session_opens(self, session: str, subscription_id: int) -> None:
        request = self.requests[session]
        answer = self.world.open(session, request=request, subscription=subscription_id)
        self.same_result(answer, self.model.open(session, request, subscription_id, now_ms=self.world.now_ms))

    @rule(
        session=st.sampled_from(SESSIONS),
        group=st.sampled_from((1, 2)),
        used=st.one_of(st.none(), quantities),
        after=st.sampled_from((None, None, 0, 5)),
        asked=st.one_of(st.none(), st.just(NOT_SAID), quantities),
        final=st.sampled_from((False, False, False, True)),
        cumulative=st.sampled_from((False, False, True)),
        late=st.sampled_from((0, 0, 0, 1, 2)),
    )
    def units_are_used(
        self, session: str, group: int, used: int | None, after: int | None, asked: int | None, final: bool,
        cumulative: bool, late: int,
    ) -> None:  # fmt: skip
        """Groups of odd number are calls, the others data. `late`: with the number of the last request, or before."""
        if late == 0:
            self.requests[session] += 1
        request = max(0, self.requests[session] - max(0, late - 1))
        service = "voice" if group == 1 else "data"
        number = NUMBER if service == "voice" else ""
        answer = self.world.units(
            session, request=request, group=group, used=used, after=after, asked=asked, final=final,
            service=service, number=number, flags=Flag.CUMULATIVE if cumulative else 0,
        )  # fmt: skip
        expected = self.model.units(
            session, request, group, now_ms=self.world.now_ms, traffic=service, number=number,
            used=NOT_SAID if used is None else used, after=after or 0, asked=asked, final=final,
            cumulative=cumulative,
        )  # fmt: skip
        self.same(answer, expected)

    @rule(session=st.sampled_from(SESSIONS), late=st.booleans())
    def a_session_ends(self, session: str, late: bool) -> None:
        self.requests[session] += 0 if late else 1
        answer = self.world.end(session, request=self.requests[session])
        self.same_result(answer, self.model.end(session, self.requests[session], now_ms=self.world.now_ms))

    # ------------------------------------------------------------ events

    @rule(
        verb=st.sampled_from((Verb.DEBIT, Verb.RECORD, Verb.CHECK, Verb.ENQUIRE)),
        event=st.sampled_from(EVENTS),
        subscription_id=st.sampled_from((*SUBSCRIPTIONS, 9)),
        service=st.sampled_from(("voice", "data")),
        units=quantities,
    )
    def an_event_happens(self, verb: Verb, event: str, subscription_id: int, service: str, units: int) -> None:
        number = NUMBER if service == "voice" else ""
        answer = self.world.event(
            verb, key=event, service=service, units=units, subscription=subscription_id, number=number
        )
        expected = self.model.event(
            verb.name.lower(), event, subscription_id, traffic=service, units=units, number=number,
            now_ms=self.world.now_ms,
        )  # fmt: skip
        self.same(answer, expected)

    @rule(event=st.sampled_from(EVENTS), again=st.booleans())
    def an_event_is_given_back(self, event: str, again: bool) -> None:
        key = f"refund-{event}" if again else self.key()
        answer = self.world.refund(event, key=key)
        expected = self.model.refund(key, event, now_ms=self.world.now_ms)
        self.same_result(answer, expected)
        assert answer["charged_nanos"] == expected.charged

    # ------------------------------------------------------------ time and people

    @rule(minutes=st.sampled_from((1, 20, 70, 24 * 60)))
    def time_passes(self, minutes: int) -> None:
        known = set(self.model.buckets)
        self.world.later(minutes * 60_000)
        self.world.tick()
        self.model.tick(self.world.now_ms)
        self.gone = {number for number in known if number not in self.model.buckets}

    @rule(
        subscription_id=st.sampled_from(SUBSCRIPTIONS),
        plan=st.sampled_from(PLANS),
        limit=st.sampled_from((2**60, EURO)),
        barred=st.sampled_from((False, False, True)),
    )
    def a_subscription_changes(self, subscription_id: int, plan: str, limit: int, barred: bool) -> None:
        self.model.change(subscription_id, plan=plan, spend_limit=limit, barred=barred)
        self.tell_of(subscription_id)

    @rule(
        subscription_id=st.sampled_from(SUBSCRIPTIONS),
        account_id=st.sampled_from((10, 20)),
        pool=st.sampled_from(("p", "")),
    )
    def a_subscription_moves(self, subscription_id: int, account_id: int, pool: str) -> None:
        known = self.model.subscriptions[subscription_id]
        if (known.account_id, known.pool) == (account_id, pool):
            return
        self.model.move(subscription_id, account_id=account_id, pool=pool, now_ms=self.world.now_ms)
        self.tell_of(subscription_id)

    @rule(account_id=st.sampled_from((10, 20)), barred=st.booleans())
    def an_account_is_barred_or_not(self, account_id: int, barred: bool) -> None:
        self.model.accounts[account_id].barred = barred
        self.world.account(account_id, flags=Flag.BARRED if barred else 0)

    @rule(subscription_id=st.sampled_from(SUBSCRIPTIONS))
    def a_cycle_begins(self, subscription_id: int) -> None:
        self.model.roll(subscription_id)
        self.world.do(self.world.row(Verb.ROLL, subscription_id=subscription_id))

    # ------------------------------------------------------------ what must be

    @precondition(lambda self: hasattr(self, "world"))
    @invariant()
    def both_hold_the_same(self) -> None:
        if not self.forced:
            self.model.check()
        lost = {number for number, each in self.model.buckets.items() if each.ended and not self.model.is_used(number)}
        lost |= self.gone  # what came back to a bucket that ended goes with the next TICK at the latest
        every = balances(self.world.shard.tables()).items()
        there = {number: units for number, units in every if units and number not in lost}
        assert there == {
            each.bucket_id: each.remaining
            for each in self.model.buckets.values()
            if each.remaining and each.bucket_id not in lost
        }
        reserved = {number: self.world.reserved(number) for number in there}
        assert reserved == {number: self.model.held(number) for number in there}
        for batch in self.world.batches[self.replayed :]:
            self.twin.replay(batch.images, batch.names)
        self.replayed = len(self.world.batches)
        theirs = {name: rows.tobytes() for name, rows in self.twin.tables().items()}
        assert theirs == self.world.state()

    @precondition(lambda self: hasattr(self, "world"))
    @invariant()
    def both_tell_the_same(self) -> None:
        """The states of all counters, and the ends that are near."""
        asked = [(who, allowance) for who in SUBSCRIPTIONS for allowance in self.model.thresholds]
        rows = [
            self.world.row(
                Verb.STATUS, subscription_id=who, name=self.world.number(NameKind.POLICY_COUNTER, allowance)
            )
            for who, allowance in asked
        ]  # fmt: skip
        states = self.world.apply(np.concatenate(rows)).answers["granted_units"].tolist()
        assert states == [self.model.status(who, allowance, self.world.now_ms) for who, allowance in asked]
        near = [
            (int(row["bucket_id"]), int(row["amount"]), int(row["until_ms"]))
            for batch in self.world.batches
            for row in batch.notices
            if row["kind"] == NoticeKind.EXPIRY_NEAR
        ]
        assert sorted(near) == sorted(self.model.near)

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
        expected = [each[1:] for each in self.model.charges]
        assert sorted(each for each in charged if any(each)) == sorted(each for each in expected if any(each))


class PlainShardAgainstModel(ShardAgainstModel):
    """The same under a tariff that a line of Python knows."""

    catalogue = the_plain_catalogue()
    pricer: Pricer = PlainPricer(
        nanos={"voice": 2 * CENT, "sms": 5 * CENT, "data": 3},
        increment={"voice": 1, "sms": 1, "data": 1},
        serves=dict.fromkeys(("plan/seconds", "plan/bytes", "plan/any"), "data"),
    )


for _machine in (ShardAgainstModel, PlainShardAgainstModel):
    _machine.TestCase.settings = settings(
        max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, suppress_health_check=list(HealthCheck)
    )
TestShardAgainstModel = ShardAgainstModel.TestCase
TestPlainShardAgainstModel = PlainShardAgainstModel.TestCase


@pytest.mark.skipif(REDUCED, reason="this is the run it starts")
def test_the_model_agrees_with_the_loop_when_nothing_is_compiled() -> None:
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "MILLICENT_JUDGE_REDUCED": "1"}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--noconftest", "-p", "no:cacheprovider", __file__],
        cwd=Path(__file__).parents[2], env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-4000:]
