"""A whole month from the real stores: releases and customers in PostgreSQL, usage in the lake, two processes."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
from tests.billing.builders import CENT, a_moment, at
from tests.stories.operator import BillingOffice
from tests.stories.stored import AWAY, HOME, NOWHERE, a_stored_call, open_stored_operator, put_in_lake

from millicent.billing.selectors import bills
from millicent.billing.services.itemise_bill import itemise_bill
from millicent.billing.services.recognise_revenue import recognise_revenue
from millicent.billing.services.rehearse_bill_run import rehearse_bill_run
from millicent.billing.sources import StoredFacts
from millicent.customers.services.change_payer import change_payer
from millicent.customers.types import Signature
from millicent.kit.compute import WorkerLost
from millicent.kit.lake import Lake
from millicent.kit.tenancy import tenant_scope
from millicent.ledger.services.verify_chain import verify_chain

CUSTOMERS = ("C-1", "C-2", "C-3", "C-4", "C-5")
OCTOBER = {"through": a_moment(2024, 10, 1), "now": a_moment(2024, 10, 1, 2)}


@pytest.fixture
def lake(tmp_path) -> Lake:
    return Lake(root=str(tmp_path / "lake"))


@pytest.fixture
def office(tenant_id, lake) -> BillingOffice:
    """Five customers; C-4 pays for C-5. C-1 calls home and abroad, C-5 calls home, C-2 calls where no price is."""
    open_stored_operator(tenant_id, customers=CUSTOMERS, payers={"C-5": "C-4"})
    put_in_lake(
        lake,
        a_stored_call(tenant_id, "C-1", at(2024, 9, 5, 12), seconds=600),
        a_stored_call(tenant_id, "C-1", at(2024, 9, 30, 23, 59, 59), seconds=60, other_party=AWAY),
        a_stored_call(tenant_id, "C-1", at(2024, 10, 1), seconds=60),
        a_stored_call(tenant_id, "C-2", at(2024, 9, 6, 12), seconds=60, other_party=NOWHERE),
        a_stored_call(tenant_id, "C-5", at(2024, 9, 7, 12), seconds=300),
    )
    return BillingOffice(tenant_id=tenant_id, facts=StoredFacts(lake=lake))


def test_two_processes_issue_what_a_rehearsal_in_one_computed(office):
    with tenant_scope(office.tenant_id):
        rehearsal = rehearse_bill_run(
            tenant_id=office.tenant_id, facts=office.facts, keep_bills=True, batch_size=1, **OCTOBER
        )

    report = office.release(workers=2, batch_size=1, **OCTOBER)

    assert (report.batches, report.bills, report.parked) == (4, 4, 0)
    assert (report.usage_in, report.usage_billed, report.usage_unpriced) == (4, 3, 1)
    assert [bill.digest for bill in rehearsal.kept_bills] == [digest for _, digest, *_ in office.everything()[:4]]
    assert sorted(total[2:] for total in office.totals()) == [
        (20_00, 4_20, 24_20),
        (20_00, 4_20, 24_20),
        (21_30, 4_47, 25_77),
        (40_50, 8_51, 49_01),
    ]
    with tenant_scope(office.tenant_id):
        assert verify_chain().broken is None


def test_the_next_month_goes_on_where_the_last_one_ended(office):
    office.release(workers=2, batch_size=1, **OCTOBER)

    office.release(through=a_moment(2024, 11, 1), now=a_moment(2024, 11, 1, 2), workers=2, batch_size=2)

    assert sorted(total[2] for total in office.totals()) == [10_00, 10_00, 10_10, 20_00, 20_00, 20_00, 21_30, 40_50]
    assert office.balance("liability:deferred:recurring") == -150_00


def test_a_call_that_reached_the_lake_after_the_bill_is_on_the_next_one(office, lake):
    office.release(workers=2, batch_size=1, **OCTOBER)
    late = a_stored_call(
        office.tenant_id, "C-3", at(2024, 9, 9, 12), seconds=120, received_at_ms=at(2024, 10, 2), event_key_high=7
    )
    put_in_lake(lake, late)

    report = office.release(through=a_moment(2024, 11, 1), now=a_moment(2024, 11, 1, 2), workers=2, batch_size=1)

    assert (report.usage_in, report.usage_billed) == (2, 2)
    assert sorted(total[2] for total in office.totals())[-4:] == [20_00, 20_00, 21_30, 40_50]
    corrections = [
        line for number in numbers(office) for line in office.lines(number=number) if line[0] == "adjustment"
    ]
    assert corrections == [("adjustment", "Correction: voice, home", 20)]


def test_an_account_that_leaves_its_payer_is_billed_from_that_cycle_on(office, lake):
    """C-5 pays for itself from 1 October: its September stays C-4's, and a late call of September is its own."""
    office.release(workers=1, **OCTOBER)
    with tenant_scope(office.tenant_id):
        change_payer(
            code="C-5",
            payer="C-5",
            at_ms=at(2024, 10, 1),
            billed_until_ms=at(2024, 10, 1),
            now=a_moment(2024, 10, 2),
            signature=Signature(who="ana", why="they part"),
        )
    late = {"received_at_ms": at(2024, 10, 3), "event_key_high": 7}
    put_in_lake(lake, a_stored_call(office.tenant_id, "C-5", at(2024, 9, 9, 12), seconds=120, **late))

    report = office.release(through=a_moment(2024, 11, 1), now=a_moment(2024, 11, 1, 2), workers=1)

    assert (report.payers, report.parked, report.still_due) == (5, 0, 0)
    october = {bill.payer_code: (bill.number, bill.net_nanos // CENT) for bill in issued(office)[4:]}
    assert {code: net for code, (_, net) in october.items()} == {
        "C-1": 10_10, "C-2": 10_00, "C-3": 10_00, "C-4": 10_00, "C-5": 10_20,
    }  # fmt: skip
    assert office.lines(number=october["C-5"][0]) == [
        ("recurring", "monthly", 10_00),
        ("adjustment", "Correction: voice, home", 20),
    ]


def issued(office):
    with tenant_scope(office.tenant_id):
        return bills()


def numbers(office):
    return [total[0] for total in office.totals()]


def test_every_call_of_a_bill_is_itemised_from_the_lake(office):
    office.release(workers=2, batch_size=1, **OCTOBER)
    (number,) = [total[0] for total in office.totals() if total[2] == 21_30]

    with tenant_scope(office.tenant_id):
        details = itemise_bill(number, facts=office.facts)

    assert [(each.occurred_at_ms, each.other_party, each.quantity_units, each.amount_nanos) for each in details] == [
        (at(2024, 9, 5, 12), HOME, 600, 100 * CENT),
        (at(2024, 9, 30, 23, 59, 59), AWAY, 60, 30 * CENT),
    ]


def test_what_was_billed_ahead_is_earned_day_by_day(office):
    office.release(workers=2, batch_size=1, **OCTOBER)

    with tenant_scope(office.tenant_id):
        posted = recognise_revenue(through=a_moment(2024, 9, 15, 12).date(), now=a_moment(2024, 10, 2))
        again = recognise_revenue(through=a_moment(2024, 9, 15, 12).date(), now=a_moment(2024, 10, 2))

    assert (posted, again) == (15, 0)
    assert office.balance("revenue:recurring") == -25_00
    assert office.balance("liability:deferred:recurring") == -75_00


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlyFacts(StoredFacts):
    """The first worker that reads usage is killed, as the system does when memory is short."""

    trap: Path

    def usage(self, account_ids, **asked) -> pl.DataFrame:
        if self.trap.exists():
            self.trap.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return StoredFacts.usage(self, account_ids, **asked)


def test_a_killed_worker_is_an_outage_and_the_next_release_goes_on(office, lake, tmp_path):
    trap = tmp_path / "trap"
    trap.touch()
    office.facts = DeadlyFacts(lake=lake, trap=trap)
    with pytest.raises(WorkerLost):
        office.release(workers=2, batch_size=1, **OCTOBER)

    report = office.release(workers=2, batch_size=1, through=OCTOBER["through"], now=a_moment(2024, 10, 3))

    assert (report.bills, report.parked) == (4, 0)
    assert [total[0] for total in office.totals()] == [f"A-2024-00000{place}" for place in (1, 2, 3, 4)]
