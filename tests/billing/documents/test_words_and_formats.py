"""Every word in every language, and numbers as babel writes them."""

import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from babel.numbers import format_currency
from hypothesis import given
from hypothesis import strategies as st
from tests.billing.documents.builders import FROM_MS, UNTIL_MS, a_line

from millicent.billing.documents import content, explain
from millicent.billing.documents.formats import Formats
from millicent.billing.documents.words import LANGUAGES, WORDS, choose_language
from millicent.catalog.types import ChargeKind
from millicent.kit.money import minor_digits, nano_digits, to_decimal

PLACES = ("en_GB", "en_US", "en_IN", "es_ES", "es_MX", "es_CO", "fr_FR", "fr_CA", "fr_CH", "en_150")
CURRENCIES = ("EUR", "GBP", "USD", "JPY", "KWD", "CHF", "INR", "COP", "MXN")


def _formats(place: str = "en_GB", currency: str = "EUR") -> Formats:
    language, _, country = place.partition("_")
    return Formats(language=language, country=country, currency=currency, zone="Europe/Madrid")


def test_no_word_is_missing_in_any_language():
    assert set(WORDS) == set(LANGUAGES) == {"en", "es", "fr"}
    for language in LANGUAGES:
        assert WORDS[language].keys() == WORDS["en"].keys()
        assert [word for word, text in WORDS[language].items() if not text.strip()] == []


def test_placeholders_are_the_same_in_every_language():
    for word, english in WORDS["en"].items():
        expected = sorted(re.findall(r"{\w*}", english))
        for language in LANGUAGES:
            assert sorted(re.findall(r"{\w*}", WORDS[language][word])) == expected, (language, word)


def test_every_kind_of_charge_has_its_word():
    assert {f"kind_{kind}" for kind in ChargeKind} <= WORDS["en"].keys()


def test_every_word_is_used():
    folder = Path(content.__file__).parent
    sources = "".join(path.read_text() for path in folder.glob("*.py") if path.name != "words.py").replace("'", '"')
    made_up = ("kind_", "service_", "unit_")
    unused = [word for word in WORDS["en"] if f'"{word}"' not in sources and not word.startswith(made_up)]
    assert unused == []


@pytest.mark.parametrize(
    ("wanted", "chosen"), [(("es-MX",), "es"), (("FR",), "fr"), (("de", "fr"), "fr"), (("", None), "en"), ((), "en")]
)
def test_the_first_language_that_we_write_is_chosen(wanted, chosen):
    assert choose_language(*wanted) == chosen


@given(minor=st.integers(-(10**14), 10**14), place=st.sampled_from(PLACES), currency=st.sampled_from(CURRENCIES))
def test_an_amount_is_written_as_babel_writes_it(minor, place, currency):
    formats = _formats(place, currency)
    nanos = minor * 10 ** (nano_digits(currency) - minor_digits(currency))

    expected = format_currency(to_decimal(nanos, currency), currency, locale=formats.locale, currency_digits=True)

    assert _same_spaces(formats.money(nanos)) == _same_spaces(expected)


def _same_spaces(text: str) -> str:
    return text.replace("\u202f", " ").replace("\xa0", " ").replace("−", "-")


@pytest.mark.parametrize(
    ("units", "unit", "en", "es", "fr"),
    [
        (3_723, "second", "1:02:03", "1:02:03", "1:02:03"),
        (12_345_678_901, "byte", "12.3 GB", "12,3 GB", "12,3 Go"),
        (2_000_000, "byte", "2 MB", "2 MB", "2 Mo"),
        (999, "byte", "999 B", "999 B", "999 o"),
        (1, "message", "1 message", "1 mensaje", "1 message"),
        (2, "event", "2 events", "2 eventos", "2 événements"),
        (7, "litre", "7 litre", "7 litre", "7 litre"),
    ],
)
def test_quantities_are_written_as_people_say_them(units, unit, en, es, fr):
    written = [_formats(place).quantity(units, unit) for place in ("en_GB", "es_ES", "fr_FR")]

    assert written == [en, es, fr]


def test_a_span_names_its_first_and_last_day_in_the_customers_zone():
    assert _formats().span(FROM_MS, UNTIL_MS) == "1 Oct 2026 – 31 Oct 2026"
    assert _formats().span(FROM_MS, FROM_MS + 1) == "1 Oct 2026"


def test_a_rate_keeps_its_digits():
    assert [_formats(place).percent(Fraction(2625, 100_000)) for place in ("en_GB", "es_ES", "fr_FR")] == [
        "2.625%",
        "2,625\u202f%",
        "2,625\u202f%",
    ]


WHY = {
    "whole period": ({"price_period_length": 31, "shares": [31], "price_nanos": 10**10}, []),
    "by day": (
        {"price_period_length": 31, "shares": [10, 6], "price_nanos": 10**10, "proration": "by_day"},
        ["16 of 31 days at €10.00"],
    ),
    "by second": (
        {"price_period_length": 200, "shares": [50], "price_nanos": 10**10, "proration": "by_second"},
        ["25% of €10.00"],
    ),
    "discount": ({"base_nanos": 39 * 10**9, "fraction": "1/10"}, ["10% of €39.00"]),
    "minimum": (
        {"spent_nanos": 4 * 10**9, "minimum_nanos": 10**10, "maximum_nanos": None},
        ["minimum €10.00, you used €4.00"],
    ),
    "maximum": (
        {"spent_nanos": 12 * 10**9, "minimum_nanos": None, "maximum_nanos": 10**10},
        ["maximum €10.00, you used €12.00"],
    ),
    "unknown": ({"trigger": "activation"}, []),
}


@pytest.mark.parametrize("case", WHY)
def test_an_amount_is_explained_where_it_is_not_the_whole_price(case):
    known, expected = WHY[case]

    assert list(explain.why(replace(a_line(), explanation=known), _formats())) == expected
