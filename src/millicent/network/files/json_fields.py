"""JSON objects as fields: each wanted value is written out as text once, then every format reads columns."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from millicent.kit.kernels import Int64s
from millicent.mediation.types import SuspenseReason
from millicent.network.files.fields import Fields
from millicent.network.files.options import CommonOptions
from millicent.network.files.records import Interpretation, Room, Verdict, Walk
from millicent.network.files.window import Window
from millicent.network.kernel.json import NOT_AN_OBJECT, walk_json

DAMAGE = {NOT_AN_OBJECT: "no JSON object"}

_LARGEST_EXPONENT = 30

Pick = Callable[[Mapping[str, Any]], Sequence[object]]


def json_walk(common: CommonOptions) -> Walk:
    """Find the objects of a file."""

    def walk(window: Window, room: Room) -> tuple[int, int]:
        records, position = walk_json(
            window.buffer,
            window.begin,
            window.buffer.size,
            window.final and not common.growing,
            common.record_limit_bytes,
            room.record_start,
            room.record_end,
            room.next_start,
            room.status,
        )
        room.foreign[:records] = 0
        room.field_count[:records] = 1
        room.field_start[:records, 0] = room.record_start[:records]
        room.field_end[:records, 0] = room.record_end[:records]
        room.field_style[:records, 0] = 0
        return int(records), int(position)

    return walk


def interpret_json(
    fields: Fields, offsets: Int64s, *, pick: Pick, width: int, interpret: Callable[[Fields, Int64s], Interpretation]
) -> Interpretation:
    """Parse each record, pick its values, and let `interpret` read them as columns. Bad JSON is a fault of its own."""
    verdict = Verdict.of(fields.height)
    picked = list(_picked(fields, pick, width))
    broken = np.array([row is None for row in picked], np.bool_)
    verdict.refuse(broken, SuspenseReason.DAMAGED, "the JSON cannot be read")
    told = interpret(_as_fields([row or [b""] * width for row in picked], width), offsets)
    for place, words in enumerate(told.verdict.texts):
        hit = (told.verdict.detail == place) & ~told.verdict.accepted
        for reason in np.unique(told.verdict.reason[hit]):
            verdict.refuse(hit & (told.verdict.reason == reason), SuspenseReason(int(reason)), words)
    return Interpretation(columns=told.columns, verdict=verdict)


def _picked(fields: Fields, pick: Pick, width: int) -> Iterator[list[bytes] | None]:
    whole = fields.buffer
    for start, end in zip(fields.start[:, 0].tolist(), fields.end[:, 0].tolist(), strict=True):
        try:
            parsed = json.loads(whole[start:end].tobytes(), parse_float=_plain_decimal, parse_constant=str)
            yield [as_text(value) for value in pick(parsed)] if isinstance(parsed, dict) else None
        except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
            yield None


def _plain_decimal(text: str) -> str:
    """1.5e3 as 1500: exact, and without an exponent unless it is absurd."""
    if "e" not in text and "E" not in text:
        return text
    number = Decimal(text)
    return format(number, "f") if abs(number.adjusted()) < _LARGEST_EXPONENT else text


def as_text(value: object) -> bytes:
    """A JSON value as a field: text as it is, numbers as written, true and false, nothing for null."""
    if value is None:
        return b""
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, int):
        return str(value).encode() if value.bit_length() < 4_096 else b"too large"
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def value_at(document: Mapping[str, Any], path: str) -> object:
    """`variables.uuid` or `legs.0.number`: a key that has points itself is tried whole first."""
    if path in document:
        return document[path]
    found: Any = document
    for step in path.split("."):
        if isinstance(found, dict):
            found = found.get(step)
        elif isinstance(found, list) and step.isdigit() and int(step) < len(found):
            found = found[int(step)]
        else:
            return None
    return found


def _as_fields(rows: Sequence[Sequence[bytes]], width: int) -> Fields:
    flat = [value for row in rows for value in row]
    lengths = np.fromiter(map(len, flat), np.int64, len(flat))
    ends = np.cumsum(lengths).reshape(len(rows), width)
    starts = ends - lengths.reshape(len(rows), width)
    return Fields(
        buffer=np.frombuffer(b"".join(flat), np.uint8),
        start=starts.astype(np.int32),
        end=ends.astype(np.int32),
        style=np.zeros((len(rows), width), np.uint8),
        foreign=np.zeros(len(rows), np.uint8),
    )
