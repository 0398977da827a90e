"""Builders of records: each shows only what matters to its test."""

import io
from collections.abc import Sequence
from typing import Any

import polars as pl

from millicent.config.demo.records.charging import DataSession, RatingGroupUsage
from millicent.mediation.types import DecodedChunk, FormatOptions, UsageFormat

NOON_MS = 1_790_856_000_000  # 2026-10-01 12:00:00 UTC


def decoded(format_: UsageFormat, content: bytes, *, zone: str = "UTC", **options: str) -> list[DecodedChunk]:
    given = FormatOptions(zone=zone, options=options)
    return list(format_.decode(io.BytesIO(content), options=given, start_offset=0))


def one(format_: UsageFormat, content: bytes, *, zone: str = "UTC", **options: str) -> dict[str, Any]:
    """The only usage of a content."""
    (chunk,) = decoded(format_, content, zone=zone, **options)
    assert chunk.faults.height == 0, chunk.faults["detail"].to_list()
    assert chunk.usage.height == 1
    return chunk.usage.row(0, named=True)


def faults(format_: UsageFormat, content: bytes, **options: str) -> list[tuple[int, int, str]]:
    """(record number, reason, detail) of each fault."""
    frame = pl.concat([chunk.faults for chunk in decoded(format_, content, **options)])
    return frame.select("record_number", "reason", "detail").rows()


def a_session(*, usage: Sequence[RatingGroupUsage] = (), **changes: Any) -> DataSession:
    fields: dict[str, Any] = {
        "imsi": "208011234567890",
        "msisdn": "33612345678",
        "apn": "internet",
        "opening_ms": NOON_MS,
        "seconds": 600,
        "charging_id": 77,
        "record_sequence": -1,
        "local_sequence": 5,
        "network": "20801",
        "usage": usage,
    }
    return DataSession(**(fields | changes))


def a_rating_group(rating_group: int = 10, *, uplink: int = 1_000, downlink: int = 9_000) -> RatingGroupUsage:
    return RatingGroupUsage(
        rating_group=rating_group,
        uplink_bytes=uplink,
        downlink_bytes=downlink,
        seconds=300,
        first_ms=NOON_MS + 60_000,
        last_ms=NOON_MS + 360_000,
        qos=9,
    )
