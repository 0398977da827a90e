"""A year of so many subscribers with faults on, all from one seed: the shard in process, the model beside it.

`python -m tests.charging.simulator --seed 7 --subscribers 1000 --days 365`. Each day every subscriber may call, use
data, send messages, top up, change plan; cycles roll, buckets expire, packets are lost, doubled, reordered; the clock
jumps; the process restarts from a snapshot and the batches after it, and must stand where the old one stood.
"""

import argparse
import random
from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np
from tests.charging.model import NOT_SAID, Account, Bucket, Model, Policy, Subscription
from tests.charging.pricers import PlainPricer
from tests.rating.builders import CENT, EURO, NOON, a_card, a_catalogue, a_rule, a_tariff, an_allowance

from millicent.catalog.types import Match
from millicent.charging.conservation import balances, broken_promises
from millicent.charging.keys import plan_text, session_key, traffic_text
from millicent.charging.shard import Shard
from millicent.charging.types import (
    NO_LIMIT,
    Batch,
    Flag,
    NameKind,
    Result,
    RowImages,
    Rows,
    Unit,
    Verb,
    commands,
)
from millicent.rating.services import TariffProgram, compile_catalogue

DAY = 86_400_000
MEGABYTE = 1_000
UNIT_OF = {"voice": Unit.SECONDS, "data": Unit.TOTAL_OCTETS, "sms": Unit.SERVICE_UNITS}
PLANS = ("basic", "plus")
BUNDLE = "plan/bundle"
_RULES = (
    a_rule("voice", a_card(CENT // 10), match=Match(services=("voice",))),
    a_rule("sms", a_card(5 * CENT), match=Match(services=("sms",))),
    a_rule("data", a_card(CENT // 1000)),
)
PRICER = PlainPricer(
    nanos={"voice": CENT // 10, "sms": 5 * CENT, "data": CENT // 1000},
    increment={"voice": 1, "sms": 1, "data": 1},
    serves={BUNDLE: "data"},
)


def the_program() -> TariffProgram:
    return compile_catalogue(
        a_catalogue(
            *(a_tariff(*_RULES, code=code, decimals=9) for code in PLANS),
            allowances=(an_allowance(1, code="bundle", match=Match(services=("data",))),),
        )
    )


@dataclass
class Talk:
    """One session of one subscriber, as its access server sees it."""

    key: str
    subscription_id: int
    service: str
    request: int = 0
    granted: int = 0


@dataclass
class Year:
    """Everything there is; `faults` is how often of a thousand messages something goes wrong with one."""

    seed: int
    subscribers: int
    faults: int = 30
    with_model: bool = True
    now_ms: int = NOON
    told: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.program = the_program()
        self.shard = Shard([(0, 1, self.program)])
        self.model = Model(PRICER, lambda service: Policy(slice_units=600, least_units=10, share=2))
        self.digest = blake2b(digest_size=16)
        self.talks: dict[int, Talk] = {}
        self.numbers = 0
        self.snapshot: list[RowImages] = []
        self.snapshot_names: list[tuple[str, int, str]] = []
        self.since: list[Batch] = []
        self.settled = 0
        self.texts = {name: self.shard.number_of(kind, text) for name, kind, text in self._names()}
        self._know_everybody()
        self._take_snapshot()

    @staticmethod
    def _names() -> list[tuple[str, NameKind, str]]:
        return [
            ("EUR", NameKind.CURRENCY, "EUR"),
            (BUNDLE, NameKind.ALLOWANCE, BUNDLE),
            *((code, NameKind.PLAN, plan_text(tariff=code, segment="")) for code in PLANS),
            *((service, NameKind.TRAFFIC, traffic_text(service=service)) for service in UNIT_OF),
            *((f"policy-{service}", NameKind.SERVICE, service) for service in UNIT_OF),
        ]

    # ------------------------------------------------------------ the shard

    def send(self, rows: Rows) -> Rows:
        """One batch; what it leaves is journalled, digested and counted."""
        batch = self.shard.apply(rows)
        self.since.append(batch)
        for each in (batch.answers, batch.movements, batch.charges, batch.notices):
            for name in each.dtype.names or ():  # field by field: what stands between fields means nothing
                self.digest.update(each[name].tobytes())
        self.told["commands"] += len(rows)
        self.told["batches"] += 1
        usage = (batch.movements["kind"] >= 2) & (batch.movements["cause"] == NOT_SAID)
        self.settled += int(batch.movements["change"][usage].sum())
        return batch.answers

    def row(self, verb: Verb, *, key: str = "", **fields: object) -> Rows:
        rows = commands(1)
        rows["verb"], rows["received_ms"] = verb, self.now_ms
        if key:
            rows["key_high"], rows["key_low"] = session_key("year", key)
        for name, value in fields.items():
            rows[name] = value
        return rows

    def _take_snapshot(self) -> None:
        self.snapshot = [
            RowImages(table=name, rows=np.arange(len(rows)), images=rows.copy())
            for name, rows in self.shard.tables().items()
        ]
        self.snapshot_names = self.shard.names()
        self.since = []

    def restart(self) -> None:
        """The process is gone. Another stands where it stood, from its snapshot and the batches since."""
        there = {name: rows.tobytes() for name, rows in self.shard.tables().items()}
        self.shard = Shard([(0, 1, self.program)])
        self.shard.replay(self.snapshot, self.snapshot_names)
        for batch in self.since:
            self.shard.replay(batch.images, batch.names)
        assert {name: rows.tobytes() for name, rows in self.shard.tables().items()} == there
        self.told["restarts"] += 1
        if self.dice.random() < 0.5:
            self._take_snapshot()

    # ------------------------------------------------------------ who there is

    def _know_everybody(self) -> None:
        rows = []
        for service in UNIT_OF:
            row = self.row(Verb.POLICY, name=self.texts[f"policy-{service}"])
            row["asked"][0, :4] = 600, 600, 10, 2
            row["used"][0, :5] = 3600, 300, NOT_SAID, 20, 1
            rows.append(row)
        for each in range(1, self.subscribers + 1):
            account_id = (each + 1) // 2  # two share an account
            if each % 2:
                rows.append(self.row(Verb.ACCOUNT, account_id=account_id, other_name=self.texts["EUR"]))
                self.model.accounts[account_id] = Account(account_id)
            rows.append(
                self.row(Verb.SUBSCRIBER, subscription_id=each, account_id=account_id, name=self.texts["basic"])
            )
            self.model.subscriptions[each] = Subscription(each, account_id, "basic")
        assert (self.send(np.concatenate(rows))["result"] == Result.DONE).all()

    def number(self) -> int:
        self.numbers += 1
        return self.numbers

    def top_up(self, subscription_id: int) -> None:
        account_id, number = (subscription_id + 1) // 2, self.number()
        nanos = self.dice.choice((1, 2, 5)) * EURO // self.dice.choice((1, 1, 10))
        until_ms = self.now_ms + self.dice.choice((7, 30, 90)) * DAY
        row = self.row(Verb.TOP_UP, key=f"top-up-{number}", account_id=account_id, bucket_id=number, amount=nanos,
                       until_ms=until_ms)  # fmt: skip
        for _ in range(2 if self.wrong() else 1):
            (answer,) = self.send(row)
            expected = self.model.top_up(
                f"top-up-{number}", account_id, nanos, bucket_id=number, valid_until_ms=until_ms,
                granted_at_ms=self.now_ms,
            )  # fmt: skip
            assert (Result(int(answer["result"])).name, bool(answer["stored"])) == (expected.result, expected.stored)

    def roll(self, subscription_id: int) -> None:
        """A cycle begins, with a bundle for it."""
        number, until_ms = self.number(), self.now_ms + 30 * DAY
        units = self.dice.choice((500, 5_000, 20_000))
        self.send(np.concatenate((
            self.row(Verb.ROLL, subscription_id=subscription_id),
            self.row(Verb.GRANT, bucket_id=number, name=self.texts[BUNDLE], amount=units,
                     subscription_id=subscription_id, from_ms=self.now_ms, until_ms=until_ms),
        )))  # fmt: skip
        self.model.roll(subscription_id)
        self.model.grant_units(
            Bucket(
                number, "units", units, account_id=(subscription_id + 1) // 2,
                owner=("subscription", subscription_id), allowance=BUNDLE, valid_from_ms=self.now_ms,
                valid_until_ms=until_ms, granted_at_ms=self.now_ms,
            )
        )  # fmt: skip

    def change_plan(self, subscription_id: int) -> None:
        plan = self.dice.choice(PLANS)
        self.model.change(subscription_id, plan=plan)
        self.send(
            self.row(Verb.SUBSCRIBER, subscription_id=subscription_id, account_id=(subscription_id + 1) // 2,
                     name=self.texts[plan], limit=NO_LIMIT)
        )  # fmt: skip

    # ------------------------------------------------------------ usage

    def wrong(self) -> bool:
        return self.dice.randrange(1000) < self.faults

    def open(self, subscription_id: int) -> None:
        talk = Talk(f"s{self.number()}", subscription_id, self.dice.choice(("voice", "data", "data")))
        for _ in range(2 if self.wrong() else 1):
            (answer,) = self.send(self.row(Verb.OPEN, key=talk.key, subscription_id=subscription_id))
            expected = self.model.open(talk.key, 0, subscription_id, now_ms=self.now_ms)
            assert Result(int(answer["result"])).name == expected.result
        self.talks[subscription_id] = talk
        self.report(talk, used=NOT_SAID)

    def report(self, talk: Talk, *, used: int) -> None:
        """Use some of what was granted, or more; ask for more. The message may be lost, doubled, late."""
        talk.request += 1
        if self.wrong():
            self.told["lost"] += 1
            return  # the message never came: its usage is never told of
        row = self._units(talk, talk.request, used)
        self.asked(talk, row, talk.request, used)
        if self.wrong():
            self.told["doubled"] += 1
            self.asked(talk, row, talk.request, used)
        if self.wrong() and talk.request > 1:
            self.told["late"] += 1
            self.asked(talk, self._units(talk, talk.request - 1, 7), talk.request - 1, 7)

    def _units(self, talk: Talk, request: int, used: int) -> Rows:
        row = self.row(Verb.UNITS, key=talk.key, request_number=request, flags=Flag.ASKED,
                       traffic=self.texts[talk.service])  # fmt: skip
        row["used"][0, UNIT_OF[talk.service]] = used
        return row

    def asked(self, talk: Talk, row: Rows, request: int, used: int) -> None:
        row["received_ms"] = self.now_ms
        (answer,) = self.send(row)
        expected = self.model.units(
            talk.key, request, 0, now_ms=self.now_ms, traffic=talk.service, used=used, asked=NOT_SAID
        )
        assert {
            "result": Result(int(answer["result"])).name, "granted": int(answer["granted_units"]),
            "charged": int(answer["charged_nanos"]), "session_money": int(answer["session_nanos"]),
            "available": int(answer["available_nanos"]), "uncollected": int(answer["uncollected_nanos"]),
            "final": bool(answer["final"]), "stored": bool(answer["stored"]), "price": int(answer["price_nanos"]),
        } == vars(expected), (talk, request)  # fmt: skip
        talk.granted = max(0, int(answer["granted_units"]))
        self.told[f"answered {expected.result}"] += 1
        if expected.result == "UNKNOWN_SESSION":  # swept meanwhile: its access server gives up
            self.talks.pop(talk.subscription_id, None)

    def end(self, talk: Talk) -> None:
        del self.talks[talk.subscription_id]
        if self.wrong():
            self.told["never ended"] += 1
            return  # the access server lost power: the session is swept
        talk.request += 1
        (answer,) = self.send(self.row(Verb.END, key=talk.key, request_number=talk.request))
        expected = self.model.end(talk.key, talk.request, now_ms=self.now_ms)
        assert Result(int(answer["result"])).name == expected.result

    def message(self, subscription_id: int) -> None:
        """One short message; sent again when its answer was lost; seldom given back."""
        key = f"m{self.number()}"
        row = self.row(Verb.DEBIT, key=key, subscription_id=subscription_id, traffic=self.texts["sms"])
        row["asked"][0, Unit.SERVICE_UNITS] = 1
        for _ in range(2 if self.wrong() else 1):
            (answer,) = self.send(row)
            expected = self.model.event("debit", key, subscription_id, traffic="sms", units=1, now_ms=self.now_ms)
            assert Result(int(answer["result"])).name == expected.result
            assert int(answer["charged_nanos"]) == expected.charged
        if self.dice.random() < 0.05:
            refund = self.row(Verb.REFUND, key=f"back-{key}")
            refund["reference_high"], refund["reference_low"] = session_key("year", key)
            (answer,) = self.send(refund)
            expected = self.model.refund(f"back-{key}", key, now_ms=self.now_ms)
            assert Result(int(answer["result"])).name == expected.result

    # ------------------------------------------------------------ time

    def pass_time(self, ms: int) -> None:
        self.now_ms += ms
        self.send(self.row(Verb.TICK))
        self.model.tick(self.now_ms)

    def one_act(self) -> None:
        each = self.dice.randint(1, self.subscribers)
        talk = self.talks.get(each)
        chance = self.dice.random()
        if talk is not None:
            if chance < 0.25:
                self.end(talk)
            else:
                beyond = self.dice.randint(1, 50) if self.wrong() else 0
                self.report(talk, used=self.dice.randint(0, talk.granted) + beyond)
        elif chance < 0.12:
            self.top_up(each)
        elif chance < 0.14:
            self.change_plan(each)
        elif chance < 0.34:
            self.message(each)
        else:
            self.open(each)

    def day(self, number: int) -> None:
        """Acts spread over the day; cycles begin on thirty different days."""
        for each in range(1 + number % 30, self.subscribers + 1, 30):
            self.roll(each)
        acts = max(1, self.subscribers // 8)
        for _ in range(acts):
            self.one_act()
            if self.dice.random() < 0.1:
                self.pass_time(DAY // acts)
        jump = self.dice.choice((0, 0, 0, -90_000, 3_600_000))  # a clock set back is not believed
        if jump < 0:
            row = self.row(Verb.TICK)
            row["received_ms"] = self.now_ms + jump
            self.send(row)
        self.pass_time(DAY * 9 // 10 + max(0, jump))
        self.check()
        if self.dice.random() < 0.1:
            self.restart()

    def check(self) -> None:
        """Nothing is broken, and every balance is the model's."""
        assert broken_promises(self.shard.tables()) == []
        self.model.check()
        lost = {number for number, each in self.model.buckets.items() if each.ended}
        there = {
            number: units for number, units in balances(self.shard.tables()).items() if units and number not in lost
        }
        assert there == {
            number: each.remaining
            for number, each in self.model.buckets.items()
            if each.remaining and number not in lost
        }

    def live(self, days: int) -> str:
        for number in range(days):
            self.day(number)
        self.restart()
        for name, rows in self.shard.tables().items():
            self.digest.update(name.encode() + rows.tobytes())
        return self.digest.hexdigest()


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--subscribers", type=int, default=1000)
    asked.add_argument("--days", type=int, default=365)
    said = asked.parse_args()
    digests = []
    for _ in range(2):
        year = Year(seed=said.seed, subscribers=said.subscribers)
        digests.append(year.live(said.days))
        counted = ", ".join(f"{count:,} {name}" for name, count in sorted(year.told.items()))
        print(f"seed {said.seed}: {said.subscribers} subscribers, {said.days} days: {counted}; digest {digests[-1]}")
    assert digests[0] == digests[1], "the same seed lives another year"


if __name__ == "__main__":
    main()
