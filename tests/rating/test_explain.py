"""Explanations: the steps of the very loops that price, as a document and as sentences."""

import json
import os

import numba
import polars as pl
import pytest
from tests.rating.builders import (
    CENT,
    EURO,
    a_call,
    a_card,
    a_program,
    a_rule,
    a_tariff,
    an_allowance,
    at,
    grants_of,
    holdings_of,
    priced,
    usage_of,
)

from millicent.catalog.types import Match
from millicent.kit.errors import BadInput
from millicent.rating.explain import explain_charge
from millicent.rating.sentences import LANGUAGES, explanation_sentences
from millicent.rating.services import UsageNotFound, trace_usage

# The steps are compiled only in `make soak`: the loop with its trace takes the compiler a minute or more. In `make
# test` these tests run without the compiler, started by test_judge.py.
compiled_in_soak = pytest.mark.skipif(
    not numba.config.DISABLE_JIT and os.environ.get("MILLICENT_TRACE_COMPILED") != "1", reason="see test_judge.py"
)
pytestmark = compiled_in_soak

PROGRAM = a_program(
    a_tariff(
        a_rule("peak", a_card(6 * CENT, per=60, connect_nanos=EURO), match=Match(bands=("peak",), zones=("world",))),
        a_rule("night", a_card(CENT, per=60), match=Match(zones=("world",))),
    ),
    a_tariff(a_rule(card=a_card(CENT)), code="cost"),
    allowances=(an_allowance(),),
    supplier_tariffs={"carrier": "cost"},
)
CALLS = (a_call(90), a_call(50, when=at("2026-10-07T19:59:50"), supplier="carrier"))


def explained(number: int = 2) -> list[dict]:
    traced = trace_usage(
        programs=[(0, 1, PROGRAM)],
        usage=usage_of(*CALLS),
        holdings=holdings_of(),
        grants=grants_of({}),
        event_key=(0, number),
    )
    return [explain_charge(each) for each in traced]


def test_the_steps_name_rule_zone_band_increments_buckets_and_rounding():
    retail = explained()[0]

    assert [step["step"] for step in retail["steps"]] == [
        "base", "connect", "rule", "span", "rule", "span", "rounding", "allowance", "reason",
    ]  # fmt: skip
    first_rule, first_span = retail["steps"][2:4]
    assert first_rule == {
        "step": "rule", "rule": "peak", "bands": ["peak"], "zone": "world/spain", "from_unit": 0, "until_unit": 10,
    }  # fmt: skip
    assert (first_span["billed_units"], first_span["bucket_units"], first_span["charged_units"]) == (10, 10, 0)
    assert retail["steps"][5]["nanos"] == "20000000/3"
    assert retail["steps"][6] == {
        "step": "rounding", "nanos_before": "3020000000/3", "to_nanos": 100_000, "mode": "half_up",
        "nanos": 1_006_700_000,
    }  # fmt: skip
    assert retail["steps"][7] == {
        "step": "allowance", "allowance": "plan/included", "units": 10, "taken": 10, "remaining_before": 10,
        "remaining_after": 0, "nanos": 0,
    }  # fmt: skip


def test_an_explanation_ends_in_the_amount_that_was_charged_for_every_leg():
    charged = priced(PROGRAM, *CALLS, grants=grants_of({})).rated.filter(pl.col("event_key_low") == 2)

    documents = explained()

    assert [each["amount_nanos"] for each in documents] == charged["amount_nanos"].to_list()
    assert [each["leg_party"] for each in documents] == ["", "carrier"]
    assert json.loads(json.dumps(documents)) == documents


def test_the_sentences_say_it_in_words():
    assert explanation_sentences(explained()[0], language="en") == [
        "The connection costs 1.00 EUR.",
        "From unit 0 to 10 rule peak for world/spain is in force.",
        "10 units are billed in whole increments of 1: 10 are included, 0 cost 0.00 EUR.",
        "From unit 10 to 50 rule night for world/spain is in force.",
        "40 units are billed in whole increments of 1: 0 are included, 40 cost 0.006666666… EUR.",
        "Rounded once (half up), that is 1.0067 EUR.",
        "Allowance plan/included gives 10 for 10 units: 10 before, 0 after.",
        "The charge is 1.0067 EUR.",
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_tells_every_step_and_the_answer(language):
    told = explanation_sentences(explained()[0], language=language)

    assert len(told) == 8
    assert "1.0067 EUR" in told[-1]


def test_what_could_not_be_priced_is_explained_too():
    traced = trace_usage(
        programs=[(0, 1, PROGRAM)], usage=usage_of(a_call(to="999")), holdings=holdings_of(), event_key=(0, 1)
    )

    document = explain_charge(traced[0])

    assert document["reason"] == "no_destination"
    assert explanation_sentences(document, language="fr") == ["L’usage n’a pas pu être tarifé : no_destination."]


def test_an_unknown_key_or_language_is_refused():
    with pytest.raises(UsageNotFound):
        explained(99)
    with pytest.raises(BadInput, match="en, es, fr"):
        explanation_sentences(explained()[0], language="xx")


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_left_of_an_allowance_without_a_limit_is_not_told(language):
    step = {"step": "allowance", "allowance": "plan/calls", "units": 60, "taken": 60, "nanos": 0}
    left = {"remaining_before": 2**62, "remaining_after": 2**62 - 60}
    document = {"steps": [step | left], "currency": "EUR", "reason": "priced", "amount": "0.00"}

    told = explanation_sentences(document, language=language)[0]

    assert "plan/calls" in told
    assert str(2**62) not in told
