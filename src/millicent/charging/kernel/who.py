"""Verbs about who there is: accounts, subscriptions, identifiers, cycles, policies."""

from millicent.charging.kernel.chain import chain, find_account, find_identifier, find_subscription, mixed, touch
from millicent.charging.kernel.layout import (
    J_COMMAND,
    J_NEED,
    NEED_MEMBERS,
    NEED_NOTHING,
    NEED_STRIDE,
    T_ACCOUNT,
    T_COUNTER,
    T_IDENTIFIER,
    T_META,
    T_POLICY,
    T_POOL,
    T_SUBSCRIBER,
    Books,
    Index,
    Out,
    Work,
)
from millicent.charging.kernel.owner import (
    ACCOUNT,
    POOL,
    SUBSCRIPTION,
    admit,
    first_bucket,
    first_member,
    mark_change,
    remove_candidate,
    slots_used,
)
from millicent.charging.kernel.session import (
    abort,
    old_cycles,
    old_cycles_of_left,
    reauthorise,
    restart_segments,
)
from millicent.charging.kernel.splice import called, spliced
from millicent.charging.kernel.status import (
    ask_status,
    know_counter,
    know_thresholds,
    review_everything,
    review_spending,
)
from millicent.charging.types import NO_LIMIT, Flag, Result, Rows, Status, Verb
from millicent.rating.kernel.arrays import State

_DONE, _UNKNOWN_ACCOUNT, _UNKNOWN_SUBSCRIBER = (
    int(Result.DONE),
    int(Result.UNKNOWN_ACCOUNT),
    int(Result.UNKNOWN_SUBSCRIBER),
)
_INVALID, _FULL, _CURRENCY_DIFFERS = int(Result.INVALID), int(Result.FULL), int(Result.CURRENCY_DIFFERS)
_POSTPAID, _BARRED_FLAG = int(Flag.POSTPAID), int(Flag.BARRED)
_ACTIVE, _BARRED, _GONE = int(Status.ACTIVE), int(Status.BARRED), int(Status.GONE)
_ACCOUNT, _SUBSCRIBER, _IDENTIFIER, _ROLL, _POLICY = (
    int(Verb.ACCOUNT),
    int(Verb.SUBSCRIBER),
    int(Verb.IDENTIFIER),
    int(Verb.ROLL),
    int(Verb.POLICY),
)
_THRESHOLDS, _COUNTER, _STATUS = int(Verb.THRESHOLDS), int(Verb.COUNTER), int(Verb.STATUS)


@spliced
def status_of(command: Rows, row: int) -> int:
    """What a command says of a status: its `amount`, or the flag BARRED."""
    asked = command[row]
    if asked["amount"] == _GONE or asked["amount"] == _BARRED:
        return int(asked["amount"])
    return _BARRED if asked["flags"] & _BARRED_FLAG else _ACTIVE


@called
def know_account(books: Books, index: Index, out: Out, work: Work, command: Rows) -> int:
    """Know or change a billing account. `limit` is the balance below which LOW_BALANCE is told; NO_LIMIT: never."""
    asked = command[work.job[J_COMMAND]]
    if asked["account_id"] < 0 or asked["limit"] < 0:
        return _INVALID
    row = find_account(books, index, int(asked["account_id"]))
    if row == 0:
        row = int(books.meta[0]["accounts"])
        if row >= books.account.shape[0]:
            return _FULL
        books.meta[0]["accounts"] = row + 1
        books.account[row]["account_id"] = asked["account_id"]
        books.account[row]["currency"] = asked["other_name"]
        books.account[row]["first_subscriber"] = 0
        chain(index.account_head, index.account_chain, mixed(int(asked["account_id"])), row)
        touch(out, T_META, 0)
    account = books.account[row]
    if asked["other_name"] >= 0 and asked["other_name"] != account["currency"]:
        if account["first_money"] != 0:
            return _CURRENCY_DIFFERS
        account["currency"] = asked["other_name"]
    account["postpaid"] = 1 if asked["flags"] & _POSTPAID else 0
    account["low_nanos"] = asked["limit"] if asked["limit"] < NO_LIMIT else -1
    before = int(account["status"])
    account["status"] = status_of(command, work.job[J_COMMAND])
    touch(out, T_ACCOUNT, row)
    if before == _ACTIVE and account["status"] != _ACTIVE:
        abort(books, out, work.job, ACCOUNT, row)
    elif before != _ACTIVE and account["status"] == _ACTIVE:
        reauthorise(books, out, work.job, ACCOUNT, row, False)
    return _DONE


