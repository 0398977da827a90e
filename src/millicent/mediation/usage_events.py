"""The format of usage that is pushed to us: JSON Lines, each a CloudEvent (structured mode, spec 1.0) or a bare usage.

A usage is an object with names of `rating.types.USAGE_COLUMNS` and of `mediation.types.DECODED_EXTRA_COLUMNS`; times
may also be written as `occurred_at`, RFC 3339. A CloudEvent carries it as `data`; its `source` and `id` together are
what makes the event unique.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, BinaryIO, Final

import polars as pl

from millicent.kit.clock import to_ms
from millicent.kit.errors import BadInput
from millicent.mediation.facts import USAGE_SCHEMA
from millicent.mediation.types import DECODED_EXTRA_COLUMNS, DecodedChunk, FormatOptions, Part, SuspenseReason

_LINES_AT_A_TIME = 20_000
_LONGEST_LINE = 65_536
_TYPES: Final = {pl.String: str, pl.Boolean: bool, pl.Int64: int, pl.UInt64: int}
EVENT_SCHEMA: Final = {**USAGE_SCHEMA, **{name: getattr(pl, kind) for name, kind in DECODED_EXTRA_COLUMNS.items()}}
_OURS: Final = frozenset(  # what only mediation may say
    {"event_key_high", "event_key_low", "batch_id", "source", "received_at_ms", "subscription_id"}
    | {"billing_account_id", "record_number", "byte_offset", "byte_length"}
)
EVENT_DEFAULTS: Final = {
    **{name: {pl.String: "", pl.Boolean: False}.get(kind, 0) for name, kind in EVENT_SCHEMA.items()},
    "direction": "originating",
    "answered": True,
    "part": Part.WHOLE.value,
    "sequence_number": -1,
    "subscription_id": -1,
    "billing_account_id": -1,
}
_PARTS = frozenset(part.value for part in Part)
FAULT_SCHEMA: Final = {
    "record_number": pl.Int64,
    "byte_offset": pl.Int64,
    "byte_length": pl.Int64,
    "reason": pl.Int16,
    "detail": pl.String,
    "raw": pl.Binary,
}


class UsageEvents:
    """JSON Lines of CloudEvents or bare usage. Options: none."""

    code = "usage_events"

    def decode(self, stream: BinaryIO, *, options: FormatOptions, start_offset: int) -> Iterator[DecodedChunk]:
        """Yield chunks; see `mediation.types.UsageFormat`."""
        if options.options:
            raise BadInput(f"unknown option {min(options.options)!r}", where="source options", cure="There are none.")
        stream.seek(start_offset)
        offset, number = start_offset, options.first_record_number
        while lines := stream.readlines(_LINES_AT_A_TIME * 100):
            chunk = _chunk(lines, offset=offset, number=number)
            if chunk.records_in == chunk.faults.height and offset == 0 and lines[0].lstrip()[:1] != b"{":
                raise BadInput("not JSON Lines of usage", where="offset 0", cure="Each line must be a JSON object.")
            yield chunk
            offset, number = chunk.next_offset, number + chunk.records_in


def _chunk(lines: list[bytes], *, offset: int, number: int) -> DecodedChunk:
    rows: list[dict[str, Any]] = []
    faults: list[tuple[int, int, int, int, str, bytes]] = []
    records_in = 0
    for line in lines:
        if line.strip():
            place = number + records_in
            records_in += 1
            try:
                row = usage_fields(line)
                row.update(record_number=place, byte_offset=offset, byte_length=len(line))
                rows.append(row)
            except _Fault as fault:
                faults.append((place, offset, len(line), int(fault.reason), str(fault), line[:_LONGEST_LINE]))
        offset += len(line)
    return DecodedChunk(
        usage=pl.DataFrame(rows, schema=EVENT_SCHEMA, orient="row"),
        faults=pl.DataFrame(faults, schema=FAULT_SCHEMA, orient="row"),
        records_in=records_in,
        next_offset=offset,
    )


class _Fault(Exception):
    """One line that is no usage: the reason and a few words."""

    def __init__(self, reason: SuspenseReason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


def usage_fields(line: bytes) -> dict[str, Any]:
    """The columns that one line gives, checked."""
    try:
        said = json.loads(line)
    except ValueError as fault:
        raise _Fault(SuspenseReason.DAMAGED, f"not JSON: {fault}") from None
    if not isinstance(said, dict):
        raise _Fault(SuspenseReason.DAMAGED, "not a JSON object")
    fields: Mapping[str, Any] = said
    event_id = ""
    if "specversion" in said:
        carried = said.get("data")
        fields = carried if isinstance(carried, dict) else {}
        if not (isinstance(said.get("source"), str) and isinstance(said.get("id"), str) and fields):
            raise _Fault(SuspenseReason.DAMAGED, "a CloudEvent of usage needs id, source and data")
        event_id = f"{said['source']} {said['id']}"
    row = {**EVENT_DEFAULTS, **_checked(fields)}
    row["event_id"] = event_id or row["event_id"]
    if not row["occurred_at_ms"]:
        raise _Fault(SuspenseReason.MISSING_FIELD, "occurred_at is missing")
    return row


def _checked(fields: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, value in fields.items():
        if name == "occurred_at":
            row["occurred_at_ms"] = _instant(value)
        elif name == "attributes" and isinstance(value, dict):
            row[name] = json.dumps(value, sort_keys=True, ensure_ascii=False) if value else ""
        elif name not in EVENT_SCHEMA or name in _OURS:
            raise _Fault(SuspenseReason.DAMAGED, f"a usage has no {name!r}")
        elif type(value) is not _TYPES[EVENT_SCHEMA[name]] or (isinstance(value, int) and abs(value) >= 2**63):
            raise _Fault(SuspenseReason.DAMAGED, f"{name} cannot be {str(value)[:40]!r}")
        else:
            row[name] = value
    if row.get("part", Part.WHOLE.value) not in _PARTS:
        raise _Fault(SuspenseReason.DAMAGED, f"part cannot be {row['part'][:40]!r}")
    return row


CORRECTABLE: Final = frozenset(EVENT_SCHEMA) - _OURS


def check_field(name: str, value: object, *, where: str) -> None:
    """Refuse a value that a column of usage cannot hold."""
    try:
        _checked({name: value})
    except _Fault as fault:
        raise BadInput(str(fault), where=where, cure=f"{name} is a {_TYPES[EVENT_SCHEMA[name]].__name__}.") from None


def _instant(value: object) -> int:
    try:
        return to_ms(datetime.fromisoformat(str(value)))
    except ValueError:
        raise _Fault(SuspenseReason.BAD_TIME, f"{str(value)[:40]!r} is not an RFC 3339 time with a zone") from None
