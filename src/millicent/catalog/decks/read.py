"""The one door to a deck: bytes and a format in, columns and an account of every row out."""

from millicent.catalog.decks.checks import check_rows
from millicent.catalog.decks.rows import split_rows
from millicent.catalog.decks.types import DeckFormat, DeckRead


def read_deck(content: bytes, *, layout: DeckFormat) -> DeckRead:
    return check_rows(split_rows(content, layout=layout), layout=layout)
