"""Spending status, open sessions and traces, as people and policy doors see them; prepaid usage in the books."""

from collections.abc import Iterator

import polars as pl
import pytest
from django.db import connection
from tests.charging.people.builders import EUR, NOW, later
from tests.charging.people.test_balances import Counter

from millicent.charging.history.tracing import SessionTrace
from millicent.charging.keys import identifier_key, session_key, traffic_text
from millicent.charging.selectors import SpendingState, spending_state, spending_status, statement
from millicent.charging.server.looks import balances_of_account, one_session, open_sessions, spending_of
from millicent.charging.services.end_session import end_session
from millicent.charging.services.post_usage_days import check_prepaid, post_usage_days
from millicent.charging.types import Door, Flag, NameKind, Result, Unit, Verb, commands
from millicent.kit.clock import to_ms
from millicent.kit.tenancy import tenant_scope
from millicent.ledger.selectors import account_balance
from millicent.rating.compile.numbers import number_keys
from millicent.subscriptions.selectors import subscription_ids
from millicent.subscriptions.types import IdentifierKind

MINUTE = 60
KEY = session_key("diameter", "call;1")


class Switch(Counter):
    """Reports calls of ANA to a home number: 100 minutes are included, then ten cents a minute."""

    def tell(self, verb: Verb, *, number: int = 0, used: int = -1, asked: int = -1, flags: int = 0, now=NOW):
        rows = commands(1)
        rows["verb"], rows["door"], rows["request_number"] = verb, Door.DIAMETER, number
        rows["key_high"], rows["key_low"] = KEY
        rows["received_ms"] = to_ms(now)
        rows["subscriber_key"] = identifier_key(IdentifierKind.MSISDN, "34600000100")
        rows["number_key"], rows["number_digits"] = number_keys(pl.Series(["34910000000"]))
        rows["traffic"] = self.port.number_of(NameKind.TRAFFIC, traffic_text(service="voice"))
        rows["peer"] = self.port.number_of(NameKind.PEER, "sbc-1")
        rows["used"][:, Unit.SECONDS], rows["asked"][:, Unit.SECONDS] = used, asked
        rows["flags"], rows["text_length"] = flags | (Flag.ASKED if asked >= 0 else 0), len(b"call;1")
        (answer,) = self.port.submit(rows, b"call;1")
        return answer

    def call(self, minutes: int, *, now=NOW) -> int:
        """One whole call; what it cost, in cents."""
        self.tell(Verb.OPEN, now=now)
        self.tell(Verb.UNITS, asked=minutes * MINUTE, now=now)
        answer = self.tell(Verb.UNITS, number=1, used=minutes * MINUTE, flags=Flag.FINAL, now=now)
        self.tell(Verb.END, number=2, now=now)
        assert answer["result"] == Result.DONE
        return int(answer["charged_nanos"]) * 100 // EUR

    def look(self, what: str, **asked: int):
        assert what == "spending"
        return spending_of(self.port.shard, asked["subscription_id"])

    @property
    def subscription_id(self) -> int:
        with tenant_scope(self.tenant_id):
            return subscription_ids(codes=["S-ANA"])["S-ANA"]


@pytest.fixture
def switch(tenant_id) -> Iterator[Switch]:
    made = Switch(tenant_id, "ANA")
    made.top_up("ANA", 10)
    yield made
    made.port.close()


def test_a_call_beyond_the_included_minutes_is_explained_in_the_statement(switch):
    assert switch.call(130) == 300
    switch.port.read()

    with tenant_scope(switch.tenant_id):
        money = [line for line in statement(switch["ANA"]) if line.currency and not line.cause]
        units = [line for line in statement(switch["ANA"]) if not line.currency and not line.cause]
    (line,) = money
    assert (line.change, line.remaining) == (-3 * EUR, 7 * EUR)
    assert {name: line.usage[name] for name in ("service", "other_party", "unit", "quantity")} == {
        "service": "voice", "other_party": "34910000000", "unit": "seconds", "quantity": str(130 * MINUTE),
    }  # fmt: skip
    assert line.usage["session"] == f"{KEY[0]:016x}{KEY[1]:016x}"
    assert [each.change for each in units] == [-100 * MINUTE]


