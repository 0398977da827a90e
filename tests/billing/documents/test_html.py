"""The HTML bill: complete, escaped, without scripts."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from tests.billing.documents.builders import (
    a_bill,
    a_company_bill,
    a_household_bill,
    a_line,
    an_account,
    an_operator,
    some_details,
    texts,
)

from millicent.billing.documents.brand import brand_colors, contrast
from millicent.billing.documents.render import render_html

VOID = {"meta", "br", "img", "rect", "path"}


class Outline(HTMLParser):
    """Tags as they open and close; any that do not match are a fault."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, text):
        self.texts.append(text)


def _outline(html: str) -> Outline:
    outline = Outline()
    outline.feed(html)
    assert outline.open == []
    return outline


def _words(html: str) -> str:
    return re.sub(r"\s+", " ", " ".join(_outline(html).texts))


@pytest.mark.parametrize(
    ("language", "facts"),
    [
        ("en", ("Total to pay", "16 November 2026", "16 of 31 days at 10,00 €")),
        ("es", ("Total a pagar", "16 de noviembre de 2026", "16 de 31 días a 10,00 €")),
        ("fr", ("Total à payer", "16 novembre 2026", "16 jours sur 31 à 10,00 €")),
    ],
)
def test_the_page_says_what_the_pdf_says(language, facts):
    html = render_html(a_household_bill(), some_details(3), language=language)

    for fact in (*facts, "80,66 €", "66,66 €", "−3,90 €", "A-2026-000123", "+34910000000"):
        assert fact in _words(html)
    assert f'<html lang="{language}">' in html


def test_the_page_needs_nothing_else_and_runs_nothing():
    outline = _outline(render_html(a_company_bill(), some_details(3)))

    assert not {tag for tag, _ in outline.tags} & {"script", "link", "iframe", "object", "embed", "form"}
    for _, attributes in outline.tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("href", "srcset")]
        assert (attributes.get("src") or "data:").startswith("data:")


def test_every_text_is_escaped():
    attack = '"><script>alert(1)</script><img src=x onerror=alert(1)>&amp;'
    bill = a_bill(
        payer=an_account(party_name=attack, code=attack, address_lines=(attack,), tax_number=attack),
        operator=an_operator(
            legal_name=attack, contact_lines=(attack,), payment_lines=(attack,), brand_color=attack, tax_number=attack
        ),
        lines=(a_line(texts=texts(attack), subscription_code=attack, unit=attack, charged_units=1),),
        usage_history={attack: (("2026-10", 5), (attack, 6))},
        number=attack,
    )
    details = [replace(some_details(1)[0], other_party=attack, zone=attack, service=attack, subscription_code=attack)]

    html = render_html(bill, details)

    assert "<script" not in html
    assert "<img" not in html
    assert attack in _outline(html).texts


def test_tables_have_headings_and_charts_have_a_name():
    outline = _outline(render_html(a_household_bill()))

    tables = sum(tag == "table" for tag, _ in outline.tags)
    heads = sum(tag == "thead" for tag, _ in outline.tags)
    assert tables - heads == 1  # the bars of destinations: each row names itself
    charts = [attributes for tag, attributes in outline.tags if tag == "svg"]
    assert [chart["role"] for chart in charts] == ["img", "img"]
    assert charts[0]["aria-label"].startswith("Bar chart. Calls by month: Nov 1:08:20")


@pytest.mark.parametrize("color", ["#ffee00", "#0b5cad", "#000000", "#ffffff", "#7fff00", "nonsense"])
def test_any_brand_colour_can_be_read(color):
    shades = brand_colors(color)

    assert contrast(shades.ink, "#ffffff") >= 4.5
    assert contrast(shades.ink, shades.tint) >= 4.5
