"""The language between the doors and the charging shard: commands in, answers out, and what a batch leaves behind.

Commands and answers are rows of structured numpy arrays, so that a thousand of them cost little more than one. A door
flattens a message into rows: OPEN a session, ask or report UNITS of one rating group, END the session. All rows of one
submission are applied one after the other in one batch, and answered only when the batch is durable.

Instants are UTC milliseconds, money is nanos, "not said" is NOT_SAID.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag, StrEnum, unique
from typing import Protocol as Interface

import numpy as np
from numpy.typing import NDArray

NOT_SAID = -1  # a quantity that the message did not carry
NO_LIMIT = 2**60  # a quantity or an amount without an end
NO_SERVICE = 2**32 - 1  # no Service-Identifier
Rows = NDArray[np.void]  # one of the structured arrays below


@unique
class Verb(IntEnum):
    """What a command asks for. Numbers are for ever: they stand in the journal."""

    # sessions
    OPEN = 1  # begin a session (CCR-Initial, Accounting-Start, authorise); `text` is its Session-Id
    UNITS = 2  # report usage of one rating group and/or ask for the next slice of it
    END = 3  # close what is still open of a session and the session (CCR-Termination, Stop)
    CLOSE = 4  # we close it: swept, aborted, its peer restarted; key 0, 0: every session of `peer`; holds go back
    # one-time
    DEBIT = 10  # immediate event charging: direct debiting
    REFUND = 11  # give back what an earlier DEBIT of `reference` took, or `amount`
    CHECK = 12  # is there enough for this; changes nothing
    ENQUIRE = 13  # what would this cost; changes nothing
    RECORD = 14  # offline usage that already happened: charged whatever is left, never refused for want of money
    # balances
    TOP_UP = 20  # add a money bucket, or to the one of the same `bucket_id`
    ADJUST = 21  # change a bucket by `amount`, up or down, never below its floor
    TRANSFER = 22  # move `amount` from the money of one account to that of another
    GRANT = 23  # open a unit bucket (or a catalogue's money bucket) of allowance `name`
    EXPIRE = 24  # a bucket ends now; what is left of it, but not what is reserved, is lost
    CREDIT = 25  # set what an account may owe (postpaid limit, emergency credit)
    # who
    ACCOUNT = 30  # know or change a billing account
    SUBSCRIBER = 31  # know or change a subscription: account, plan, pool, status
    IDENTIFIER = 32  # an identifier belongs to a subscription (`subscription_id` NOT_SAID: to nobody)
    ROLL = 33  # a cycle of a subscription begins: counters go to zero, thresholds may be told again
    POLICY = 34  # how slices of a service are sized
    THRESHOLDS = 35  # when people are told of use and of an end that is near
    COUNTER = 36  # a policy counter `name`: what it looks at, and the thresholds of its states
    STATUS = 37  # the state of counter `name` for a subscription; ASKED: watch it from now on, FINAL: no longer
    TICK = 40  # nothing but time: expire what is due, sweep sessions without a sign of life


@unique
class Unit(IntEnum):
    """Columns of `used`, `used_after` and `asked`."""

    SECONDS = 0
    TOTAL_OCTETS = 1
    INPUT_OCTETS = 2  # from the user: uplink
    OUTPUT_OCTETS = 3
    SERVICE_UNITS = 4
    MONEY_NANOS = 5


@unique
class Flag(IntFlag):
    """Small facts about a command."""

    RESENT = 1  # T flag, or the same key seen before by the door
    FINAL = 2  # last report of this rating group in this session
    ASKED = 4  # units were asked for; `asked` may all be NOT_SAID: the policy decides how many
    UNANSWERED = 8  # an attempt that nobody answered
    TERMINATING = 16  # incoming call
    POSTPAID = 32  # ACCOUNT: prepaid unless set
    BARRED = 64  # SUBSCRIBER or ACCOUNT: no new session, no new slice
    FORCED = 128  # ADJUST: may go below the floor (a correction with a second person's approval)
    HANDED_OVER = 256  # the session came from another server: an UPDATE without an OPEN may open it
    CUMULATIVE = 512  # `used` are totals since the session began: the shard subtracts what it was told before
    BASELINE = 1024  # with CUMULATIVE: what was used until now was counted before, or never will be


@unique
class Result(IntEnum):
    """How a command ended, in no protocol's terms. Numbers are for ever."""

    DONE = 0
    UNKNOWN_SUBSCRIBER = 1
    UNKNOWN_SESSION = 2
    UNKNOWN_ACCOUNT = 3
    UNKNOWN_BUCKET = 4
    INSUFFICIENT = 5  # not enough money or units: credit limit reached
    NOT_SERVED = 6  # blocked, barred, suspended
    NOT_PRICED = 7  # `reason` says why
    OUT_OF_ORDER = 8  # a request number older than what is remembered
    CURRENCY_DIFFERS = 9
    INVALID = 10  # a command that makes no sense: negative usage, unknown verb
    FULL = 11  # a table reached its bound: nothing was changed
    ALREADY = 12  # opened or redeemed before under another request


