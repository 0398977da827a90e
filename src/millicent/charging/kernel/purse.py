"""An account's money: what could be paid now, taking it in its order, giving back, holding.

A group's draws name the buckets it took from or holds of. Of money, what is settled is gone from the bucket; only what
is held is put back while a price is looked for. Of allowances both are put back.
"""

from millicent.charging.kernel.chain import member_of, touch
from millicent.charging.kernel.layout import (
    BUCKET_ENDED,
    BUCKET_LIVE,
    COUNTERS,
    DRAWS,
    J_ACCOUNT,
    J_SUBSCRIBER,
    T_ACCOUNT,
    T_BUCKET,
    T_COUNTER,
    T_MEMBER,
    T_META,
    T_SUBSCRIBER,
    Books,
    Index,
    Out,
)
from millicent.charging.kernel.record import MONEY, note_movement, note_notice, part_percent, reaches
from millicent.charging.kernel.splice import called, spliced
from millicent.charging.kernel.status import review_spending
from millicent.charging.types import NO_LIMIT, NOT_SAID, NoticeKind
from millicent.kit.kernels import Int64s
from millicent.rating.kernel.arrays import State

_LOW_BALANCE, _PART_USED, _ALL_USED = (
    int(NoticeKind.LOW_BALANCE),
    int(NoticeKind.PART_USED),
    int(NoticeKind.ALL_USED),
)


@spliced
def is_valid(books: Books, bucket: int, now_ms: int) -> bool:
    row = books.bucket[bucket]
    return row["state"] == BUCKET_LIVE and row["valid_from_ms"] <= now_ms < row["valid_until_ms"]


@spliced
def payable(books: Books, account: int, subscriber: int, now_ms: int) -> int:
    """What could be taken from the account now for this subscription."""
    total = 0
    bucket = int(books.account[account]["first_money"])
    while bucket != 0:
        if is_valid(books, bucket, now_ms) and books.bucket[bucket]["free"] > 0:
            total = min(NO_LIMIT, total + int(books.bucket[bucket]["free"]))
        bucket = int(books.bucket[bucket]["next"])
    payer = books.subscriber[subscriber]
    if payer["spend_limit"] < NO_LIMIT:
        total = min(total, payer["spend_limit"] - payer["spent_nanos"] - payer["spend_held_nanos"])
    return max(0, total)


@spliced
def draw_place(books: Books, group: int, bucket: int) -> int:
    """The place of a bucket among a group's draws, a free one when it has none yet, DRAWS when all are taken."""
    draws = books.group[group]["draw_bucket"]
    empty = DRAWS
    for place in range(DRAWS):
        if draws[place] == bucket:
            return place
        if draws[place] == 0 and empty == DRAWS:
            empty = place
    return empty


@spliced
def use_draw(books: Books, group: int, bucket: int) -> int:
    """The same, and the bucket is kept for as long as the group refers to it."""
    place = draw_place(books, group, bucket)
    if place < DRAWS and books.group[group]["draw_bucket"][place] == 0:
        books.group[group]["draw_bucket"][place] = bucket
        books.bucket[bucket]["users"] += 1
    return place


@called
def take_money(books: Books, out: Out, job: Int64s, group: int, due: int, kept: Int64s) -> int:
    """Take what is due as far as it reaches; `kept` is what the group held of each draw before. Returns what was taken.

    What was held of a bucket that ended meanwhile is still the group's to use. Whoever moved to another payer is paid
    for out of the very buckets that held the slice.
    """
    account = job[J_ACCOUNT]
    subscriber = job[J_SUBSCRIBER]
    now_ms = int(books.meta[0]["now_ms"])
    left = due
    payer = books.subscriber[subscriber]
    if payer["spend_limit"] < NO_LIMIT:
        left = max(0, min(left, payer["spend_limit"] - payer["spent_nanos"] - payer["spend_held_nanos"]))
    wanted = left
    bucket = int(books.account[account]["first_money"])
    while bucket != 0 and left > 0:
        if books.group[group]["left"] or not is_valid(books, bucket, now_ms):
            place = draw_place(books, group, bucket)
            if place < DRAWS and kept[place] > 0:
                gives = min(left, kept[place])
                left -= gives
                _take(books, out, job, group, place, bucket, gives)
        bucket = int(books.bucket[bucket]["next"])
    bucket = int(books.account[account]["first_money"])
    while bucket != 0 and left > 0:
        following = int(books.bucket[bucket]["next"])
        gives = min(left, int(books.bucket[bucket]["free"]))
        if gives > 0 and is_valid(books, bucket, now_ms):
            left -= gives
            _take(books, out, job, group, use_draw(books, group, bucket), bucket, gives)
        bucket = following
    taken = wanted - left
    _spent(books, out, job, subscriber, account, taken)
    return taken


