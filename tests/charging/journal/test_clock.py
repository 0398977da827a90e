"""The time a shard is told never goes back and never runs away, whatever the machine's clock does."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from millicent.charging.server.clock import SteadyClock, stamp
from millicent.charging.types import commands

HOUR = 3_600_000


class Machine:
    """A wall clock that may be set, and a monotonic one that may not."""

    def __init__(self, wall_ms=1_000_000_000):
        self.wall_ms, self.monotonic_ms = wall_ms, 0

    def pass_ms(self, passed):
        self.wall_ms += passed
        self.monotonic_ms += passed

    def clock(self, floor_ms=0):
        return SteadyClock(
            floor_ms=floor_ms, wall_ms=lambda: self.wall_ms, monotonic_ns=lambda: self.monotonic_ms * 1_000_000
        )


def test_a_clock_that_is_right_is_followed_to_the_millisecond():
    machine = Machine()
    clock = machine.clock()
    machine.pass_ms(12_345)

    assert clock.now_ms() == machine.wall_ms


def test_a_clock_that_is_set_back_an_hour_does_not_stop_time():
    machine = Machine()
    clock = machine.clock()
    before = clock.now_ms()
    machine.wall_ms -= HOUR
    machine.pass_ms(10_000)

    assert clock.now_ms() == before + 9_000


def test_a_clock_that_is_set_forward_an_hour_expires_nothing_before_its_time():
    machine = Machine()
    clock = machine.clock()
    before = clock.now_ms()
    machine.wall_ms += HOUR
    machine.pass_ms(10_000)

    assert clock.now_ms() == before + 11_000


def test_after_a_restart_time_goes_on_from_what_the_journal_was_told():
    machine = Machine(wall_ms=1_000)
    clock = machine.clock(floor_ms=500_000)

    assert clock.now_ms() == 500_000
    machine.pass_ms(1_000)
    assert clock.now_ms() == 500_900


@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(-HOUR, HOUR)), max_size=30))
def test_time_never_goes_back(jumps):
    machine = Machine()
    clock = machine.clock()
    told = [clock.now_ms()]
    for passed, jump in jumps:
        machine.wall_ms += jump
        machine.pass_ms(passed)
        told.append(clock.now_ms())

    assert told == sorted(told)


@given(st.lists(st.integers(-5, 5_000), min_size=1, max_size=20), st.integers(0, 3_000), st.integers(0, 4_000))
def test_commands_are_told_to_have_come_in_their_order_and_not_in_the_future(received, floor_ms, now_ms):
    rows = commands(len(received))
    rows["received_ms"] = received

    last = stamp(rows, floor_ms=floor_ms, now_ms=now_ms)

    stamped = rows["received_ms"].tolist()
    assert stamped == sorted(stamped)
    assert stamped[0] >= floor_ms
    assert stamped[-1] == last <= max(now_ms, floor_ms)


def test_a_command_that_does_not_say_when_it_came_came_now():
    rows = commands(3)
    rows["received_ms"] = [900, 0, 0]

    stamp(rows, floor_ms=100, now_ms=1_000)

    assert rows["received_ms"].tolist() == np.array([900, 1_000, 1_000]).tolist()
