"""Everything the shard derives from its tables and programs: built at the start, mended as tables grow."""

import numpy as np

from millicent.catalog.types import CounterScope
from millicent.charging.kernel.layout import (
    COUNTERS,
    DRAWS,
    GROUP,
    J_PLACES,
    POLICY,
    WARMED,
    Books,
    Index,
    Work,
)
from millicent.charging.kernel.rebuild import count_candidates, fill_candidates, fill_chains
from millicent.charging.keys import SEPARATOR
from millicent.charging.names import Names
from millicent.charging.programs import LoadedProgram, allowance_rows
from millicent.charging.state import Tables
from millicent.charging.types import NameKind, Rows, Unit
from millicent.charging.types_map import DEFAULT_POLICIES
from millicent.kit.kernels import Bools, Int32s
from millicent.rating.kernel.arrays import NOTHING, PENDING_COUNTERS, Charges, Scratch, State
from millicent.rating.services.run_kernel import empty_answers

SMALLEST_STRIDE = 4
SCOPES = (CounterScope.SUBSCRIPTION.value, CounterScope.ACCOUNT.value, CounterScope.POOL.value)
_SCOPE_TABLES = ("subscriber", "account", "pool")
# index -> table, field of the key, field that says whether a row is in use
_CHAINS = (
    ("subscription", "subscriber", "subscription_id", None),
    ("account", "account", "account_id", None),
    ("bucket", "bucket", "bucket_id", "state"),
    ("session", "session", "key_low", "state"),
    ("identifier", "identifier", "key", None),
    ("stored", "stored", "key_low", "verb"),
    ("lasting", "lasting", "key_low", "verb"),
    ("deed", "deed", "key_low", "subscriber"),
)


def default_policies() -> Rows:
    """How slices are sized where nothing is declared: one row for each Unit."""
    rows = np.zeros(len(Unit), POLICY)
    for unit in Unit:
        policy = DEFAULT_POLICIES.get(unit, DEFAULT_POLICIES[Unit.SERVICE_UNITS])
        rows[unit] = (
            policy.slice_units, policy.most_units, policy.least_units, policy.share, policy.validity_seconds,
            policy.grace_seconds, policy.holding_seconds, policy.threshold_percent, policy.final, 0,
        )  # fmt: skip
    return rows


