"""What a customer, a screen reader and an auditor find in the PDF."""

import re
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader
from tests.billing.documents.builders import (
    CENT,
    EURO,
    a_bill,
    a_company_bill,
    a_household_bill,
    a_line,
    a_shared_allowance,
    a_usage_line,
    an_account,
    an_operator,
    some_details,
    texts,
)

from millicent.billing.documents.render import DocumentRenderer
from millicent.billing.types import BillState
from millicent.kit.errors import BadInput

RENDERER = DocumentRenderer()


def _pages(pdf: bytes) -> list[str]:
    return [_plain(page.extract_text()) for page in PdfReader(BytesIO(pdf)).pages]


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def _text(pdf: bytes) -> str:
    return " ".join(_pages(pdf))


LOOKS = {
    "en": ("Total to pay", "80,66 €", "16 November 2026", "16 of 31 days at 10,00 €", "Data booster 10 GB", "VAT"),
    "es": ("Total a pagar", "80,66 €", "16 de noviembre de 2026", "16 de 31 días a 10,00 €", "Bono 10 GB", "IVA"),
    "fr": ("Total à payer", "80,66 €", "16 novembre 2026", "16 jours sur 31 à 10,00 €", "Supplément 10 Go", "TVA"),
}


@pytest.mark.parametrize("language", LOOKS)
def test_a_bill_says_its_total_in_three_languages(language):
    text = _text(RENDERER.pdf(a_household_bill(), language=language))

    for fact in (*LOOKS[language], "A-2026-000123", "66,66 €", "14,00 €", "−3,90 €", "S-600100200", "B12345674"):
        assert fact in text


def test_a_bill_is_in_the_language_of_its_customer():
    bill = a_bill(payer=an_account(language="fr"))

    assert "Total à payer" in _text(RENDERER.pdf(bill))


def test_a_customer_of_another_language_gets_the_operators_first():
    bill = a_bill(payer=an_account(language="de"), operator=an_operator(languages=("es", "en")))

    assert "Total a pagar" in _text(RENDERER.pdf(bill))


def test_the_same_bill_gives_the_same_bytes():
    bill, details = a_household_bill(), some_details(5)

    assert DocumentRenderer().pdf(bill, details) == RENDERER.pdf(bill, details)


def test_a_bill_is_tagged_titled_and_says_its_language_for_screen_readers():
    root = PdfReader(BytesIO(RENDERER.pdf(a_household_bill(), language="es"))).root_object

    assert root["/MarkInfo"]["/Marked"] == True  # noqa: E712 - a PDF boolean, not Python's
    assert "/StructTreeRoot" in root
    assert root["/Lang"] == "es"
    assert root["/ViewerPreferences"]["/DisplayDocTitle"] == True  # noqa: E712
    assert b"pdfuaid:part" in root["/Metadata"].get_data()


def test_tables_and_charts_are_tagged_as_such():
    elements = list(_elements(PdfReader(BytesIO(RENDERER.pdf(a_household_bill())))))

    assert {"/H1", "/H2", "/Table", "/TH", "/TD", "/Figure"} <= {str(element["/S"]) for element in elements}
    assert any("Calls by month" in text and "Oct 4:50:00" in text for text in map(_alternative, elements))


def _elements(reader: PdfReader) -> Iterator[dict[str, Any]]:
    """Every structure element, in the order in which it is read aloud."""
    waiting = [reader.root_object["/StructTreeRoot"]]
    while waiting:
        node = waiting.pop()
        node = node.get_object() if hasattr(node, "get_object") else node
        if isinstance(node, list):
            waiting.extend(reversed(node))
        elif isinstance(node, dict):
            if "/S" in node:
                yield node
            if "/K" in node:
                waiting.append(node["/K"])


def _alternative(element: dict[str, Any]) -> str:
    return str(element.get("/Alt", ""))


ACCESSIBLE = {
    "household": (a_household_bill(), some_details(40)),
    "company": (a_company_bill(), some_details(3)),
    "smallest": (a_bill(), []),
    "credit": (a_bill(lines=(a_line(net_nanos=-20 * EURO),)), []),
}


