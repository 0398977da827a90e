"""A shard with one account and one subscription, and verbs as calls. After every batch all promises are looked at."""

import json
from typing import Any

import numpy as np
import polars as pl
from tests.rating.builders import CENT, EURO, NOON, a_card, a_program, a_rule, a_tariff

from millicent.charging.conservation import balances, broken_promises, money_of_open_sessions
from millicent.charging.keys import plan_text, session_key, traffic_text
from millicent.charging.shard import Shard
from millicent.charging.types import (
    NO_LIMIT,
    NOT_SAID,
    Batch,
    BucketKind,
    Door,
    Flag,
    NameKind,
    Result,
    Rows,
    Unit,
    Verb,
    commands,
)
from millicent.rating.compile.numbers import number_keys
from millicent.rating.services import TariffProgram

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
NUMBER = "34911234567"
UNIT_OF = {"voice": Unit.SECONDS, "data": Unit.TOTAL_OCTETS, "sms": Unit.SERVICE_UNITS, "content": Unit.SERVICE_UNITS}


def a_flat_program(nanos: int = CENT, *, per: int = 1, increment: int = 1, **parts: Any) -> TariffProgram:
    """Everything costs the same for each unit."""
    return a_program(a_tariff(a_rule(card=a_card(nanos, per=per, increment=increment))), **parts)


