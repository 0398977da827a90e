"""Each lint speaks when it should and is silent when it should not."""

import pytest
from tests.catalog.builders import OFFERING, OPERATOR, faults_of, with_deck, with_rules

from millicent.catalog.errors import Severity

HOME = "service: voice, zone: world/home"
PLAN = "code: plan\nservices: [voice, sms]\ntariff: basic\n"
REST = "{code: rest, when: {service: voice}, price: 1/min}"


def deck_and_rules(deck_rate, *rules):
    """Calls bought by a deck at one rate, sold by these rules."""
    return with_deck(f"34,Spain,{deck_rate},,") | {
        "operator.yaml": OPERATOR + "suppliers: {carrier: buying}\n",
        "tariffs/basic.yaml": with_rules(*rules)["tariffs/basic.yaml"],
        "tariffs/buying.yaml": "code: buying\ncalendar: week\nrules: []\ndecks: deck\n",
    }


def rule(code, when, price="1/min", **more):
    """One rule as YAML on one line."""
    extra = "".join(f", {key}: {value}" for key, value in more.items())
    return f"{{code: {code}, when: {{{when}}}, price: {price}{extra}}}"


def ladder(code, service, *steps, **more):
    """A rule with a volume ladder; a step is (above, price)."""
    listed = ", ".join(f"{{above: {above}, price: {price}}}" for above, price in steps)
    inside = "".join(f", {key}: {value}" for key, value in more.items() if key != "cost")
    cost = f", cost: {more['cost']}" if "cost" in more else ""
    return f"{{code: {code}, when: {{service: {service}}}{cost}, ladder: {{model: volume{inside}, steps: [{listed}]}}}}"


def a_plan_with(allowance):
    return {"offerings/plan.yaml": f"{PLAN}allowances: [{{code: x, {allowance}}}]\n"}


def taxes(*on_top_of):
    """Taxes a and b, each on top of what is named."""
    lines = zip("ab", on_top_of, strict=True)
    tax = "{{jurisdiction: ES, categories: standard, rate: 1%, on_top_of: {}}}"
    return {"taxes.yaml": "".join(f"{code}: {tax.format(base)}\n" for code, base in lines)}


