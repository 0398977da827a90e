"""Whatever lines and taxes a bill has: its taxes are what a judge with fractions says, and no cent is lost."""

from dataclasses import dataclass
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.billing.builders import CENT, a_tax, an_account

from millicent.billing.rules.charges import Charge, ChargeKey
from millicent.billing.rules.taxes import TaxRules, tax_lines
from millicent.billing.types import AccountGroupFacts
from millicent.catalog.types import ChargeKind
from millicent.customers.types import TaxExemption

CERTIFICATE = TaxExemption(kind="government", jurisdiction="ES", certificate="G-1", effective_from_ms=0)


@dataclass(frozen=True, kw_only=True)
class Case:
    """Cents of each line by tax category; `vat` is in or on top of prices, `levy` on top, or on top of vat too."""

    lines: tuple[tuple[str, int], ...]
    vat: Fraction
    levy: Fraction
    inclusive: bool
    vat_per_line: bool
    levy_per_line: bool
    levy_on_vat: bool
    lifted: str  # "" nothing, "exempt" vat by certificate, "reverse" vat by reverse charge


def half_up(value):
    """Whole cents, halves away from zero."""
    sign = -1 if value < 0 else 1
    return sign * int(abs(value) + Fraction(1, 2))


def judge(case):
    """(net, vat, levy) in cents."""
    vatted = [cents for category, cents in case.lines if category == "standard"]
    others = [cents for category, cents in case.lines if category == "levied"]
    net, vat, on_line = sum(vatted), 0, []
    if case.inclusive:
        inside = [half_up(each * case.vat / (1 + case.vat)) for each in vatted]
        whole = sum(inside) if case.vat_per_line else half_up(sum(vatted) * case.vat / (1 + case.vat))
        net, vat = sum(vatted) - whole, 0 if case.lifted else whole
    elif not case.lifted:
        on_line = [half_up(each * case.vat) for each in vatted]
        vat = sum(on_line) if case.vat_per_line else half_up(sum(vatted) * case.vat)
    base = net + (vat if case.levy_on_vat else 0) + sum(others)
    return net + sum(others), vat, base


def taxed(case):
    account = an_account(
        tax_exemptions=(CERTIFICATE,) if case.lifted == "exempt" else (),
        is_business=case.lifted == "reverse",
        tax_number="FR40303265045" if case.lifted == "reverse" else "",
        country="FR" if case.lifted == "reverse" else "ES",
        jurisdiction="ES",
    )
    taxes = (
        a_tax(
            "vat",
            case.vat,
            inclusive=case.inclusive,
            per_line=case.vat_per_line,
            exemption_kinds=("government",),
            reverse_charge=True,
        ),
        a_tax(
            "levy",
            case.levy,
            categories=("standard", "levied"),
            per_line=case.levy_per_line,
            on_top_of=("vat",) if case.levy_on_vat else (),
        ),
    )
    charges = [
        Charge(
            key=ChargeKey(0, ChargeKind.RECURRING, "EUR", 1, 11, "plan", f"p{place}", "", "", 0, category, "x", False),
            service_cycle_until_ms=1,
            period_from_ms=0,
            period_until_ms=1,
            covers_until_ms=1,
            amount_nanos=cents * CENT,
            texts={"en": "x"},
        )
        for place, (category, cents) in enumerate(case.lines)
    ]
    group = AccountGroupFacts(payer=account, accounts=(account,), subscriptions=())
    return tax_lines(
        charges,
        tax_points_ms=[1] * len(charges),
        group_at=lambda at_ms: group,
        rules=TaxRules(taxes={tax.code: tax for tax in taxes}, home_country="ES"),
        currency="EUR",
    )


rates = st.integers(0, 3_000).map(lambda per_myriad: Fraction(per_myriad, 10_000))
cases = st.builds(
    Case,
    lines=st.lists(
        st.tuples(st.sampled_from(["standard", "levied", "free"]), st.integers(-50_000, 200_000)),
        min_size=1,
        max_size=9,
    ).map(tuple),
    vat=rates,
    levy=rates,
    inclusive=st.booleans(),
    vat_per_line=st.booleans(),
    levy_per_line=st.booleans(),
    levy_on_vat=st.booleans(),
    lifted=st.sampled_from(["", "", "exempt", "reverse"]),
)


@settings(max_examples=400)
@given(case=cases)
def test_taxes_are_what_the_judge_says_and_no_cent_is_lost(case):
    found = taxed(case)

    net, vat, base = judge(case)
    free = sum(cents for category, cents in case.lines if category == "free")
    charged = {tax.tax: tax for tax in found.taxes}
    assert sum(found.net_nanos) == (net + free) * CENT
    assert charged["vat"].amount_nanos == vat * CENT if "vat" in charged else vat == 0
    if "levy" in charged:
        assert charged["levy"].base_nanos == base * CENT
        # Rounded once it is exact; line by line it is at most half a cent a line away.
        lines = sum(category != "free" for category, _ in case.lines)
        exact = base * case.levy * CENT
        most = Fraction(CENT, 2) * (lines if case.levy_per_line else 1) + (
            case.levy * lines if case.levy_per_line else 0
        )
        assert abs(charged["levy"].amount_nanos - exact) <= most
    assert {tax.note for tax in found.taxes if tax.tax == "vat"} <= {
        {"": "", "exempt": "exempt:G-1", "reverse": "reverse_charge"}[case.lifted]
    }