@pytest.mark.parametrize("language", LOOKS)
@pytest.mark.parametrize("name", ACCESSIBLE)
def test_a_bill_has_the_structure_that_pdf_ua_asks_for(name, language):
    """ISO 14289-1: 7.1 order and artifacts, 7.2 language, 7.3 figures, 7.4 headings, 7.5 tables, 7.21 fonts."""
    bill, details = ACCESSIBLE[name]
    reader = PdfReader(BytesIO(RENDERER.pdf(bill, details, language=language)))
    elements = list(_elements(reader))

    assert reader.root_object["/Lang"] == language
    assert _title(reader).startswith(("Bill A-", "Bill B-", "Factura ", "Facture "))
    assert all(_alternative(element) for element in elements if element["/S"] == "/Figure")
    levels = [int(str(element["/S"])[2:]) for element in elements if re.fullmatch(r"/H[1-6]", str(element["/S"]))]
    assert levels[0] == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))
    for table in (element for element in elements if element["/S"] == "/Table"):
        assert _kinds_within(table) >= {"/TR", "/TH", "/TD"}
    assert all("/Scope" in str(element.get("/A")) for element in elements if element["/S"] == "/TH")
    for page in reader.pages:
        assert page["/Tabs"] == "/S"
        assert "/StructParents" in page
        assert b"/Artifact" in page.get_contents().get_data()
        for font in page["/Resources"]["/Font"].values():
            assert "/ToUnicode" in font.get_object()
            assert _is_embedded(font.get_object())


def _title(reader: PdfReader) -> str:
    found = re.search(
        rb"<dc:title>.*?<rdf:li[^>]*>(.*?)</rdf:li>", reader.root_object["/Metadata"].get_data(), re.DOTALL
    )
    return found[1].decode() if found else ""


def _kinds_within(element: dict[str, Any]) -> set[str]:
    kinds, waiting = set(), [element]
    while waiting:
        node = waiting.pop()
        node = node.get_object() if hasattr(node, "get_object") else node
        if isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, dict):
            kinds.add(str(node.get("/S")))
            waiting.extend([node["/K"]] if "/K" in node else [])
    return kinds


def _is_embedded(font: dict[str, Any]) -> bool:
    descriptor = font["/DescendantFonts"][0].get_object()["/FontDescriptor"].get_object()
    return any(key in descriptor for key in ("/FontFile", "/FontFile2", "/FontFile3"))


def test_thousands_of_calls_run_over_pages_that_repeat_their_headings():
    pages = _pages(RENDERER.pdf(a_bill(), some_details(1_200), language="en"))

    detailed = [page for page in pages if "Destination" in page]
    assert len(detailed) >= 15
    assert f"Page {len(pages)} of {len(pages)}" in pages[-1]
    assert "1.200 records" in pages[-1]
    assert sum(page.count("+349") + page.count("+346") for page in pages) == 800


def test_a_hierarchy_shows_what_each_account_adds():
    text = _text(RENDERER.pdf(a_company_bill()))

    for fact in (
        "Cuentas en esta factura",
        "149,10 €",
        "146,00 €",
        "152,20 €",
        "447,30 €",
        "Flota & Taller",
        "541,23 €",
    ):
        assert fact in text


def test_reverse_charge_and_exemption_are_said():
    text = _text(RENDERER.pdf(a_company_bill(), language="en"))

    assert "French VAT: reverse charge. The customer accounts for the tax." in text
    assert "Universal service fee: exempt, certificate GOV-2026-17." in text


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Family messages shared by Logística Norte · C-100202 "),
        ("es", "Mensajes en familia compartido por Logística Norte · C-100202 "),
        ("fr", "Messages famille partagé par Logística Norte · C-100202 "),
    ],
)
def test_an_allowance_that_one_of_several_accounts_shares_says_whose_it_is(language, text):
    bill = a_company_bill(allowances=(a_shared_allowance(owner="C-100202"),))

    assert text in _text(RENDERER.pdf(bill, language=language))


def test_an_allowance_of_a_pool_says_the_name_of_the_pool():
    bill = a_bill(allowances=(a_shared_allowance(owner="van fleet"),))

    assert "Family messages shared by van fleet " in _text(RENDERER.pdf(bill))


def test_an_allowance_of_the_only_account_is_simply_shared():
    bill = a_bill(allowances=(a_shared_allowance(owner="C-100201"),))

    assert "Family messages · shared " in _text(RENDERER.pdf(bill))
    assert "shared by" not in _text(RENDERER.pdf(bill))


def test_a_credit_asks_for_no_payment():
    text = _text(RENDERER.pdf(a_bill(lines=(a_line(net_nanos=-20 * EURO),)), language="en"))

    assert "Credit in your favour 24,20 €" in text
    assert "Please pay by" not in text
    assert "How to pay" not in text


