"""The shard: commands in, answers out, and what became of the state. No clock, no chance, no input or output.

Where the contract is silent: money is valid by the latest instant any command came (`now`), usage is priced from its
own instant. `limit` of an ACCOUNT is the balance below which LOW_BALANCE is told (NO_LIMIT: never). The `amount` of an
ACCOUNT or a SUBSCRIBER is a Status. `until_ms` of 0 or less: for ever. A `other_name` of -2
takes a subscription out of its pool. An allowance's rank is what the newest release says when a bucket is granted.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from millicent.charging.derived import Derived
from millicent.charging.kernel.layout import (
    ANSWER_WORDS,
    J_A,
    J_B,
    J_C,
    J_NEED,
    J_ORIGIN,
    J_PROGRAM,
    NEED_COMBINATION,
    NEED_MEMBERS,
    NEED_PROGRAM,
    NEED_ROOM,
    NEED_STRIDE,
    OUT_CHARGES,
    OUT_COUNTS,
    OUT_MOVEMENTS,
    OUT_NOTICES,
    OUT_STAMP,
    OUT_TOUCHED,
    ROOM,
    Out,
    signed,
)
from millicent.charging.kernel.loop import apply_commands
from millicent.charging.keys import SEPARATOR
from millicent.charging.names import OWN_CAUSES, Names
from millicent.charging.programs import LoadedProgram
from millicent.charging.state import Tables, exact_copy
from millicent.charging.types import (
    ANSWER,
    CHARGE,
    COMMAND,
    MOVEMENT,
    NOT_SAID,
    NOTICE,
    Batch,
    NameKind,
    RowImages,
    Rows,
    Verb,
)
from millicent.kit.errors import Defect
from millicent.rating.program import TariffProgram

_SIGNED = {dtype: signed(dtype) for dtype in (COMMAND, CHARGE, NOTICE, MOVEMENT)}
# rows that one command may add to a table
_GROWING = {"session": 1, "session_text": 1, "group": 1, "subscriber": 1, "account": 1, "bucket": 1, "identifier": 1,
            "member": 1, "counter": 4, "stored": 1, "lasting": 1, "deed": 1}  # fmt: skip
_MARGIN = 64

# (effective from, release number, program): as rating.services.Programs
ProgramRows = Sequence[tuple[int, int, TariffProgram]]


class Shard:
    """Subscriptions, their balances and their sessions. One thread at a time."""

    def __init__(self, programs: ProgramRows = (), *, bounds: Mapping[str, int] | None = None) -> None:
        """`bounds`: the most rows of a table, by its name."""
        self._bounds = bounds
        self._begin(programs)

    def _begin(self, programs: ProgramRows) -> None:
        self._names = Names()
        self._tables = Tables(self._bounds)
        self._programs: list[LoadedProgram] = []
        self._derived = Derived(self._tables, self._names, self._programs)
        self._current = 0
        self._batches = 0
        self._named = False  # our own names are given
        self._stamp = np.zeros(0, np.int32)
        self._lists = {name: np.zeros(4 * ROOM, dtype)
                       for name, dtype in (("movement", MOVEMENT), ("charge", CHARGE), ("notice", NOTICE))}  # fmt: skip
        for effective_from_ms, release, program in programs:
            self.adopt(release, program, effective_from_ms)

    # ---------------------------------------------------------------- programs and names

    def adopt(self, release: int, program: TariffProgram, effective_from_ms: int) -> None:
        """From its instant on, new segments are priced by another release. Between batches."""
        self._programs[:] = [loaded for loaded in self._programs if loaded.release != release]
        self._programs.append(
            LoadedProgram(effective_from_ms=effective_from_ms, release=release, program=program, names=self._names)
        )
        self._programs.sort(key=lambda loaded: (loaded.effective_from_ms, loaded.release))
        self._current = 0
        self._named = False
        self._derived.forget()

    def number_of(self, kind: NameKind | str, text: str) -> int:
        """The number of a text; a new one travels into the journal with the next batch."""
        return self._names.number_of(kind, text)

    def text_of(self, kind: NameKind | str, number: int) -> str:
        """The text of a number; "" for one that was never given."""
        return self._names.text_of(kind, number)

    def names(self) -> list[tuple[str, int, str]]:
        """Every name: (kind, number, text)."""
        return self._names.everything()

    # ---------------------------------------------------------------- tables

    def begin_again(self) -> None:
        """Empty, with the programs it has: what a defect left half done is gone, and the journal is to be replayed."""
        self._begin([(each.effective_from_ms, each.release, each.program) for each in self._programs])

    def tables(self) -> dict[str, Rows]:
        """Every table as far as it is used: views that the next batch changes."""
        return self._tables.used()

    def replay(self, images: Iterable[RowImages], names: Iterable[tuple[str, int, str]]) -> None:
        """Put what became of the state where it belongs: a batch from the journal, or a snapshot's tables whole."""
        self._named = False
        self._names.restore(names)
        self._tables.put(images)
        self._derived.forget()

    def ready(self) -> None:
        """Build now what the first batch, or a look-up, would build: the index of everything, the compiled loops."""
        self._names.give_again(self.apply(np.zeros(0, COMMAND)).names)

    # ---------------------------------------------------------------- batches

    def apply(self, commands: Rows, texts: bytes = b"") -> Batch:
        """Apply commands one after the other. All that the batch did is in what is returned."""
        if commands.dtype != COMMAND:
            raise Defect("commands are rows of charging.types.COMMAND")
        if not self._programs:
            raise Defect("a shard needs a program before its first batch")
        self._prepare(len(commands))
        rows = self._readable(commands, texts)
        out = self._out(len(commands), texts)
        place = 0
        while True:
            place = apply_commands(
                rows, place, self._tables.books(), self._derived.index(self._current), out,
                self._derived.state(self._current), self._programs[self._current].arrays(),
                self._derived.work(self._current),
            )  # fmt: skip
            if place == len(rows):
                return self._batch(commands, texts, out)
            out = self._answer_need(out)

    def _prepare(self, count: int) -> None:
        """Room for all that so many commands may add, and everything derived up to date."""
        if not self._named:
            self._give_own_names()
        for table, each in _GROWING.items():
            self._tables.make_room(table, self._tables.count(table) + each * count + _MARGIN)
        self._tables.make_room("pool", self._names.count(NameKind.POOL) + 1)
        self._tables.make_room("policy", self._names.count(NameKind.SERVICE) + 1)
        self._tables.make_room("watch", self._names.count(NameKind.POLICY_COUNTER) + 1)
        self._derived.refresh()
        self._derived.job[:] = 0
        self._derived.job[J_PROGRAM] = self._current

    def _give_own_names(self) -> None:
        """Names that no door gives: causes of our own, counters of the programs."""
        for cause in OWN_CAUSES:
            self._names.number_of(NameKind.CAUSE, cause)
        for loaded in self._programs:
            for counter in loaded.program.counters:
                self._names.number_of(NameKind.COUNTER, SEPARATOR.join(counter))
        self._named = True

    def _readable(self, commands: Rows, texts: bytes) -> Rows:
        """The commands as the loop reads them. Numbers that were never given, from a door that slept, say nothing."""
        strange = commands["traffic"] >= self._names.count(NameKind.TRAFFIC)
        plans = (commands["verb"] == Verb.SUBSCRIBER) & (commands["name"] >= self._names.count(NameKind.PLAN))
        outside = commands["text_offset"].astype(np.int64) + commands["text_length"] > len(texts)
        rows = commands
        if strange.any() or plans.any() or outside.any() or not (rows.flags.c_contiguous and rows.flags.writeable):
            rows = np.array(commands, COMMAND)
            rows["traffic"][strange] = NOT_SAID
            rows["name"][plans] = NOT_SAID
            rows["text_length"][outside] = 0
        return rows.view(_SIGNED[COMMAND])

    def _out(self, count: int, texts: bytes) -> Out:
        answers = np.zeros(count, ANSWER)
        for name in ("granted_units", "tariff_change_ms", "holding_seconds", "threshold_units", "subscriber", "session",
                     "currency"):  # fmt: skip
            answers[name] = NOT_SAID
        self._batches += 1
        counts = np.zeros(OUT_COUNTS, np.int64)
        counts[OUT_STAMP] = self._batches
        room = int(self._tables.room[-1])
        if len(self._stamp) != room:
            self._stamp = np.zeros(room, np.int32)
            self._touched = np.zeros(room, np.int64)
        return Out(
            answer=answers,
            answer_words=answers.view(np.int64).reshape(count, ANSWER_WORDS),
            movement=self._lists["movement"].view(_SIGNED[MOVEMENT]),
            charge=self._lists["charge"].view(_SIGNED[CHARGE]),
            notice=self._lists["notice"].view(_SIGNED[NOTICE]),
            counts=counts,
            base=self._tables.room,
            stamp=self._stamp,
            touched=self._touched,
            text=np.frombuffer(bytearray(texts or b"\0"), np.uint8),
        )

    def _answer_need(self, out: Out) -> Out:
        """Give the loop what it stopped for. Returns where it is to write from now on."""
        job = self._derived.job
        match int(job[J_NEED]):
            case need if need == NEED_PROGRAM:
                self._current = int(job[J_A])
                job[J_PROGRAM] = self._current
            case need if need == NEED_COMBINATION:  # a service named now has its own policy from the next batch on
                plan, traffic, epoch, origin = (int(job[each]) for each in (J_A, J_B, J_C, J_ORIGIN))
                self._programs[self._current].resolve(plan=plan, traffic=traffic, epoch=epoch, origin=origin)
            case need if need == NEED_STRIDE:
                self._derived.widen()
            case need if need == NEED_MEMBERS:
                self._tables.make_room("member", 2 * len(self._tables["member"]))
                out = self._moved(out)
            case need if need == NEED_ROOM:
                out = self._more_room(out)
            case need:
                raise Defect(f"the shard's loop asked for {need}, which nobody knows")
        return out

    def _moved(self, out: Out) -> Out:
        """Tables grew in the middle of a batch: rows are numbered anew, those touched so far too."""
        count = int(out.counts[OUT_TOUCHED])
        before = out.base
        touched = np.sort(out.touched[:count])
        table = np.searchsorted(before, touched, side="right") - 1
        self._stamp = np.zeros(int(self._tables.room[-1]), np.int32)
        self._touched = np.zeros(len(self._stamp), np.int64)
        self._touched[:count] = touched - before[table] + self._tables.room[table]
        self._stamp[self._touched[:count]] = self._batches
        return out._replace(base=self._tables.room, stamp=self._stamp, touched=self._touched)

    def _more_room(self, out: Out) -> Out:
        for name in self._lists:
            rows = self._lists[name]
            self._lists[name] = np.concatenate([rows, np.zeros_like(rows)])
        return out._replace(
            movement=self._lists["movement"].view(_SIGNED[MOVEMENT]),
            charge=self._lists["charge"].view(_SIGNED[CHARGE]),
            notice=self._lists["notice"].view(_SIGNED[NOTICE]),
        )

    def _charges(self, out: Out) -> Rows:
        """What was charged, with the names of the rules and zones by which it was priced."""
        charges = exact_copy(self._lists["charge"][: out.counts[OUT_CHARGES]])
        if not len(charges):
            return charges
        by_release = {loaded.release: loaded for loaded in self._programs}
        charges["rule"] = charges["zone"] = NOT_SAID
        for place in np.flatnonzero(charges["case"] >= 0).tolist():
            loaded = by_release.get(int(charges["release"][place]))
            if loaded is not None:
                case, zone_set = int(charges["case"][place]), int(charges["zone_set"][place])
                charges["rule"][place], charges["zone"][place] = loaded.rule_and_zone(case=case, zone_set=zone_set)
        return charges

    def _batch(self, commands: Rows, texts: bytes, out: Out) -> Batch:
        charges = self._charges(out)
        return Batch(
            commands=commands,
            texts=texts,
            answers=out.answer,
            movements=exact_copy(self._lists["movement"][: out.counts[OUT_MOVEMENTS]]),
            charges=charges,
            notices=exact_copy(self._lists["notice"][: out.counts[OUT_NOTICES]]),
            names=self._names.take_new(),
            images=self._tables.images(out.touched[: out.counts[OUT_TOUCHED]]),
        )