class World:
    """One shard; account 10 pays for subscription 1 unless said otherwise."""

    def __init__(self, program: TariffProgram | None = None, *, programs: list | None = None, **parts: Any) -> None:
        self.shard = Shard(programs or [(0, 1, program or a_flat_program())], **parts)
        self.now_ms = NOON
        self.batches: list[Batch] = []
        self.endless: set[int] = set()
        self.account(10)
        self.subscriber(1)

    # ------------------------------------------------------------ batches

    def apply(self, rows: Rows, texts: bytes = b"") -> Batch:
        batch = self.shard.apply(rows, texts)
        self.batches.append(batch)
        assert broken_promises(self.shard.tables(), endless=frozenset(self.endless)) == []
        return batch

    def do(self, *rows: Rows, texts: bytes = b"") -> Any:
        """Apply single rows in one batch. The answer of the last."""
        return self.apply(np.concatenate(rows), texts).answers[-1]

    def row(self, verb: Verb, *, key: str = "", at: int | None = None, **fields: Any) -> Rows:
        rows = commands(1)
        rows["verb"] = verb
        rows["received_ms"] = self.now_ms if at is None else at
        if key:
            rows["key_high"], rows["key_low"] = session_key("test", key)
        for name, value in fields.items():
            rows[name] = value
        return rows

    def number(self, kind: NameKind, text: str) -> int:
        return self.shard.number_of(kind, text)

    def later(self, ms: int) -> None:
        self.now_ms += ms

    # ------------------------------------------------------------ who

    def account(self, account_id: int, *, currency: str = "EUR", **fields: Any) -> Any:
        return self.do(self.row(Verb.ACCOUNT, account_id=account_id,
                                other_name=self.number(NameKind.CURRENCY, currency), **fields))  # fmt: skip

    def subscriber(self, subscription_id: int, *, account_id: int = 10, tariff: str = "tariff", pool: str = "",
                   spend_limit: int = NO_LIMIT, **fields: Any) -> Any:  # fmt: skip
        plan = self.number(NameKind.PLAN, plan_text(tariff=tariff, segment="")) if tariff else NOT_SAID
        return self.do(
            self.row(Verb.SUBSCRIBER, subscription_id=subscription_id, account_id=account_id, name=plan,
                     other_name=self.number(NameKind.POOL, pool) if pool else -2, limit=spend_limit, **fields),
        )  # fmt: skip

    # ------------------------------------------------------------ balances

    def top_up(
        self, nanos: int = EURO, *, bucket: int = 100, account_id: int = 10, key: str = "", **fields: Any
    ) -> Any:
        return self.do(self.row(Verb.TOP_UP, key=key, account_id=account_id, bucket_id=bucket, amount=nanos, **fields))

    def credit(self, limit: int, *, account_id: int = 10) -> Any:
        return self.do(self.row(Verb.CREDIT, account_id=account_id, limit=limit))

    def grant(self, units: int, *, bucket: int, allowance: str = "plan/included", scope: int = 0, owner: int = 1,
              pool: str = "", endless: bool = False, **fields: Any) -> Any:  # fmt: skip
        name = self.number(NameKind.ALLOWANCE, allowance)
        if endless:
            self.endless.add(name)
        who = {0: {"subscription_id": owner}, 1: {"account_id": owner},
               2: {"other_name": self.number(NameKind.POOL, pool) if pool else NOT_SAID}}[scope]  # fmt: skip
        return self.do(self.row(Verb.GRANT, bucket_id=bucket, name=name, amount=units, scope=scope, **who, **fields))

    def policy(self, service: str, *, slice_units: int, most: int = NO_LIMIT, least: int = 1, share: int = 1,
               validity: int = 3600, grace: int = 300, holding: int = NOT_SAID, percent: int = 20,
               final: int = 1) -> Any:  # fmt: skip
        row = self.row(Verb.POLICY, name=self.number(NameKind.SERVICE, service))
        row["asked"][0, :4] = slice_units, most, least, share
        row["used"][0, :5] = validity, grace, holding, percent, final
        return self.do(row)

    # ------------------------------------------------------------ usage

    def traffic(self, service: str, **parts: Any) -> int:
        attributes = parts.pop("attributes", None)
        text = traffic_text(
            service=service, attributes=json.dumps(attributes, sort_keys=True) if attributes else "", **parts
        )
        return self.number(NameKind.TRAFFIC, text)

    def opening(self, session: str = "s", *, request: int = 0, subscription: int = 1, at: int | None = None,
                **fields: Any) -> Rows:  # fmt: skip
        return self.row(Verb.OPEN, key=session, at=at, request_number=request, subscription_id=subscription,
                        door=Door.DIAMETER, **fields)  # fmt: skip

    def open(self, session: str = "s", **fields: Any) -> Any:
        text = session.encode()
        return self.do(self.opening(session, text_length=len(text), **fields), texts=text)

    def unit_row(self, session: str = "s", *, request: int, used: int | None = None, asked: int | None = None,
                 after: int | None = None, final: bool = False, service: str = "voice", group: int = 0,
                 number: str = NUMBER, flags: int = 0, at: int | None = None,
                 parts: dict | None = None) -> Rows:  # fmt: skip
        """`asked` None asks for nothing, NOT_SAID for as much as the policy gives."""
        unit = UNIT_OF[service]
        asking = (Flag.ASKED if asked is not None else 0) | (Flag.FINAL if final else 0) | flags
        row = self.row(Verb.UNITS, key=session, at=at, request_number=request, group=group, flags=asking,
                       traffic=self.traffic(service, **(parts or {})))  # fmt: skip
        self._number(row, number)
        for name, quantity in (("used", used), ("used_after", after), ("asked", asked)):
            row[name][0, unit] = NOT_SAID if quantity is None else quantity
        return row

    def units(self, session: str = "s", **fields: Any) -> Any:
        return self.do(self.unit_row(session, **fields))

    def end(self, session: str = "s", *, request: int = 99) -> Any:
        return self.do(self.row(Verb.END, key=session, request_number=request))

    def event(self, verb: Verb, *, key: str = "", service: str = "sms", units: int | None = 1, subscription: int = 1,
              number: str = NUMBER, nanos: int | None = None, **fields: Any) -> Any:  # fmt: skip
        row = self.row(verb, key=key, subscription_id=subscription, traffic=self.traffic(service), **fields)
        self._number(row, number)
        row["asked"][0, UNIT_OF[service]] = NOT_SAID if units is None else units
        if nanos is not None:
            row["asked"][0, Unit.MONEY_NANOS] = nanos
        return self.do(row)

    def refund(self, event: str, *, key: str) -> Any:
        row = self.row(Verb.REFUND, key=key)
        row["reference_high"], row["reference_low"] = session_key("test", event)
        return self.do(row)

    def tick(self, *, at: int | None = None) -> Any:
        return self.do(self.row(Verb.TICK, at=at))

    @staticmethod
    def _number(row: Rows, number: str) -> None:
        key, digits = number_keys(pl.Series([number]))
        row["number_key"], row["number_digits"] = key[0], digits[0]

    # ------------------------------------------------------------ what there is

    def remaining(self, bucket: int) -> int:
        return balances(self.shard.tables())[bucket]

    def reserved(self, bucket: int) -> int:
        table = self.shard.tables()["bucket"]
        return int(table["reserved"][(table["bucket_id"] == bucket) & (table["state"] > 0)][0])

    def notices(self) -> list[int]:
        return [int(kind) for batch in self.batches for kind in batch.notices["kind"]]

    def charges(self) -> list[Any]:
        return [row for batch in self.batches for row in batch.charges]

    def state(self) -> dict[str, bytes]:
        return {name: rows.tobytes() for name, rows in self.shard.tables().items()}

    def check_conservation(self) -> None:
        """Movements add up to balances; what usage took in money is what was charged for it."""
        moved: dict[int, int] = {}
        money = 0
        for batch in self.batches:
            for movement in batch.movements:
                number = int(movement["bucket_id"])
                moved[number] = moved.get(number, 0) + int(movement["change"])
                if movement["kind"] >= BucketKind.MONEY and movement["cause"] == NOT_SAID:
                    money += int(movement["change"])
        there = balances(self.shard.tables())
        assert {number: units for number, units in moved.items() if units} == {
            number: units for number, units in there.items() if units
        }
        charged = sum(int(row["amount_nanos"]) - int(row["uncollected_nanos"]) for row in self.charges())
        assert money == -charged - money_of_open_sessions(self.shard.tables())
        answered = sum(
            int(row["charged_nanos"])
            for batch in self.batches
            for command, row in zip(batch.commands, batch.answers, strict=True)
            if not row["stored"] and command["verb"] != Verb.TRANSFER
        )
        assert money == -answered


def result(answer: Any) -> str:
    return Result(int(answer["result"])).name