@unique
class FinalAction(IntEnum):
    """What happens when the slice is used and nothing is left (RFC 8506 clause 8.35)."""

    NONE = 0  # not the final slice
    TERMINATE = 1
    REDIRECT = 2
    RESTRICT = 3


@unique
class Door(IntEnum):
    """Through which door a session came: that door is told when it must be re-authorised or ended."""

    NONE = 0
    DIAMETER = 1
    RADIUS = 2
    HTTP = 3
    OPERATOR = 4
    CHF = 5


@unique
class Status(IntEnum):
    ACTIVE = 0
    BARRED = 1
    GONE = 2


@unique
class NameKind(StrEnum):
    """Texts are known to the shard by small numbers, given once each and journalled."""

    PLAN = "plan"  # "tariff\x1fsegment"
    ALLOWANCE = "allowance"  # "offering/allowance"
    TRAFFIC = "traffic"  # `traffic_text`
    SERVICE = "service"
    PEER = "peer"  # Origin-Host, NAS address, application
    CURRENCY = "currency"
    POOL = "pool"
    COUNTER = "counter"  # "counter\x1fscope" of an accumulated tier: the shard's own
    RULE = "rule"  # of a tariff, or "deck/<deck code>": by which a charge was priced. The shard's own
    ZONE = "zone"  # "map/zone" or a deck's own name for a destination. The shard's own
    POLICY_COUNTER = "policy_counter"  # what the policy side asks the status of
    CAUSE = "cause"  # why a balance was changed, in the operator's words: "voucher", "card", "goodwill"


COMMAND = np.dtype(
    [
        ("verb", "u1"),  # Verb
        ("door", "u1"),  # Door
        ("flags", "u2"),  # Flag
        ("request_number", "u4"),  # CC-Request-Number; rises within a session; 0 for events
        ("key_high", "u8"),  # session key, or the idempotency key of what is no session
        ("key_low", "u8"),
        ("received_ms", "i8"),  # when the command came: the shard has no other clock
        ("instant_ms", "i8"),  # when what it tells of happened; NOT_SAID: received_ms
        ("subscriber_key", "u8"),  # identifier_key(); 0: `subscription_id` says who
        ("subscription_id", "i8"),
        ("account_id", "i8"),  # billing account; of a SUBSCRIBER: who pays for it
        ("other_account_id", "i8"),  # TRANSFER: to whom
        ("group", "u4"),  # Rating-Group, or whatever tells slices of one session apart
        ("service_id", "u4"),  # Service-Identifier, or NO_SERVICE
        ("traffic", "i4"),  # NameKind.TRAFFIC
        ("peer", "i4"),  # NameKind.PEER
        ("used", "i8", (6,)),  # by Unit, since the last report
        ("used_after", "i8", (6,)),  # of it, after the tariff time change that was announced (Tariff-Change-Usage)
        ("asked", "i8", (6,)),
        ("content_nanos", "i8"),  # price of content that is passed on
        ("number_key", "i8"),  # other party: rating.compile.numbers.number_keys
        ("number_digits", "i1"),  # 0: no other party
        ("reporting_reason", "i1"),  # 3GPP Reporting-Reason, NOT_SAID
        ("priority", "i2"),  # of a bucket: higher first
        ("bucket_id", "i8"),  # ours for ever; NOT_SAID where not asked
        ("amount", "i8"),  # nanos or units
        ("limit", "i8"),  # CREDIT: what may be owed; SUBSCRIBER: spend limit of a cycle; NO_LIMIT none
        ("from_ms", "i8"),
        ("until_ms", "i8"),
        ("name", "i4"),  # plan, allowance or service by verb
        ("other_name", "i4"),  # pool, currency, cause by verb
        ("scope", "i1"),  # GRANT: 0 subscription, 1 account, 2 pool
        ("text_offset", "u4"),  # in the bytes of the submission: Session-Id, note
        ("text_length", "u2"),
        ("reference_high", "u8"),  # REFUND: key of the event whose taking is given back; 0, 0: `amount` is
        ("reference_low", "u8"),
    ],
    align=True,
)

