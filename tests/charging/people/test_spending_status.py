"""What a policy function hears of spending: the statuses now, each change after it, and that somebody is gone."""

from collections.abc import Iterator

import pytest
from tests.charging.people.builders import EUR, NOW, later
from tests.charging.people.test_balances import DECLARED, Counter

from millicent.charging.errors import PolicyCounterUnknown, WatchedSubscriptionUnknown
from millicent.charging.models.status import StatusWatch
from millicent.charging.notifiers import FileNotifier, StatusMessages
from millicent.charging.ports import StatusReport
from millicent.charging.services.declare_services import declare_services
from millicent.charging.services.provision_shard import provision_shard
from millicent.charging.services.report_statuses import keep_statuses, report_statuses
from millicent.charging.services.watch_spending import WatchedSpending
from millicent.charging.types import NO_LIMIT, NOT_SAID, NameKind, Status, Verb, commands
from millicent.kit.clock import to_ms
from millicent.kit.errors import Outage
from millicent.kit.tenancy import tenant_scope

COUNTERS = """\
policy_counters:
  bundle: {of: bundle/extra, statuses: [{at: 50%, status: half}, {at: 100%, status: exhausted}]}
  spend: {of: spending, begins: free, statuses: [{at: 80%, status: near}, {at: 100%, status: reached}]}
"""


