"""Policy counters: which state the use of an allowance, or of a spending limit, is in; told when it changes.

A counter (a row of `watch`) looks at the buckets of one allowance, or at what subscriptions spent of their limits. Its
state is how many of its thresholds are reached. Told are subscriptions that somebody watches (TS 29.219, TS 29.594).
"""

from millicent.charging.kernel.chain import find_subscription, touch
from millicent.charging.kernel.layout import (
    BUCKET_LIVE,
    BUCKET_UNUSED,
    J_COMMAND,
    OUT_NOTICES,
    ROOM,
    T_BUCKET,
    T_META,
    T_SUBSCRIBER,
    T_WATCH,
    THRESHOLDS,
    Books,
    Index,
    Out,
    Work,
)
from millicent.charging.kernel.owner import first_member, next_member
from millicent.charging.kernel.record import CREDIT, MONEY, note_notice, reaches
from millicent.charging.kernel.splice import called, spliced
from millicent.charging.types import NO_LIMIT, NOT_SAID, Flag, NoticeKind, Result, Rows
from millicent.kit.kernels import Int64s
from millicent.rating.kernel.arrays import NEVER, State

_DONE, _INVALID, _UNKNOWN_SUBSCRIBER = int(Result.DONE), int(Result.INVALID), int(Result.UNKNOWN_SUBSCRIBER)
_STATUS = int(NoticeKind.STATUS)
_ASKED, _FINAL = int(Flag.ASKED), int(Flag.FINAL)
SPENDING = -1  # what a counter looks at that looks at no allowance
MOST_PERCENT = 500
EXPIRY_TOLD = 4  # bit of a bucket's `told`
_GONE = 2  # Status


@spliced
def state_at(books: Books, watch: int, used: int, whole: int) -> int:
    """How many thresholds are reached."""
    state = 0
    for place in range(THRESHOLDS):
        percent = int(books.watch[watch]["percent"][place])
        if percent > 0 and reaches(used, whole, percent):
            state = place + 1
    return state


@called
def note_status(
    books: Books, out: Out, job: Int64s, scope: int, owner: int, bucket: int, watch: int, state: int
) -> None:
    """Tell of every member that is watched. Where too many are, one notice stands for all: whoever reads it asks."""
    member = first_member(books, scope, owner)
    while member != 0:
        if books.subscriber[member]["watched"]:
            everybody = out.counts[OUT_NOTICES] + ROOM // 2 > out.notice.shape[0]
            who = 0 if everybody else member
            account = int(books.subscriber[who]["account"])
            note_notice(books, out, job, _STATUS, who, account, bucket, 0, 0, state)
            out.notice[out.counts[OUT_NOTICES] - 1]["name"] = watch - 1
            if everybody:
                return
        member = next_member(books, scope, member)


@called
def review_bucket(books: Books, out: Out, job: Int64s, bucket: int, remaining: int) -> None:
    """What remains of a bucket changed: whether the counter that looks at it is in another state."""
    row = books.bucket[bucket]
    watch = int(row["watch"])
    if watch == 0:
        return
    state = state_at(books, watch, int(row["opened"]) - remaining, int(row["opened"]))
    if state != row["entered"]:
        row["entered"] = state
        touch(out, T_BUCKET, bucket)
        note_status(books, out, job, int(row["scope"]), int(row["owner"]), bucket, watch, state)


@spliced
def spending_state(books: Books, subscriber: int) -> int:
    payer = books.subscriber[subscriber]
    watch = int(books.meta[0]["spend_watch"])
    if watch == 0 or payer["spend_limit"] >= NO_LIMIT:
        return 0
    return state_at(books, watch, int(payer["spent_nanos"]), int(payer["spend_limit"]))


