"""What crosses the doors of mediation: decoded chunks, reasons, and the port that every file format implements."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum, unique
from typing import BinaryIO, Protocol

import polars as pl

# What a decoder fills in, chunk by chunk: names and types of rating.types.USAGE_COLUMNS for what the format knows
# (missing columns get their empty value), plus these.
DECODED_EXTRA_COLUMNS = {
    "record_number": "Int64",  # 1-based in the file
    "byte_offset": "Int64",
    "byte_length": "Int64",
    "event_id": "String",  # what makes the event unique at its source (uuid, Acct-Unique-Session-Id, record id)
    "part": "String",  # Part
    "correlation_key": "String",  # joins the parts of one usage, "" for a whole
    "sequence_number": "Int64",  # the switch's own running number, -1 none: gaps are reported
}


@unique
class Part(StrEnum):
    """A whole usage, or one of several records that make one.

    `occurred_at_ms` of a whole, a start and a partial is when it began; of an interim and a stop it is the moment of
    the report, and `duration_ms` says how long the usage had lasted by then (0: the record does not say).
    """

    WHOLE = "whole"
    START = "start"
    INTERIM = "interim"  # counters so far (cumulative), not a difference
    STOP = "stop"
    PARTIAL = "partial"  # a closed piece with its own difference (3GPP partial CDR); pieces add up


@unique
class SuspenseReason(IntEnum):
    """Why a record could not go on to usage. Numbers are for ever; below 100 they are rating's."""

    ACCEPTED = 0
    DAMAGED = 100  # the bytes are not a record of this format
    MISSING_FIELD = 101
    BAD_TIME = 102
    BAD_NUMBER = 103
    BAD_QUANTITY = 104
    FROM_THE_FUTURE = 105
    TOO_OLD = 106
    UNKNOWN_SERVICE = 107
    NOBODY = 108  # no subscription held the identifier at that time
    STOP_WITHOUT_START = 109
    COUNTER_WENT_BACK = 110
    START_WITHOUT_STOP = 111  # given up waiting, and no interim says how much was used
    NOT_USAGE = 120  # rejected by rule: a record that is no usage (header, internal leg)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredFile:
    """What a file says about itself, where its format has a header. None: it does not say."""

    sequence_number: int | None = None  # running number among the files of its node
    records: int | None = None  # as the source counts them
    lost_records: int = 0  # not 0: the node says that records are missing, and how it knows


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedChunk:
    """Some records of one file. `records_in` = rows of `usage` + rows of `faults`: nothing is lost in silence.

    `faults` columns: record_number, byte_offset, byte_length, reason (SuspenseReason), detail, raw (Binary).
    `next_offset` is where a resumed run goes on reading. `source_records` is how many records these are for the source,
    where one of its records may hold several usages. `ended` names sessions that are over although nothing in them
    says so: columns attribute, value, occurred_at_ms (a NAS that began anew has none of its sessions from before).
    """

    usage: pl.DataFrame
    faults: pl.DataFrame
    records_in: int
    next_offset: int
    declared: DeclaredFile | None = None
    source_records: int = 0
    ended: pl.DataFrame | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatOptions:
    """What a source declares about its files: zone of local times, dialling rules, and format-specific options.

    A resumed run gives `first_record_number`, the number of the record at its `start_offset`, because a decoder
    does not read again what was read before.
    """

    zone: str = "UTC"
    first_record_number: int = 1
    options: Mapping[str, str] = field(default_factory=dict)


class UsageFormat(Protocol):
    """One file format. Found by entry point group `millicent.usage_formats`; tests/network/contract.py must pass."""

    code: str

    def decode(self, stream: BinaryIO, *, options: FormatOptions, start_offset: int) -> Iterator[DecodedChunk]:
        """Read records from `start_offset` on, in chunks of bounded size. A damaged record is a fault, never an
        exception; a file that is not of this format at all raises BadInput naming the offset."""
        ...
