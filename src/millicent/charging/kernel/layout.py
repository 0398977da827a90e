"""The shard's tables: what a row of each is, and the arrays that are derived from them.

Row 0 of every table is nobody's: a link of 0 leads nowhere. Journalled are the tables of `TABLES` and nothing else;
`Index` is built again from them when a shard starts.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from millicent.charging.types import ANSWER, Rows
from millicent.kit.kernels import Int32s, Int64s, UInt8s
from millicent.rating.kernel.arrays import Answers, Calendars, Charges, Prefixes, Prices, Scratch, Selection

DRAWS = 12  # buckets that one segment may draw on
COUNTERS = 4  # counters that one segment may move
LONGEST_TEXT = 260  # bytes of a Session-Id: a row is whole words
ANSWER_WORDS = ANSWER.itemsize // 8
assert ANSWER.itemsize == 8 * ANSWER_WORDS

# counts, free rows, clocks; one row of int64
META_FIELDS = (
    "subscribers",  # rows used of each table, row 0 included
    "accounts",
    "pools",
    "buckets",
    "sessions",
    "groups",
    "members",
    "counters",
    "identifiers",
    "policies",
    "answers",
    "lasting_answers",
    "deeds",
    "free_bucket",  # first of a list of rows to be used again
    "free_session",
    "last_free_session",
    "free_group",
    "free_member",
    "free_identifier",
    "next_answer",  # where the rings are written next
    "next_lasting",
    "next_deed",
    "now_ms",  # the latest instant any command came: it never goes back
    "change",  # how often anything changed that ends a segment
    "next_deadline_ms",  # no session is due before
    "next_expiry_ms",  # no bucket ends before
    "open_sessions",
    "watches",
    "spend_watch",  # row of the counter that looks at spending
    "part_percent",  # of use that is told; 0: nobody said
    "money_lead_ms",  # how long before its end money is told of; 0: never
    "units_lead_ms",
    "first_left",  # groups whose subscription moved away from whoever pays for their slice
)
META = np.dtype([(name, "i8") for name in META_FIELDS])

SUBSCRIBER = np.dtype(
    [
        ("subscription_id", "i8"),
        ("spend_limit", "i8"),
        ("spent_nanos", "i8"),  # taken from the account in this cycle
        ("spend_held_nanos", "i8"),
        ("change", "i8"),  # META change when its buckets, plan or cycle last changed
        ("account", "i4"),  # row
        ("plan", "i4"),  # name
        ("pool", "i4"),  # row
        ("next_in_account", "i4"),
        ("next_in_pool", "i4"),
        ("first_session", "i4"),
        ("first_bucket", "i4"),
        ("first_member", "i4"),
        ("status", "u1"),
        ("told", "u1"),  # 1: part used, 2: all used
        ("entered", "u1"),  # state of the counter that looks at spending
        ("watched", "u1"),  # 1: somebody wants to hear of its counters
    ],
    align=True,
)

ACCOUNT = np.dtype(
    [
        ("account_id", "i8"),
        ("low_nanos", "i8"),  # below it LOW_BALANCE is told; NOT_SAID never
        ("change", "i8"),
        ("currency", "i4"),
        ("first_money", "i4"),  # its MONEY and CREDIT in the order they are taken
        ("first_bucket", "i4"),  # its buckets of allowances
        ("first_subscriber", "i4"),
        ("postpaid", "u1"),
        ("status", "u1"),
        ("told", "u1"),
    ],
    align=True,
)

POOL = np.dtype([("change", "i8"), ("first_subscriber", "i4"), ("first_bucket", "i4")], align=True)

BUCKET_UNUSED, BUCKET_LIVE, BUCKET_ENDED = 0, 1, 2
BUCKET = np.dtype(
    [
        ("bucket_id", "i8"),
        ("free", "i8"),  # what remains is free + reserved
        ("reserved", "i8"),
        ("opened", "i8"),  # what it began with; of CREDIT: the limit
        ("valid_from_ms", "i8"),
        ("valid_until_ms", "i8"),
        ("granted_at_ms", "i8"),
        ("owner", "i4"),  # row of a subscriber, an account or a pool, by scope
        ("allowance", "i4"),  # name
        ("next", "i4"),  # of the same owner
        ("users", "i4"),  # segments that drew on it
        ("priority", "i4"),  # money: higher first
        ("specificity", "i4"),  # units: as the catalogue ranked it when it was granted, lower first
        ("rank", "i4"),
        ("watch", "i4"),  # row of the counter that looks at it
        ("kind", "i1"),
        ("scope", "i1"),
        ("state", "u1"),
        ("told", "u1"),  # 1: part used, 2: all used, 4: ends soon
        ("entered", "u1"),  # state of its counter
        ("per_member", "u1"),  # 1: what each member took is counted
    ],
    align=True,
)

SESSION = np.dtype(
    [
        ("key_high", "i8"),
        ("key_low", "i8"),
        ("opened_ms", "i8"),
        ("deadline_ms", "i8"),
        ("money_nanos", "i8"),
        ("caller_key", "i8"),  # identifier by which it was opened
        ("subscriber", "i4"),
        ("peer", "i4"),
        ("first_group", "i4"),
        ("next", "i4"),  # of the same subscriber; of a free row: the next free one
        ("previous", "i4"),
        ("groups", "i4"),
        ("last_request", "u4"),
        ("door", "u1"),
        ("state", "u1"),  # 1: open
        ("wanting", "u1"),  # 1: a slice was refused, or the last one given
    ],
    align=True,
)

SESSION_TEXT = np.dtype([("length", "u4"), ("text", "u1", (LONGEST_TEXT,))], align=True)

GROUP = np.dtype(
    [
        ("session", "i4"),
        ("next", "i4"),
        ("group", "u4"),
        ("service_id", "u4"),
        ("traffic", "i4"),
        ("plan", "i4"),
        ("release", "i4"),
        ("segment", "i4"),  # number
        ("case", "i4"),
        ("zone_set", "i4"),
        ("unit", "i1"),
        ("number_digits", "i1"),
        ("unanswered", "u1"),
        ("throttled", "u1"),
        ("old_cycle", "u1"),  # 1: a cycle began meanwhile; counter_settled is where the counters stood
        ("left", "u1"),  # 1: the subscription moved; `account` and `pool` still have to do with this segment
        ("reason", "i2"),
        ("number_key", "i8"),
        ("content_nanos", "i8"),
        ("start_ms", "i8"),  # of the segment
        ("change", "i8"),  # META change then
        ("units", "i8"),  # used in the segment
        ("input_octets", "i8"),
        ("output_octets", "i8"),
        ("charged_units", "i8"),
        ("bucket_units", "i8"),
        ("amount_nanos", "i8"),  # price of `units`
        ("uncollected_nanos", "i8"),
        ("granted_units", "i8"),
        ("tariff_change_ms", "i8"),
        ("deadline_ms", "i8"),
        ("totals", "i8", (6,)),  # told since the session began, by Unit
        ("account", "i4"),  # rows, where the subscription left them: who pays, and the pool
        ("pool", "i4"),
        ("next_left", "i4"),  # list of the groups that were left
        ("previous_left", "i4"),
        ("draw_bucket", "i4", (DRAWS,)),
        ("draw_settled", "i8", (DRAWS,)),
        ("draw_held", "i8", (DRAWS,)),
        ("counter", "i4", (COUNTERS,)),  # row of `counter`
        ("counter_settled", "i8", (COUNTERS,)),
        ("counter_held", "i8", (COUNTERS,)),
    ],
    align=True,
)

MEMBER = np.dtype(
    [("taken", "i8"), ("bucket_id", "i8"), ("subscriber", "i4"), ("bucket", "i4"), ("next", "i4")], align=True
)
COUNTER = np.dtype([("units", "i8"), ("name", "i4"), ("owner", "i4"), ("scope", "i4")], align=True)
IDENTIFIER = np.dtype([("key", "i8"), ("subscriber", "i4"), ("next", "i4")], align=True)
POLICY = np.dtype(
    [
        ("slice_units", "i8"),
        ("most_units", "i8"),
        ("least_units", "i8"),
        ("share", "i8"),
        ("validity_seconds", "i4"),
        ("grace_seconds", "i4"),
        ("holding_seconds", "i4"),
        ("threshold_percent", "i4"),
        ("final", "i4"),
        ("declared", "i4"),
    ],
    align=True,
)
THRESHOLDS = 5  # of a policy counter
WATCH = np.dtype(
    [("allowance", "i4"), ("declared", "i4"), ("percent", "i4", (THRESHOLDS,)), ("spare", "i4")], align=True
)
# answers to requests that may come again
STORED = np.dtype(
    [
        ("key_high", "i8"),
        ("key_low", "i8"),
        ("request_number", "u4"),
        ("group", "u4"),
        ("service_id", "u4"),
        ("verb", "u4"),
        ("answer", "i8", (ANSWER_WORDS,)),
    ],
    align=True,
)
# what a one-time event took, so that it can be given back
DEED = np.dtype(
    [
        ("key_high", "i8"),
        ("key_low", "i8"),
        ("subscriber", "i4"),
        ("traffic", "i4"),
        ("release", "i4"),
        ("plan", "i4"),
        ("unit", "i4"),
        ("refunded", "i4"),
        ("units", "i8"),
        ("amount_nanos", "i8"),  # what was taken in money
        ("bucket_units", "i8"),
        ("bucket_id", "i8", (DRAWS,)),
        ("taken", "i8", (DRAWS,)),
        ("counter", "i4", (COUNTERS,)),
        ("counter_units", "i8", (COUNTERS,)),
    ],
    align=True,
)

# number of a table -> name, row, field of META that counts its rows
TABLES = (
    ("meta", META, ""),
    ("subscriber", SUBSCRIBER, "subscribers"),
    ("account", ACCOUNT, "accounts"),
    ("pool", POOL, "pools"),
    ("bucket", BUCKET, "buckets"),
    ("session", SESSION, "sessions"),
    ("session_text", SESSION_TEXT, "sessions"),
    ("group", GROUP, "groups"),
    ("member", MEMBER, "members"),
    ("counter", COUNTER, "counters"),
    ("identifier", IDENTIFIER, "identifiers"),
    ("policy", POLICY, "policies"),
    ("watch", WATCH, "watches"),
    ("stored", STORED, "answers"),
    ("lasting", STORED, "lasting_answers"),
    ("deed", DEED, "deeds"),
)
(T_META, T_SUBSCRIBER, T_ACCOUNT, T_POOL, T_BUCKET, T_SESSION, T_SESSION_TEXT, T_GROUP, T_MEMBER, T_COUNTER,
 T_IDENTIFIER, T_POLICY, T_WATCH, T_STORED, T_LASTING, T_DEED) = range(len(TABLES))  # fmt: skip


def signed(dtype: "np.dtype[np.void]") -> "np.dtype[np.void]":
    """The same row with its keys as signed numbers: signed and unsigned 64 bits together are floats to the compiler."""
    fields: Mapping[str, Any] = dtype.fields or {}
    return np.dtype(
        {
            "names": list(fields),
            "formats": ["i8" if fields[name][0] == np.dtype("u8") else fields[name][0] for name in fields],
            "offsets": [fields[name][1] for name in fields],
            "itemsize": dtype.itemsize,
        },
        align=True,
    )


class Books(NamedTuple):
    """The tables, as many rows as there is room for."""

    meta: Rows
    subscriber: Rows
    account: Rows
    pool: Rows
    bucket: Rows
    session: Rows
    session_text: Rows
    group: Rows
    member: Rows
    counter: Rows
    identifier: Rows
    policy: Rows
    watch: Rows
    stored: Rows
    lasting: Rows  # as `stored`, of what changed balances
    deed: Rows


class Index(NamedTuple):
    """Derived from the tables and the programs. A head begins the chain of a hash; sizes are powers of 2."""

    subscription_head: Int32s
    subscription_chain: Int32s
    account_head: Int32s
    account_chain: Int32s
    bucket_head: Int32s
    bucket_chain: Int32s
    session_head: Int32s
    session_chain: Int32s
    identifier_head: Int32s
    identifier_chain: Int32s
    stored_head: Int32s
    stored_chain: Int32s
    lasting_head: Int32s
    lasting_chain: Int32s
    deed_head: Int32s
    deed_chain: Int32s
    stride: Int64s  # [1] slots of each subscriber among the candidates
    candidate_member: Int32s  # [subscribers x stride] row of `member`, 0 where nothing is counted
    bucket_allowance: Int32s  # [programs, buckets] row of the program's allowances, or NOTHING
    allowance_row: Int32s  # [programs, names] the same by name
    allowance_fact: Int64s  # [names, FACTS] as the newest release that knows it says
    program_from_ms: Int64s  # [programs] rising
    program_release: Int64s  # [programs]
    boundary_ms: Int64s  # of the program at hand: when its rules begin and end
    combination_of: Int32s  # [epochs, plans, traffics, origins] of the program at hand; UNRESOLVED: never asked for
    combination: Int32s  # [combinations, COMBINATION_COLUMNS]
    default_policy: Rows  # [units]
    counter_row: Int32s  # [places] row of `counter`, 0 where nobody counted yet
    counter_place: Int64s  # [rows of `counter`] place in State.counter_units
    blank_group: Rows  # [1] a group of nothing


FACT_SPECIFICITY, FACT_RANK, FACT_MONEY, FACT_PER_MEMBER, FACT_ENDLESS, FACTS = range(6)
(COMBINATION_CLASS, COMBINATION_PICK, COMBINATION_REASON, COMBINATION_UNIT, COMBINATION_SERVICE, COMBINATION_CURRENCY,
 COMBINATION_INCOMING, COMBINATION_COLUMNS) = range(8)  # fmt: skip
UNRESOLVED = -2


class Out(NamedTuple):
    """What a batch leaves behind."""

    answer: Rows  # [commands]
    answer_words: Int64s  # [commands, ANSWER_WORDS] the same memory
    movement: Rows
    charge: Rows
    notice: Rows
    counts: Int64s  # [OUT_COUNTS]
    base: Int64s  # [tables + 1] where a table's rows begin among all rows
    stamp: Int32s  # [all rows] batch that touched the row last
    touched: Int64s  # rows touched, each once
    text: UInt8s  # texts of the commands


OUT_MOVEMENTS, OUT_CHARGES, OUT_NOTICES, OUT_TOUCHED, OUT_STAMP, OUT_COUNTS = range(6)
WARMED = 64  # commands whose rows are looked at together, before their turn
ROOM = 2_048  # rows of movements, charges and notices that one command may need

# what the loop asks of whoever runs it
(NEED_NOTHING, NEED_PROGRAM, NEED_COMBINATION, NEED_STRIDE, NEED_MEMBERS, NEED_ROOM, NEED_COUNTER) = range(7)

# the command at hand, kept while the loop is away asking
(J_PHASE, J_NEED, J_A, J_B, J_C, J_PROGRAM, J_SESSION, J_GROUP, J_SUBSCRIBER, J_ACCOUNT, J_COMBINATION, J_NODE,
 J_QUANTITY, J_USED, J_USED_AFTER, J_INPUT, J_OUTPUT, J_ROLL, J_WANTED, J_MOST, J_LOW, J_HIGH, J_FINAL_SLICE, J_STEP,
 J_CHARGED, J_UNCOLLECTED, J_AVAILABLE, J_COMMAND, J_INSTANT, J_SHARE, J_LEAST, J_LIFTED, J_UNIT,
 J_WARM, J_TIGHT, J_ORIGIN, J_PLACES) = range(37)  # fmt: skip


class Program(NamedTuple):
    """The tables of the program at hand."""

    prefixes: Prefixes
    calendars: Calendars
    prices: Prices
    selection: Selection


class Work(NamedTuple):
    """Working space of the loop."""

    job: Int64s  # [J_PLACES]
    charges: Charges  # [1]
    priced: Answers  # [1]
    scratch: Scratch
    kept: Int64s  # [DRAWS] what the group held of each draw
    used: Int64s  # [6] what was used since the last report, by Unit
    counted: Int64s  # [COUNTERS]
    warmed: Int64s  # [WARMED, 4] rows of the next commands
    block_first: Int64s  # [blocks] where the owners of each counter and scope begin in State.counter_units
    block_name: Int64s  # [blocks]
    block_scope: Int64s  # [blocks]
