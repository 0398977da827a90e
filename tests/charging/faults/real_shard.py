"""The real shard under a random load, and who judges it: the journal, read command by command into the model.

Subscribers live on whatever happens: they top up, send messages, talk, give up, send again what nobody answered, and
now and then what was answered long ago. Nothing is expected of an answer beforehand; every answer in the journal must
be the model's, and every answer that was received must be in the journal.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from tests.charging.model import NOT_SAID, Account, Answer, Bucket, Model, Policy, Subscription
from tests.charging.simulator import BUNDLE, PRICER, the_program
from tests.charging.test_model import told
from tests.rating.builders import CENT

from millicent.charging.conservation import balances, broken_promises
from millicent.charging.journal.read import JournalledBatch, read_once
from millicent.charging.journal.restore import put_images
from millicent.charging.keys import plan_text, session_key, traffic_text
from millicent.charging.shard import Shard
from millicent.charging.types import Flag, NameKind, Result, Rows, Unit, Verb, commands
from millicent.kit.tenancy import tenant_scope

UNIT_OF = {"voice": Unit.SECONDS, "data": Unit.TOTAL_OCTETS, "sms": Unit.SERVICE_UNITS}
PLAN, POOL = "basic", "family"
VALIDITY, GRACE = 2, 1  # seconds: who was given up is swept while the test still runs
EVERYBODY = range(1, 9)
POOL_BUCKET, POOL_UNITS = 900, 5_000_000
PAUSE_SECONDS = 0.004  # between two messages of one subscriber


def account_of(subscription_id: int) -> int:
    return (subscription_id + 1) // 2  # two share one


def a_row(verb: Verb, *, key: str = "", **fields: object) -> Rows:
    rows = commands(1)
    rows["verb"] = verb
    if key:
        rows["key_high"], rows["key_low"] = session_key("kill", key)
    for name, value in fields.items():
        rows[name] = value
    return rows


async def know_everybody(port) -> dict[str, int]:
    """Accounts, subscribers, a pool and how slices are sized. Returns the numbers of the kinds of usage."""
    numbers = {service: await port.number_of(NameKind.TRAFFIC, traffic_text(service=service)) for service in UNIT_OF}
    currency = await port.number_of(NameKind.CURRENCY, "EUR")
    plan = await port.number_of(NameKind.PLAN, plan_text(tariff=PLAN, segment=""))
    pool = await port.number_of(NameKind.POOL, POOL)
    bundle = await port.number_of(NameKind.ALLOWANCE, BUNDLE)
    rows = []
    for service in UNIT_OF:
        row = a_row(Verb.POLICY, name=await port.number_of(NameKind.SERVICE, service))
        row["asked"][0, :4] = 600, 600, 10, 2
        row["used"][0, :5] = VALIDITY, GRACE, NOT_SAID, 20, 1
        rows.append(row)
    for each in EVERYBODY:
        account = account_of(each)
        if each % 2:
            rows.append(a_row(Verb.ACCOUNT, account_id=account, other_name=currency))
        rows.append(
            a_row(Verb.SUBSCRIBER, subscription_id=each, account_id=account, name=plan, other_name=pool)
        )  # fmt: skip
    rows.append(a_row(Verb.GRANT, bucket_id=POOL_BUCKET, name=bundle, amount=POOL_UNITS, scope=2, other_name=pool))
    assert ((await port.submit(np.concatenate(rows)))["result"] == Result.DONE).all()
    return numbers


@dataclass
class Subscriber:
    """One life; `act` is one message of it. What nobody answered is the next message again."""

    subscription_id: int
    seed: int
    traffics: dict[str, int]
    acknowledged: list[tuple[Rows, Rows]] = field(default_factory=list)
    told_again: int = 0
    unanswered: Rows | None = None
    _keys: int = 0
    _session: str = ""
    _service: str = ""
    _request: int = 0
    _granted: int = 0
    _events: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dice = random.Random(f"{self.seed} {self.subscription_id}")

    async def act(self, port) -> None:
        if self.unanswered is None:
            await self.ask_again(port)
            self.unanswered = self.next_rows()
        answers = await port.submit(self.unanswered)
        rows, self.unanswered = self.unanswered, None
        self.acknowledged.append((rows, answers))
        self.learn(answers)
        await asyncio.sleep(PAUSE_SECONDS * self.dice.random())

    async def ask_again(self, port) -> None:
        """Something that was done long ago: the stored answer comes, byte for byte."""
        if not self.acknowledged or self.dice.random() > 0.1:
            return
        rows, before = self.dice.choice(self.acknowledged[-200:])
        done = before["result"] == Result.DONE
        if not done.all():
            return  # what was refused may be asked anew
        again = await port.submit(rows)
        expected = before.copy()
        expected["stored"] = 1
        assert _said(again) == _said(expected), (rows, before, again)
        self.told_again += 1
        self.acknowledged.append((rows, again))

    def learn(self, answers: Rows) -> None:
        last = answers[-1]
        self._granted = max(0, int(last["granted_units"])) if self._session else 0
        if last["result"] == Result.UNKNOWN_SESSION:
            self._session = ""  # swept: the process was away for too long

    def key(self) -> str:
        self._keys += 1
        return f"{self.subscription_id}-{self._keys}"

    def next_rows(self) -> Rows:
        chance = self.dice.random()
        if self._session:
            if chance < 0.08:
                self._session = ""  # the access server lost power
            elif chance < 0.25:
                return self.an_end()
            else:
                return self.units(final=False)
        if chance < 0.3:
            nanos = self.dice.randint(1, 40) * CENT
            account = account_of(self.subscription_id)
            return a_row(Verb.TOP_UP, key=self.key(), account_id=account, bucket_id=100 + account, amount=nanos)
        if chance < 0.5:
            return self.a_message()
        if chance < 0.55 and self._events:
            row = a_row(Verb.REFUND, key=self.key())
            row["reference_high"], row["reference_low"] = session_key("kill", self.dice.choice(self._events[-50:]))
            return row
        return self.a_beginning()

    def a_message(self) -> Rows:
        self._events.append(self.key())
        row = a_row(Verb.DEBIT, key=self._events[-1], subscription_id=self.subscription_id,
                    traffic=self.traffics["sms"])  # fmt: skip
        row["asked"][0, Unit.SERVICE_UNITS] = 1
        return row

    def a_beginning(self) -> Rows:
        self._session, self._service, self._request = self.key(), self.dice.choice(("voice", "data", "data")), 0
        opening = a_row(Verb.OPEN, key=self._session, subscription_id=self.subscription_id)
        self._granted = 0
        return np.concatenate([opening, self.units(final=False)])

    def units(self, *, final: bool) -> Rows:
        self._request += 1
        beyond = self.dice.randint(1, 50) if self.dice.random() < 0.05 else 0
        used = self.dice.randint(0, self._granted) + beyond if self._request > 1 else NOT_SAID
        row = a_row(Verb.UNITS, key=self._session, request_number=self._request,
                    flags=Flag.FINAL if final else Flag.ASKED, traffic=self.traffics[self._service])  # fmt: skip
        row["used"][0, UNIT_OF[self._service]] = used
        return row

    def an_end(self) -> Rows:
        rows = np.concatenate(
            [self.units(final=True), a_row(Verb.END, key=self._session, request_number=self._request)]
        )
        self._session = ""
        return rows


class JournalJudge:
    """A reader of the journal: nothing leaves it before this one has seen it."""

    def __init__(self, tenant_id, traffics: dict[str, int]) -> None:
        self.tenant_id = tenant_id
        self.model = Model(PRICER, lambda service: Policy(
            slice_units=600, least_units=10, share=2, validity_seconds=VALIDITY, grace_seconds=GRACE))  # fmt: skip
        self.twin = Shard()
        self.commands = 0
        self._service = {number: service for service, number in traffics.items()}
        self._in_journal: dict[bytes, list[bytes]] = {}

    def read(self) -> None:
        """All that was journalled since: each answer is the model's, each balance too, no promise is broken."""
        read = 1
        while read:
            with tenant_scope(self.tenant_id):
                read = read_once(reader="judge", take=self._take)
        tables = self.twin.tables()
        assert broken_promises(tables) == []
        self.model.check()
        there = {number: units for number, units in balances(tables).items() if units}
        assert there == {each.bucket_id: each.remaining for each in self.model.buckets.values() if each.remaining}
        reserved = tables["bucket"]["reserved"]
        held = [
            self.model.held(int(each)) if each in self.model.buckets else 0 for each in tables["bucket"]["bucket_id"]
        ]
        assert reserved.tolist() == held

    def _take(self, batches: Sequence[JournalledBatch]) -> None:
        for each in batches:
            put_images(self.twin, each.batch.images, each.batch.names)
            for command, answer in zip(each.batch.commands, each.batch.answers, strict=True):
                self.commands += 1
                self._in_journal.setdefault(_asked(command), []).append(_said(answer))
                self._compare(command, answer)

    def holds(self, subscriber: Subscriber) -> None:
        """Every answer that was received stands in the journal, once as what was done and else as stored."""
        for rows, answers in subscriber.acknowledged:
            for command, answer in zip(rows, answers, strict=True):
                assert _said(answer) in self._in_journal[_asked(command)], (command, answer)

    def _compare(self, command, answer) -> None:
        key = (int(command["key_high"]), int(command["key_low"]))
        verb, now_ms = Verb(int(command["verb"])), int(command["received_ms"])
        expected = self._model_does(verb, key, command, now_ms)
        if expected is None:
            return
        if verb in (Verb.UNITS, Verb.DEBIT):
            assert told(answer) == vars(expected), (command, answer)
            return
        assert (Result(int(answer["result"])).name, bool(answer["stored"])) == (expected.result, expected.stored)
        if verb is Verb.REFUND:
            assert int(answer["charged_nanos"]) == expected.charged

    def _model_does(self, verb: Verb, key: tuple[int, int], command, now_ms: int) -> Answer | None:
        model, request = self.model, int(command["request_number"])
        account, subscription = int(command["account_id"]), int(command["subscription_id"])
        match verb:
            case Verb.OPEN:
                return model.open(key, request, subscription, now_ms=now_ms)
            case Verb.UNITS:
                service = self._service[int(command["traffic"])]
                flags = int(command["flags"])
                return model.units(key, request, 0, now_ms=now_ms, traffic=service,
                                   used=int(command["used"][UNIT_OF[service]]), final=bool(flags & Flag.FINAL),
                                   asked=NOT_SAID if flags & Flag.ASKED else None)  # fmt: skip
            case Verb.END:
                return model.end(key, request, now_ms=now_ms)
            case Verb.DEBIT:
                return model.event("debit", key, subscription, traffic="sms", units=1, now_ms=now_ms)
            case Verb.REFUND:
                event = (int(command["reference_high"]), int(command["reference_low"]))
                return model.refund(key, event, now_ms=now_ms)
            case Verb.TOP_UP:
                return model.top_up(key, account, int(command["amount"]), bucket_id=int(command["bucket_id"]),
                                    granted_at_ms=now_ms)  # fmt: skip
            case Verb.TICK:
                model.tick(now_ms)
            case Verb.ACCOUNT:
                model.accounts[account] = Account(account)
            case Verb.SUBSCRIBER:
                model.subscriptions[subscription] = Subscription(subscription, account, PLAN, pool=POOL)
            case Verb.GRANT:
                model.grant_units(Bucket(int(command["bucket_id"]), "units", int(command["amount"]), account_id=0,
                                         owner=("pool", POOL), allowance=BUNDLE, granted_at_ms=now_ms))  # fmt: skip
            case Verb.POLICY:
                pass
            case other:
                raise AssertionError(f"nobody asked for {other.name}")
        return None


def _said(answers) -> bytes:
    """Every byte of every field; what stands between fields means nothing and is not copied by numpy."""
    return b"".join(answers[name].tobytes() for name in answers.dtype.names)


def _asked(command) -> bytes:
    """What a command asks for, whenever it came."""
    return b"".join(command[name].tobytes() for name in command.dtype.names if name != "received_ms")


def new_shard() -> Shard:
    return Shard([(0, 1, the_program())])
