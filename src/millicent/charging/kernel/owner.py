"""Who owns which bucket: lists of an owner, and the candidates of every subscription in the order they are tried."""

from millicent.charging.kernel.chain import drop_member, member_of, member_row, mixed, touch, unchain
from millicent.charging.kernel.layout import (
    BUCKET_ENDED,
    BUCKET_UNUSED,
    FACT_PER_MEMBER,
    NEED_MEMBERS,
    NEED_NOTHING,
    NEED_STRIDE,
    T_ACCOUNT,
    T_BUCKET,
    T_MEMBER,
    T_META,
    T_POOL,
    T_SUBSCRIBER,
    Books,
    Index,
    Out,
)
from millicent.charging.kernel.record import CREDIT, MONEY, note_movement
from millicent.charging.kernel.splice import called, spliced
from millicent.kit.kernels import Int64s
from millicent.rating.kernel.arrays import State

CAUSE_EXPIRED, CAUSE_GRANTED, CAUSE_LIMIT, CAUSE_TOP_UP, CAUSE_ADJUSTED, CAUSE_TRANSFER = range(6)
SUBSCRIPTION, ACCOUNT, POOL = 0, 1, 2  # scopes


@spliced
def first_member(books: Books, scope: int, owner: int) -> int:
    """The first subscription that may draw on what an owner has."""
    if scope == SUBSCRIPTION:
        return owner
    if scope == ACCOUNT:
        return int(books.account[owner]["first_subscriber"])
    return int(books.pool[owner]["first_subscriber"])


@spliced
def next_member(books: Books, scope: int, subscriber: int) -> int:
    if scope == SUBSCRIPTION:
        return 0
    if scope == ACCOUNT:
        return int(books.subscriber[subscriber]["next_in_account"])
    return int(books.subscriber[subscriber]["next_in_pool"])


@spliced
def comes_before(books: Books, left: int, right: int) -> bool:
    """Order of candidates: most specific, priority, earliest expiry, oldest, number."""
    one = books.bucket[left]
    other = books.bucket[right]
    if one["specificity"] != other["specificity"]:
        return one["specificity"] < other["specificity"]
    if one["rank"] != other["rank"]:
        return one["rank"] < other["rank"]
    if one["valid_until_ms"] != other["valid_until_ms"]:
        return one["valid_until_ms"] < other["valid_until_ms"]
    if one["granted_at_ms"] != other["granted_at_ms"]:
        return one["granted_at_ms"] < other["granted_at_ms"]
    return one["bucket_id"] < other["bucket_id"]


@spliced
def pays_before(books: Books, left: int, right: int) -> bool:
    """Order of money: credit last, higher priority, earliest expiry, oldest, number."""
    one = books.bucket[left]
    other = books.bucket[right]
    if one["kind"] != other["kind"]:
        return one["kind"] < other["kind"]
    if one["priority"] != other["priority"]:
        return one["priority"] > other["priority"]
    if one["valid_until_ms"] != other["valid_until_ms"]:
        return one["valid_until_ms"] < other["valid_until_ms"]
    if one["granted_at_ms"] != other["granted_at_ms"]:
        return one["granted_at_ms"] < other["granted_at_ms"]
    return one["bucket_id"] < other["bucket_id"]


@spliced
def slots_used(index: Index, state: State, subscriber: int) -> int:
    first = subscriber * index.stride[0]
    used = 0
    while used < index.stride[0] and state.candidate_bucket[first + used] != 0:
        used += 1
    return used


@spliced
def insert_candidate(books: Books, index: Index, state: State, subscriber: int, bucket: int, member: int) -> None:
    """Put a bucket where it belongs among the subscription's candidates; there is a slot for it."""
    first = subscriber * index.stride[0]
    place = first + slots_used(index, state, subscriber)
    while place > first and comes_before(books, bucket, int(state.candidate_bucket[place - 1])):
        state.candidate_bucket[place] = state.candidate_bucket[place - 1]
        state.candidate_taken[place] = state.candidate_taken[place - 1]
        index.candidate_member[place] = index.candidate_member[place - 1]
        place -= 1
    state.candidate_bucket[place] = bucket
    state.candidate_taken[place] = books.member[member]["taken"]
    index.candidate_member[place] = member