def test_prepaid_usage_is_posted_once_a_day_and_the_ledger_owes_what_is_left(switch):
    switch.call(130)
    switch.port.read()
    with tenant_scope(switch.tenant_id):
        (before,) = check_prepaid()
    assert (before.balances_nanos, before.unposted_nanos, before.difference_nanos) == (7 * EUR, 3 * EUR, 0)

    assert post_usage_days(tenant_id=switch.tenant_id, now=later(NOW, hours=2)) == 0, "the day is not over"
    assert post_usage_days(tenant_id=switch.tenant_id, now=later(NOW, days=1)) == 1
    assert post_usage_days(tenant_id=switch.tenant_id, now=later(NOW, days=2)) == 0

    with tenant_scope(switch.tenant_id):
        (after,) = check_prepaid()
        assert (after.liability_nanos, after.unposted_nanos, after.difference_nanos) == (7 * EUR, 0, 0)
        earned = [
            account_balance(ledger_account=each, currency="EUR") for each in ("revenue:usage", "liability:tax:vat")
        ]
        assert (earned, sum(earned)) == ([-2_479_338_843, -520_661_157], -3 * EUR)


def test_spending_status_names_the_state_of_each_counter(switch):
    switch.call(85)

    status = {each.code: each for each in spending_status(switch, subscription_id=switch.subscription_id)}

    minutes = status["prepaid/minutes"]
    assert (minutes.used, minutes.limit, minutes.state) == (85 * MINUTE, 100 * MINUTE, SpendingState.PART_USED)
    assert (status["spend_limit"].limit, status["spend_limit"].state) == (None, SpendingState.ACTIVE)


@pytest.mark.parametrize(
    ("used", "limit", "state"),
    [
        (79, 100, SpendingState.ACTIVE),
        (80, 100, SpendingState.PART_USED),
        (100, 100, SpendingState.EXHAUSTED),
        (101, 100, SpendingState.EXHAUSTED),
        (0, 0, SpendingState.EXHAUSTED),
        (10**12, None, SpendingState.ACTIVE),
    ],
)
def test_a_counter_is_part_used_from_its_share_on_and_exhausted_at_its_end(used, limit, state):
    assert spending_state(used=used, limit=limit, part_percent=80) is state


def test_an_open_session_shows_what_it_holds(switch):
    switch.tell(Verb.OPEN)
    switch.tell(Verb.UNITS, asked=10 * MINUTE)

    (session,) = open_sessions(switch.port.shard, subscription_id=switch.subscription_id, limit=10)
    found = one_session(switch.port.shard, "call;1")

    assert (session["session_id"], session["door"], session["peer"]) == ("call;1", "diameter", "sbc-1")
    assert found is not None
    (group,) = found["groups"]
    assert (group["service"], group["granted_units"]) == ("voice", 10 * MINUTE)
    assert [(held["allowance"], held["amount"]) for held in group["held"]] == [("prepaid/minutes", 10 * MINUTE)]
    assert one_session(switch.port.shard, session["key"]) == found
    assert one_session(switch.port.shard, "call;2") is None
    reserved = {row["allowance"]: row["reserved"] for row in balances_of_account(switch.port.shard, switch["ANA"])}
    assert reserved["prepaid/minutes"] == 10 * MINUTE


def test_a_session_that_an_operator_ends_gives_back_what_it_held(switch):
    switch.tell(Verb.OPEN)
    switch.tell(Verb.UNITS, asked=10 * MINUTE)

    assert end_session(port=switch.port, key=f"{KEY[0]:016x}{KEY[1]:016x}", now=NOW) == "done"

    assert open_sessions(switch.port.shard, subscription_id=-1, limit=10) == []
    reserved = [row["reserved"] for row in balances_of_account(switch.port.shard, switch["ANA"])]
    assert set(reserved) == {0}


def test_a_trace_tells_each_step_of_a_session_and_goes_on_with_what_comes(switch):
    switch.tell(Verb.OPEN)
    switch.tell(Verb.UNITS, asked=10 * MINUTE)
    traced = SessionTrace("call;1")

    def steps():
        with tenant_scope(switch.tenant_id), connection.cursor() as cursor:
            return [(step.verb, step.used, step.granted_units, step.held) for step in
                    traced.steps(cursor, looked_back=1000)]  # fmt: skip

    assert steps() == [("open", {}, -1, {}), ("units", {}, 600, {0: 600})]
    switch.tell(Verb.UNITS, number=1, used=10 * MINUTE, asked=MINUTE)
    switch.tell(Verb.END, number=2)
    assert [step[:3] for step in steps()] == [("units", {"seconds": 600}, 60), ("end", {}, -1)]
    assert steps() == []
