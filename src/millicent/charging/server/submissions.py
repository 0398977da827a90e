"""What callers brought, joined to a batch, and taken apart again where a batch fails."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from millicent.charging.types import Rows, stacked


@dataclass(slots=True, kw_only=True)
class Submission:
    """What one caller brought, and where its answer goes."""

    commands: Rows
    texts: bytes
    answer: "asyncio.Future[Rows]"
    alone: bool = False  # was in a batch that failed: tried in a batch of its own


def split(submission: Submission) -> list[Submission]:
    """Its requests, each of which may be refused without the others: neighbours under one key are one request.

    The submission is answered when all of them are. A single request is the submission itself.
    """
    commands = submission.commands
    same = (commands["key_high"][1:] == commands["key_high"][:-1]) & (
        commands["key_low"][1:] == commands["key_low"][:-1]
    )
    same &= (commands["key_high"][1:] != 0) | (commands["key_low"][1:] != 0)
    requests = np.split(commands, np.flatnonzero(~same) + 1)
    if len(requests) == 1:
        return [submission]
    loop = submission.answer.get_loop()
    parts = [Submission(commands=each, texts=submission.texts, answer=loop.create_future()) for each in requests]
    whole = asyncio.gather(*(each.answer for each in parts), return_exceptions=True)

    def answered(done: "asyncio.Future[list[Rows | BaseException]]") -> None:
        if submission.answer.done() or done.cancelled():
            return
        lost = [each for each in done.result() if isinstance(each, BaseException)]
        if lost:
            submission.answer.set_exception(lost[0])
        else:
            submission.answer.set_result(
                np.concatenate([each for each in done.result() if isinstance(each, np.ndarray)])
            )

    whole.add_done_callback(answered)
    return parts


def joined(parts: Sequence[tuple[Rows, bytes]]) -> tuple[Rows, bytes]:
    """Submissions as one run of commands; the offsets of their texts move along. Always a copy."""
    commands = stacked([rows for rows, _ in parts])
    start, base = 0, 0
    for rows, texts in parts:
        if base and texts:
            commands["text_offset"][start : start + len(rows)] += np.uint32(base)
        start += len(rows)
        base += len(texts)
    return commands, b"".join(texts for _, texts in parts)
