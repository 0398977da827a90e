"""What lowers a bill and what is added to it."""

from fractions import Fraction

from tests.billing.builders import (
    EUR,
    a_call,
    a_fee,
    a_subscription,
    a_tariff,
    a_tax,
    a_version,
    an_account,
    an_offering,
    at,
    facts,
)

from millicent.catalog.types import ChargeKind, ChargeScope, Commitment, Discount
from millicent.customers.types import TaxExemption

VAT = a_tax("vat_es", Fraction(21, 100))


def one_fee(amount_nanos=10 * EUR, **changes):
    return an_offering("plan", recurring=(a_fee(amount_nanos, in_advance=False),), **changes)


def test_a_tax_on_a_tax_sees_the_rounded_amount_below_it(open_office):
    levy = a_tax("levy", Fraction(1, 100), on_top_of=("vat_es",))
    office = open_office(facts(one_fee(), taxes=(levy, VAT)))

    office.release_month(10)

    assert office.taxes() == [("vat_es", 10_00, 2_10, ""), ("levy", 12_10, 12, "")]


def test_a_price_that_holds_its_tax_is_split_without_losing_a_cent(open_office):
    office = open_office(facts(one_fee(9_990_000_000), taxes=(a_tax("vat_es", Fraction(21, 100), inclusive=True),)))

    office.release_month(10)

    assert office.totals() == [("A-2026-000001", "EUR", 8_26, 1_73, 9_99)]


def test_a_business_abroad_accounts_for_the_tax_itself(open_office):
    abroad = an_account(country="FR", is_business=True, tax_number="FR123")
    vat_fr = a_tax("vat_fr", Fraction(20, 100), jurisdiction="FR", reverse_charge=True)
    office = open_office(facts(one_fee(), accounts=[abroad], taxes=(VAT, vat_fr)))

    office.release_month(10)

    assert office.taxes() == [("vat_fr", 10_00, 0, "reverse_charge")]
    assert office.totals() == [("A-2026-000001", "EUR", 10_00, 0, 10_00)]


def test_a_certificate_lifts_the_tax_while_it_is_valid(open_office):
    certificate = TaxExemption(
        kind="government",
        jurisdiction="ES",
        certificate="G-7",
        effective_from_ms=at(2026, 9, 1),
        effective_until_ms=at(2026, 10, 15),
    )
    lifted = a_tax("vat_es", Fraction(21, 100), exemption_kinds=("government",))
    office = open_office(facts(one_fee(), accounts=[an_account(tax_exemptions=(certificate,))], taxes=(lifted,)))

    office.release_month(10)
    assert office.taxes() == [("vat_es", 10_00, 0, "exempt:G-7")]

    office.release_month(11)
    assert office.taxes() == [("vat_es", 10_00, 2_10, "")]


def test_tax_is_rounded_once_for_the_bill_or_on_each_line_as_the_tax_says(open_office):
    two = an_offering(
        "plan",
        recurring=(
            a_fee(1_070_000_000, code="one", in_advance=False),
            a_fee(1_070_000_000, code="two", in_advance=False),
        ),
    )
    once = open_office(facts(two, taxes=(VAT,)))
    once.release_month(10)

    assert once.taxes() == [("vat_es", 2_14, 45, "")]


def test_tax_by_line_rounds_each_line(open_office):
    two = an_offering(
        "plan",
        recurring=(
            a_fee(1_070_000_000, code="one", in_advance=False),
            a_fee(1_070_000_000, code="two", in_advance=False),
        ),
    )
    office = open_office(facts(two, taxes=(a_tax("vat_es", Fraction(21, 100), per_line=True),)))

    office.release_month(10)

    assert office.taxes() == [("vat_es", 2_14, 44, "")]


