"""`millicent customers change-payer | change-segment | exempt`: what a change of terms does to the bills."""

import json
from datetime import timedelta
from itertools import count

import pytest
from tests.billing.builders import a_moment, a_version, at
from tests.catalog.builders import OFFERING, TARIFF, TAXES, examined
from tests.stories.operator import BillingOffice
from tests.stories.stored import OPENED, a_stored_call, open_stored_operator, put_in_lake
from typer.testing import CliRunner

from millicent.billing.services.show_bill import show_bill
from millicent.billing.sources import StoredFacts
from millicent.catalog.services.release_catalogue import release_catalogue
from millicent.config.commands import account_terms, customers
from millicent.config.settings import settings
from millicent.config.setup import tenant_lake
from millicent.customers.errors import AlreadyBilled
from millicent.customers.services.open_billing_accounts import open_billing_accounts
from millicent.customers.types import NewBillingAccount
from millicent.kit.errors import BadInput
from millicent.kit.models import Tenant
from millicent.kit.tenancy import tenant_scope
from millicent.subscriptions.services.add_subscriptions import add_subscriptions
from millicent.subscriptions.types import NewSubscription

CHEAPER = TARIFF.replace(
    "rules:\n",
    "rules:\n  - {code: firm, when: {service: voice, zone: world/home, segment: firm}, priority: 1, price: 0.01/min}\n",
)
LIFTED = TAXES.replace("rate: 21%", "rate: 21%, exemptions: government")
WHY = ("--why", "a test", "--json")


@pytest.fixture
def office(tenant_id, monkeypatch):
    """C-1 pays for C-2; each calls home for ten minutes a month. Changes are made on 2 October, second by second."""
    seconds = count()
    monkeypatch.setattr(account_terms, "system_now", lambda: a_moment(2024, 10, 2) + timedelta(seconds=next(seconds)))
    monkeypatch.setenv("MILLICENT_TENANT", Tenant.objects.get(id=tenant_id).code)
    settings.cache_clear()
    open_stored_operator(tenant_id, customers=("C-1", "C-2"), payers={"C-2": "C-1"})
    with tenant_scope(tenant_id):
        release_catalogue(
            examination=examined({"tariffs/basic.yaml": CHEAPER, "taxes.yaml": LIFTED}),
            effective_from_ms=OPENED,
            author="ana",
            recorded_at_ms=OPENED + 1,
        )
    for code in ("C-1", "C-2"):
        for month in (9, 10):
            put_in_lake(tenant_lake(tenant_id), a_stored_call(tenant_id, code, at(2024, month, 5, 12), seconds=600))
    yield BillingOffice(tenant_id=tenant_id, facts=StoredFacts(lake=tenant_lake(tenant_id)))
    settings.cache_clear()


def ask(*arguments):
    answer = CliRunner().invoke(customers.app, list(arguments), catch_exceptions=False)
    return json.loads(answer.stdout)


def test_a_segment_prices_the_cycles_that_end_with_it_and_what_is_billed_stays(office):
    office.release_month(10, year=2024)

    assert ask("change-segment", "C-1", "firm", "--from", "2024-10-01", *WHY) == {
        "billing account": "C-1", "segment": "firm", "from": "2024-09-30T22:00:00+00:00",
    }  # fmt: skip
    office.release_month(11, year=2024)

    assert [total[2] for total in office.totals()] == [42_00, 21_10]
    shown = ask("show", "C-1", "--json")
    assert [term["segment"] for term in shown["terms"]] == ["consumer", "firm"]


def a_branch_of_c1(office):
    with tenant_scope(office.tenant_id):
        branch = NewBillingAccount(
            code="C-3",
            party_code="P-3",
            party_name="A branch",
            currency="EUR",
            zone="Europe/Madrid",
            opened_at_ms=OPENED,
            country="ES",
            parent_code="C-1",
        )
        open_billing_accounts([branch], now=a_moment(2024, 9, 1))
        plan = a_version(OPENED)
        add_subscriptions(
            [NewSubscription(code="S-C-3", account_code="C-3", versions=(plan,))], now=a_moment(2024, 9, 1)
        )


def test_a_new_payer_has_the_whole_cycle_and_no_day_is_billed_twice(office):
    a_branch_of_c1(office)
    office.release_month(10, year=2024)

    ask("change-payer", "C-3", "C-1", "--from", "2024-10-10", *WHY)
    office.release_month(11, year=2024)

    # September and October ahead, of two and of one; then November ahead and October's calls, of all three on one bill.
    assert sorted(total[2] for total in office.totals()) == [20_00, 32_00, 42_00]


