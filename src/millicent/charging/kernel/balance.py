"""Verbs that change balances: top-ups, grants, limits, corrections. None of them needs a price."""

from millicent.charging.kernel.chain import chain, find_account, find_bucket, find_subscription, mixed, touch
from millicent.charging.kernel.layout import (
    BUCKET_LIVE,
    FACT_MONEY,
    FACT_RANK,
    FACT_SPECIFICITY,
    J_ACCOUNT,
    J_CHARGED,
    J_COMMAND,
    J_INSTANT,
    J_NEED,
    NEED_NOTHING,
    T_ACCOUNT,
    T_META,
    Books,
    Index,
    Out,
    Work,
)
from millicent.charging.kernel.owner import (
    ACCOUNT,
    CAUSE_ADJUSTED,
    CAUSE_EXPIRED,
    CAUSE_GRANTED,
    CAUSE_LIMIT,
    CAUSE_TOP_UP,
    CAUSE_TRANSFER,
    POOL,
    SUBSCRIPTION,
    end_bucket,
    link_money,
    link_units,
    mark_change,
    per_member_of,
    room_for,
    unlink_money,
)
from millicent.charging.kernel.purse import balance_of, is_valid
from millicent.charging.kernel.record import CATALOGUE_MONEY, CREDIT, MONEY, UNITS, note_movement
from millicent.charging.kernel.session import reauthorise
from millicent.charging.kernel.splice import called, spliced
from millicent.charging.kernel.status import expect_end, note_status, review_bucket, status_ends, watch_bucket
from millicent.charging.types import NO_LIMIT, Flag, Result, Rows, Verb
from millicent.rating.kernel.arrays import AMOUNT_LIMIT, NEVER, State

_DONE, _UNKNOWN_ACCOUNT, _UNKNOWN_BUCKET = int(Result.DONE), int(Result.UNKNOWN_ACCOUNT), int(Result.UNKNOWN_BUCKET)
_UNKNOWN_SUBSCRIBER, _INSUFFICIENT = int(Result.UNKNOWN_SUBSCRIBER), int(Result.INSUFFICIENT)
_INVALID, _FULL, _ALREADY = int(Result.INVALID), int(Result.FULL), int(Result.ALREADY)
_CURRENCY_DIFFERS = int(Result.CURRENCY_DIFFERS)
_FORCED = int(Flag.FORCED)
_TOP_UP, _ADJUST, _TRANSFER, _GRANT, _EXPIRE, _CREDIT = (
    int(Verb.TOP_UP),
    int(Verb.ADJUST),
    int(Verb.TRANSFER),
    int(Verb.GRANT),
    int(Verb.EXPIRE),
    int(Verb.CREDIT),
)


@called
def new_bucket(
    books: Books, index: Index, out: Out, bucket_id: int, kind: int, scope: int, owner: int, now_ms: int,
    from_ms: int, until_ms: int,
) -> int:  # fmt: skip
    """A row for a bucket of nothing; 0 when there is no room. The caller links it to its owner."""
    meta = books.meta[0]
    row = int(meta["free_bucket"])
    if row != 0:
        meta["free_bucket"] = books.bucket[row]["next"]
    else:
        row = int(meta["buckets"])
        if row >= books.bucket.shape[0]:
            return 0
        meta["buckets"] = row + 1
    bucket = books.bucket[row]
    bucket["bucket_id"] = bucket_id
    bucket["free"] = 0
    bucket["reserved"] = 0
    bucket["opened"] = 0
    bucket["valid_from_ms"] = max(0, from_ms)
    bucket["valid_until_ms"] = until_ms if until_ms > 0 else NEVER
    bucket["granted_at_ms"] = now_ms
    bucket["owner"] = owner
    bucket["allowance"] = -1
    bucket["next"] = 0
    bucket["users"] = 0
    bucket["priority"] = 0
    bucket["specificity"] = 0
    bucket["rank"] = 0
    bucket["kind"] = kind
    bucket["scope"] = scope
    bucket["state"] = BUCKET_LIVE
    bucket["told"] = 0
    bucket["entered"] = 0
    bucket["watch"] = 0
    bucket["per_member"] = 0
    for program in range(index.bucket_allowance.shape[0]):
        index.bucket_allowance[program, row] = -1
    chain(index.bucket_head, index.bucket_chain, mixed(bucket_id), row)
    meta["next_expiry_ms"] = min(int(meta["next_expiry_ms"]), int(bucket["valid_until_ms"]))
    expect_end(books, out, row)
    touch(out, T_META, 0)
    return row