def test_a_coupon_lasts_its_cycles_and_no_longer(open_office):
    coupon = Discount(
        code="HELLO",
        names={"en": "Welcome"},
        scope=ChargeScope(),
        fraction=Fraction(1, 5),
        duration_cycles=2,
        coupon=True,
    )
    office = open_office(
        facts(
            one_fee(),
            subscriptions=[a_subscription(a_version(at(2026, 9, 1), coupons=("HELLO",)))],
            discounts=(coupon,),
        )
    )

    for month in (10, 11, 12):
        office.release_month(month)

    assert [total for *_, total in office.totals()] == [8_00, 8_00, 10_00]


def test_discounts_work_one_after_the_other_and_tax_follows_what_they_lower(open_office):
    percent = Discount(
        code="p", names={"en": "Ten per cent"}, scope=ChargeScope(), fraction=Fraction(1, 10), priority=1
    )
    fixed = Discount(
        code="f", names={"en": "Two euro"}, scope=ChargeScope(), fixed_nanos=2 * EUR, currency="EUR", priority=0
    )
    office = open_office(facts(one_fee(discounts=(percent, fixed)), taxes=(VAT,)))

    office.release_month(10)

    assert [line for line in office.lines() if line[0] == "discount"] == [
        ("discount", "Two euro", -2_00),
        ("discount", "Ten per cent", -80),
    ]
    assert office.taxes() == [("vat_es", 7_20, 1_51, "")]


def test_a_discount_on_usage_has_a_cap_and_needs_its_minimum(open_office):
    scope = ChargeScope(kinds=(ChargeKind.USAGE,))
    capped = Discount(
        code="c", names={"en": "Half"}, scope=scope, fraction=Fraction(1, 2), cap_nanos=EUR, currency="EUR",
        minimum_spend_nanos=2 * EUR,
    )  # fmt: skip
    office = open_office(
        facts(
            an_offering("plan", tariff="voice", discounts=(capped,)),
            calls=(a_call(at(2026, 9, 10, 12), seconds=3000), a_call(at(2026, 10, 10, 12), seconds=600)),
        )
    )

    office.release_month(10)
    assert office.lines() == [("usage", "Calls, Spain", 3_00), ("discount", "Half", -1_00)]

    office.release_month(11)
    assert office.lines() == [("usage", "Calls, Spain", 60)]


def test_a_minimum_spend_is_trued_up_and_a_maximum_is_given_back(open_office):
    least = Commitment(code="least", names={"en": "Minimum"}, currency="EUR", minimum_nanos=25 * EUR)
    office = open_office(facts(one_fee(commitments=(least,))))
    office.release_month(10)
    assert office.lines() == [("recurring", "monthly_fee", 10_00), ("commitment", "Minimum", 15_00)]


def test_a_maximum_spend_is_given_back(open_office):
    most = Commitment(code="most", names={"en": "Ceiling"}, currency="EUR", maximum_nanos=4 * EUR)
    office = open_office(facts(one_fee(commitments=(most,))))

    office.release_month(10)

    assert office.lines() == [("recurring", "monthly_fee", 10_00), ("commitment", "Ceiling", -6_00)]


def test_who_leaves_a_plan_and_comes_back_is_committed_for_both_stays_once(open_office):
    """A minimum of 30 on one plan, none on the other: 10 + 10 of September's 30 days are worth 20."""
    least = Commitment(code="least", names={"en": "Minimum"}, currency="EUR", minimum_nanos=30 * EUR)
    stays = a_subscription(
        a_version(at(2026, 9, 1), at(2026, 9, 11)),
        a_version(at(2026, 9, 11), at(2026, 9, 21), offering="other"),
        a_version(at(2026, 9, 21)),
    )
    office = open_office(facts(an_offering("plan", commitments=(least,)), an_offering("other"), subscriptions=[stays]))

    office.release_month(10)

    assert office.lines() == [("commitment", "Minimum", 20_00)]


