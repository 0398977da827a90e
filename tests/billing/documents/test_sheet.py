"""Rows whose height is known before they are laid out: nothing overlaps, nothing is left alone."""

import json
from dataclasses import replace
from io import BytesIO
from itertools import pairwise

import typst
from pypdf import PdfReader
from tests.billing.documents.builders import (
    EURO,
    a_bill,
    a_household_bill,
    a_line,
    a_usage_line,
    some_details,
    texts,
)

from millicent.billing.documents.content import bill_content
from millicent.billing.documents.render import DocumentRenderer
from millicent.billing.documents.sheet import TO_FIND, bill_tables, fitted_charts
from millicent.billing.documents.widths import bounded_letters, widest_centiems
from millicent.billing.types import Bill

RENDERER = DocumentRenderer()
LONG = "An offering with a name so long that it takes the room of two or three lines on every bill where it stands"

MEASURED = """
#set text(font: "Libertinus Serif", fallback: false, size: 100pt)
#let wide(letter) = calc.max(..("regular", "bold").map(w => measure(text(weight: w, letter)).width.pt()))
#context [#metadata(sys.inputs.letters.clusters().map(letter => (letter, wide(letter)))) <widths>]
"""


def test_no_letter_is_wider_than_we_say():
    compiler = typst.Compiler(
        MEASURED.encode(),
        font_paths=typst.Fonts(include_system_fonts=False),
        ignore_system_fonts=True,
        sys_inputs={"letters": bounded_letters()},
    )
    widths = dict(json.loads(compiler.query("<widths>", field="value", one=True)))

    assert set(widths) == set(bounded_letters())
    assert {letter: wide for letter, wide in widths.items() if wide > widest_centiems(letter)} == {}


def test_a_short_row_has_a_height_and_a_long_one_is_left_to_be_found():
    lines = (a_line(1), a_line(2, texts=texts(LONG)), a_usage_line(3, zone="eu", net_nanos=EURO))

    table = bill_tables(bill_content(a_bill(lines=lines)))["charges"][0]["table"]

    heights = {row["cells"][0]: row["height"] for row in table["rows"]}
    assert heights == {
        "Subscription S-600100200": 145,
        "Fibra 600 + Móvil 20 GB": 145,
        LONG: TO_FIND,
        "Calls to European Union": 251,  # with how many times beneath
        "Total before tax": 145,
    }


def test_a_letter_of_unknown_width_leaves_its_row_to_be_found():
    table = bill_tables(bill_content(a_bill(lines=(a_line(texts=texts("日本")),))))["charges"][0]["table"]

    assert [row["height"] for row in table["rows"]] == [145, TO_FIND, 145]


def _lines_from_the_top(bill: Bill) -> list[tuple[float, str]]:
    """Each text of the last page with how far above the page's foot it stands, in points."""
    found: list[tuple[float, str]] = []
    page = PdfReader(BytesIO(RENDERER.pdf(bill))).pages[-1]

    def seen(text, user_matrix, text_matrix, *_):
        if text.strip():
            found.append((user_matrix[5] + user_matrix[3] * text_matrix[5], text.strip()))

    page.extract_text(visitor_text=seen)
    return sorted(found, reverse=True)


def test_no_two_rows_of_charges_run_into_each_other():
    lines = (
        a_line(1, texts=texts(LONG)),
        a_line(2),
        a_usage_line(3, zone="eu", net_nanos=EURO, texts=texts(LONG)),
        a_line(4, explanation={"base_nanos": 39 * EURO, "fraction": "1/10"}),
        a_line(5),
    )
    page = _lines_from_the_top(a_bill(lines=lines))
    heading = next(top for top, text in page if text == "Your charges in detail")

    tops = [top for top, _ in page if 60 < top < heading]
    assert len(tops) > 20
    assert min(gap for gap in map(_gap, pairwise(tops)) if gap > 1) > 8


def _gap(tops: tuple[float, float]) -> float:
    """Texts of one line stand within a point of each other; the smallest letters are six points tall."""
    upper, lower = tops
    return upper - lower


def test_the_heading_of_a_subscription_is_never_the_last_line_of_a_page():
    ends = []
    for more in range(4):  # the page ends at another place each time
        first = [a_line(number, subscription_code="S-0000") for number in range(1 + more)]
        others = [a_line(number, subscription_code=f"S-{number:04d}") for number in range(10, 60)]
        pages = PdfReader(BytesIO(RENDERER.pdf(a_bill(lines=tuple(first + others))))).pages
        ends += [_last_amount_of(page.extract_text()) for page in pages[:-1]]

    assert len(ends) == 8
    assert not [line for line in ends if "Subscription" in line]


def _last_amount_of(text: str) -> str:
    return [line for line in text.splitlines() if "€" in line][-1]


def test_the_name_of_a_bar_is_cut_to_its_room_and_said_whole_in_the_alternative():
    usage = a_usage_line(1, zone="eu", net_nanos=EURO)
    long_zone = replace(usage, zone="far", texts=texts("Islands of the far south and of the farther south"))
    content = bill_content(a_bill(lines=(usage, replace(long_zone, net_nanos=2 * EURO))))

    (chart,) = fitted_charts(content["charts"])

    assert [bar["label"] for bar in chart["bars"]] == ["Islands of the far south…", "European Union"]
    assert "Islands of the far south and of the farther south 2,00 €" in chart["alternative"].replace("\u202f", " ")


def test_details_keep_every_cell_of_every_record():
    content = bill_content(a_household_bill(), some_details(4))

    (block,) = bill_tables(content)["details"]

    assert [tuple(row["cells"]) for row in block["table"]["rows"][:-1]] == content["details"][0]["rows"]
    assert block["table"]["rows"][-1]["cells"] == ("4 records", content["details"][0]["total"])