class Derived:
    """Index, candidates and counters for one set of tables."""

    def __init__(self, tables: Tables, names: Names, programs: list[LoadedProgram]) -> None:
        self._tables = tables
        self._names = names
        self._programs = programs
        self._stride = SMALLEST_STRIDE
        self._built: tuple[int, ...] = ()
        self._chain_arrays: dict[str, Int32s] = {}
        self._chained: dict[str, int] = {}
        self._policies = default_policies()
        self.job = np.zeros(J_PLACES, np.int64)

    def forget(self) -> None:
        """Rows were put into the tables from outside: all is built again before the next batch."""
        self._built = ()
        self._chained = {}

    def refresh(self) -> None:
        """Bring everything up to date with the sizes of the tables, the names and the programs."""
        self._make_chains()
        shape = (
            *(len(self._tables[table]) for table in ("subscriber", "account", "pool", "bucket", "counter")),
            self._names.count(NameKind.ALLOWANCE),
            self._names.count(NameKind.COUNTER),
            *(loaded.release for loaded in self._programs),
        )
        if shape != self._built:
            self._make_allowances()
            self._make_counters()
            self._make_candidates()
            self._built = shape

    def widen(self) -> None:
        """Somebody may draw on more buckets than there are slots."""
        self._stride *= 2
        self._make_candidates()

    # ---------------------------------------------------------------- chains

    def _make_chains(self) -> None:
        for name, table, key, used in _CHAINS:
            array = self._tables[table]
            if self._chained.get(name) == len(array):
                continue
            links = np.zeros(len(array), np.int32)
            head = np.zeros(_power_of_two(len(array)), np.int32)
            fill_chains(np.ascontiguousarray(array[key]), _in_use(array, used, self._tables.count(table)), head, links)
            self._chain_arrays[f"{name}_head"], self._chain_arrays[f"{name}_chain"] = head, links
            self._chained[name] = len(array)

    # ---------------------------------------------------------------- what depends on the programs

    def _make_allowances(self) -> None:
        self._allowance_row, self._allowance_fact = allowance_rows(self._programs, self._names)
        bucket = self._tables["bucket"]
        named = np.where(bucket["allowance"] >= 0, bucket["allowance"], 0)
        unused = (bucket["state"] == 0) | (bucket["allowance"] < 0)
        self._bucket_allowance = np.ascontiguousarray(self._allowance_row[:, named])
        self._bucket_allowance[:, unused] = NOTHING

    def _make_counters(self) -> None:
        names = [text.split(SEPARATOR) for text in self._names.texts(NameKind.COUNTER)]
        sizes = [len(self._tables[_SCOPE_TABLES[SCOPES.index(scope)]]) for _, scope in names]
        first = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)])
        self.block_first = first[:-1].copy()
        self.block_name = np.arange(len(names), dtype=np.int64)
        self.block_scope = np.array([SCOPES.index(scope) for _, scope in names], np.int64)
        self._counter_units = np.zeros(int(first[-1]), np.int64)
        self._counter_row = np.zeros(int(first[-1]), np.int32)
        counter = self._tables["counter"]
        self._counter_place = np.zeros(len(counter), np.int64)
        rows = np.arange(1, self._tables.count("counter"))
        if len(rows):
            place = self.block_first[counter["name"][rows]] + counter["owner"][rows]
            self._counter_units[place] = counter["units"][rows]
            self._counter_row[place] = rows
            self._counter_place[rows] = place

    def _make_candidates(self) -> None:
        books = self._tables.books()
        count = np.zeros(len(books.subscriber), np.int64)
        count_candidates(books, count)
        while self._stride < count.max(initial=0):
            self._stride *= 2
        slots = len(books.subscriber) * self._stride
        self._candidate_first = np.arange(len(books.subscriber) + 1, dtype=np.int64) * self._stride
        self._candidate_bucket = np.zeros(slots, np.int32)
        self._candidate_taken = np.zeros(slots, np.int64)
        self._candidate_member = np.zeros(slots, np.int32)
        if self._programs:
            fill_candidates(books, self.index(0), self.state(0))

    # ---------------------------------------------------------------- as the loop reads them

    def index(self, program: int) -> Index:
        """The index with what belongs to one program."""
        loaded = self._programs[program]
        return Index(
            **self._chain_arrays,
            stride=np.array([self._stride], np.int64),
            candidate_member=self._candidate_member,
            bucket_allowance=self._bucket_allowance,
            allowance_row=self._allowance_row,
            allowance_fact=self._allowance_fact,
            program_from_ms=np.array([each.effective_from_ms for each in self._programs], np.int64),
            program_release=np.array([each.release for each in self._programs], np.int64),
            boundary_ms=loaded.boundary_ms,
            combination_of=loaded.combination_of,
            combination=loaded.combination,
            default_policy=self._policies,
            counter_row=self._counter_row,
            counter_place=self._counter_place,
            blank_group=np.zeros(1, GROUP),
        )

    def state(self, program: int) -> State:
        """Buckets and counters as rating's kernel reads them: views of the tables."""
        bucket = self._tables["bucket"]
        counters = self._programs[program].program.counters
        names = [self._names.number_of(NameKind.COUNTER, SEPARATOR.join(counter)) for counter in counters]
        return State(
            remaining=bucket["free"],
            valid_from_ms=bucket["valid_from_ms"],
            valid_until_ms=bucket["valid_until_ms"],
            allowance=self._bucket_allowance[program],
            candidate_first=self._candidate_first,
            candidate_bucket=self._candidate_bucket,
            candidate_taken=self._candidate_taken,
            counter_first=self.block_first[names] if names else np.zeros(0, np.int64),
            counter_scope=np.array([SCOPES.index(scope) for _, scope in counters], np.int8),
            counter_units=self._counter_units,
        )

    def work(self, program: int) -> Work:
        """Working space. The job goes on from one call of the loop to the next."""
        return Work(
            job=self.job,
            charges=_one_charge(),
            priced=empty_answers(1, draws=self._stride + 1),
            scratch=Scratch(
                node=np.zeros(1, np.int32),
                active=np.zeros(self._stride, np.int64),
                served=np.zeros(self._stride, np.int64),
                opened=np.zeros(self._stride, np.int64),
                pending_counter=np.zeros(PENDING_COUNTERS + 1, np.int64),
                pending_units=np.zeros(PENDING_COUNTERS + 1, np.int64),
                calendar_hint=self._programs[program].program.calendars.first[:-1].copy(),
            ),
            kept=np.zeros(DRAWS, np.int64),
            used=np.zeros(6, np.int64),
            counted=np.zeros(COUNTERS, np.int64),
            warmed=np.zeros((WARMED, 4), np.int64),
            block_first=self.block_first,
            block_name=self.block_name,
            block_scope=self.block_scope,
        )

    def books(self) -> Books:
        return self._tables.books()


def _one_charge() -> Charges:
    return Charges(
        pick=np.zeros(1, np.int32),
        usage_class=np.zeros(1, np.int32),
        instant_ms=np.zeros(1, np.int64),
        quantity=np.zeros(1, np.int64),
        whole_by_start=np.zeros(1, np.int8),
        number_key=np.zeros(1, np.int64),
        number_digits=np.zeros(1, np.int8),
        answered=np.zeros(1, np.int8),
        content_nanos=np.zeros(1, np.int64),
        owner=np.zeros(1, np.int32),
        counter_owner=np.zeros((1, 3), np.int32),
    )


def _in_use(array: Rows, field: str | None, count: int) -> Bools:
    rows = np.arange(len(array)) < count
    return rows if field is None else rows & (array[field] != 0)


def _power_of_two(size: int) -> int:
    return 1 << (size - 1).bit_length()