@called
def add_to(books: Books, out: Out, work: Work, bucket: int, change: int, cause: int) -> None:
    row = books.bucket[bucket]
    row["free"] += change
    note_movement(books, out, work.job, bucket, change, int(row["free"]) + int(row["reserved"]), cause)
    review_bucket(books, out, work.job, bucket, int(row["free"]) + int(row["reserved"]))


@spliced
def out_of_bounds(books: Books, bucket: int, change: int) -> bool:
    """Whether a bucket would hold more than an amount may be."""
    row = books.bucket[bucket]
    return abs(change) > AMOUNT_LIMIT or int(row["free"]) + int(row["reserved"]) + change > AMOUNT_LIMIT


@called
def money_came(books: Books, out: Out, work: Work, account: int) -> None:
    """Thresholds may be told again, and sessions that wait for money hear of it."""
    work.job[J_ACCOUNT] = account
    owner = books.account[account]
    if owner["told"] != 0 and balance_of(books, account) >= owner["low_nanos"]:
        owner["told"] = 0
        touch(out, T_ACCOUNT, account)
    reauthorise(books, out, work.job, ACCOUNT, account, False)


@called
def top_up(books: Books, index: Index, out: Out, work: Work, command: Rows) -> int:
    """Add a bucket of money, or to the one of the same number."""
    asked = command[work.job[J_COMMAND]]
    account = find_account(books, index, int(asked["account_id"]))
    amount = int(asked["amount"])
    if account == 0:
        return _UNKNOWN_ACCOUNT
    if amount <= 0 or amount > AMOUNT_LIMIT or asked["bucket_id"] < 0:
        return _INVALID
    bucket = receiving_bucket(books, index, out, work, command, account, int(asked["bucket_id"]))
    if bucket < 0:
        return -bucket
    if out_of_bounds(books, bucket, amount):
        return _INVALID
    cause = int(asked["other_name"]) if asked["other_name"] >= 0 else CAUSE_TOP_UP
    books.bucket[bucket]["opened"] += amount
    add_to(books, out, work, bucket, amount, cause)
    money_came(books, out, work, account)
    return _DONE


@called
def receiving_bucket(
    books: Books, index: Index, out: Out, work: Work, command: Rows, account: int, bucket_id: int
) -> int:
    """The bucket of money that an account is to receive into, opened when new; below zero a Result."""
    asked = command[work.job[J_COMMAND]]
    bucket = find_bucket(books, index, bucket_id)
    if bucket == 0:
        bucket = new_bucket(
            books, index, out, bucket_id, MONEY, ACCOUNT, account, work.job[J_INSTANT],
            int(asked["from_ms"]), int(asked["until_ms"]),
        )  # fmt: skip
        if bucket == 0:
            return -_FULL
        books.bucket[bucket]["priority"] = asked["priority"]
        link_money(books, out, bucket)
        return bucket
    row = books.bucket[bucket]
    if row["kind"] != MONEY or row["owner"] != account or row["state"] != BUCKET_LIVE:
        return -_ALREADY
    if asked["until_ms"] > row["valid_until_ms"]:  # a top-up never makes what is there end earlier
        unlink_money(books, out, bucket)
        row["valid_until_ms"] = asked["until_ms"]
        link_money(books, out, bucket)
        expect_end(books, out, bucket)
    return bucket


