"""Reading a shard's tables for people and for doors, between two batches. Nothing here changes anything."""

from collections.abc import Mapping, Sequence

from millicent.charging.types import Rows

TEXT_TABLE = "session_text"


def session_texts(tables: Mapping[str, Rows], sessions: Sequence[int] | Rows) -> list[str]:
    """The Session-Id of each row of the sessions; "" for a row below zero."""
    texts = tables[TEXT_TABLE]
    return [_text(texts, int(session)) if 0 <= int(session) < len(texts) else "" for session in sessions]


def _text(texts: Rows, session: int) -> str:
    row = texts[session]
    return bytes(row["text"][: int(row["length"])]).decode(errors="replace")
