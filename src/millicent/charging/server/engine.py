"""The heart of the charging process: what has gathered is applied, journalled, and then answered.

All of it runs in one event loop; only the journal's writer has a thread. While batch n is being committed, batch n + 1
is applied, not more: what comes meanwhile gathers and makes the next batch larger. A lone command waits for no timer.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import structlog

from millicent.charging.journal.errors import ShardBusy, ShardStopped
from millicent.charging.journal.shard_port import JournalledShard
from millicent.charging.server.clock import SteadyClock, stamp
from millicent.charging.server.looking import session_texts
from millicent.charging.server.poison import Poison
from millicent.charging.server.submissions import Submission, joined, split
from millicent.charging.types import COMMAND, Batch, Door, NameKind, RowImages, Rows, Verb
from millicent.charging.types import commands as empty_commands
from millicent.kit.errors import Defect, MillicentError

CLOCK_TABLE = "meta"  # one row: counts and clocks of the shard
DEPTH = 2  # batches applied and not yet durable
Told = Callable[[Rows, Sequence[str]], None]


class Writing(Protocol):
    """`journal.writer.JournalWriter`, as the engine sees it."""

    @property
    def silent_ms(self) -> int: ...
    def put(self, sequence: int, batch: Batch) -> None: ...


class ShardBroken(Defect):
    """The shard failed on a batch and could not be made again in this process: the next one makes it again."""

    code = "charging_shard_broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much may gather. A submission is never split, so a batch may be larger by its last submission."""

    batch_rows: int = 512  # measured: larger ones fill PostgreSQL's log buffers and are slower
    waiting_rows: int = 65_536  # beyond it commands are refused at once
    patience_ms: int = 2_000  # so long without PostgreSQL, and new commands are refused at once


@dataclass(slots=True, kw_only=True)
class _InFlight:
    """A batch that is applied and not yet durable. Sequence 0: nothing to journal, only to come in its turn."""

    sequence: int
    batch: Batch
    submissions: list[Submission]
    answers: Rows
    notices: Rows
    session_texts: Sequence[str] = field(default=())


