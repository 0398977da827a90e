"""A top-up is made once and not never, also when the shard has forgotten its key: a ring small enough to forget."""

from collections.abc import Iterator

import pytest
from tests.charging.people.builders import NOW, later
from tests.charging.people.test_balances import Counter

from millicent.charging import state
from millicent.charging.errors import HistoryBehind
from millicent.charging.people import OrderState
from millicent.charging.services.settle_orders import settle_orders
from millicent.kit.errors import Outage

RING = 64  # the smallest ring there is


@pytest.fixture
def counter(tenant_id, monkeypatch) -> Iterator[Counter]:
    """The answer to a top-up of ten euros was lost."""
    monkeypatch.setitem(state.BOUNDS, "lasting", RING)
    made = Counter(tenant_id, "ANA", "BEN")
    made.port.read()
    made.port.lost = Outage("the line broke")
    with pytest.raises(Outage):
        made.top_up("ANA", 10)
    made.port.lost = None
    yield made
    made.port.close()


def forget(counter: Counter) -> None:
    """So many top-ups of another that the ring has lost the first."""
    for number in range(RING + 8):
        counter.top_up("BEN", 5, key=f"B{number}")


def test_the_ring_has_forgotten_and_sent_blindly_the_money_would_come_twice(counter):
    """What the guard is for: the very command again is done again."""
    forget(counter)
    counter.port.read()
    assert counter.money("ANA") == 1000

    from millicent.charging.models.people import BalanceOrder
    from millicent.charging.orders import command_of
    from millicent.kit.clock import to_ms
    from millicent.kit.tenancy import tenant_scope

    with tenant_scope(counter.tenant_id):
        order = BalanceOrder.objects.get(key="T1")
    counter.port.submit(command_of(order, port=counter.port, now_ms=to_ms(NOW), text_length=2), b"T1")

    assert counter.money("ANA") == 2000


def test_after_a_long_outage_the_order_is_settled_by_the_history(counter):
    forget(counter)
    counter.port.read()

    settle_orders(tenant_id=counter.tenant_id, port=counter.port, now=later(NOW, days=3))
    again = counter.top_up("ANA", 10, now=later(NOW, days=3))

    assert (again.state, again.repeated) == (OrderState.DONE, True)
    assert counter.money("ANA") == 1000


def test_whoever_asks_again_before_the_history_has_caught_up_is_told_to_wait(counter):
    forget(counter)

    for _ in range(2):
        with pytest.raises(HistoryBehind):
            counter.top_up("ANA", 10)
    with pytest.raises(HistoryBehind):
        settle_orders(tenant_id=counter.tenant_id, port=counter.port, now=later(NOW, days=3))
    assert counter.money("ANA") == 1000

    counter.port.read()
    assert counter.top_up("ANA", 10).state is OrderState.DONE
    assert counter.money("ANA") == 1000


def test_a_top_up_that_never_reached_the_shard_is_made_however_late(counter):
    counter.port.outage = Outage("nobody answers")
    with pytest.raises(Outage):
        counter.top_up("ANA", 20, key="T2")
    counter.port.outage = None
    forget(counter)
    counter.port.read()

    settle_orders(tenant_id=counter.tenant_id, port=counter.port, now=later(NOW, days=3))

    assert counter.money("ANA") == 1000 + 2000 + 200, "both top-ups, and the bonus of the second"
    settle_orders(tenant_id=counter.tenant_id, port=counter.port, now=later(NOW, days=4))
    assert counter.money("ANA") == 3200
