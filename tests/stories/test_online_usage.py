"""Services that no file ever tells of: what was charged live is what the bill prices, once."""

import pytest
from tests.stories.test_one_price_everywhere import CALLS, DATA, MONTH_END, OPENS, SESSIONS, a_network, tariff

from millicent.assurance.selectors import conservation_table
from millicent.charging.people import Payment
from millicent.charging.services import bill_online_usage as billing_online
from millicent.charging.services.agree_payment import agree_payment
from millicent.charging.services.bill_online_usage import bill_online_usage
from millicent.charging.services.declare_services import declare_services
from millicent.kit.tenancy import tenant_scope
from millicent.mediation.selectors import batch_totals

RULES = tariff(DATA, "{code: home, when: {service: voice}, price: 0.06/min}")


@pytest.fixture
def network(tenant_id, tmp_path):
    with a_network(tenant_id, tmp_path, rules=RULES) as network:
        with tenant_scope(tenant_id):
            declare_services("usage_from: {data: online, voice: files}\n", who="ana", now=MONTH_END)
        yield network


def billed(network) -> int:
    return bill_online_usage(tenant_id=network.tenant_id, stores=network.stores, now=MONTH_END)


def test_data_that_only_charging_knows_is_on_the_bill_once_at_the_price_that_was_charged(network):
    network.through_diameter(*SESSIONS)

    assert [billed(network), billed(network)] == [len(SESSIONS), 0]

    assert network.bill_prices() == network.live_prices()
    assert sum(network.bill_prices()) > 0
    assert network.compared().holds
    with tenant_scope(network.tenant_id):
        (batch,) = batch_totals()
        checks = {check.code: check.holds for check in conservation_table(network.stores.lake).checks}
    assert (batch.source, batch.records_in, batch.accepted, batch.usages) == ("online", 3, 3, 3)
    assert checks["usages_in_lake"]


def test_calls_whose_usage_comes_in_files_are_left_to_the_files(network):
    network.through_diameter(*CALLS, *SESSIONS)
    assert billed(network) == len(SESSIONS)
    network.by_file(*CALLS)

    found = network.compared()

    assert (found.holds, found.compared) == (True, len(CALLS) + len(SESSIONS))


def test_who_has_paid_in_advance_is_not_billed(network):
    with tenant_scope(network.tenant_id):
        (payer_id,) = network.payers()
        agree_payment(account_id=payer_id, payment=Payment.PREPAID.value, who="ana", now=OPENS)
    network.through_diameter(*SESSIONS)

    assert billed(network) == 0

    assert (len(network.live_prices()), network.bill_prices()) == (len(SESSIONS), [])


def test_killed_before_it_is_kept_nothing_counts_and_the_next_one_takes_it(network, monkeypatch):
    network.through_diameter(*SESSIONS)

    def killed(*arguments, **named):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(billing_online, "usage_of_charges", killed)
        with pytest.raises(KeyboardInterrupt):
            billed(network)
    assert network.bill_prices() == []

    assert billed(network) == len(SESSIONS)
    assert network.bill_prices() == network.live_prices()