class ChargingEngine:
    """A ChargingPort over a shard in this process. Made and used in the loop's thread."""

    def __init__(
        self,
        *,
        shard: JournalledShard,
        sequence: int,
        clock: SteadyClock | None = None,
        floor_ms: int = 0,
        limits: Limits | None = None,
    ) -> None:
        self.shard = shard
        self.sequence = sequence  # of the last batch applied
        self.durable_sequence = sequence
        self.on_applied: list[Callable[[int, Batch], None]] = []
        self.on_durable: list[Callable[[int], None]] = []
        self.remake: Callable[[], int] | None = None  # empties the shard, replays the journal, says how far it came
        self.poison = Poison()
        self.remade = 0  # times
        self.ended: asyncio.Future[MillicentError | None] = asyncio.get_running_loop().create_future()
        self._limits = limits or Limits()
        self._clock = clock
        self._told_ms = floor_ms
        self._loop = asyncio.get_running_loop()
        self._writer: Writing | None = None
        self._waiting: deque[Submission] = deque()
        self._waiting_rows = 0
        self._in_flight: deque[_InFlight] = deque()
        self._journalling = 0
        self._is_scheduled = False
        self._listeners: dict[int, list[Told]] = {}
        self._unsaid: Batch | None = None  # the last batch of nothing but the time
        self._durable_names: dict[tuple[str, str], int] = {}
        self._log = structlog.get_logger("millicent.charging")

    # --- what doors call -------------------------------------------------------------------------------------------

    async def submit(self, commands: Rows, texts: bytes = b"") -> Rows:
        """Apply rows of COMMAND and answer with as many of ANSWER, once they are durable. See ChargingPort."""
        return await self.submit_soon(commands, texts)

    def submit_soon(self, commands: Rows, texts: bytes = b"") -> "asyncio.Future[Rows]":
        """The same without waiting: the answer comes to the future; an Outage is raised at once."""
        assert commands.dtype == COMMAND, "commands are rows of COMMAND"
        self._refuse_if_busy(len(commands))
        return self._enqueue(commands, texts)

    def _refuse_if_busy(self, rows: int) -> None:
        if self.ended.done():
            raise ShardStopped("the charging shard has stopped")
        if self._waiting_rows + rows > self._limits.waiting_rows:
            raise ShardBusy(f"{self._waiting_rows} commands wait already", waiting=self._waiting_rows)
        if self._writer is not None and self._writer.silent_ms > self._limits.patience_ms:
            raise ShardBusy("nothing can be made durable: PostgreSQL does not answer")

    def _enqueue(self, commands: Rows, texts: bytes) -> "asyncio.Future[Rows]":
        answer: asyncio.Future[Rows] = self._loop.create_future()
        self._waiting.append(Submission(commands=commands, texts=texts, answer=answer))
        self._waiting_rows += len(commands)
        self._schedule()
        return answer

    async def number_of(self, kind: NameKind, text: str) -> int:
        """The shard's number for a text. It is durable when it is given, so it is good for ever."""
        known = self._durable_names.get((kind, text))
        if known is not None:
            return known
        if self.ended.done():
            raise ShardStopped("the charging shard has stopped")
        remade = -1
        while remade != self.remade:  # what was given and not journalled before a defect was never given
            remade = self.remade
            number = self.shard.number_of(kind, text)
            await self.settled()
        self._durable_names[kind, text] = number
        return number

    async def settled(self) -> None:
        """Wait until all that was applied before this call is durable."""
        await self._enqueue(empty_commands(0), b"")

    def listen(self, door: Door, told: Told) -> None:
        """Call `told` with durable notices for a door's sessions. Door.NONE hears every notice."""
        self._listeners.setdefault(int(door), []).append(told)

    def on_restart(self, forget: Callable[[], None]) -> None:
        """Numbers given by this port are durable: nothing is ever to be forgotten while the process lives."""

    # --- the loop ----------------------------------------------------------------------------------------------------

    def attach(self, writer: Writing) -> None:
        """From now on batches go to this writer."""
        self._writer = writer
        self._schedule()

    def now_ms(self) -> int:
        return self._clock.now_ms() if self._clock is not None else self._told_ms

    def tick(self) -> None:
        """Let the shard see the time. Left out while PostgreSQL is away or commands wait: they tell the time too."""
        if self._clock is None or self._waiting or self._in_flight or self.ended.done():
            return
        command = empty_commands(1)
        command["verb"] = Verb.TICK
        self._enqueue(command, b"")

    def _schedule(self) -> None:
        if self._waiting and not self._is_scheduled and self._journalling < DEPTH and self._writer is not None:
            self._is_scheduled = True
            self._loop.call_soon(self._apply_waiting)

    def _apply_waiting(self) -> None:
        self._is_scheduled = False
        if self.ended.done():
            return
        submissions = self._taken()
        if submissions:
            try:
                self._apply(submissions)
            except Exception as fault:  # its state may be half changed: nothing may come after it
                self._log.exception("the shard failed on a batch")
                self._survive(fault, submissions)
        self._schedule()

    def _kept_apart(self, submission: Submission) -> bool:
        """Whether a submission need not be applied as it is: it was refused before, or some of its requests were."""
        requests = split(submission)
        if len(requests) > 1:
            self._try_alone(requests)
            return True
        known = self.poison.known(submission.commands, submission.texts)
        if known is not None:
            submission.answer.set_result(known)
        return known is not None

    def _try_alone(self, suspects: Sequence[Submission]) -> None:
        for suspect in reversed(suspects):
            suspect.alone = True
            self._waiting.appendleft(suspect)
            self._waiting_rows += len(suspect.commands)

    def _survive(self, fault: Exception, submissions: list[Submission]) -> None:
        """Make the shard again as it was before the batch; then find the guilty submission and refuse it alone.

        It happens in one turn of the loop: nobody sees half a batch, and what is applied and not durable is not lost.
        """
        try:
            self._make_again()
        except Exception as outage:  # the next process makes it again
            self._log.exception("the shard cannot be made again")
            self.end(
                ShardBroken(f"{type(fault).__name__}: {fault}; {type(outage).__name__}: {outage}"), also=submissions
            )
            return
        suspects = submissions if len(submissions) > 1 else split(submissions[0])
        if len(suspects) > 1:
            self._try_alone(suspects)
            return
        (guilty,) = suspects
        answer = self.poison.refuse(guilty.commands, guilty.texts, sequence=self.sequence, fault=fault)
        if not guilty.answer.done():
            guilty.answer.set_result(answer)

    def _make_again(self) -> None:
        if self.remake is None:
            raise ShardStopped("nobody knows where its journal is")
        reached = self.remake()
        for flight in self._in_flight:
            if flight.sequence > reached:
                self.shard.replay(flight.batch.images, flight.batch.names)
        if self._unsaid is not None:
            self.shard.replay(self._unsaid.images, ())
        self.remade += 1

    def _taken(self) -> list[Submission]:
        """The next batch's submissions, in the order they came; whoever went away is left out."""
        taken: list[Submission] = []
        rows = 0
        while self._waiting and rows < self._limits.batch_rows:
            if taken and (taken[0].alone or self._waiting[0].alone):
                break
            submission = self._waiting.popleft()
            self._waiting_rows -= len(submission.commands)
            if submission.answer.cancelled():
                continue
            if self.poison and self.poison.touches(submission.commands) and self._kept_apart(submission):
                continue
            taken.append(submission)
            rows += len(submission.commands)
        return taken

    def _apply(self, submissions: list[Submission]) -> None:
        commands, texts = joined([(each.commands, each.texts) for each in submissions])
        if len(commands):
            self._told_ms = stamp(commands, floor_ms=self._told_ms, now_ms=self._now_for(commands))
        batch = self.shard.apply(commands, texts)
        assert len(batch.answers) == len(commands), "each command has its answer"
        if tells_something(batch):
            self._journal(batch, submissions)
        else:
            self._unsaid = batch if len(batch.images) else self._unsaid
            self._fly(submissions, batch, sequence=0)

    def _journal(self, batch: Batch, submissions: list[Submission]) -> None:
        if self._unsaid is not None:
            batch = replace(batch, images=with_unsaid(batch.images, self._unsaid.images))
            self._unsaid = None
        self.sequence += 1
        for hear in self.on_applied:
            hear(self.sequence, batch)
        self._fly(submissions, batch, sequence=self.sequence)

    def say_everything(self) -> None:
        """Journal what was left unsaid: that time passed. Afterwards the journal tells every byte of the state."""
        if self._unsaid is not None and not self.ended.done():
            self._journal(self._unsaid, [])

    def _now_for(self, commands: Rows) -> int:
        """Without a clock of our own (a replayed past) commands bring the time."""
        return self._clock.now_ms() if self._clock is not None else int(commands["received_ms"].max())

    def _fly(self, submissions: list[Submission], batch: Batch, *, sequence: int) -> None:
        flight = _InFlight(
            sequence=sequence,
            batch=batch,
            submissions=submissions,
            answers=batch.answers,
            notices=batch.notices,
            session_texts=self._session_texts(batch.notices),
        )
        self._in_flight.append(flight)
        if sequence:
            assert self._writer is not None, "nothing is applied before there is a writer"
            self._journalling += 1
            self._writer.put(sequence, batch)
        else:
            self._land_free()

    def _session_texts(self, notices: Rows) -> Sequence[str]:
        """Now, not at the commit: by then a row may belong to another session."""
        return session_texts(self.shard.tables(), notices["session"]) if len(notices) else ()

    def durable(self, sequence: int) -> None:
        """The writer's word that a batch is on disk: its answers leave."""
        flight = self._in_flight.popleft()
        assert flight.sequence == sequence, f"batch {sequence} became durable before {flight.sequence}"
        self._journalling -= 1
        self.durable_sequence = sequence
        self._land(flight)
        self._land_free()
        for hear in self.on_durable:
            hear(sequence)
        self._schedule()

    def _land_free(self) -> None:
        while self._in_flight and not self._in_flight[0].sequence:
            self._land(self._in_flight.popleft())

    def _land(self, flight: _InFlight) -> None:
        start = 0
        for submission in flight.submissions:
            end = start + len(submission.commands)
            if not submission.answer.done():
                submission.answer.set_result(flight.answers[start:end])
            start = end
        self._tell(flight.notices, flight.session_texts)

    def _tell(self, notices: Rows, texts: Sequence[str]) -> None:
        if not len(notices):
            return
        for door, listeners in self._listeners.items():
            chosen = np.flatnonzero(notices["door"] == door) if door else np.arange(len(notices))
            if len(chosen):
                for told in listeners:
                    self._tell_one(told, notices[chosen], [texts[int(place)] for place in chosen])

    def _tell_one(self, told: Told, notices: Rows, texts: Sequence[str]) -> None:
        try:
            told(notices, texts)
        except Exception:  # a door's mistake is not the shard's
            self._log.exception("a door failed on notices")

    def end(self, why: MillicentError | None, *, also: Sequence[Submission] = ()) -> None:
        """Stop: nothing is applied or answered any more. What was applied and is not durable was never answered."""
        if self.ended.done():
            return
        self.ended.set_result(why)
        flying = [submission for flight in self._in_flight for submission in flight.submissions]
        for submission in (*flying, *also, *self._waiting):
            if not submission.answer.done():
                submission.answer.set_exception(ShardStopped("the charging shard stopped before this was durable"))
        self._waiting.clear()
        self._waiting_rows = 0

    @property
    def waiting_rows(self) -> int:
        """Commands that came and are not yet applied."""
        return self._waiting_rows


def tells_something(batch: Batch) -> bool:
    """A batch of nothing but the time, that changed nothing but the shard's own clock, is not journalled."""
    if len(batch.names) or len(batch.notices) or len(batch.charges) or len(batch.movements):
        return True
    if any(image.table != CLOCK_TABLE for image in batch.images):
        return True
    return bool((batch.commands["verb"] != Verb.TICK).any())


def with_unsaid(images: Sequence[RowImages], unsaid: Sequence[RowImages]) -> list[RowImages]:
    """Images of a batch, and before them those of the clock that were left unsaid and are not told anew."""
    told = {image.table for image in images}
    return [*(image for image in unsaid if image.table not in told), *images]