@called
def adjust(books: Books, index: Index, out: Out, work: Work, command: Rows) -> int:
    """Change a bucket, never below its floor unless somebody else agreed."""
    asked = command[work.job[J_COMMAND]]
    bucket = find_bucket(books, index, int(asked["bucket_id"]))
    change = int(asked["amount"])
    if bucket == 0 or books.bucket[bucket]["state"] != BUCKET_LIVE:
        return _UNKNOWN_BUCKET
    row = books.bucket[bucket]
    if change == 0 or out_of_bounds(books, bucket, change):
        return _INVALID
    if change < 0 and int(row["free"]) + change < 0 and (asked["flags"] & _FORCED) == 0:
        return _INSUFFICIENT
    cause = int(asked["other_name"]) if asked["other_name"] >= 0 else CAUSE_ADJUSTED
    add_to(books, out, work, bucket, change, cause)
    scope = int(row["scope"])
    if change > 0 and row["kind"] >= MONEY:
        money_came(books, out, work, int(row["owner"]))
    elif change > 0:
        reauthorise(books, out, work.job, scope, int(row["owner"]), False)
    return _DONE


@called
def transfer(books: Books, index: Index, out: Out, work: Work, command: Rows) -> int:
    """Move money, not credit, from one account to another's bucket; all of it or nothing."""
    asked = command[work.job[J_COMMAND]]
    giver = find_account(books, index, int(asked["account_id"]))
    taker = find_account(books, index, int(asked["other_account_id"]))
    amount = int(asked["amount"])
    if giver == 0 or taker == 0:
        return _UNKNOWN_ACCOUNT
    if amount <= 0 or amount > AMOUNT_LIMIT or giver == taker or asked["bucket_id"] < 0:
        return _INVALID
    if books.account[giver]["currency"] != books.account[taker]["currency"]:
        return _CURRENCY_DIFFERS
    now_ms = int(books.meta[0]["now_ms"])
    there = 0
    bucket = int(books.account[giver]["first_money"])
    while bucket != 0:
        if books.bucket[bucket]["kind"] == MONEY and is_valid(books, bucket, now_ms):
            there = min(NO_LIMIT, there + max(0, int(books.bucket[bucket]["free"])))
        bucket = int(books.bucket[bucket]["next"])
    if there < amount:
        return _INSUFFICIENT
    receives = receiving_bucket(books, index, out, work, command, taker, int(asked["bucket_id"]))
    if receives < 0:
        return -receives
    if out_of_bounds(books, receives, amount):
        return _INVALID
    cause = int(asked["other_name"]) if asked["other_name"] >= 0 else CAUSE_TRANSFER
    left = amount
    bucket = int(books.account[giver]["first_money"])
    while bucket != 0 and left > 0:
        if books.bucket[bucket]["kind"] == MONEY and is_valid(books, bucket, now_ms):
            gives = min(left, max(0, int(books.bucket[bucket]["free"])))
            left -= gives
            add_to(books, out, work, bucket, -gives, cause)
        bucket = int(books.bucket[bucket]["next"])
    books.bucket[receives]["opened"] += amount
    add_to(books, out, work, receives, amount, cause)
    work.job[J_CHARGED] = amount
    money_came(books, out, work, taker)
    return _DONE


@spliced
def owner_of_grant(books: Books, index: Index, command: Rows, row: int) -> int:
    """The row of whoever is to own a bucket of an allowance; below zero a Result."""
    asked = command[row]
    scope = int(asked["scope"])
    if scope == SUBSCRIPTION:
        owner = find_subscription(books, index, int(asked["subscription_id"]))
        return owner if owner > 0 else -_UNKNOWN_SUBSCRIBER
    if scope == ACCOUNT:
        owner = find_account(books, index, int(asked["account_id"]))
        return owner if owner > 0 else -_UNKNOWN_ACCOUNT
    if scope == POOL and 0 <= asked["other_name"] < books.pool.shape[0] - 1:
        return int(asked["other_name"]) + 1
    return -_INVALID


