"""Effective-dated history as values: half-open spans that are never rewritten, only superseded by new ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Content = TypeVar("Content")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span(Generic[Content]):
    """What holds from `from_ms` until `until_ms` (None: still holds). `learned_at_ms` is when it was first known."""

    from_ms: int
    until_ms: int | None
    content: Content
    learned_at_ms: int
    row_id: int = -1  # of the stored row, -1 when it is not stored yet

    def holds_at(self, instant_ms: int) -> bool:
        return self.from_ms <= instant_ms and (self.until_ms is None or instant_ms < self.until_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewritten(Generic[Content]):
    """What a change does to a history: rows no longer believed, rows to add, and the history after it."""

    superseded: tuple[Span[Content], ...]
    added: tuple[Span[Content], ...]
    after: tuple[Span[Content], ...]


def rewrite(
    history: Sequence[Span[Content]],
    *,
    at_ms: int,
    change: Callable[[Content], Content],
    goes_on: Callable[[Content], bool] = lambda content: True,
    now_ms: int,
) -> Rewritten[Content]:
    """Apply a change from `at_ms` on, through every later span for which `goes_on` still answers yes.

    `history` is ordered and does not overlap. Spans that the change leaves as they are stay; a span that is cut keeps
    its earlier part with the day it was learned. A change of nothing gives nothing superseded and nothing added.
    """
    superseded: list[Span[Content]] = []
    added: list[Span[Content]] = []
    after: list[Span[Content]] = []
    going = True
    for span in history:
        reached = span.until_ms is None or span.until_ms > at_ms
        going = going and (not reached or goes_on(span.content))
        if not (reached and going) or change(span.content) == span.content:
            after.append(span)
            continue
        pieces = _cut(span, at_ms=at_ms, content=change(span.content), now_ms=now_ms)
        superseded.append(span)
        added.extend(pieces)
        after.extend(pieces)
    return Rewritten(superseded=tuple(superseded), added=tuple(added), after=tuple(after))


def _cut(span: Span[Content], *, at_ms: int, content: Content, now_ms: int) -> list[Span[Content]]:
    pieces = []
    if span.from_ms < at_ms:
        pieces.append(
            Span(from_ms=span.from_ms, until_ms=at_ms, content=span.content, learned_at_ms=span.learned_at_ms)
        )
    pieces.append(Span(from_ms=max(span.from_ms, at_ms), until_ms=span.until_ms, content=content, learned_at_ms=now_ms))
    return pieces


def span_at(history: Sequence[Span[Content]], instant_ms: int) -> Span[Content] | None:
    """The span that holds at an instant, None where there is none."""
    return next((span for span in history if span.holds_at(instant_ms)), None)
