"""Notifications: in the customer's language, once, delivered until somebody takes them."""

import json
from collections.abc import Iterator

import pytest
from tests.charging.people.builders import EUR, NOVEMBER, NOW, a_customer, later
from tests.charging.people.test_balances import Counter

from millicent.charging.history.notices import Occasion, notifications_of
from millicent.charging.history.texts import LANGUAGES, text_of
from millicent.charging.models.durability import ProjectedBalance
from millicent.charging.models.people import Notification
from millicent.charging.notifiers import FileNotifier, notifier_of
from millicent.charging.people import NotificationState
from millicent.charging.ports import Collected, Message
from millicent.charging.services.deliver_notifications import deliver_notifications
from millicent.charging.services.fill_automatically import declare_auto_top_up, fill_automatically
from millicent.charging.types import BucketKind, NoticeKind
from millicent.kit.clock import to_ms
from millicent.kit.errors import BadInput, Outage
from millicent.kit.tenancy import tenant_scope


class Postman:
    def __init__(self) -> None:
        self.brought: list[Message] = []
        self.silent = False

    def deliver(self, message: Message) -> None:
        if self.silent:
            raise Outage("nobody opens")
        self.brought.append(message)


@pytest.fixture
def counter(tenant_id) -> Iterator[Counter]:
    made = Counter(tenant_id, "ANA")
    yield made
    made.port.close()


def brought(counter: Counter, postman: Postman, *, now=NOW) -> list[str]:
    deliver_notifications(tenant_id=counter.tenant_id, notifier=postman, now=now)
    return [message.text for message in postman.brought]


def a_projected_balance(counter: Counter, nanos: int, *, until_ms: int) -> None:
    with tenant_scope(counter.tenant_id):
        ProjectedBalance.objects.create(
            shard=0, bucket_id=77, billing_account_id=counter["ANA"], subscription_id=None,
            kind=int(BucketKind.MONEY), currency="EUR", allowance="", remaining=nanos, reserved=0,
            valid_from_ms=NOVEMBER, valid_until_ms=until_ms, sequence=1,
        )  # fmt: skip


def test_a_balance_that_expired_is_told_with_what_brings_it_back(counter):
    counter.top_up("ANA", 10)
    counter.port.tick(later(NOW, days=91))
    counter.port.read()

    postman = Postman()

    assert brought(counter, postman) == ["€10.00 of your balance has expired. A top-up within 30 days brings it back."]
    assert postman.brought[0].reach == {"email": "ana@example.org"}
    assert brought(counter, postman) == ["€10.00 of your balance has expired. A top-up within 30 days brings it back."]


def test_what_nobody_takes_is_tried_again_later_and_not_at_once(counter):
    counter.top_up("ANA", 10)
    counter.port.tick(later(NOW, days=91))
    counter.port.read()
    postman = Postman()
    postman.silent = True
    assert brought(counter, postman) == []
    postman.silent = False

    assert brought(counter, postman) == []
    assert len(brought(counter, postman, now=later(NOW, seconds=10))) == 1


def test_what_nobody_ever_takes_is_given_up(counter):
    counter.top_up("ANA", 10)
    counter.port.tick(later(NOW, days=91))
    counter.port.read()
    postman = Postman()
    postman.silent = True

    for hours in range(1, 30):
        brought(counter, postman, now=later(NOW, hours=hours))

    with tenant_scope(counter.tenant_id):
        (kept,) = Notification.objects.all()
    assert (kept.state, kept.tries, kept.fault) == (NotificationState.GIVEN_UP, 12, "nobody opens")


def told_by(counter: Counter, *, days: int) -> list[str]:
    counter.port.tick(later(NOW, days=days))
    counter.port.read()
    return brought(counter, Postman(), now=later(NOW, days=days))


def test_money_that_is_about_to_expire_is_told_once(counter):
    counter.top_up("ANA", 10)  # for ninety days

    assert [told_by(counter, days=days) for days in (86, 87, 88)] == [
        [], ["€10.00 of your balance expires on 8 February 2027. A top-up keeps it."], []]  # fmt: skip


def test_money_that_a_top_up_kept_alive_is_told_again_before_its_new_end(counter):
    counter.top_up("ANA", 10)
    told_by(counter, days=88)
    counter.top_up("ANA", 5, key="T2", now=later(NOW, days=88))

    assert [told_by(counter, days=days) for days in (90, 175)] == [
        [], ["€15.00 of your balance expires on 7 May 2027. A top-up keeps it."]]  # fmt: skip


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "What is left of your allowance ends on 12 November 2026."),
        ("es", "Lo que queda de su bono caduca el 12 noviembre 2026."),
        ("fr", "Ce qui reste de votre forfait expire le 12 novembre 2026."),
    ],
)
def test_an_allowance_that_ends_is_told_in_the_accounts_language(counter, language, text):
    with tenant_scope(counter.tenant_id):
        account_id, _ = a_customer("EVA", number="34600000200", language=language)
        ends = Occasion(
            sequence=1, place=0, kind=NoticeKind.EXPIRY_NEAR, about="units", billing_account_id=account_id,
            ends_at_ms=to_ms(later(NOW, days=2)),
        )  # fmt: skip
        (notification,) = notifications_of([ends], shard=0, names={})

    assert notification.text == text


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Your balance is low: €1.50 left."),
        ("es", "Le queda poco saldo: 1,50\xa0€."),
        ("fr", "Votre solde est bas : il reste 1,50\xa0€."),
    ],
)
def test_a_low_balance_is_told_in_the_accounts_language(counter, language, text):
    with tenant_scope(counter.tenant_id):
        account_id, _ = a_customer("EVA", number="34600000200", language=language)
        low = Occasion(
            sequence=1, place=0, kind=NoticeKind.LOW_BALANCE, about="money", billing_account_id=account_id,
            amount_nanos=EUR * 3 // 2,
        )  # fmt: skip
        (notification,) = notifications_of([low], shard=0, names={})

    assert notification.text == text


