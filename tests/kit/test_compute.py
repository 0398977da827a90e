"""Batch work over processes: order, errors, kills, and memory."""

import os

import pytest
from tests.kit import work

from millicent.kit.compute import IN_FLIGHT_PER_WORKER, WorkerLost, run_partitions
from millicent.kit.errors import BadInput


def test_results_come_in_the_order_of_the_arguments():
    assert list(run_partitions(work.square, range(20), workers=2)) == [number**2 for number in range(20)]


def test_the_work_is_done_elsewhere_and_each_worker_is_prepared():
    assert os.getpid() not in run_partitions(work.own_pid, range(4), workers=2)
    assert list(run_partitions(work.is_prepared, range(4), workers=2, prepare=work.prepare)) == ["yes"] * 4


def test_one_worker_is_this_process():
    assert list(run_partitions(work.own_pid, range(2), workers=1)) == [os.getpid()] * 2


def test_an_error_of_a_worker_arrives_with_all_it_knew():
    with pytest.raises(BadInput) as refusal:
        list(run_partitions(work.refuse_three, range(10), workers=2))

    assert str(refusal.value) == "row 3: three is refused. Use four."
    assert (refusal.value.what, refusal.value.where, refusal.value.cure) == ("three is refused", "row 3", "Use four.")
    assert refusal.value.facts == {"row": 3}


def test_a_killed_worker_is_an_outage_and_not_a_hang():
    with pytest.raises(WorkerLost):
        list(run_partitions(work.kill_itself_at_two, range(6), workers=2))


def test_arguments_are_read_only_as_far_ahead_as_the_workers_need():
    read = []

    def arguments():
        for number in range(100):
            read.append(number)
            yield number

    results = run_partitions(work.square, arguments(), workers=2)
    assert next(results) == 0
    assert len(read) <= 2 * IN_FLIGHT_PER_WORKER + 1
    results.close()
