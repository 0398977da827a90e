"""Sessions: opening, closing, sweeping, and telling their doors."""

from millicent.charging.kernel.chain import chain, find_session, is_touched, mixed, touch, unchain
from millicent.charging.kernel.layout import (
    BUCKET_ENDED,
    BUCKET_LIVE,
    COUNTERS,
    LONGEST_TEXT,
    OUT_CHARGES,
    OUT_MOVEMENTS,
    OUT_NOTICES,
    T_BUCKET,
    T_COUNTER,
    T_GROUP,
    T_META,
    T_SESSION,
    T_SESSION_TEXT,
    T_SUBSCRIBER,
    Books,
    Index,
    Out,
    Work,
)
from millicent.charging.kernel.owner import (
    ACCOUNT,
    CAUSE_EXPIRED,
    POOL,
    end_bucket,
    first_member,
    next_member,
    release_bucket,
)
from millicent.charging.kernel.purse import lift, lower
from millicent.charging.kernel.record import CREDIT, note_notice
from millicent.charging.kernel.segment import begin_segment, close_segment, leave_segment
from millicent.charging.kernel.splice import called, spliced
from millicent.charging.kernel.status import EXPIRY_TOLD, near_ms, status_ends
from millicent.charging.types import NoticeKind
from millicent.kit.kernels import Int64s
from millicent.rating.kernel.arrays import NEVER, State

MOST_GROUPS = 256  # of one session
AT_ONCE = 1_024  # sessions or buckets that one TICK ends
MARGIN = 512  # rows that ending one session or bucket may need
_REAUTHORISE, _ABORT, _SWEPT, _EXPIRED, _EXPIRY_NEAR = (
    int(NoticeKind.REAUTHORISE),
    int(NoticeKind.ABORT),
    int(NoticeKind.SWEPT),
    int(NoticeKind.EXPIRED),
    int(NoticeKind.EXPIRY_NEAR),
)


@called
def open_session(
    books: Books, index: Index, out: Out, job: Int64s, subscriber: int, key_high: int, key_low: int,
    caller_key: int, door: int, peer: int, request: int, instant_ms: int, offset: int, length: int,
) -> int:  # fmt: skip
    """A row for a session that begins; 0 when the table is full. Its text has at most LONGEST_TEXT bytes.

    A row that the batch at hand made free is left alone: notices of the batch still speak of the session it had.
    """
    meta = books.meta[0]
    row = int(meta["free_session"])
    fresh = int(meta["sessions"]) < books.session.shape[0]
    if row != 0 and not (fresh and is_touched(out, T_SESSION, row)):
        meta["free_session"] = books.session[row]["next"]
    else:
        row = int(meta["sessions"])
        if row >= books.session.shape[0]:
            return 0
        meta["sessions"] = row + 1
    policy = index.default_policy[0]
    session = books.session[row]
    session["key_high"] = key_high
    session["key_low"] = key_low
    session["opened_ms"] = instant_ms
    session["money_nanos"] = 0
    session["caller_key"] = caller_key
    session["subscriber"] = subscriber
    session["peer"] = peer
    session["first_group"] = 0
    session["groups"] = 0
    session["last_request"] = request
    session["door"] = door
    session["state"] = 1
    session["wanting"] = 0
    session["previous"] = 0
    session["deadline_ms"] = meta["now_ms"] + 1000 * (int(policy["validity_seconds"]) + int(policy["grace_seconds"]))
    follows = int(books.subscriber[subscriber]["first_session"])
    session["next"] = follows
    if follows != 0:
        books.session[follows]["previous"] = row
        touch(out, T_SESSION, follows)
    books.subscriber[subscriber]["first_session"] = row
    chain(index.session_head, index.session_chain, mixed(key_low), row)
    text = books.session_text[row]
    text["length"] = length
    for place in range(length):
        text["text"][place] = out.text[offset + place]
    for place in range(length, LONGEST_TEXT):
        text["text"][place] = 0
    meta["next_deadline_ms"] = min(int(meta["next_deadline_ms"]), int(session["deadline_ms"]))
    meta["open_sessions"] += 1
    touch(out, T_SUBSCRIBER, subscriber)
    touch(out, T_SESSION, row)
    touch(out, T_SESSION_TEXT, row)
    touch(out, T_META, 0)
    return row


