"""Tax of what is paid in advance: split off when it is used, or when it is sold; the parts are the whole."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st
from tests.billing.builders import EUR, a_tax
from tests.charging.people.builders import NOW, later
from tests.charging.people.test_spending import Switch

from millicent.billing.rules.taxes_within import split_gross
from millicent.charging.services.declare_services import declare_services
from millicent.charging.services.post_usage_days import check_prepaid, post_usage_days
from millicent.kit.tenancy import tenant_scope
from millicent.ledger.selectors import trial_balance

SOLD = "prepaid: {tax: {when: sold, category: standard}}\n"
VAT = Fraction(21, 100)


def books(switch: Switch) -> dict[str, int]:
    """Nanos by ledger account; they sum to nothing, and the ledger owes what balances hold."""
    switch.port.read()
    with tenant_scope(switch.tenant_id):
        assert [check.difference_nanos for check in check_prepaid()] == [0]
        found = {row.ledger_account: row.balance_nanos for row in trial_balance() if row.balance_nanos}
    assert sum(found.values()) == 0
    return found


def within(gross: int) -> int:
    """Tax within an amount, by the nearest nano."""
    return round(Fraction(gross) * VAT / (1 + VAT))


def test_tax_is_owed_when_the_balance_is_used(tenant_id):
    switch = Switch(tenant_id, "ANA")
    try:
        switch.top_up("ANA", 10)
        assert switch.call(130) == 300
        switch.port.read()
        post_usage_days(tenant_id=tenant_id, now=later(NOW, days=1))

        assert books(switch) == {
            "asset:clearing:agent": 10 * EUR,
            "liability:prepaid": -7 * EUR,
            "liability:tax:vat": -within(3 * EUR),
            "revenue:usage": -3 * EUR + within(3 * EUR),
        }
    finally:
        switch.port.close()


def test_tax_is_owed_when_the_balance_is_sold_and_not_again_when_it_is_used(tenant_id):
    switch = Switch(tenant_id, "ANA")
    try:
        with tenant_scope(tenant_id):
            declare_services(SOLD, who="ana", now=NOW)
        switch.top_up("ANA", 10)
        assert books(switch)["liability:tax:vat"] == -within(10 * EUR)
        switch.call(200)
        switch.port.read()
        post_usage_days(tenant_id=tenant_id, now=later(NOW, days=1))

        assert books(switch) == {
            "asset:clearing:agent": 10 * EUR,
            "liability:tax:vat": -within(10 * EUR),
            "revenue:usage": -10 * EUR + within(10 * EUR),
        }
    finally:
        switch.port.close()


@given(
    gross=st.integers(-(10**15), 10**15),
    rates=st.lists(st.fractions(0, 1, max_denominator=10_000), min_size=1, max_size=4),
)
def test_the_parts_of_an_amount_are_the_amount_and_each_is_right_to_the_nano(gross, rates):
    taxes = {f"t{place}": a_tax(f"t{place}", rate) for place, rate in enumerate(rates)}

    parts = split_gross(gross, codes=list(taxes), taxes=taxes)

    assert sum(parts.values()) == gross
    whole = 1 + sum(rates)
    for place, rate in enumerate(rates):
        assert abs(parts[f"t{place}"] - gross * rate / whole) < 1
    assert abs(parts[""] - gross / Fraction(whole)) < 1


def test_a_tax_on_a_tax_is_within_it_too():
    taxes = {"duty": a_tax("duty", Fraction(1, 10)), "vat": a_tax("vat", Fraction(2, 10), on_top_of=("duty",))}

    assert split_gross(1320, codes=["duty", "vat"], taxes=taxes) == {"": 1000, "duty": 100, "vat": 220}