@called
def grant(books: Books, index: Index, out: Out, state: State, work: Work, command: Rows) -> int:
    """Open a bucket of an allowance. The same number a second time is ALREADY."""
    asked = command[work.job[J_COMMAND]]
    amount = int(asked["amount"])
    name = int(asked["name"])
    if name < 0 or name >= index.allowance_fact.shape[0] or abs(amount) > AMOUNT_LIMIT or asked["bucket_id"] < 0:
        return _INVALID
    if find_bucket(books, index, int(asked["bucket_id"])) != 0:
        return _ALREADY
    owner = owner_of_grant(books, index, command, work.job[J_COMMAND])
    if owner < 0:
        return -owner
    scope = int(asked["scope"])
    need = room_for(books, index, state, scope, owner)
    if need != NEED_NOTHING:
        work.job[J_NEED] = need
        return _DONE
    kind = CATALOGUE_MONEY if index.allowance_fact[name, FACT_MONEY] else UNITS
    bucket = new_bucket(
        books, index, out, int(asked["bucket_id"]), kind, scope, owner, work.job[J_INSTANT],
        int(asked["from_ms"]), int(asked["until_ms"]),
    )  # fmt: skip
    if bucket == 0:
        return _FULL
    row = books.bucket[bucket]
    row["allowance"] = name
    row["opened"] = amount
    row["specificity"] = index.allowance_fact[name, FACT_SPECIFICITY]
    row["rank"] = index.allowance_fact[name, FACT_RANK]
    row["per_member"] = per_member_of(index, name, scope)
    for program in range(index.bucket_allowance.shape[0]):
        index.bucket_allowance[program, bucket] = index.allowance_row[program, name]
    link_units(books, index, out, state, bucket)
    add_to(books, out, work, bucket, amount, CAUSE_GRANTED)
    watch_bucket(books, out, bucket)
    if row["watch"] != 0:
        note_status(books, out, work.job, scope, owner, bucket, int(row["watch"]), int(row["entered"]))
    mark_change(books, out, scope, owner)
    reauthorise(books, out, work.job, scope, owner, False)
    return _DONE


@called
def expire(books: Books, index: Index, out: Out, state: State, work: Work, command: Rows) -> int:
    asked = command[work.job[J_COMMAND]]
    bucket = find_bucket(books, index, int(asked["bucket_id"]))
    if bucket == 0 or books.bucket[bucket]["state"] != BUCKET_LIVE:
        return _UNKNOWN_BUCKET
    cause = int(asked["other_name"]) if asked["other_name"] >= 0 else CAUSE_EXPIRED
    status_ends(books, out, work.job, bucket)
    end_bucket(books, index, out, state, work.job, bucket, cause)
    return _DONE


@called
def credit(books: Books, index: Index, out: Out, work: Work, command: Rows) -> int:
    """Set what an account may owe. Below what is owed already nothing more can be taken until it is paid."""
    asked = command[work.job[J_COMMAND]]
    account = find_account(books, index, int(asked["account_id"]))
    limit = int(asked["limit"])
    if account == 0:
        return _UNKNOWN_ACCOUNT
    if limit < 0 or limit > NO_LIMIT:
        return _INVALID
    bucket = int(books.account[account]["first_money"])
    while bucket != 0 and (books.bucket[bucket]["kind"] != CREDIT or books.bucket[bucket]["state"] != BUCKET_LIVE):
        bucket = int(books.bucket[bucket]["next"])
    if bucket == 0:
        bucket_id = int(asked["bucket_id"]) if asked["bucket_id"] >= 0 else -2 - int(asked["account_id"])
        if find_bucket(books, index, bucket_id) != 0:
            return _ALREADY
        bucket = new_bucket(books, index, out, bucket_id, CREDIT, ACCOUNT, account, work.job[J_INSTANT], -1, -1)
        if bucket == 0:
            return _FULL
        link_money(books, out, bucket)
    row = books.bucket[bucket]
    change = limit - int(row["opened"])
    row["opened"] = limit
    cause = int(asked["other_name"]) if asked["other_name"] >= 0 else CAUSE_LIMIT
    add_to(books, out, work, bucket, change, cause)
    work.job[J_ACCOUNT] = account
    if change > 0:
        money_came(books, out, work, account)
    return _DONE


@called
def change_balance(books: Books, index: Index, out: Out, state: State, work: Work, command: Rows, verb: int) -> int:
    """One verb about balances. A Result."""
    if verb == _TOP_UP:
        return top_up(books, index, out, work, command)
    if verb == _ADJUST:
        return adjust(books, index, out, work, command)
    if verb == _TRANSFER:
        return transfer(books, index, out, work, command)
    if verb == _GRANT:
        return grant(books, index, out, state, work, command)
    if verb == _EXPIRE:
        return expire(books, index, out, state, work, command)
    if verb == _CREDIT:
        return credit(books, index, out, work, command)
    return _INVALID