@called
def new_group(books: Books, out: Out, session: int, group: int, service_id: int) -> int:
    """A row for one more rating group of a session; 0 when there is no room."""
    meta = books.meta[0]
    if books.session[session]["groups"] >= MOST_GROUPS:
        return 0
    row = int(meta["free_group"])
    if row != 0:
        meta["free_group"] = books.group[row]["next"]
    else:
        row = int(meta["groups"])
        if row >= books.group.shape[0]:
            return 0
        meta["groups"] = row + 1
    usage = books.group[row]
    usage["session"] = session
    usage["next"] = books.session[session]["first_group"]
    usage["group"] = group
    usage["service_id"] = service_id
    usage["segment"] = 0
    for place in range(6):
        usage["totals"][place] = 0
    books.session[session]["first_group"] = row
    books.session[session]["groups"] += 1
    touch(out, T_GROUP, row)
    touch(out, T_META, 0)
    return row


@called
def close_group(
    books: Books, index: Index, out: Out, state: State, work: Work, session: int, group: int, ended_ms: int
) -> None:
    """The price of the group's usage is final; what it held goes back, its row is free."""
    subscriber = int(books.session[session]["subscriber"])
    lift(books, index, out, state, subscriber, group, work.kept)
    lower(books, index, out, state, subscriber, group)
    close_segment(books, index, out, state, work, subscriber, group, ended_ms)
    at = int(books.session[session]["first_group"])
    before = 0
    while at != group:
        before = at
        at = int(books.group[at]["next"])
    if before == 0:
        books.session[session]["first_group"] = books.group[group]["next"]
    else:
        books.group[before]["next"] = books.group[group]["next"]
        touch(out, T_GROUP, before)
    books.session[session]["groups"] -= 1
    usage = books.group[group]
    usage["session"] = 0
    usage["next"] = books.meta[0]["free_group"]
    books.meta[0]["free_group"] = group
    touch(out, T_GROUP, group)
    touch(out, T_SESSION, session)
    touch(out, T_META, 0)


@called
def close_session(books: Books, index: Index, out: Out, state: State, work: Work, session: int, ended_ms: int) -> None:
    """Close what is still open of a session, and the session."""
    while books.session[session]["first_group"] != 0:
        close_group(books, index, out, state, work, session, int(books.session[session]["first_group"]), ended_ms)
    row = books.session[session]
    unchain(index.session_head, index.session_chain, mixed(int(row["key_low"])), session)
    before = int(row["previous"])
    after = int(row["next"])
    if before == 0:
        books.subscriber[int(row["subscriber"])]["first_session"] = after
        touch(out, T_SUBSCRIBER, int(row["subscriber"]))
    else:
        books.session[before]["next"] = after
        touch(out, T_SESSION, before)
    if after != 0:
        books.session[after]["previous"] = before
        touch(out, T_SESSION, after)
    row["state"] = 0
    row["previous"] = 0
    _free_session(books, out, session)
    books.meta[0]["open_sessions"] -= 1
    touch(out, T_SESSION, session)
    touch(out, T_META, 0)


@spliced
def _free_session(books: Books, out: Out, session: int) -> None:
    """The row that is free for the longest time is used first."""
    meta = books.meta[0]
    last = int(meta["last_free_session"])
    if meta["free_session"] == 0 or last == 0:
        books.session[session]["next"] = meta["free_session"]
        meta["free_session"] = session
    else:
        books.session[session]["next"] = 0
        books.session[last]["next"] = session
        touch(out, T_SESSION, last)
    meta["last_free_session"] = session


@spliced
def keep_alive(books: Books, out: Out, session: int) -> None:
    """A session is due when the first of its groups is."""
    row = books.session[session]
    group = int(row["first_group"])
    if group == 0:
        return
    deadline = NEVER
    while group != 0:
        deadline = min(deadline, int(books.group[group]["deadline_ms"]))
        group = int(books.group[group]["next"])
    row["deadline_ms"] = deadline
    if deadline < books.meta[0]["next_deadline_ms"]:
        books.meta[0]["next_deadline_ms"] = deadline
        touch(out, T_META, 0)


@called
def tell_sessions(books: Books, out: Out, job: Int64s, scope: int, owner: int, kind: int, every: bool) -> None:
    """Tell the doors of an owner's sessions: all of them, or those that wait for more."""
    member = first_member(books, scope, owner)
    while member != 0:
        session = int(books.subscriber[member]["first_session"])
        while session != 0:
            if every or books.session[session]["wanting"]:
                account = int(books.subscriber[member]["account"])
                note_notice(books, out, job, kind, member, account, 0, session, 0, 0)
                if books.session[session]["wanting"] and kind == _REAUTHORISE:
                    books.session[session]["wanting"] = 0
                    touch(out, T_SESSION, session)
            session = int(books.session[session]["next"])
        member = next_member(books, scope, member)


