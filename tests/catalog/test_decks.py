"""Rate decks: every row is taken, or refused with its row number and reason."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.catalog.builders import DECK, a_catalogue, examined, with_deck

from millicent.catalog.decks.read import read_deck
from millicent.catalog.decks.types import DeckFormat, RowRefusal
from millicent.catalog.errors import Severity
from millicent.kit.errors import BadInput

COLUMNS = {
    name: name for name in ("prefix", "destination", "rate", "connect", "first", "next", "from", "until", "status")
}
HEADER = ",".join(COLUMNS)
OPEN_MS = np.iinfo(np.int64).max


def a_format(**changes):
    return DeckFormat(
        **{"code": "d", "file": "d.csv", "currency": "EUR", "columns": COLUMNS, "blocked": ("closed",), **changes}
    )


def read(*rows, **changes):
    return read_deck("\n".join((HEADER, *rows)).encode(), layout=a_format(**changes))


def a_row(prefix="33", rate="0.10", connect="", first="60", following="1", start="", until="", status=""):
    return f"{prefix},France,{rate},{connect},{first},{following},{start},{until},{status}"


def refusals(reading):
    return [(row["row"], row["reason"]) for row in reading.report.refused.iter_rows(named=True)]


def test_a_sound_row_becomes_exact_columns():
    deck = read(a_row("+33", "0.0123", "0.05", "30", "6", "2026-01-01", "2026-07-01 12:30")).deck

    assert (deck.prefixes, deck.destinations) == (("33",), ("France",))
    assert (deck.rate_nanos.tolist(), deck.connect_nanos.tolist()) == ([12_300_000], [50_000_000])
    assert (deck.first_increment.tolist(), deck.next_increment.tolist()) == ([30], [6])
    assert (deck.valid_from_ms.tolist(), deck.valid_until_ms.tolist()) == ([1_767_225_600_000], [1_782_909_000_000])


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (a_row(rate=""), RowRefusal.MISSING_RATE),
        (a_row(rate="-0.10"), RowRefusal.NEGATIVE_RATE),
        (a_row(rate="cheap"), RowRefusal.BAD_RATE),
        (a_row(rate="1e-3"), RowRefusal.BAD_RATE),
        (a_row(rate="1234567890"), RowRefusal.BAD_RATE),
        (a_row(rate="0.1234567891"), RowRefusal.TOO_MANY_DECIMALS),
        (a_row(prefix=""), RowRefusal.BAD_PREFIX),
        (a_row(prefix="033"), RowRefusal.BAD_PREFIX),
        (a_row(prefix="33x"), RowRefusal.BAD_PREFIX),
        (a_row(prefix="1234567890123456"), RowRefusal.BAD_PREFIX),
        (a_row(connect="x"), RowRefusal.BAD_CONNECT_FEE),
        (a_row(first="0"), RowRefusal.BAD_INCREMENT),
        (a_row(following="1.5"), RowRefusal.BAD_INCREMENT),
        (a_row(start="yesterday"), RowRefusal.BAD_DATE),
        (a_row(until="2026-13-01"), RowRefusal.BAD_DATE),
        (a_row(start="2026-02-01", until="2026-02-01"), RowRefusal.ENDS_BEFORE_IT_BEGINS),
        ('33,"France,0.10', RowRefusal.DAMAGED),
        ("33,France", RowRefusal.TOO_FEW_COLUMNS),
        (a_row() + ",more", RowRefusal.TOO_MANY_COLUMNS),
    ],
)
def test_an_unsound_row_is_refused_alone_with_its_row_number(row, reason):
    reading = read(a_row("34"), row, a_row("35"))

    assert refusals(reading) == [(3, reason)]
    assert reading.deck.prefixes == ("34", "35")
    assert (reading.report.rows_in, reading.report.accepted) == (3, 2)


def test_the_same_prefix_twice_for_the_same_time_is_refused_the_second_time():
    reading = read(a_row(start="2026-01-01"), a_row(start="2026-01-01", rate="0.20"))

    assert refusals(reading) == [(3, RowRefusal.DUPLICATE_PREFIX)]
    assert reading.deck.rate_nanos.tolist() == [100_000_000]


def test_rows_that_overlap_in_part_are_refused():
    reading = read(a_row(start="2026-01-01", until="2026-03-01"), a_row(start="2026-02-01", until="2026-04-01"))

    assert refusals(reading) == [(3, RowRefusal.DUPLICATE_PREFIX)]


def test_a_row_without_an_end_lasts_until_the_next_one_begins():
    deck = read(a_row(start="2026-02-01", rate="0.20"), a_row(start="2026-01-01")).deck

    assert deck.rate_nanos.tolist() == [100_000_000, 200_000_000]
    assert deck.valid_until_ms.tolist() == [deck.valid_from_ms[1], OPEN_MS]


def test_a_blocked_row_needs_no_rate():
    deck = read(a_row(rate="", status="Closed"), a_row("34")).deck

    assert (deck.prefixes, deck.blocked.tolist()) == (("33", "34"), [1, 0])


def test_commas_for_decimals_and_local_dates_are_read_as_declared():
    text = "Prefijo;EUR;Desde\n33;1.234,5;01/07/2026\n"
    layout = a_format(
        delimiter=";",
        decimal=",",
        date_format="%d/%m/%Y",
        zone="Europe/Madrid",
        increments=(30, 6),
        columns={"prefix": "Prefijo", "rate": "EUR", "from": "Desde"},
    )

    deck = read_deck(text.encode(), layout=layout).deck

    assert deck.rate_nanos.tolist() == [1_234_500_000_000]
    assert deck.valid_from_ms.tolist() == [1_782_856_800_000]  # 2026-06-30T22:00Z
    assert (deck.first_increment.tolist(), deck.next_increment.tolist()) == ([30], [6])


def test_a_file_without_the_declared_column_says_which_columns_it_has():
    with pytest.raises(BadInput) as refusal:
        read_deck(b"code,price\n33,1\n", layout=a_format(columns={"prefix": "prefix", "rate": "price"}))

    assert refusal.value.where == "d.csv:1"
    assert "code, price" in refusal.value.cure


CELLS = st.text(alphabet='0123456789.,;-+"\n\r x/:é', max_size=12)
NEARLY_SOUND = st.builds(
    a_row,
    prefix=st.sampled_from(["33", "331", "1", "0"]),
    rate=st.sampled_from(["1", "", "-1", "0.5"]),
    start=st.sampled_from(["", "2026-01-01", "2026-02-01", "x"]),
)
LINES = st.one_of(st.lists(CELLS, max_size=11).map(",".join), NEARLY_SOUND)


@given(rows=st.lists(LINES, max_size=30))
def test_whatever_the_rows_are_each_is_accepted_or_refused(rows):
    text = "\n".join((HEADER, *rows))
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    expected = {number for number, line in enumerate(lines, start=1) if line.strip() and number > 1}

    reading = read_deck(text.encode(), layout=a_format())

    refused = reading.report.refused["row"].to_list()
    assert reading.report.rows_in == len(expected)
    assert reading.report.accepted + len(refused) == len(expected)
    assert len(reading.deck.prefixes) == reading.report.accepted
    assert set(refused) <= expected
    assert len(set(refused)) == len(refused)


@given(rows=st.lists(st.builds(a_row, start=st.dates().map(str), until=st.dates().map(str)), max_size=12))
def test_no_prefix_has_two_rates_at_the_same_time(rows):
    deck = read(*rows).deck

    spans = sorted(zip(deck.prefixes, deck.valid_from_ms, deck.valid_until_ms, strict=True))
    assert all(one[0] != following[0] or one[2] <= following[1] for one, following in pairwise(spans))


def test_refused_rows_block_a_catalogue():
    examination = examined(with_deck("33,France,0.10,,", "34,Spain,,,"))

    (fault,) = [fault for fault in examination.faults if fault.code == "refused_rows"]
    assert (fault.file, fault.line, fault.severity) == ("decks/deck.yaml", 2, Severity.FAULT)
    assert "1 of 2 rows are refused (1 missing rate); the first is row 3" in fault.message
    assert examination.catalogue is None


def test_as_many_refused_rows_as_are_allowed_are_a_warning():
    changes = with_deck("33,France,0.10,,", "34,Spain,,,", described=DECK + "refused_rows_allowed: 1\n")

    examination = examined(changes)

    assert [(fault.code, fault.severity) for fault in examination.faults] == [("refused_rows", Severity.WARNING)]
    assert a_catalogue(changes).decks["deck"].prefixes == ("33",)
    assert [(deck.rows_in, deck.accepted, deck.counts()) for deck in examination.decks] == [(2, 1, {"missing rate": 1})]