@spliced
def buckets_of(books: Books, scope: int, owner: int) -> int:
    count = 0
    bucket = first_bucket(books, scope, owner)
    while bucket != 0:
        count += 1
        bucket = int(books.bucket[bucket]["next"])
    return count


@called
def leave(books: Books, index: Index, out: Out, state: State, subscriber: int, scope: int, owner: int) -> None:
    """A subscription no longer draws on what an account or a pool has."""
    at = first_member(books, scope, owner)
    before = 0
    following = 0
    while at != subscriber:
        before = at
        at = int(books.subscriber[at]["next_in_account"] if scope == ACCOUNT else books.subscriber[at]["next_in_pool"])
    if scope == ACCOUNT:
        following = int(books.subscriber[subscriber]["next_in_account"])
        if before == 0:
            books.account[owner]["first_subscriber"] = following
            touch(out, T_ACCOUNT, owner)
        else:
            books.subscriber[before]["next_in_account"] = following
            touch(out, T_SUBSCRIBER, before)
    else:
        following = int(books.subscriber[subscriber]["next_in_pool"])
        if before == 0:
            books.pool[owner]["first_subscriber"] = following
            touch(out, T_POOL, owner)
        else:
            books.subscriber[before]["next_in_pool"] = following
            touch(out, T_SUBSCRIBER, before)
    bucket = first_bucket(books, scope, owner)
    while bucket != 0:
        remove_candidate(index, state, subscriber, bucket)
        bucket = int(books.bucket[bucket]["next"])


@called
def join(books: Books, index: Index, out: Out, state: State, subscriber: int, scope: int, owner: int) -> None:
    if scope == ACCOUNT:
        books.subscriber[subscriber]["next_in_account"] = books.account[owner]["first_subscriber"]
        books.account[owner]["first_subscriber"] = subscriber
        touch(out, T_ACCOUNT, owner)
    else:
        books.subscriber[subscriber]["next_in_pool"] = books.pool[owner]["first_subscriber"]
        books.pool[owner]["first_subscriber"] = subscriber
        touch(out, T_POOL, owner)
        books.meta[0]["pools"] = max(int(books.meta[0]["pools"]), owner + 1)
        touch(out, T_META, 0)
    touch(out, T_SUBSCRIBER, subscriber)
    bucket = first_bucket(books, scope, owner)
    while bucket != 0:
        admit(books, index, out, state, subscriber, bucket)
        bucket = int(books.bucket[bucket]["next"])