@called
def reauthorise(books: Books, out: Out, job: Int64s, scope: int, owner: int, every: bool) -> None:
    tell_sessions(books, out, job, scope, owner, _REAUTHORISE, every)


@called
def abort(books: Books, out: Out, job: Int64s, scope: int, owner: int) -> None:
    tell_sessions(books, out, job, scope, owner, _ABORT, True)


@called
def end_by_command(
    books: Books, index: Index, out: Out, state: State, work: Work, key_high: int, key_low: int, ended_ms: int
) -> int:
    """END and CLOSE. Returns the session's row, which is free by then; 0 where there is none."""
    session = find_session(books, index, key_high, key_low)
    if session != 0:
        close_session(books, index, out, state, work, session, ended_ms)
    return session


@called
def close_of_peer(books: Books, out: Out, door: int, peer: int) -> None:
    """All sessions of a peer that lost them are overdue from now on: the next TICK closes them, so many at a time."""
    now_ms = int(books.meta[0]["now_ms"])
    for session in range(1, int(books.meta[0]["sessions"])):
        row = books.session[session]
        if row["state"] == 0 or row["peer"] != peer or row["door"] != door:
            continue
        group = int(row["first_group"])
        while group != 0:
            books.group[group]["deadline_ms"] = now_ms
            touch(out, T_GROUP, group)
            group = int(books.group[group]["next"])
        row["deadline_ms"] = now_ms
        touch(out, T_SESSION, session)
        books.meta[0]["next_deadline_ms"] = min(int(books.meta[0]["next_deadline_ms"]), now_ms)
    touch(out, T_META, 0)


@spliced
def has_room(out: Out) -> bool:
    return (
        out.counts[OUT_MOVEMENTS] + MARGIN < out.movement.shape[0]
        and out.counts[OUT_CHARGES] + MARGIN < out.charge.shape[0]
        and out.counts[OUT_NOTICES] + MARGIN < out.notice.shape[0]
    )


@called
def tick(books: Books, index: Index, out: Out, state: State, work: Work) -> None:
    """End what is due by now: buckets, then sessions. What finds no room waits for the next TICK."""
    now_ms = int(books.meta[0]["now_ms"])
    if now_ms >= books.meta[0]["next_expiry_ms"]:
        _expire(books, index, out, state, work, now_ms)
    if now_ms >= books.meta[0]["next_deadline_ms"]:
        _sweep(books, index, out, state, work, now_ms)
    touch(out, T_META, 0)


@spliced
def _expire(books: Books, index: Index, out: Out, state: State, work: Work, now_ms: int) -> None:
    earliest = NEVER
    ended = 0
    for bucket in range(1, int(books.meta[0]["buckets"])):
        row = books.bucket[bucket]
        if row["state"] == BUCKET_ENDED and row["users"] == 0 and has_room(out):
            release_bucket(books, index, out, state, work.job, bucket)
        if row["state"] != BUCKET_LIVE:
            continue
        until_ms = int(row["valid_until_ms"])
        if until_ms > now_ms:
            near = near_ms(books, bucket)
            if near > now_ms:
                earliest = min(earliest, until_ms, near)
            elif ended >= AT_ONCE or not has_room(out):
                earliest = now_ms
            else:
                ended += _warn_of_end(books, out, work.job, bucket)
                earliest = min(earliest, until_ms)
        elif ended >= AT_ONCE or not has_room(out):
            earliest = now_ms
        else:
            ended += 1
            scope = int(row["scope"])
            owner = int(row["owner"])
            subscriber = owner if scope == 0 else 0
            account = owner if scope == 1 else int(books.subscriber[subscriber]["account"])
            if row["free"] > 0 and row["kind"] != CREDIT:
                note_notice(books, out, work.job, _EXPIRED, subscriber, account, bucket, 0, 0, int(row["free"]))
            status_ends(books, out, work.job, bucket)
            end_bucket(books, index, out, state, work.job, bucket, CAUSE_EXPIRED)
    books.meta[0]["next_expiry_ms"] = earliest