@spliced
def _take(books: Books, out: Out, job: Int64s, group: int, place: int, bucket: int, gives: int) -> None:
    """`place` DRAWS: the segment has no place to remember by; should it come back it goes to the first bucket."""
    row = books.bucket[bucket]
    row["free"] -= gives
    if place < DRAWS:
        books.group[group]["draw_settled"][place] += gives
    note_movement(books, out, job, bucket, -gives, int(row["free"]) + int(row["reserved"]), NOT_SAID)


@spliced
def _spent(books: Books, out: Out, job: Int64s, subscriber: int, account: int, taken: int) -> None:
    """Count what was taken, and tell of a limit or a balance that comes near its end."""
    if taken == 0:
        return
    payer = books.subscriber[subscriber]
    payer["spent_nanos"] += taken
    touch(out, T_SUBSCRIBER, subscriber)
    limit = int(payer["spend_limit"])
    if taken > 0 and limit < NO_LIMIT:
        told = int(payer["told"])
        spent = int(payer["spent_nanos"])
        if spent >= limit and (told & 2) == 0:
            payer["told"] = told | 3
            note_notice(books, out, job, _ALL_USED, subscriber, account, 0, 0, 100, limit - spent)
        elif spent < limit and (told & 1) == 0 and reaches(spent, limit, part_percent(books)):
            payer["told"] = told | 1
            note_notice(books, out, job, _PART_USED, subscriber, account, 0, 0, part_percent(books), limit - spent)
    if limit < NO_LIMIT:
        review_spending(books, out, job, subscriber)
    owner = books.account[account]
    if taken > 0 and owner["low_nanos"] >= 0 and owner["told"] == 0:
        balance = balance_of(books, account)
        if balance < owner["low_nanos"]:
            owner["told"] = 1
            touch(out, T_ACCOUNT, account)
            note_notice(books, out, job, _LOW_BALANCE, subscriber, account, 0, 0, 0, balance)


@spliced
def balance_of(books: Books, account: int) -> int:
    """Money that is there, reserved or not; not what may be owed."""
    total = 0
    bucket = int(books.account[account]["first_money"])
    while bucket != 0:
        row = books.bucket[bucket]
        if row["kind"] == MONEY and row["state"] == BUCKET_LIVE:
            total += int(row["free"]) + int(row["reserved"])
        bucket = int(row["next"])
    return total


@called
def give_back(books: Books, out: Out, job: Int64s, group: int, nanos: int) -> int:
    """Give money back to where the group took it last. Returns what was given.

    A price below zero gives more than was taken: that goes to the first bucket of money, or to what is owed.
    """
    given = 0
    for back in range(DRAWS):
        place = DRAWS - 1 - back
        usage = books.group[group]
        bucket = int(usage["draw_bucket"][place])
        if bucket == 0 or books.bucket[bucket]["kind"] < MONEY or given == nanos:
            continue
        gives = max(0, min(nanos - given, int(usage["draw_settled"][place])))
        given += gives
        _take(books, out, job, group, place, bucket, -gives)
    bucket = int(books.account[job[J_ACCOUNT]]["first_money"])
    while bucket != 0 and given < nanos:
        place = use_draw(books, group, bucket) if is_valid(books, bucket, int(books.meta[0]["now_ms"])) else DRAWS
        if place < DRAWS:
            _take(books, out, job, group, place, bucket, given - nanos)
            given = nanos
        bucket = int(books.bucket[bucket]["next"])
    _spent(books, out, job, job[J_SUBSCRIBER], job[J_ACCOUNT], -given)
    return given


@called
def hold_money(books: Books, job: Int64s, group: int, nanos: int) -> int:
    """Note what a slice holds of each bucket of money; `lower` moves it there. Returns what found no place."""
    left = nanos
    now_ms = int(books.meta[0]["now_ms"])
    bucket = int(books.account[job[J_ACCOUNT]]["first_money"])
    while bucket != 0 and left > 0:
        gives = min(left, int(books.bucket[bucket]["free"]))
        if gives > 0 and is_valid(books, bucket, now_ms):
            place = use_draw(books, group, bucket)
            if place < DRAWS:
                books.group[group]["draw_held"][place] = gives
                left -= gives
        bucket = int(books.bucket[bucket]["next"])
    return left


@spliced
def forget_empty(books: Books, out: Out, group: int) -> None:
    """Places of buckets that the segment took nothing from are free again; nothing is held at this moment."""
    usage = books.group[group]
    for place in range(DRAWS):
        bucket = int(usage["draw_bucket"][place])
        if bucket != 0 and usage["draw_settled"][place] == 0 and usage["draw_held"][place] == 0:
            usage["draw_bucket"][place] = 0
            drop_user(books, out, bucket)


