"""A run that is killed anywhere and begun again ends as if nothing had happened."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import uuid4

import pytest
from django.db import connections
from tests.billing.builders import EUR, a_fee, a_moment, a_subscription, a_version, an_account, an_offering, at, facts
from tests.stories.operator import BillingOffice

from millicent.billing.errors import RunIsBusy
from millicent.kit.models import Tenant
from millicent.kit.tenancy import tenant_scope
from millicent.ledger.services.verify_chain import verify_chain

STEPS = ("computed", "numbering", "writing", "posting", "committing", "committed")


class Killed(Exception):
    pass


def three_customers(plan="plan"):
    return facts(
        an_offering("plan", recurring=(a_fee(30 * EUR),)),
        accounts=[an_account(number) for number in (1, 2, 3)],
        subscriptions=[
            a_subscription(a_version(at(2026, 9, 1), offering=plan), subscription_id=10 + number, account_id=number)
            for number in (1, 2, 3)
        ],
    )


def killer(step, *, times):
    seen = []

    def at_step(name):
        seen.append(name)
        if name == step and seen.count(name) == times:
            raise Killed

    return at_step


@pytest.fixture
def undisturbed() -> list[str]:
    """Digests of the same customers' bills when nobody interrupts: another operator's run."""
    other = Tenant.objects.create(code=f"calm-{uuid4().hex[:10]}", created_at=a_moment(2026, 1, 1))
    office = BillingOffice(tenant_id=other.id, facts=three_customers())
    office.release(through=a_moment(2026, 10, 1), now=a_moment(2026, 10, 1, 2))
    return [row[1] for row in office.everything()[:3]]


@pytest.mark.parametrize(("step", "batch"), [("planned", 1), *((step, batch) for step in STEPS for batch in (1, 2))])
def test_a_run_killed_at_any_step_ends_the_same(open_office, undisturbed, step, batch):
    office = open_office(three_customers())
    month = {"through": a_moment(2026, 10, 1), "batch_size": 1}
    with pytest.raises(Killed):
        office.release(now=a_moment(2026, 10, 1, 2), at_step=killer(step, times=batch), **month)

    office.release(now=a_moment(2026, 10, 3), **month)

    assert office.totals() == [(f"A-2026-00000{number}", "EUR", 60_00, 0, 60_00) for number in (1, 2, 3)]
    assert [row[1] for row in office.everything()[:3]] == undisturbed


def test_a_customer_that_breaks_is_parked_and_named_and_the_others_are_billed(open_office):
    known = three_customers()
    broken = a_subscription(a_version(at(2026, 9, 1), offering="unknown"), subscription_id=12, account_id=2)
    office = open_office(replace(known, subscriptions=(known.subscriptions[0], broken, known.subscriptions[2])))

    report = office.release_month(10)

    assert (report.bills, report.parked) == (2, 1)
    assert [(each.payer_code, each.reason) for each in report.parked_accounts] == [("A-2", "unknown_offering")]
    assert [number for number, *_ in office.totals()] == ["A-2026-000001", "A-2026-000002"]

    office.facts = known
    office.release_month(10)
    assert [number for number, *_ in office.totals()] == ["A-2026-000001", "A-2026-000002", "A-2026-000003"]


def test_an_account_with_too_many_lines_is_parked_before_anything_is_issued(open_office):
    office = open_office(three_customers())

    report = office.release(through=a_moment(2026, 10, 1), most_lines=1)

    assert [each.reason for each in report.parked_accounts] == ["runaway_bill"] * 3
    assert office.totals() == []


def test_a_second_release_is_refused_while_one_runs(open_office):
    office = open_office(three_customers())
    refused = []

    def meanwhile(step):
        if step == "computed":
            with ThreadPoolExecutor(1) as pool:
                refused.append(pool.submit(release_elsewhere).exception())

    def release_elsewhere():
        try:
            office.release(through=a_moment(2026, 10, 1))
        finally:
            connections.close_all()

    office.release(through=a_moment(2026, 10, 1), at_step=meanwhile)

    assert [type(each) for each in refused] == [RunIsBusy]
    assert len(office.totals()) == 3


KILLED_PROCESS = """
import os, signal
from uuid import UUID
from millicent.config.setup import open_stores
open_stores()
from tests.stories.operator import BillingOffice
from tests.stories.test_interruptions import three_customers
from tests.billing.builders import a_moment

def kill_me(step, seen=[]):
    seen.append(step)
    if step == "posting" and seen.count(step) == 2:
        os.kill(os.getpid(), signal.SIGKILL)

BillingOffice(tenant_id=UUID(os.environ["STORY_TENANT"]), facts=three_customers()).release(
    through=a_moment(2026, 10, 1), now=a_moment(2026, 10, 1, 2), batch_size=1, at_step=kill_me
)
"""


def test_a_process_killed_with_signal_9_leaves_whole_bills_only(open_office, undisturbed):
    office = open_office(three_customers())
    environment = {**os.environ, "STORY_TENANT": str(office.tenant_id), "PYTHONPATH": os.pathsep.join(sys.path)}

    ended = subprocess.run([sys.executable, "-c", KILLED_PROCESS], env=environment, capture_output=True, timeout=300)

    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert len(office.totals()) == 1
    office.release(through=a_moment(2026, 10, 1), now=a_moment(2026, 10, 3), batch_size=1)
    assert [row[1] for row in office.everything()[:3]] == undisturbed
    with tenant_scope(office.tenant_id):
        assert verify_chain().broken is None