# lint -> (what it must find, what it must leave alone)
CASES = {
    "unreachable_price by priority": (
        with_rules(rule("a", HOME, priority=1), rule("b", HOME), REST),
        with_rules(rule("a", f"{HOME}, band: day", priority=1), rule("b", HOME), REST),
    ),
    "unreachable_price by bands": (
        with_rules(rule("a", f"{HOME}, band: [day, rest]"), rule("b", HOME), REST),
        with_rules(rule("a", f"{HOME}, band: day"), rule("b", HOME), REST),
    ),
    "overlap": (
        with_rules(rule("a", HOME), rule("b", f"{HOME}, segment: gold"), REST),
        with_rules(rule("a", f"{HOME}, segment: lead"), rule("b", f"{HOME}, segment: gold"), REST),
    ),
    "zone_without_price": (
        with_rules(rule("a", HOME)),
        with_rules(rule("a", HOME), "{code: b, when: {service: voice, zone: world/away}, blocked: true}"),
    ),
    "band_gap": (
        with_rules(rule("a", "service: data, band: day", "1/GB")),
        with_rules(rule("a", "service: data, band: [day, rest]", "1/GB")),
    ),
    "price_below_cost beside it": (
        with_rules(rule("a", "service: data", "1/GB", cost="1.01/GB")),
        with_rules(rule("a", "service: data", "1/GB", cost="1.00/GB")),
    ),
    "price_below_cost of a ladder": (
        with_rules(ladder("a", "sms", (0, "0.03"), (9, "0.01"), counter="c", cost="0.02")),
        with_rules(ladder("a", "sms", (0, "0.03"), (9, "0.02"), counter="c", cost="0.02")),
    ),
    "price_below_cost of a supplier": (
        deck_and_rules("0.11", rule("a", HOME, "0.10/min"), REST),
        deck_and_rules("0.10", rule("a", HOME, "0.10/min"), REST),
    ),
    "unusable_allowance of another service": (
        a_plan_with("when: {service: data}, amount: 1 GB"),
        a_plan_with("when: {service: voice}, amount: 1 min"),
    ),
    "unusable_allowance of nothing": (
        a_plan_with("when: {service: voice}, amount: 0 min"),
        a_plan_with("when: {service: voice}, amount: unlimited"),
    ),
    "unusable_allowance at no time": (
        a_plan_with("when: {service: voice, band: day}, window: rest, amount: 1 min"),
        a_plan_with("when: {service: voice, band: day}, window: day, amount: 1 min"),
    ),
    "offering_without_tariff": (
        {"offerings/plan.yaml": "code: plan\nservices: voice\n"},
        {"offerings/plan.yaml": "code: plan\nservices: voice\nadd_on: true\n"},
    ),
    "bundle_cycle": (
        {"offerings/plan.yaml": "code: plan\nchildren: other\n---\ncode: other\nchildren: plan\n"},
        {"offerings/plan.yaml": "code: plan\nchildren: other\n---\ncode: other\n"},
    ),
    "tax_cycle": (taxes("b", "a"), taxes("b", "[]")),
    "untaxed_category": (
        {"taxes.yaml": "a: {jurisdiction: FR, categories: standard, rate: 20%}\n"},
        {"taxes.yaml": "a: {jurisdiction: ES, categories: standard, rate: 0%}\n"},
    ),
    "unknown_ledger_code": (
        {"ledger.yaml": "recurring: revenue:recurring\n"},
        {"ledger.yaml": "recurring: revenue:recurring\nusage: revenue:usage\n"},
    ),
    "mixed_counter": (
        with_rules(
            ladder("a", "sms", (0, "1"), counter="c"), ladder("b", "data", (0, "1/GB"), counter="c", scope="pool")
        ),
        with_rules(
            ladder("a", "sms", (0, "1"), counter="c"), ladder("b", "data", (0, "1/GB"), counter="d", scope="pool")
        ),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_lint_finds_its_fault(case):
    found = [fault for fault in faults_of(CASES[case][0]) if fault.code == case.split()[0]]

    assert found
    assert all(fault.line and fault.cure for fault in found)


@pytest.mark.parametrize("case", CASES)
def test_a_lint_leaves_what_is_well_alone(case):
    assert [fault for fault in faults_of(CASES[case][1]) if fault.code == case.split()[0]] == []


def test_an_overlap_names_both_rules_and_blocks():
    (fault,) = faults_of(CASES["overlap"][0])

    assert (fault.file, fault.line, fault.severity) == ("tariffs/basic.yaml", 5, Severity.FAULT)
    assert "'a' (tariffs/basic.yaml:4) and 'b'" in fault.message


def test_a_price_below_a_supplier_names_the_dearest_destination():
    (fault,) = faults_of(CASES["price_below_cost of a supplier"][0])

    assert fault.message == (
        "rule 'a' sells zone 'world/home' at 0.10 EUR per 60 units; carrier charges 0.11 EUR per 60 units for 34 Spain"
    )
    assert fault.severity is Severity.WARNING


def test_a_free_price_is_a_decision_and_no_loss():
    changes = deck_and_rules("0.11", rule("a", HOME, "0"), REST)

    assert faults_of(changes) == []


def test_a_deck_below_a_suppliers_deck_is_told_once_with_its_count():
    changes = deck_and_rules("0.10", REST) | {
        "decks/sale.yaml": "code: sale\nfile: sale.csv\nper: 1 min\ncolumns: {prefix: p, rate: r}\n",
        "decks/sale.csv": "p,r\n34,0.09\n33,0.01\n",
        "tariffs/sale.yaml": "code: sale\ncalendar: week\nrules: []\ndecks: sale\n",
    }

    (fault,) = faults_of(changes)

    assert fault.message == "deck 'sale' sells 1 prefixes below what carrier charges, first 34"


def test_a_bundle_that_holds_itself_blocks():
    found = faults_of({"offerings/plan.yaml": OFFERING + "children: plan\n"})

    assert [(fault.code, fault.severity) for fault in found] == [("bundle_cycle", Severity.FAULT)]
