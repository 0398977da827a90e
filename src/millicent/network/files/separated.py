"""Separated text (CSV and its relatives) as a way to find records."""

from dataclasses import dataclass

from millicent.network.files.options import CommonOptions
from millicent.network.files.records import Room, Walk
from millicent.network.files.window import Window
from millicent.network.kernel import separated


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How records of one format are written."""

    separator: str = ","
    quote: str = '"'  # "" where quotes are ordinary text
    backslash: bool = False
    multiline: bool = False


def separated_walk(layout: Layout, common: CommonOptions) -> Walk:
    """How to find the records of this layout."""

    def walk(window: Window, room: Room) -> tuple[int, int]:
        return _walk(window, layout, common, room)

    return walk


def _walk(window: Window, layout: Layout, common: CommonOptions, room: Room) -> tuple[int, int]:
    records, position = separated.walk_separated(
        window.buffer,
        window.begin,
        window.buffer.size,
        window.final and not common.growing,
        ord(layout.separator),
        ord(layout.quote) if layout.quote else -1,
        layout.backslash,
        layout.multiline,
        common.record_limit_bytes,
        room.record_start,
        room.record_end,
        room.next_start,
        room.status,
        room.foreign,
        room.field_count,
        room.field_start,
        room.field_end,
        room.field_style,
    )
    return int(records), int(position)