@spliced
def remove_candidate(index: Index, state: State, subscriber: int, bucket: int) -> None:
    first = subscriber * index.stride[0]
    last = first + index.stride[0] - 1
    for place in range(first, last + 1):
        if state.candidate_bucket[place] == bucket:
            for at in range(place, last):
                state.candidate_bucket[at] = state.candidate_bucket[at + 1]
                state.candidate_taken[at] = state.candidate_taken[at + 1]
                index.candidate_member[at] = index.candidate_member[at + 1]
            state.candidate_bucket[last] = 0
            state.candidate_taken[last] = 0
            index.candidate_member[last] = 0
            return


@spliced
def new_member(books: Books, out: Out, subscriber: int, bucket: int) -> int:
    """A row that counts what a subscription takes of a bucket; there is room for it."""
    meta = books.meta[0]
    row = member_row(books, subscriber, bucket)
    if row != 0:  # of a bucket that was gone before: the subscription had left its owner
        books.member[row]["taken"] = 0
        books.member[row]["bucket_id"] = books.bucket[bucket]["bucket_id"]
        touch(out, T_MEMBER, row)
        return row
    row = int(meta["free_member"])
    if row != 0:
        meta["free_member"] = books.member[row]["next"]
    else:
        row = int(meta["members"])
        meta["members"] = row + 1
    member = books.member[row]
    member["taken"] = 0
    member["bucket_id"] = books.bucket[bucket]["bucket_id"]
    member["subscriber"] = subscriber
    member["bucket"] = bucket
    member["next"] = books.subscriber[subscriber]["first_member"]
    books.subscriber[subscriber]["first_member"] = row
    touch(out, T_MEMBER, row)
    touch(out, T_SUBSCRIBER, subscriber)
    touch(out, T_META, 0)
    return row


@called
def admit(books: Books, index: Index, out: Out, state: State, subscriber: int, bucket: int) -> None:
    """From now on a subscription may draw on a bucket. What it took of it before still counts."""
    member = 0
    if books.bucket[bucket]["per_member"]:
        member = member_of(books, subscriber, bucket)
        if member == 0:
            member = new_member(books, out, subscriber, bucket)
    insert_candidate(books, index, state, subscriber, bucket, member)


@spliced
def room_for(books: Books, index: Index, state: State, scope: int, owner: int) -> int:
    """Whether every member has a slot for one more bucket, and there are rows to count by."""
    members = 0
    member = first_member(books, scope, owner)
    while member != 0:
        if slots_used(index, state, member) == index.stride[0]:
            return NEED_STRIDE
        members += 1
        member = next_member(books, scope, member)
    if members > books.member.shape[0] - books.meta[0]["members"]:
        return NEED_MEMBERS
    return NEED_NOTHING


@spliced
def first_bucket(books: Books, scope: int, owner: int) -> int:
    if scope == SUBSCRIPTION:
        return int(books.subscriber[owner]["first_bucket"])
    if scope == ACCOUNT:
        return int(books.account[owner]["first_bucket"])
    return int(books.pool[owner]["first_bucket"])


@spliced
def set_first_bucket(books: Books, out: Out, scope: int, owner: int, bucket: int) -> None:
    if scope == SUBSCRIPTION:
        books.subscriber[owner]["first_bucket"] = bucket
        touch(out, T_SUBSCRIBER, owner)
    elif scope == ACCOUNT:
        books.account[owner]["first_bucket"] = bucket
        touch(out, T_ACCOUNT, owner)
    else:
        books.pool[owner]["first_bucket"] = bucket
        touch(out, T_POOL, owner)


@called
def link_units(books: Books, index: Index, out: Out, state: State, bucket: int) -> None:
    """A bucket of an allowance joins its owner's, and the candidates of everybody who may draw on it."""
    row = books.bucket[bucket]
    scope = int(row["scope"])
    owner = int(row["owner"])
    row["next"] = first_bucket(books, scope, owner)
    set_first_bucket(books, out, scope, owner, bucket)
    member = first_member(books, scope, owner)
    while member != 0:
        admit(books, index, out, state, member, bucket)
        member = next_member(books, scope, member)


@called
def link_money(books: Books, out: Out, bucket: int) -> None:
    """A bucket of money takes its place in the order in which the account pays."""
    row = books.bucket[bucket]
    account = books.account[int(row["owner"])]
    at = int(account["first_money"])
    before = 0
    while at != 0 and pays_before(books, at, bucket):
        before = at
        at = int(books.bucket[at]["next"])
    row["next"] = at
    if before == 0:
        account["first_money"] = bucket
        touch(out, T_ACCOUNT, int(row["owner"]))
    else:
        books.bucket[before]["next"] = bucket
        touch(out, T_BUCKET, before)
    touch(out, T_BUCKET, bucket)