def two_plans(*, first_scope=ChargeScope(), second_scope=ChargeScope(), calls=(), second_tariff="voice"):  # noqa: B008
    """September in halves: ten then twenty euros of fee for a whole month, minimums of 30 and of 60."""

    def plan(code, euros, *, scope, tariff="voice"):
        least = Commitment(
            code=f"least_{code}",
            names={"en": f"Minimum {code}"},
            currency="EUR",
            minimum_nanos=3 * euros * EUR,
            scope=scope,
        )
        fee = a_fee(euros * EUR, code=f"fee_{code}", in_advance=False)
        return an_offering(code, recurring=(fee,), tariff=tariff, commitments=(least,))

    return facts(
        plan("one", 10, scope=first_scope),
        plan("two", 20, scope=second_scope, tariff=second_tariff),
        tariffs=(a_tariff(), a_tariff("other")),
        subscriptions=[
            a_subscription(
                a_version(at(2026, 9, 1), at(2026, 9, 16), offering="one"),
                a_version(at(2026, 9, 16), offering="two"),
            )
        ],
        calls=calls,
    )


def commitments(office):
    return [line[1:] for line in office.lines() if line[0] == "commitment"]


def test_the_minimums_of_two_plans_count_each_its_own_fee(open_office):
    """Halves of 30 and of 60, less halves of 10 and of 20."""
    office = open_office(two_plans())

    office.release_month(10)

    assert commitments(office) == [("Minimum one", 10_00), ("Minimum two", 20_00)]


def test_calls_that_two_plans_priced_alike_count_for_the_first_as_far_as_it_lacks_and_then_for_the_second(open_office):
    """18 euros of calls: 10 fill the first minimum, 8 of the 20 that the second lacks."""
    office = open_office(two_plans(calls=(a_call(at(2026, 9, 10, 12), seconds=18_000),)))

    office.release_month(10)

    assert commitments(office) == [("Minimum two", 12_00)]


def test_calls_that_only_the_first_plan_priced_count_for_it_alone(open_office):
    office = open_office(
        two_plans(
            calls=(a_call(at(2026, 9, 10, 12), seconds=18_000), a_call(at(2026, 9, 20, 12), seconds=6_000)),
            second_tariff="other",
        )
    )

    office.release_month(10)

    assert commitments(office) == [("Minimum two", 14_00)]


def test_what_a_scope_names_counts_there_first_and_not_again(open_office):
    """The second plan's minimum looks at both fees: 15 of the 30; of the first's nothing is left but its minimum."""
    office = open_office(two_plans(second_scope=ChargeScope(offerings=("one", "two"))))

    office.release_month(10)

    assert commitments(office) == [("Minimum one", 15_00), ("Minimum two", 15_00)]


def test_a_tax_of_a_country_leaves_out_the_places_it_excepts(open_office):
    vat = a_tax("vat_es", Fraction(21, 100), except_jurisdictions=("ES-CN",))
    igic = a_tax("igic", Fraction(7, 100), jurisdiction="ES-CN")
    island = an_account(2, jurisdiction="ES-CN")
    office = open_office(
        facts(
            one_fee(),
            accounts=[an_account(1), island],
            subscriptions=[
                a_subscription(subscription_id=11, account_id=1),
                a_subscription(subscription_id=12, account_id=2),
            ],
            taxes=(vat, igic),
        )
    )

    office.release_month(10)

    assert [total[2:] for total in office.totals()] == [(10_00, 2_10, 12_10), (10_00, 70, 10_70)]
    assert office.taxes() == [("igic", 10_00, 70, "")]


def test_a_fixed_tax_is_charged_for_each_service_and_each_month_once(open_office):
    relief = a_tax("relief", Fraction(0), fixed_nanos=75 * EUR // 100, currency="EUR")
    lines = [a_subscription(subscription_id=11), a_subscription(subscription_id=12)]
    office = open_office(facts(one_fee(), subscriptions=lines, taxes=(relief,)))

    office.release_month(10)
    assert office.taxes() == [("relief", 20_00, 1_50, "")]

    office.release_month(11)
    assert office.taxes() == [("relief", 20_00, 1_50, "")]


def test_a_fixed_tax_is_not_charged_in_another_currency(open_office):
    relief = a_tax("relief", Fraction(0), fixed_nanos=75 * EUR // 100, currency="USD")
    office = open_office(facts(one_fee(), taxes=(relief,)))

    office.release_month(10)

    assert office.taxes() == []