@called
def review_spending(books: Books, out: Out, job: Int64s, subscriber: int) -> None:
    """What a subscription spent, or may spend, changed."""
    state = spending_state(books, subscriber)
    payer = books.subscriber[subscriber]
    if state != payer["entered"]:
        payer["entered"] = state
        touch(out, T_SUBSCRIBER, subscriber)
        note_status(books, out, job, 0, subscriber, 0, int(books.meta[0]["spend_watch"]), state)


@called
def review_everything(books: Books, out: Out, job: Int64s, subscriber: int) -> None:
    """A watched subscription has other buckets from now on, or is gone: whoever watches it asks again."""
    if books.subscriber[subscriber]["watched"]:
        note_status(books, out, job, 0, subscriber, 0, 0, NOT_SAID)
        if books.subscriber[subscriber]["status"] == _GONE:
            books.subscriber[subscriber]["watched"] = 0
            touch(out, T_SUBSCRIBER, subscriber)


@called
def watch_bucket(books: Books, out: Out, bucket: int) -> None:
    """Find the counter that looks at a bucket, and the state it is in. Nothing is told."""
    row = books.bucket[bucket]
    row["watch"] = 0
    row["entered"] = 0
    if row["kind"] < MONEY:
        for watch in range(1, int(books.meta[0]["watches"])):
            if books.watch[watch]["declared"] and books.watch[watch]["allowance"] == row["allowance"]:
                row["watch"] = watch
                used = int(row["opened"]) - int(row["free"]) - int(row["reserved"])
                row["entered"] = state_at(books, watch, used, int(row["opened"]))
    touch(out, T_BUCKET, bucket)


@called
def status_ends(books: Books, out: Out, job: Int64s, bucket: int) -> None:
    """A bucket is about to end: whoever watches its counter asks what is left."""
    row = books.bucket[bucket]
    if row["watch"] != 0:
        note_status(books, out, job, int(row["scope"]), int(row["owner"]), bucket, int(row["watch"]), NOT_SAID)


@called
def know_counter(books: Books, out: Out, work: Work, command: Rows) -> int:
    """A policy counter `name` looks at allowance `other_name`, or at spending. `asked` are its thresholds, rising.

    Without a threshold it is not declared any more. Whoever watches is not told: states are asked for again.
    """
    asked = command[work.job[J_COMMAND]]
    name = int(asked["name"])
    if name < 0 or name >= books.watch.shape[0] - 1 or asked["other_name"] < SPENDING:
        return _INVALID
    before = 0
    for place in range(THRESHOLDS):
        percent = int(asked["asked"][place])
        if percent > MOST_PERCENT or (percent > 0 and percent <= before) or (percent > 0 and before < 0):
            return _INVALID
        before = percent if percent > 0 else -1
    watch = books.watch[name + 1]
    for place in range(THRESHOLDS):
        watch["percent"][place] = max(0, int(asked["asked"][place]))
    watch["allowance"] = asked["other_name"]
    watch["declared"] = 1 if asked["asked"][0] > 0 else 0
    meta = books.meta[0]
    meta["watches"] = max(int(meta["watches"]), name + 2)
    if meta["spend_watch"] == name + 1:
        meta["spend_watch"] = 0
    if watch["declared"] and watch["allowance"] == SPENDING:
        meta["spend_watch"] = name + 1
    touch(out, T_META, 0)
    touch(out, T_WATCH, name + 1)
    for bucket in range(1, int(meta["buckets"])):
        row = books.bucket[bucket]
        if row["state"] != BUCKET_UNUSED and (row["watch"] == name + 1 or row["allowance"] == watch["allowance"]):
            watch_bucket(books, out, bucket)
    for subscriber in range(1, int(meta["subscribers"])):
        entered = spending_state(books, subscriber)
        if books.subscriber[subscriber]["entered"] != entered:
            books.subscriber[subscriber]["entered"] = entered
            touch(out, T_SUBSCRIBER, subscriber)
    return _DONE