ANSWER = np.dtype(
    [
        ("result", "i2"),  # Result
        ("reason", "i2"),  # rating.types.Reason where result is NOT_PRICED
        ("stored", "u1"),  # 1: answered from the stored answer, nothing was done again
        ("unit", "i1"),  # Unit that was granted or charged
        ("final", "u1"),  # FinalAction once the slice is used
        ("throttled", "u1"),  # beyond fair use
        ("granted_units", "i8"),  # NOT_SAID: none were asked for
        ("charged_nanos", "i8"),  # money this command took; negative: given back
        ("session_nanos", "i8"),  # money the session has taken so far
        ("price_nanos", "i8"),  # of an enquiry, or of what is granted
        ("available_nanos", "i8"),  # what the account could still pay
        ("uncollected_nanos", "i8"),  # used beyond what was granted and could not be paid
        ("tariff_change_ms", "i8"),  # the price may change then; NOT_SAID
        ("validity_seconds", "i4"),
        ("holding_seconds", "i4"),  # Quota-Holding-Time; NOT_SAID
        ("threshold_units", "i8"),  # ask again when so many are left; NOT_SAID
        ("subscriber", "i4"),  # row, NOT_SAID where unknown
        ("session", "i4"),  # row
        ("currency", "i4"),  # NameKind.CURRENCY
    ],
    align=True,
)

# What changed in a bucket, and why: the balance history. Sums of these are the balances.
MOVEMENT = np.dtype(
    [
        ("command", "i4"),  # row of the batch's commands
        ("cause", "i4"),  # NameKind.CAUSE, or NOT_SAID: usage
        ("bucket_id", "i8"),
        ("account_id", "i8"),
        ("subscription_id", "i8"),  # NOT_SAID: of the account
        ("change", "i8"),  # nanos or units: below zero is taken. Reserving moves nothing
        ("remaining", "i8"),  # after it, with what is reserved
        ("kind", "i1"),  # BucketKind
    ],
    align=True,
)

# A usage whose price is final: one for each slice of a session that was closed, one for each event.
CHARGE = np.dtype(
    [
        ("command", "i4"),
        ("traffic", "i4"),
        ("key_high", "u8"),  # event key
        ("key_low", "u8"),
        ("subscription_id", "i8"),
        ("account_id", "i8"),
        ("group", "u4"),
        ("unit", "i1"),
        ("reason", "i2"),
        ("throttled", "u1"),
        ("release", "i4"),
        ("plan", "i4"),
        ("case", "i4"),  # of the rating kernel; NOT_SAID
        ("zone_set", "i4"),
        ("occurred_at_ms", "i8"),
        ("ended_at_ms", "i8"),
        ("units", "i8"),  # used
        ("input_octets", "i8"),
        ("output_octets", "i8"),
        ("charged_units", "i8"),
        ("bucket_units", "i8"),
        ("amount_nanos", "i8"),  # price that buckets of units and catalogue money left to pay
        ("uncollected_nanos", "i8"),  # of it, what nobody could pay
        ("number_key", "i8"),
        ("number_digits", "i1"),
        ("rule", "i4"),  # NameKind.RULE; NOT_SAID
        ("zone", "i4"),  # NameKind.ZONE; NOT_SAID
    ],
    align=True,
)


@unique
class BucketKind(IntEnum):
    UNITS = 0  # of an allowance
    CATALOGUE_MONEY = 1  # of an allowance: drawn by the rating kernel
    MONEY = 2  # main balance, bonus
    CREDIT = 3  # what may be owed: remaining is the limit less what is owed