@spliced
def drop_user(books: Books, out: Out, bucket: int) -> None:
    """A segment no longer refers to a bucket. One that ended, and that nobody refers to, goes with the next TICK."""
    row = books.bucket[bucket]
    row["users"] -= 1
    touch(out, T_BUCKET, bucket)
    if row["users"] == 0 and row["state"] == BUCKET_ENDED:
        books.meta[0]["next_expiry_ms"] = 0
        touch(out, T_META, 0)


@spliced
def places_left(books: Books, group: int) -> int:
    left = 0
    for place in range(DRAWS):
        left += 1 if books.group[group]["draw_bucket"][place] == 0 else 0
    return left


@spliced
def can_hold(books: Books, account: int, group: int, nanos: int, places: int) -> bool:
    """Whether so much money finds its buckets among those the group refers to and so many places."""
    left = nanos
    now_ms = int(books.meta[0]["now_ms"])
    bucket = int(books.account[account]["first_money"])
    while bucket != 0 and left > 0:
        gives = min(left, int(books.bucket[bucket]["free"]))
        if gives > 0 and is_valid(books, bucket, now_ms):
            known = draw_place(books, group, bucket)
            if known == DRAWS or books.group[group]["draw_bucket"][known] != bucket:
                places -= 1
            left -= gives
        bucket = int(books.bucket[bucket]["next"])
    return places >= 0


@spliced
def add_taken(books: Books, index: Index, out: Out, state: State, subscriber: int, bucket: int, taken: int) -> None:
    """Count what a member took of a bucket, where it is counted. Whoever left the bucket's owner is still counted."""
    first = subscriber * index.stride[0]
    for candidate in range(first, first + index.stride[0]):
        if state.candidate_bucket[candidate] == bucket:
            state.candidate_taken[candidate] += taken
            member = int(index.candidate_member[candidate])
            if member != 0:
                books.member[member]["taken"] = state.candidate_taken[candidate]
                touch(out, T_MEMBER, member)
            return
    member = member_of(books, subscriber, bucket)
    if member != 0:
        books.member[member]["taken"] += taken
        touch(out, T_MEMBER, member)


@spliced
def lift(books: Books, index: Index, out: Out, state: State, subscriber: int, group: int, kept: Int64s) -> None:
    """Put back all that the segment drew of allowances and counters, and all it holds. `kept` is what it held."""
    usage = books.group[group]
    for place in range(DRAWS):
        kept[place] = 0
        bucket = int(usage["draw_bucket"][place])
        if bucket == 0:
            continue
        row = books.bucket[bucket]
        held = int(usage["draw_held"][place])
        kept[place] = held
        row["reserved"] -= held
        if row["kind"] >= MONEY:
            row["free"] += held
            if held != 0:
                books.subscriber[subscriber]["spend_held_nanos"] -= held
                touch(out, T_SUBSCRIBER, subscriber)
        else:
            drawn = held + int(usage["draw_settled"][place])
            row["free"] += drawn
            add_taken(books, index, out, state, subscriber, bucket, -drawn)
        usage["draw_held"][place] = 0
        touch(out, T_BUCKET, bucket)
    for place in range(COUNTERS):
        counter = int(usage["counter"][place])
        if counter == 0:
            continue
        units = index.counter_place[counter]
        if usage["old_cycle"] == 0:
            state.counter_units[units] -= int(usage["counter_settled"][place]) + int(usage["counter_held"][place])
        usage["counter_held"][place] = 0


@spliced
def lower(books: Books, index: Index, out: Out, state: State, subscriber: int, group: int) -> None:
    """Draw again what is settled and hold what is held; draws of nothing are forgotten."""
    usage = books.group[group]
    for place in range(DRAWS):
        bucket = int(usage["draw_bucket"][place])
        if bucket == 0:
            continue
        row = books.bucket[bucket]
        settled = int(usage["draw_settled"][place])
        held = int(usage["draw_held"][place])
        if held == 0 and settled == 0:
            usage["draw_bucket"][place] = 0
            drop_user(books, out, bucket)
        row["reserved"] += held
        if row["kind"] >= MONEY:
            row["free"] -= held
            if held != 0:
                books.subscriber[subscriber]["spend_held_nanos"] += held
                touch(out, T_SUBSCRIBER, subscriber)
        else:
            row["free"] -= held + settled
            add_taken(books, index, out, state, subscriber, bucket, held + settled)
        touch(out, T_BUCKET, bucket)
    for place in range(COUNTERS):
        counter = int(usage["counter"][place])
        if counter == 0 or usage["old_cycle"] != 0:
            continue
        units = index.counter_place[counter]
        state.counter_units[units] += int(usage["counter_settled"][place]) + int(usage["counter_held"][place])
        books.counter[counter]["units"] = state.counter_units[units]
        touch(out, T_COUNTER, counter)