def test_a_rehearsed_bill_says_that_it_is_none():
    text = _text(RENDERER.pdf(a_bill(state=BillState.REHEARSED, number=""), language="en"))

    assert "Rehearsal: this is not a bill." in text
    assert "How to pay" not in text


def test_a_correction_names_the_period_that_it_corrects():
    text = _text(RENDERER.pdf(a_household_bill()))

    assert re.search(r"Late roaming records.{0,12} 1 Sept 2026 – 30 Sept 2026", text)


def test_bills_printed_one_after_the_other_say_each_its_own():
    """Their files have one name and one length, and are written within one tick of the disk's clock."""
    numbers = [f"A-2026-{number:06d}" for number in range(100, 130)]
    renderer = DocumentRenderer()

    printed = [renderer.pdf(a_bill(number=number)) for number in numbers]

    assert [[number for number in numbers if number in _text(pdf)] for pdf in printed] == [[one] for one in numbers]


def test_no_bill_is_left_on_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    renderer = DocumentRenderer()

    renderer.pdf(a_bill())

    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["bill.typ"]


HOSTILE = (
    '#panic("owned")',
    "$ x^2 $ @label <label> *bold* _it_ `raw` // comment /* more */",
    '#include "/etc/passwd" #read("/etc/passwd")',
    '"}] \\u{0} \\n {{ }} %s {total}',
    "مرحبا بالعالم שלום",
    "emoji 😀 👩‍👩‍👧‍👦 日本語 ₺",
    "x" * 10_000,
    "a\u202eb\u0000c\ud800",
)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_text_is_only_a_text(text):
    """It compiles, and what can be printed is printed as it stands."""
    bill = a_bill(
        payer=an_account(party_name=text, address_lines=(text,)),
        operator=an_operator(legal_name=text, payment_lines=(text,)),
        lines=(a_line(texts=texts(text), subscription_code=text), a_usage_line(2, zone="eu", net_nanos=CENT)),
    )
    details = [replace(some_details(1)[0], other_party=text, zone=text, subscription_code=text)]

    pages = _pages(RENDERER.pdf(bill, details))

    assert "Total to pay" in " ".join(pages)
    assert len(pages) <= 5
    if text.isascii() and len(text) < 100:
        assert _plain(text) in " ".join(pages)


@settings(max_examples=30, deadline=None)
@given(text=st.text(max_size=200))
def test_any_text_at_all_can_be_printed(text):
    bill = a_bill(payer=an_account(party_name=text), lines=(a_line(texts=texts(text or "x")),))

    assert RENDERER.pdf(bill).startswith(b"%PDF-")


def test_a_letter_that_no_font_has_costs_the_claim_of_pdf_ua_and_not_the_tags():
    root = PdfReader(BytesIO(RENDERER.pdf(a_bill(payer=an_account(party_name="日本"))))).root_object

    assert "/StructTreeRoot" in root
    assert b"pdfuaid:part" not in root["/Metadata"].get_data()


def test_a_word_longer_than_a_line_stays_on_the_page():
    page = PdfReader(BytesIO(RENDERER.pdf(a_bill(payer=an_account(party_name="x" * 300))))).pages[0]
    ends: list[float] = []
    page.extract_text(visitor_text=lambda text, _, matrix, __, ___: ends.append(matrix[4]) if text.strip() else None)
    address = [line for line in page.extract_text().splitlines() if "xx" in line and "A-2026" not in line]

    assert sum(line.count("x") for line in address) == 300
    assert max(map(len, address)) < 60
    assert max(ends) < page.mediabox.width


PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63606060000000040001f61738"
    "550000000049454e44ae426082"
)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="60" height="20"><rect width="60" height="20" fill="#c00"/></svg>'


@pytest.mark.parametrize(("name", "content"), [("logo.svg", SVG), ("brand/logo.png", PNG)])
def test_a_logo_of_the_catalogue_is_printed(name, content):
    bill = a_bill(operator=an_operator(logo_file=name))

    pdf = DocumentRenderer(catalogue_files={name: content}).pdf(bill)

    assert pdf != RENDERER.pdf(bill)
    assert "Total to pay" in _text(pdf)


@pytest.mark.parametrize(
    ("files", "fault"), [({}, "is not a file of the catalogue"), ({"logo.svg": b"GIF89a"}, "neither SVG nor PNG")]
)
def test_a_logo_that_is_missing_or_no_picture_is_refused(files, fault):
    bill = a_bill(operator=an_operator(logo_file="logo.svg"))

    with pytest.raises(BadInput, match=fault):
        DocumentRenderer(catalogue_files=files).pdf(bill)
