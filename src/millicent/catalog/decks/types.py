"""What a deck's file says about itself, and what became of its rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum, unique

import polars as pl

from millicent.catalog.types import RateDeck


@unique
class RowRefusal(StrEnum):
    """Why a row of a deck was not taken. The words are stable: operators search for them."""

    DAMAGED = "damaged"  # quotes do not close: the line is not a row
    TOO_FEW_COLUMNS = "too few columns"
    TOO_MANY_COLUMNS = "too many columns"
    BAD_PREFIX = "bad prefix"
    MISSING_RATE = "missing rate"
    BAD_RATE = "bad rate"
    NEGATIVE_RATE = "negative rate"
    TOO_MANY_DECIMALS = "too many decimals"
    BAD_CONNECT_FEE = "bad connect fee"
    BAD_INCREMENT = "bad increment"
    BAD_DATE = "bad date"
    ENDS_BEFORE_IT_BEGINS = "ends before it begins"
    DUPLICATE_PREFIX = "duplicate prefix for the same time"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeckFormat:
    """How the file is written. `columns` is our name of a column to the file's header."""

    code: str
    file: str
    currency: str
    columns: Mapping[str, str]
    per_units: int = 60
    delimiter: str = ","
    decimal: str = "."
    encoding: str = "utf-8"
    increments: tuple[int, int] = (1, 1)
    blocked: tuple[str, ...] = ()
    date_format: str = ""
    zone: str = "UTC"
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeckReport:
    """The account of one file: rows_in = accepted + refused, always. `refused` has row, prefix, reason, detail.

    A row's number is its line in the file, the header being line 1; blank lines are not rows.
    """

    code: str
    file: str
    rows_in: int
    accepted: int
    refused: pl.DataFrame

    def __post_init__(self) -> None:
        assert self.rows_in == self.accepted + self.refused.height, "every row of a deck is accounted for"

    def counts(self) -> dict[str, int]:
        """Refused rows by reason."""
        grouped = self.refused.group_by("reason").len().sort("reason")
        return dict(zip(grouped["reason"].to_list(), grouped["len"].to_list(), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class DeckRead:
    deck: RateDeck
    report: DeckReport


REFUSED_COLUMNS = {"row": pl.Int64, "prefix": pl.String, "reason": pl.String, "detail": pl.String}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeckRows:
    """A file as columns of text, with what could not even be split into columns."""

    header: tuple[str, ...]
    rows: pl.DataFrame  # "row" and one String column for each header, in order: c0, c1, ...
    refused: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=REFUSED_COLUMNS))
    rows_in: int = 0