def test_every_text_is_there_in_every_language():
    said = {"name": "N", "percent": "80", "amount": "A", "date": "D", "days": "30"}
    for kind, about in (
        (NoticeKind.LOW_BALANCE, "money"), (NoticeKind.PART_USED, "units"), (NoticeKind.ALL_USED, "units"),
        (NoticeKind.PART_USED, "money"), (NoticeKind.ALL_USED, "money"), (NoticeKind.EXPIRY_NEAR, "money"),
        (NoticeKind.EXPIRED, "money"), (NoticeKind.EXPIRY_NEAR, "units"),
    ):  # fmt: skip
        texts = {text_of(kind, about=about, language=language, said=said) for language in LANGUAGES}
        assert len(texts) == 3
        assert not any("{" in text for text in texts)


def test_a_file_takes_one_line_a_notification(tmp_path):
    message = Message(key="k", kind="low_balance", language="es", text="Le queda poco saldo", reach={}, facts={})

    for _ in range(2):
        notifier_of(f"file:{tmp_path / 'out.jsonl'}").deliver(message)

    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["Le queda poco saldo"] * 2


def test_a_file_that_cannot_be_written_is_an_outage(tmp_path):
    with pytest.raises(Outage):
        FileNotifier(tmp_path).deliver(Message(key="k", kind="", language="en", text=""))


def test_a_webhook_is_an_address():
    with pytest.raises(BadInput):
        notifier_of("ftp://example.org")


class Gateway:
    """Takes money once for each key."""

    def __init__(self, *, fault: str = "") -> None:
        self.taken: dict[str, int] = {}
        self.fault = fault

    def collect(self, *, method: str, amount_nanos: int, currency: str, key: str) -> Collected:
        if not self.fault:
            self.taken[key] = amount_nanos
        return Collected(reference=f"pay-{key}", fault=self.fault)


def a_rule(counter: Counter, **changes) -> None:
    values = {"below_nanos": 5 * EUR, "amount_nanos": 20 * EUR, "method": "token-1", "most_per_month": 2, **changes}
    with tenant_scope(counter.tenant_id):
        declare_auto_top_up(account_id=counter["ANA"], who="ana", now=NOW, **values)


def filled(counter: Counter, gateway: Gateway, **passed: int) -> int:
    return fill_automatically(tenant_id=counter.tenant_id, port=counter.port, gateway=gateway, now=later(NOW, **passed))


def test_a_balance_below_its_threshold_fills_itself_as_often_as_the_customer_allows(counter):
    a_rule(counter)
    gateway = Gateway()

    assert [filled(counter, gateway, minutes=minutes) for minutes in (0, 2, 4, 6)] == [1, 1, 0, 0]

    assert counter.money("ANA") == 4400, "two of twenty euro, each with its bonus"
    assert sum(gateway.taken.values()) == 40 * EUR


def test_a_balance_that_has_enough_does_not_fill_itself(counter):
    a_rule(counter)
    a_projected_balance(counter, 5 * EUR, until_ms=to_ms(later(NOW, days=80)))

    assert filled(counter, Gateway()) == 0


def test_money_that_could_not_be_collected_fills_nothing(counter):
    a_rule(counter)

    assert filled(counter, Gateway(fault="declined")) == 0

    assert counter.money("ANA") == 0


def test_money_that_was_collected_and_whose_top_up_was_interrupted_arrives_once(counter):
    a_rule(counter, most_per_month=1)
    gateway = Gateway()
    counter.port.outage = Outage("nobody answers")
    with pytest.raises(Outage):
        filled(counter, gateway)
    counter.port.outage = None

    assert filled(counter, gateway, minutes=1) == 0, "it waits for the shard"
    from millicent.charging.services.settle_orders import settle_orders

    settle_orders(tenant_id=counter.tenant_id, port=counter.port, now=later(NOW, minutes=2))
    assert filled(counter, gateway, minutes=5) == 0

    assert counter.money("ANA") == 2200
    assert len(gateway.taken) == 1


def test_a_card_number_is_not_kept(counter):
    with pytest.raises(BadInput):
        a_rule(counter, method="4111111111111111")