@unique
class NoticeKind(IntEnum):
    """What somebody outside should hear of. Numbers are for ever."""

    LOW_BALANCE = 1
    PART_USED = 2  # `percent` of an allowance or of a limit
    ALL_USED = 3
    EXPIRY_NEAR = 4
    EXPIRED = 5
    REAUTHORISE = 6  # the door of `session` should have it ask again (Re-Auth-Request, CoA)
    ABORT = 7  # the door of `session` should end it (Abort-Session-Request, Disconnect-Request)
    SWEPT = 8  # a session without a sign of life was closed
    STATUS = 9  # a counter entered another state (spending limit control)
    UNCOLLECTED = 10  # usage beyond a grant that could not be paid


NOTICE = np.dtype(
    [
        ("kind", "i2"),  # NoticeKind
        ("percent", "i2"),
        ("command", "i4"),
        ("subscription_id", "i8"),
        ("account_id", "i8"),
        ("bucket_id", "i8"),
        ("session", "i4"),  # row; NOT_SAID
        ("door", "u1"),
        ("peer", "i4"),
        ("name", "i4"),  # STATUS: NameKind.POLICY_COUNTER; NOT_SAID: all of them
        ("session_high", "u8"),
        ("session_low", "u8"),
        ("amount", "i8"),  # STATUS: the state that a bucket or the spending entered; NOT_SAID: ask
        ("instant_ms", "i8"),
        ("until_ms", "i8"),  # when the bucket ends; NOT_SAID
    ],
    align=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowImages:
    """What rows of one table of the state look like after a batch. Replay is putting them there."""

    table: str
    rows: NDArray[np.int64]  # [n] ascending, each once
    images: Rows  # [n] whole rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """All that one batch of commands did. It is journalled as it stands, and then its answers may leave.

    The journal holds what became of the state, not how it came about: so other code, or another catalogue, can replay
    it to the last byte.
    """

    commands: Rows  # COMMAND [n]
    texts: bytes
    answers: Rows  # ANSWER [n]
    movements: Rows  # MOVEMENT
    charges: Rows  # CHARGE
    notices: Rows  # NOTICE
    names: Sequence[tuple[str, int, str]]  # NameKind, number, text: those new since the batch before
    images: Sequence[RowImages]


class ChargingPort(Interface):
    """How a door reaches the shard, in the same process or over its socket."""

    async def submit(self, commands: Rows, texts: bytes = b"") -> Rows:
        """Apply rows of COMMAND and answer with as many of ANSWER, once they are durable.

        Raises kit.errors.Outage when nothing can be made durable now or too much is waiting: none of the rows was, or
        ever will be, applied, unless they come again.
        """
        ...

    async def number_of(self, kind: NameKind, text: str) -> int:
        """The shard's number for a text, given now when it is new. Good until `on_restart` is called."""
        ...

    def listen(self, door: Door, told: Callable[[Rows, Sequence[str]], None]) -> None:
        """Call `told` with durable NOTICE rows for a door's sessions, and the Session-Id of each."""
        ...

    def on_restart(self, forget: Callable[[], None]) -> None:
        """Call `forget` when numbers given before are void: another process took over."""
        ...


def commands(count: int) -> Rows:
    """So many commands that say nothing yet."""
    return _rows_of(_NOTHING_SAID * count)


def stacked(parts: Sequence[Rows]) -> Rows:
    """Commands one behind the other, always a copy.

    `np.concatenate` works out anew what each field of a row becomes: for one row that takes longer than all the rest.
    """
    return _rows_of(b"".join([each.tobytes() for each in parts]))


def _rows_of(content: bytes) -> Rows:
    return np.frombuffer(bytearray(content), COMMAND) if content else np.empty(0, COMMAND)


def _nothing_said() -> bytes:
    row = np.zeros(1, COMMAND)
    for name in ("instant_ms", "subscription_id", "account_id", "other_account_id", "bucket_id", "traffic", "peer",
                 "used", "used_after", "asked", "name", "other_name", "reporting_reason"):  # fmt: skip
        row[name] = NOT_SAID
    row["service_id"] = NO_SERVICE
    row["limit"] = NO_LIMIT
    return row.tobytes()


_NOTHING_SAID = _nothing_said()