@called
def _warn_of_end(books: Books, out: Out, job: Int64s, bucket: int) -> int:
    """A bucket that ends soon is told of if something is left, once for each end that it has. How many were told."""
    row = books.bucket[bucket]
    row["told"] = int(row["told"]) | EXPIRY_TOLD
    touch(out, T_BUCKET, bucket)
    left = int(row["free"]) + int(row["reserved"])
    if left <= 0:
        return 0
    scope = int(row["scope"])
    owner = int(row["owner"])
    subscriber = owner if scope == 0 else 0
    account = owner if scope == 1 else int(books.subscriber[subscriber]["account"])
    note_notice(books, out, job, _EXPIRY_NEAR, subscriber, account, bucket, 0, 0, left)
    return 1


@spliced
def _sweep(books: Books, index: Index, out: Out, state: State, work: Work, now_ms: int) -> None:
    earliest = NEVER
    swept = 0
    for session in range(1, int(books.meta[0]["sessions"])):
        row = books.session[session]
        if row["state"] == 0:
            continue
        if row["deadline_ms"] > now_ms:
            earliest = min(earliest, int(row["deadline_ms"]))
        elif swept >= AT_ONCE or not has_room(out):
            earliest = now_ms
        else:
            swept += 1
            subscriber = int(row["subscriber"])
            account = int(books.subscriber[subscriber]["account"])
            group = int(row["first_group"])
            while group != 0:
                following = int(books.group[group]["next"])
                if books.group[group]["deadline_ms"] <= now_ms:
                    close_group(books, index, out, state, work, session, group, now_ms)
                group = following
            note_notice(books, out, work.job, _SWEPT, subscriber, account, 0, session, 0, int(row["money_nanos"]))
            if row["first_group"] == 0:
                close_session(books, index, out, state, work, session, now_ms)
            else:
                keep_alive(books, out, session)
                earliest = min(earliest, int(row["deadline_ms"]))
    books.meta[0]["next_deadline_ms"] = earliest


@called
def restart_segments(books: Books, index: Index, out: Out, state: State, work: Work, subscriber: int) -> None:
    """Whoever pays, or the pool, is about to change: what comes belongs to the new owner.

    A slice that is granted stays held where it is held until its usage is reported or its session is swept. Where
    nothing is granted, what was used so far is final.
    """
    session = int(books.subscriber[subscriber]["first_session"])
    now_ms = int(books.meta[0]["now_ms"])
    while session != 0:
        group = int(books.session[session]["first_group"])
        while group != 0:
            usage = books.group[group]
            if usage["left"] == 0 and usage["granted_units"] > 0:
                leave_segment(books, out, subscriber, group)
            elif usage["left"] == 0:
                close_segment(books, index, out, state, work, subscriber, group, now_ms)
                begin_segment(books, out, group, now_ms)
            group = int(usage["next"])
        session = int(books.session[session]["next"])


@called
def old_cycles(books: Books, index: Index, out: Out, state: State, subscriber: int, every: bool) -> None:
    """A cycle of a subscription begins: its groups stay with the old one. Not `every`: but for those that moved."""
    session = int(books.subscriber[subscriber]["first_session"])
    while session != 0:
        group = int(books.session[session]["first_group"])
        while group != 0:
            if every or books.group[group]["left"] == 0:
                _old_cycle(books, index, out, state, group)
            group = int(books.group[group]["next"])
        session = int(books.session[session]["next"])


@called
def old_cycles_of_left(books: Books, index: Index, out: Out, state: State, scope: int, owner: int) -> None:
    """A cycle of an account or a pool begins: so do the groups stay that its former subscriptions left there."""
    group = int(books.meta[0]["first_left"])
    while group != 0:
        usage = books.group[group]
        if (scope == ACCOUNT and usage["account"] == owner) or (scope == POOL and usage["pool"] == owner):
            _old_cycle(books, index, out, state, group)
        group = int(usage["next_left"])


@called
def _old_cycle(books: Books, index: Index, out: Out, state: State, group: int) -> None:
    """What is still going on is counted with the cycle in which it began."""
    usage = books.group[group]
    if usage["old_cycle"] != 0:
        return
    for place in range(COUNTERS):
        counter = int(usage["counter"][place])
        if counter == 0:
            continue
        units = index.counter_place[counter]
        held = int(usage["counter_held"][place])
        state.counter_units[units] -= held
        books.counter[counter]["units"] = state.counter_units[units]
        touch(out, T_COUNTER, counter)
        usage["counter_settled"][place] = state.counter_units[units] - int(usage["counter_settled"][place])
        usage["counter_held"][place] = 0
        usage["old_cycle"] = 1
    touch(out, T_GROUP, group)