@called
def ask_status(books: Books, index: Index, out: Out, state: State, work: Work, command: Rows) -> int:
    """The state of counter `name` for a subscription, as `granted_units`; NOT_SAID: it looks at nothing of theirs.

    With ASKED the subscription is watched from now on, with FINAL no longer. As long as one bucket of the allowance
    stands in a lower state, so does the counter.
    """
    asked = command[work.job[J_COMMAND]]
    subscriber = find_subscription(books, index, int(asked["subscription_id"]))
    if subscriber == 0 or books.subscriber[subscriber]["status"] == _GONE:
        return _UNKNOWN_SUBSCRIBER
    payer = books.subscriber[subscriber]
    watched = int(payer["watched"])
    if asked["flags"] & _ASKED:
        watched = 1
    elif asked["flags"] & _FINAL:
        watched = 0
    if watched != payer["watched"]:
        payer["watched"] = watched
        touch(out, T_SUBSCRIBER, subscriber)
    watch = int(asked["name"]) + 1
    if watch < 1 or watch >= books.meta[0]["watches"] or books.watch[watch]["declared"] == 0:
        return _DONE
    found = NOT_SAID
    if watch == books.meta[0]["spend_watch"]:
        found = int(payer["entered"]) if payer["spend_limit"] < NO_LIMIT else NOT_SAID
    now_ms = int(books.meta[0]["now_ms"])
    first = subscriber * index.stride[0]
    for candidate in range(first, first + index.stride[0]):
        row = books.bucket[state.candidate_bucket[candidate]]
        valid = row["state"] == BUCKET_LIVE and row["valid_from_ms"] <= now_ms < row["valid_until_ms"]
        if valid and row["watch"] == watch and (found < 0 or row["entered"] < found):
            found = int(row["entered"])
    out.answer[work.job[J_COMMAND]]["granted_units"] = found
    return _DONE


# ---------------------------------------------------------------- when people are told


@spliced
def lead_of(books: Books, bucket: int) -> int:
    """How long before its end a bucket is told of; 0: never."""
    kind = books.bucket[bucket]["kind"]
    if kind == CREDIT:
        return 0
    return int(books.meta[0]["money_lead_ms"] if kind == MONEY else books.meta[0]["units_lead_ms"])


@spliced
def near_ms(books: Books, bucket: int) -> int:
    """When the end of a bucket is to be told; NEVER where it is not, or was."""
    row = books.bucket[bucket]
    lead = lead_of(books, bucket)
    if lead == 0 or row["valid_until_ms"] == NEVER or (row["told"] & EXPIRY_TOLD) != 0:
        return NEVER
    return int(row["valid_until_ms"]) - lead


@called
def expect_end(books: Books, out: Out, bucket: int) -> None:
    """A bucket ends at another instant than before. Nobody needs to hear at once of what already ends so soon."""
    row = books.bucket[bucket]
    row["told"] = int(row["told"]) & ~EXPIRY_TOLD
    near = near_ms(books, bucket)
    if near <= books.meta[0]["now_ms"]:
        row["told"] = int(row["told"]) | EXPIRY_TOLD
    elif near < books.meta[0]["next_expiry_ms"]:
        books.meta[0]["next_expiry_ms"] = near
        touch(out, T_META, 0)
    touch(out, T_BUCKET, bucket)


@called
def know_thresholds(books: Books, out: Out, work: Work, command: Rows) -> int:
    """When people are told. `asked`: percent of use; seconds before money, and allowances, end (0: never)."""
    asked = command[work.job[J_COMMAND]]
    percent = int(asked["asked"][0])
    money, units = int(asked["asked"][1]), int(asked["asked"][2])
    if not 0 < percent < 100 or not 0 <= money <= 10**9 or not 0 <= units <= 10**9:
        return _INVALID
    meta = books.meta[0]
    meta["part_percent"] = percent
    meta["money_lead_ms"] = 1000 * money
    meta["units_lead_ms"] = 1000 * units
    meta["next_expiry_ms"] = 0  # the next TICK looks at every bucket
    touch(out, T_META, 0)
    return _DONE