class PolicyFunction:
    """A StatusListener that keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, str], bool]] = []
        self.silent = False

    def tell(self, report: StatusReport) -> None:
        if self.silent:
            raise Outage("nobody listens")
        self.told.append((report.reference, dict(report.statuses), report.final))


class Desk:
    """Ana with a spending limit of ten euro and a bundle of a hundred units, watched by whoever wants."""

    def __init__(self, tenant_id) -> None:
        self.counter = Counter(tenant_id, "ANA")
        self.tenant_id, self.port = tenant_id, self.counter.port
        with tenant_scope(tenant_id):
            declare_services(DECLARED + COUNTERS, who="ana", now=NOW)
        provision_shard(tenant_id=tenant_id, port=self.port, now=later(NOW, seconds=1))
        self.policy = PolicyFunction()
        table = self.port.shard.tables()["subscriber"]
        self.subscription_id = int(table["subscription_id"][1])
        self.counter.top_up("ANA", 100)
        self.change(limit=10 * EUR)

    def do(self, verb: Verb, **fields) -> None:
        row = commands(1)
        row["verb"], row["received_ms"] = verb, to_ms(NOW)
        for name, value in fields.items():
            row[name] = value
        assert self.port.submit(row)["result"].tolist() == [0]

    def change(self, *, limit: int = NO_LIMIT, status: Status = Status.ACTIVE) -> None:
        self.do(Verb.SUBSCRIBER, subscription_id=self.subscription_id, limit=limit, amount=status)

    def spend(self, nanos: int) -> None:
        """Content that names its own price."""
        asked = [NOT_SAID] * 5 + [nanos]
        self.do(Verb.DEBIT, subscription_id=self.subscription_id, asked=[asked])

    def grant(self, units: int, *, bucket: int = 77) -> None:
        name = self.port.number_of(NameKind.ALLOWANCE, "bundle/extra")
        self.do(Verb.GRANT, subscription_id=self.subscription_id, bucket_id=bucket, name=name, amount=units)

    def use(self, units: int, *, bucket: int = 77) -> None:
        self.do(Verb.ADJUST, bucket_id=bucket, amount=-units)

    def watch(self, reference: str = "w1", *, counters=(), subscription_id: int | None = None):
        return self.spending().subscribe(
            reference=reference, subscription_id=subscription_id or self.subscription_id, counters=counters,
            listener="policy",
        )  # fmt: skip

    def spending(self) -> WatchedSpending:
        return WatchedSpending(tenant_id=self.tenant_id, port=self.port, now=NOW)

    def read(self) -> None:
        while keep_statuses(tenant_id=self.tenant_id, port=self.port, now=NOW):
            pass

    def told(self, *, now=NOW) -> list[tuple[str, dict[str, str], bool]]:
        self.read()
        report_statuses(tenant_id=self.tenant_id, listeners={"policy": self.policy}, now=now)
        told, self.policy.told = self.policy.told, []
        return told


@pytest.fixture
def desk(tenant_id) -> Iterator[Desk]:
    made = Desk(tenant_id)
    yield made
    made.port.close()


def test_who_watches_is_answered_with_what_is_so_now_and_told_each_change(desk):
    desk.grant(100)
    assert desk.watch() == {"bundle": "normal", "spend": "free"}
    assert desk.told() == []

    desk.use(60)
    first = desk.told()
    desk.spend(9 * EUR)
    second = desk.told()

    assert first == [("w1", {"bundle": "half", "spend": "free"}, False)]
    assert second == [("w1", {"bundle": "half", "spend": "near"}, False)]
    assert desk.told() == []


def test_only_the_counters_that_were_asked_for_are_told(desk):
    desk.grant(100)
    assert desk.watch("one", counters=["spend"]) == {"spend": "free"}
    desk.watch("all")

    desk.use(100)

    assert desk.told() == [("all", {"bundle": "exhausted", "spend": "free"}, False)]


def test_a_counter_that_looks_at_nothing_of_theirs_has_no_status_until_it_does(desk):
    assert desk.watch() == {"spend": "free"}

    desk.grant(100)

    assert desk.told() == [("w1", {"bundle": "normal", "spend": "free"}, False)]


def test_what_nobody_takes_is_told_later_and_only_the_last_of_it(desk):
    desk.grant(100)
    desk.watch()
    desk.policy.silent = True
    desk.use(60)
    assert desk.told() == []
    desk.use(40)
    desk.policy.silent = False
    desk.read()

    assert desk.told() == [("w1", {"bundle": "exhausted", "spend": "free"}, False)]


def test_a_pause_after_silence_is_kept(desk):
    desk.grant(100)
    desk.watch()
    desk.use(60)
    desk.policy.silent = True
    desk.told()
    desk.policy.silent = False

    assert desk.told() == []
    assert len(desk.told(now=later(NOW, seconds=1))) == 1


def test_who_watches_no_longer_is_told_nothing_and_the_shard_neither(desk):
    desk.grant(100)
    desk.watch("one")
    desk.watch("two")
    assert desk.spending().unsubscribe(reference="one")
    desk.use(60)
    assert [reference for reference, _, _ in desk.told()] == ["two"]

    assert desk.spending().unsubscribe(reference="two")
    assert not desk.spending().unsubscribe(reference="two")
    desk.use(40)

    assert desk.told() == []
    assert int(desk.port.shard.tables()["subscriber"]["watched"].sum()) == 0


def test_a_subscription_that_is_gone_is_reported_once_and_for_the_last_time(desk):
    desk.grant(100)
    desk.watch()

    desk.change(status=Status.GONE)

    assert desk.told() == [("w1", {}, True)]
    assert desk.told() == []
    with tenant_scope(desk.tenant_id):
        assert not StatusWatch.objects.exists()


def test_what_is_not_known_is_refused_and_leaves_no_watch(desk):
    with pytest.raises(PolicyCounterUnknown) as unknown:
        desk.watch(counters=["bundle", "speed"])
    with pytest.raises(WatchedSubscriptionUnknown):
        desk.watch(subscription_id=999_999)

    assert unknown.value.facts == {"counters": ["speed"]}
    with tenant_scope(desk.tenant_id):
        assert not StatusWatch.objects.exists()


def test_a_shard_that_is_silent_is_an_outage_and_the_change_is_told_when_it_is_back(desk):
    desk.grant(100)
    desk.watch()
    desk.use(60)
    desk.port.outage = Outage("nobody answers")
    with pytest.raises(Outage):
        desk.read()
    desk.port.outage = None

    assert desk.told() == [("w1", {"bundle": "half", "spend": "free"}, False)]


def test_a_counter_that_is_no_longer_declared_is_gone_from_the_shard(desk):
    with tenant_scope(desk.tenant_id):
        declare_services(DECLARED, who="ana", now=NOW)
    provision_shard(tenant_id=desk.tenant_id, port=desk.port, now=later(NOW, seconds=2))

    assert desk.port.shard.tables()["watch"]["declared"].tolist() == [0, 0, 0]


def test_reports_may_go_where_notifications_go(tmp_path, desk):
    desk.grant(100)
    desk.spending().subscribe(reference="w", subscription_id=desk.subscription_id, listener="notifications")
    desk.use(60)
    desk.read()

    listeners = {"notifications": StatusMessages(notifier=FileNotifier(tmp_path / "out.jsonl"))}
    assert report_statuses(tenant_id=desk.tenant_id, listeners=listeners, now=NOW) == 1

    assert '"counter.bundle": "half"' in (tmp_path / "out.jsonl").read_text()