@pytest.mark.parametrize("scope", ["subscription", "account", "pool"])
def test_what_is_left_of_an_allowance_follows_its_account_to_the_new_payer_and_back(office, scope):
    """An hour a month, kept for one cycle, before ten cents a minute: 10 minutes are used, then 100, then 75."""
    hour = (
        OFFERING
        + f"""allowances:
  - {{code: hour, when: {{service: voice}}, amount: 60 min, scope: {scope}, rollover: {{cycles: 1}}}}
"""
    )
    with tenant_scope(office.tenant_id):
        release_catalogue(
            examination=examined({"offerings/plan.yaml": hour}),
            effective_from_ms=OPENED,
            author="ana",
            recorded_at_ms=OPENED + 2,
        )
    a_branch_of_c1(office)
    for month, minutes in ((9, 10), (10, 100), (11, 75)):
        call = a_stored_call(office.tenant_id, "C-3", at(2024, month, 6, 12), seconds=minutes * 60)
        put_in_lake(tenant_lake(office.tenant_id), call)
    office.release_month(10, year=2024)

    ask("change-payer", "C-3", "C-1", "--from", "2024-10-10", *WHY)
    office.release_month(11, year=2024)
    ask("change-payer", "C-3", "C-3", "--from", "2024-11-10", *WHY)
    office.release_month(12, year=2024)

    # October has 60 + 50 minutes; of its own 60 it leaves 10. November lacks 5 of 75. The rest of it all is fees.
    assert sorted(total[2] for total in office.totals()) == [10_50, 20_00, 20_00, 30_00, 40_00]


def test_a_certificate_lifts_the_tax_from_the_next_bill_on(office):
    office.release_month(10, year=2024)

    ask("exempt", "C-1", "--kind", "government", "--jurisdiction", "ES", "--certificate", "G-1",
        "--from", "2024-10-01", *WHY)  # fmt: skip
    office.release_month(11, year=2024)

    assert [(total[2], total[3]) for total in office.totals()] == [(42_00, 8_82), (22_00, 0)]
    assert ask("show", "C-1", "--json")["exemptions"] == ["government ES G-1 2024-09-30T22:00:00+00:00 – …"]

    ask("end-exemption", "C-1", "--certificate", "G-1", "--from", "2024-11-01", *WHY)
    office.release_month(12, year=2024)

    assert office.totals()[-1][2:4] == (20_00, 4_20)


def test_nothing_changes_within_what_is_billed(office):
    office.release_month(10, year=2024)

    for command in (("change-segment", "C-1", "firm"), ("change-payer", "C-2", "C-1")):
        with pytest.raises(AlreadyBilled, match="is billed until 2024-09-30T22:00:00"):
            ask(*command, "--from", "2024-09-30", *WHY)
    with pytest.raises(BadInput, match="'tomorrow' is no day"):
        ask("change-segment", "C-1", "firm", "--from", "tomorrow", *WHY)


def test_a_name_a_language_and_an_address_are_printed_from_the_bill_on_whose_cycle_ends_with_them(office):
    office.release_month(10, year=2024)

    ask("change-name", "C-1", "Norte, S.L.", "--from", "2024-10-15", *WHY)
    ask("change-language", "C-1", "fr", "--from", "2024-10-15", *WHY)
    ask("change-address", "C-1", "Rue 2|Lyon", "--from", "2024-10-15", *WHY)
    office.release_month(11, year=2024)

    with tenant_scope(office.tenant_id):
        payers = [show_bill(number).payer for number, *_ in office.totals()]
    assert [(each.party_name, each.language, each.address_lines) for each in payers] == [
        ("Customer C-1", "en", ()), ("Norte, S.L.", "fr", ("Rue 2", "Lyon")),
    ]  # fmt: skip
    assert [(change["what"], change["why"]) for change in ask("history", "C-1", "--json")] == [
        ("change name", "a test"), ("change language", "a test"), ("change address", "a test"),
    ]  # fmt: skip


def test_who_moves_away_bears_no_tax_of_here_from_then_on_and_what_was_billed_keeps_its_own(office):
    office.release_month(10, year=2024)

    ask("change-tax-place", "C-1", "US", "--from", "2024-10-01", *WHY)
    ask("change-tax-number", "C-1", "91-1144442", "--business", "--from", "2024-10-01", *WHY)
    office.release_month(11, year=2024)

    # C-2, for which C-1 pays, stays here: its half of the bill bears the tax.
    assert [(total[2], total[3]) for total in office.totals()] == [(42_00, 8_82), (22_00, 2_31)]
    with pytest.raises(BadInput, match="is no tax number of US"):
        ask("change-tax-number", "C-1", "B12345674X", "--business", *WHY)
    with pytest.raises(BadInput, match="nothing was named"):
        ask("change-contact", "C-1", *WHY)
