"""`millicent explain --event`: a usage in the lake, explained by the replay that makes the bills."""

import json
import os
import subprocess
import sys

import pytest
from tests.billing.builders import CENT, a_moment, at
from tests.catalog.builders import OFFERING, TARIFF, examined
from tests.stories.operator import BillingOffice
from tests.stories.stored import OPENED, a_stored_call, open_stored_operator, put_in_lake

from millicent.billing.services.itemise_bill import itemise_bill
from millicent.billing.sources import StoredFacts
from millicent.catalog.selectors import catalogue_of
from millicent.catalog.services.release_catalogue import release_catalogue
from millicent.config.setup import tenant_lake
from millicent.kit.models import Tenant
from millicent.kit.tenancy import tenant_scope
from millicent.subscriptions.services.add_add_on import add_add_on
from millicent.subscriptions.types import Signature

TEN_MINUTES = (
    OFFERING
    + "allowances:\n  - {code: minutes, when: {service: voice, zone: world/home}, amount: 10 min, "
    + "rollover: {cycles: 1}}\n"
)
BYTES = "code: bytes\ncalendar: week\nrules:\n  - {code: data, when: {service: data}, price: 0.01/MB}\n"
DATA_PACK = "code: data-pack\nadd_on: true\nservices: [data]\ntariff: bytes\n"
DEARER = TARIFF.replace("0.10/min", "0.20/min")
SOLD = {"offerings/plan.yaml": TEN_MINUTES, "offerings/data.yaml": DATA_PACK, "tariffs/bytes.yaml": BYTES}
MINUTE = 60


@pytest.fixture
def office(tenant_id):
    """C-1 pays for C-2. Both have ten minutes home a month that roll over once; C-1 makes the calls below."""
    open_stored_operator(tenant_id, customers=("C-1", "C-2"), payers={"C-2": "C-1"})
    with tenant_scope(tenant_id):
        release_catalogue(
            examination=examined(SOLD),
            effective_from_ms=OPENED,
            author="ana",
            recorded_at_ms=OPENED + 1,
        )
        release_catalogue(
            examination=examined({**SOLD, "tariffs/basic.yaml": DEARER}),
            effective_from_ms=at(2024, 10, 20),
            author="ana",
            recorded_at_ms=OPENED + 2,
        )
    lake = tenant_lake(tenant_id)
    for number, (when, minutes) in CALLS.items():
        put_in_lake(lake, a_stored_call(tenant_id, "C-1", when, seconds=minutes * MINUTE, **keyed(number)))
    return BillingOffice(tenant_id=tenant_id, facts=StoredFacts(lake=lake))


CALLS = {  # number -> begun, minutes
    1: (at(2024, 9, 5, 12), 4),  # 10 included: 6 roll over
    2: (at(2024, 10, 3, 12), 12),  # 16 included: 4 are left
    3: (at(2024, 10, 4, 12), 7),  # 3 minutes at 0.10
    4: (at(2024, 10, 25, 12), 2),  # 2 minutes at 0.20
}


def keyed(number):
    return {"event_key_high": number << 56}


def key(number):
    """The first half: the second is the subscription's."""
    return f"{number << 56:016x}"


def explain(office, *arguments):
    code = Tenant.objects.get(id=office.tenant_id).code
    return subprocess.run(
        [sys.executable, "-m", "millicent", "explain", *arguments],
        capture_output=True, text=True, check=False, env={**os.environ, "MILLICENT_TENANT": code},
    )  # fmt: skip


def explained(office, number):
    done = explain(office, "--event", key(number), "--json")
    assert done.returncode == 0, done.stderr
    (document,) = json.loads(done.stdout)
    return document


def billed_nanos(office):
    """Amounts of every call on the bills of C-1, in the order they were made."""
    with tenant_scope(office.tenant_id):
        numbers = [total[0] for total in office.totals()]
        return [each.amount_nanos for number in numbers for each in itemise_bill(number, facts=office.facts)]