@called
def unlink_money(books: Books, out: Out, bucket: int) -> None:
    row = books.bucket[bucket]
    account = books.account[int(row["owner"])]
    before = 0
    at = int(account["first_money"])
    while at != bucket:
        before = at
        at = int(books.bucket[at]["next"])
    if before == 0:
        account["first_money"] = row["next"]
        touch(out, T_ACCOUNT, int(row["owner"]))
    else:
        books.bucket[before]["next"] = row["next"]
        touch(out, T_BUCKET, before)


@spliced
def unlink_units(books: Books, index: Index, out: Out, state: State, bucket: int) -> None:
    row = books.bucket[bucket]
    scope = int(row["scope"])
    owner = int(row["owner"])
    at = first_bucket(books, scope, owner)
    before = 0
    while at != bucket:
        before = at
        at = int(books.bucket[at]["next"])
    if before == 0:
        set_first_bucket(books, out, scope, owner, int(row["next"]))
    else:
        books.bucket[before]["next"] = row["next"]
        touch(out, T_BUCKET, before)
    member = first_member(books, scope, owner)
    while member != 0:
        remove_candidate(index, state, member, bucket)
        drop_member(books, out, member, bucket)
        member = next_member(books, scope, member)


@called
def release_bucket(books: Books, index: Index, out: Out, state: State, job: Int64s, bucket: int) -> None:
    """A bucket that ended and that no segment refers to any more: what came back to it is lost, its row is free."""
    row = books.bucket[bucket]
    if row["state"] != BUCKET_ENDED or row["users"] != 0 or row["reserved"] != 0:
        return
    if row["free"] != 0:
        note_movement(books, out, job, bucket, -int(row["free"]), 0, CAUSE_EXPIRED)
    if row["kind"] >= MONEY:
        unlink_money(books, out, bucket)
    else:
        unlink_units(books, index, out, state, bucket)
    unchain(index.bucket_head, index.bucket_chain, mixed(int(row["bucket_id"])), bucket)
    for program in range(index.bucket_allowance.shape[0]):
        index.bucket_allowance[program, bucket] = -1
    row["free"] = 0
    row["state"] = BUCKET_UNUSED
    row["owner"] = 0
    row["next"] = books.meta[0]["free_bucket"]
    books.meta[0]["free_bucket"] = bucket
    touch(out, T_BUCKET, bucket)
    touch(out, T_META, 0)


@called
def end_bucket(books: Books, index: Index, out: Out, state: State, job: Int64s, bucket: int, cause: int) -> int:
    """What is free of a bucket is lost; what is reserved stays until its usage is reported. Returns what was lost."""
    row = books.bucket[bucket]
    lost = max(0, int(row["free"])) if row["kind"] != CREDIT else int(row["free"])
    row["state"] = BUCKET_ENDED
    if lost != 0:
        row["free"] -= lost
        note_movement(books, out, job, bucket, -lost, int(row["free"]) + int(row["reserved"]), cause)
    touch(out, T_BUCKET, bucket)
    owner = int(row["owner"])
    mark_change(books, out, int(row["scope"]), owner)
    release_bucket(books, index, out, state, job, bucket)
    return lost


@spliced
def mark_change(books: Books, out: Out, scope: int, owner: int) -> None:
    """Segments that began before this moment end at their next report."""
    change = int(books.meta[0]["change"]) + 1
    books.meta[0]["change"] = change
    touch(out, T_META, 0)
    if scope == SUBSCRIPTION:
        books.subscriber[owner]["change"] = change
        touch(out, T_SUBSCRIBER, owner)
    elif scope == ACCOUNT:
        books.account[owner]["change"] = change
        touch(out, T_ACCOUNT, owner)
    else:
        books.pool[owner]["change"] = change
        touch(out, T_POOL, owner)


@spliced
def per_member_of(index: Index, name: int, scope: int) -> int:
    if scope != SUBSCRIPTION:
        return 1
    if name < index.allowance_fact.shape[0]:
        return int(index.allowance_fact[name, FACT_PER_MEMBER])
    return 0