@called
def know_subscriber(books: Books, index: Index, out: Out, state: State, work: Work, command: Rows) -> int:
    """Know or change a subscription. A plan or a pool of NOT_SAID: none for a new one, else as it was.

    A pool of -2 takes it out of its pool.
    """
    asked = command[work.job[J_COMMAND]]
    if asked["subscription_id"] < 0 or asked["limit"] < 0:
        return _INVALID
    row = find_subscription(books, index, int(asked["subscription_id"]))
    account = find_account(books, index, int(asked["account_id"]))
    if account == 0 and (row == 0 or asked["account_id"] >= 0):
        return _UNKNOWN_ACCOUNT
    if account == 0:
        account = int(books.subscriber[row]["account"])
    pool = int(books.subscriber[row]["pool"])
    if asked["other_name"] == -2:
        pool = 0
    elif asked["other_name"] >= 0:
        pool = int(asked["other_name"]) + 1
        if pool >= books.pool.shape[0]:
            return _INVALID
    known = row != 0
    if not known and books.meta[0]["subscribers"] >= books.subscriber.shape[0]:
        return _FULL
    moves = not known or books.subscriber[row]["account"] != account or books.subscriber[row]["pool"] != pool
    if moves:
        wanted = buckets_of(books, ACCOUNT, account)
        if pool > 0:
            wanted += buckets_of(books, POOL, pool)
        used = slots_used(index, state, row) if known else 0
        if used + wanted > index.stride[0]:
            work.job[J_NEED] = NEED_STRIDE
        elif wanted > books.member.shape[0] - books.meta[0]["members"]:
            work.job[J_NEED] = NEED_MEMBERS
        if work.job[J_NEED] != NEED_NOTHING:
            return _DONE
    if not known:
        row = int(books.meta[0]["subscribers"])
        books.meta[0]["subscribers"] = row + 1
        books.subscriber[row]["subscription_id"] = asked["subscription_id"]
        books.subscriber[row]["plan"] = -1
        chain(index.subscription_head, index.subscription_chain, mixed(int(asked["subscription_id"])), row)
        touch(out, T_META, 0)
    subscriber = books.subscriber[row]
    if moves:
        if known:
            restart_segments(books, index, out, state, work, row)
            leave(books, index, out, state, row, ACCOUNT, int(subscriber["account"]))
            if subscriber["pool"] > 0:
                leave(books, index, out, state, row, POOL, int(subscriber["pool"]))
        subscriber["account"] = account
        subscriber["pool"] = pool
        join(books, index, out, state, row, ACCOUNT, account)
        if pool > 0:
            join(books, index, out, state, row, POOL, pool)
    replanned = known and asked["name"] >= 0 and asked["name"] != subscriber["plan"]
    if asked["name"] >= 0:
        subscriber["plan"] = asked["name"]
    raised = asked["limit"] > subscriber["spend_limit"]
    subscriber["spend_limit"] = asked["limit"]
    if raised:
        subscriber["told"] = 0
    before = int(subscriber["status"])
    subscriber["status"] = status_of(command, work.job[J_COMMAND])
    mark_change(books, out, SUBSCRIPTION, row)
    review_spending(books, out, work.job, row)
    if known and (moves or subscriber["status"] == _GONE):
        review_everything(books, out, work.job, row)
    if subscriber["status"] != _ACTIVE and before == _ACTIVE:
        abort(books, out, work.job, SUBSCRIPTION, row)
    elif known and (replanned or moves):
        reauthorise(books, out, work.job, SUBSCRIPTION, row, True)
    elif raised or before != _ACTIVE:
        reauthorise(books, out, work.job, SUBSCRIPTION, row, False)
    return _DONE


@called
def know_identifier(books: Books, index: Index, out: Out, work: Work, command: Rows) -> int:
    """An identifier belongs to a subscription, or to nobody any more."""
    asked = command[work.job[J_COMMAND]]
    if asked["subscriber_key"] == 0:
        return _INVALID
    subscriber = 0
    if asked["subscription_id"] >= 0:
        subscriber = find_subscription(books, index, int(asked["subscription_id"]))
        if subscriber == 0:
            return _UNKNOWN_SUBSCRIBER
    row = find_identifier(books, index, int(asked["subscriber_key"]))
    if row == 0:
        if subscriber == 0:
            return _DONE
        row = int(books.meta[0]["identifiers"])
        if row >= books.identifier.shape[0]:
            return _FULL
        books.meta[0]["identifiers"] = row + 1
        books.identifier[row]["key"] = asked["subscriber_key"]
        chain(index.identifier_head, index.identifier_chain, mixed(int(asked["subscriber_key"])), row)
        touch(out, T_META, 0)
    books.identifier[row]["subscriber"] = subscriber
    touch(out, T_IDENTIFIER, row)
    return _DONE


@spliced
def reset_counters(books: Books, out: Out, index: Index, state: State, work: Work, scope: int, owner: int) -> None:
    for block in range(work.block_first.shape[0]):
        if work.block_scope[block] != scope:
            continue
        place = work.block_first[block] + owner
        counter = int(index.counter_row[place])
        if counter != 0 and state.counter_units[place] != 0:
            state.counter_units[place] = 0
            books.counter[counter]["units"] = 0
            touch(out, T_COUNTER, counter)