def test_a_call_after_a_partly_used_allowance_is_explained_to_the_nano_before_and_after_its_bill(office):
    before = explained(office, 3)
    for month in (10, 11):
        office.release_month(month, year=2024)
    after = explained(office, 3)

    assert before == after
    assert [step["remaining_before"] for step in after["steps"] if step["step"] == "allowance"] == [4 * MINUTE]
    assert (after["bucket_units"], after["charged_units"]) == (4 * MINUTE, 3 * MINUTE)
    assert after["sentences"][-1] == "The charge is 0.30 EUR."
    assert billed_nanos(office) == [0, 0, after["amount_nanos"], explained(office, 4)["amount_nanos"]]
    assert billed_nanos(office)[2:] == [30 * CENT, 40 * CENT]


def test_a_call_that_came_late_changes_what_the_next_bill_charges_and_the_explanation_alike(office):
    for month in (10, 11):
        office.release_month(month, year=2024)
    late = a_stored_call(
        office.tenant_id, "C-1", at(2024, 9, 6, 12), seconds=2 * MINUTE, received_at_ms=at(2024, 11, 2), **keyed(9)
    )
    put_in_lake(tenant_lake(office.tenant_id), late)

    expected = explained(office, 3)
    office.release(through=a_moment(2024, 12, 1), now=a_moment(2024, 12, 1, 2))

    assert expected["amount_nanos"] == 50 * CENT
    assert [line[2] for line in office.lines() if line[0] == "adjustment" and line[2]] == [20]


def test_a_usage_that_only_an_add_on_has_a_price_for_is_explained_by_the_add_on(office):
    with tenant_scope(office.tenant_id):
        add_add_on(
            code="S-C-1",
            add_on="data-pack",
            catalogue=catalogue_of(2),
            at_ms=OPENED,
            now=a_moment(2024, 9, 1),
            signature=Signature(who="ana"),
        )
    session = {"service": "data", "downlink_bytes": 5_000_000, "other_party": ""}
    put_in_lake(
        tenant_lake(office.tenant_id),
        a_stored_call(office.tenant_id, "C-1", at(2024, 9, 7, 12), seconds=60, **session, **keyed(8)),
    )

    told = explained(office, 8)
    office.release_month(10, year=2024)

    assert (told["tariff"], told["amount_nanos"]) == ("bytes", 5 * CENT)
    assert billed_nanos(office) == [0, 5 * CENT]


def test_the_release_in_force_when_the_call_began_is_named(office):
    told = explained(office, 4)

    assert (told["catalog_release"], told["amount"]) == (3, "0.40")


def test_sentences_come_in_the_language_asked_for(office):
    done = explain(office, "--event", key(3)[:6], "--language", "es", "--month", "2024-10")

    assert done.returncode == 0, done.stderr
    assert "El cargo es de 0.30 EUR." in done.stdout


def test_the_usage_of_a_subscription_is_listed_with_its_keys(office):
    listed = json.loads(explain(office, "--of", "S-C-1", "--month", "2024-10", "--json").stdout)

    assert [(row["event"][:16], row["seconds"]) for row in listed] == [
        (key(2), 12 * MINUTE),
        (key(3), 7 * MINUTE),
        (key(4), 2 * MINUTE),
    ]
    assert "there is no subscription S-9" in explain(office, "--of", "S-9").stderr


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("--event", "ffff"), 3, "no usage in the lake has an event key that begins with ffff [usage_not_found]"),
        (("--event", key(1), "--month", "2024-10"), 3, f"begins with {key(1)} in 2024-10"),
        (("--event", "0100"), 2, f"0100 is the beginning of several event keys: {key(1)}"),
        (("--event", "hello"), 2, "'hello' is no event key"),
        (("--event", "0100", "--month", "October"), 2, "'October' is no month"),
        ((), 2, "say which usage"),
    ],
)
def test_a_key_that_names_no_usage_or_several_is_refused_in_words(office, arguments, status, said):
    twin = a_stored_call(office.tenant_id, "C-1", at(2024, 9, 8), seconds=1, event_key_high=(1 << 56) + 1)
    put_in_lake(tenant_lake(office.tenant_id), twin)

    done = explain(office, *arguments)

    assert (done.returncode, done.stdout) == (status, "")
    assert said in done.stderr
