"""Frames go into tables and come back unchanged, through row security."""

import polars as pl
import pytest
from django.db import IntegrityError, transaction

from millicent.customers.models import Party
from millicent.kit.bulk import insert_frame, read_frame, reserve_ids

COLUMNS = {"code": pl.String, "name": pl.String, "kind": pl.String, "language": pl.String, "recorded_at_ms": pl.Int64}
AWKWARD = [
    "a,b",
    'quote " here',
    "two\nlines",
    "carriage\rreturn",
    "back\\slash",
    "\\.",
    "Ñandú 日本",
    " spaces ",
    "\\N",
]


def parties(names):
    return pl.DataFrame(
        {
            "code": [f"p{place}" for place in range(len(names))],
            "name": names,
            "kind": ["person"] * len(names),
            "language": [""] * len(names),
            "recorded_at_ms": list(range(len(names))),
        },
        schema=COLUMNS,
    )


def test_awkward_texts_come_back_as_they_went_in(tenant):
    frame = parties(AWKWARD)

    assert insert_frame(frame, table="customers_party") == len(AWKWARD)

    query = "SELECT code, name, kind, language, recorded_at_ms FROM customers_party ORDER BY recorded_at_ms"
    assert read_frame(query, schema=COLUMNS).equals(frame)


def test_a_refused_row_refuses_the_whole_frame(tenant):
    with pytest.raises(IntegrityError, match="a_party_has_a_code_and_a_name"), transaction.atomic():
        insert_frame(parties(["fine", ""]), table="customers_party")

    assert not Party.objects.exists()


def test_null_and_empty_are_told_apart(tenant):
    query = "SELECT NULL::text, '', 7"

    frame = read_frame(query, schema={"absent": pl.String, "empty": pl.String, "number": pl.Int64})

    assert frame.rows() == [(None, "", 7)]


def test_an_empty_answer_still_has_its_columns(tenant):
    assert read_frame("SELECT code FROM customers_party", schema={"code": pl.String}).schema == {"code": pl.String}


def test_reserved_ids_are_never_given_twice(tenant):
    first = reserve_ids("customers_party", how_many=3)
    second = reserve_ids("customers_party", how_many=2)

    assert len({*first.to_list(), *second.to_list()}) == 5