@called
def roll(books: Books, index: Index, out: Out, state: State, work: Work, command: Rows) -> int:
    """A cycle begins: of a subscription; where none is named, of what an account or a pool counts together."""
    asked = command[work.job[J_COMMAND]]
    if asked["subscription_id"] >= 0:
        row = find_subscription(books, index, int(asked["subscription_id"]))
        if row == 0:
            return _UNKNOWN_SUBSCRIBER
        old_cycles(books, index, out, state, row, True)
        reset_counters(books, out, index, state, work, SUBSCRIPTION, row)
        subscriber = books.subscriber[row]
        subscriber["spent_nanos"] = 0
        subscriber["told"] = 0
        review_spending(books, out, work.job, row)
        mark_change(books, out, SUBSCRIPTION, row)
        reauthorise(books, out, work.job, SUBSCRIPTION, row, False)
        return _DONE
    if asked["account_id"] >= 0:
        row = find_account(books, index, int(asked["account_id"]))
        if row == 0:
            return _UNKNOWN_ACCOUNT
        member = int(books.account[row]["first_subscriber"])
        while member != 0:
            old_cycles(books, index, out, state, member, False)
            member = int(books.subscriber[member]["next_in_account"])
        old_cycles_of_left(books, index, out, state, ACCOUNT, row)
        reset_counters(books, out, index, state, work, ACCOUNT, row)
        mark_change(books, out, ACCOUNT, row)
        return _DONE
    if 0 <= asked["other_name"] < books.pool.shape[0] - 1:
        row = int(asked["other_name"]) + 1
        member = int(books.pool[row]["first_subscriber"])
        while member != 0:
            old_cycles(books, index, out, state, member, False)
            member = int(books.subscriber[member]["next_in_pool"])
        old_cycles_of_left(books, index, out, state, POOL, row)
        reset_counters(books, out, index, state, work, POOL, row)
        mark_change(books, out, POOL, row)
        return _DONE
    return _INVALID


@called
def know_policy(books: Books, out: Out, work: Work, command: Rows) -> int:
    """How slices of service `name` are sized. See `charging.rules.policy_command` for where each number stands."""
    asked = command[work.job[J_COMMAND]]
    name = int(asked["name"])
    if name < 0 or name >= books.policy.shape[0] - 1:
        return _INVALID
    if asked["asked"][0] < 1 or asked["asked"][1] < 1 or asked["asked"][2] < 1 or asked["asked"][3] < 1:
        return _INVALID
    if asked["used"][0] < 1 or asked["used"][1] < 0:
        return _INVALID
    policy = books.policy[name + 1]
    policy["slice_units"] = min(NO_LIMIT, asked["asked"][0])
    policy["most_units"] = min(NO_LIMIT, asked["asked"][1])
    policy["least_units"] = min(NO_LIMIT, asked["asked"][2])
    policy["share"] = min(1_000, asked["asked"][3])
    policy["validity_seconds"] = min(100_000_000, asked["used"][0])
    policy["grace_seconds"] = min(100_000_000, asked["used"][1])
    policy["holding_seconds"] = min(100_000_000, asked["used"][2])
    policy["threshold_percent"] = min(100, max(0, asked["used"][3]))
    policy["final"] = min(3, max(0, asked["used"][4]))
    policy["declared"] = 1
    books.meta[0]["policies"] = max(int(books.meta[0]["policies"]), name + 2)
    touch(out, T_POLICY, name + 1)
    touch(out, T_META, 0)
    return _DONE


@called
def change_who(books: Books, index: Index, out: Out, state: State, work: Work, command: Rows, verb: int) -> int:
    """One verb about who there is. A Result."""
    if verb == _ACCOUNT:
        return know_account(books, index, out, work, command)
    if verb == _SUBSCRIBER:
        return know_subscriber(books, index, out, state, work, command)
    if verb == _IDENTIFIER:
        return know_identifier(books, index, out, work, command)
    if verb == _ROLL:
        return roll(books, index, out, state, work, command)
    if verb == _POLICY:
        return know_policy(books, out, work, command)
    if verb == _THRESHOLDS:
        return know_thresholds(books, out, work, command)
    if verb == _COUNTER:
        return know_counter(books, out, work, command)
    if verb == _STATUS:
        return ask_status(books, index, out, state, work, command)
    return _INVALID
