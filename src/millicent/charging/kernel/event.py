"""One-time events: debited, recorded, checked, enquired after, given back. Group 0 is the event at hand."""

from millicent.charging.kernel.balance import money_came
from millicent.charging.kernel.chain import chain, find_bucket, find_deed, mixed, touch, unchain
from millicent.charging.kernel.layout import (
    BUCKET_LIVE,
    COUNTERS,
    DRAWS,
    J_ACCOUNT,
    J_AVAILABLE,
    J_CHARGED,
    J_COMBINATION,
    J_GROUP,
    J_INPUT,
    J_INSTANT,
    J_LIFTED,
    J_NEED,
    J_OUTPUT,
    J_QUANTITY,
    J_SUBSCRIBER,
    J_UNIT,
    J_USED,
    T_COUNTER,
    T_DEED,
    T_META,
    T_SUBSCRIBER,
    Books,
    Index,
    Out,
    Program,
    Work,
)
from millicent.charging.kernel.purse import add_taken, lower, payable, take_money
from millicent.charging.kernel.record import CREDIT, MONEY, note_charge, note_movement
from millicent.charging.kernel.segment import begin_segment, close_segment, program_at, set_charge
from millicent.charging.kernel.splice import called, spliced
from millicent.charging.kernel.status import review_bucket, review_spending
from millicent.charging.kernel.units import (
    P_AWAY,
    P_EVENT,
    P_OVER,
    P_REMEMBER,
    P_SLICE,
    SECONDS,
    ask_policy,
    begin_search,
    can_pay,
    is_served,
    look_up_number,
    measured,
    refuse,
    resolve,
    sensible,
    settled,
    who_is,
)
from millicent.charging.types import NOT_SAID, Flag, Result, Rows, Unit, Verb
from millicent.rating.kernel.arrays import AMOUNT_LIMIT, State
from millicent.rating.types import Reason

_DONE, _UNKNOWN_SUBSCRIBER, _INSUFFICIENT = (
    int(Result.DONE),
    int(Result.UNKNOWN_SUBSCRIBER),
    int(Result.INSUFFICIENT),
)
_NOT_SERVED, _NOT_PRICED, _INVALID = int(Result.NOT_SERVED), int(Result.NOT_PRICED), int(Result.INVALID)
_UNKNOWN_ACCOUNT, _ALREADY, _UNKNOWN_SESSION = (
    int(Result.UNKNOWN_ACCOUNT),
    int(Result.ALREADY),
    int(Result.UNKNOWN_SESSION),
)
_UNANSWERED = int(Flag.UNANSWERED)
_DEBIT, _REFUND, _CHECK, _ENQUIRE, _RECORD = (
    int(Verb.DEBIT),
    int(Verb.REFUND),
    int(Verb.CHECK),
    int(Verb.ENQUIRE),
    int(Verb.RECORD),
)
_PRICED = int(Reason.PRICED)
_MONEY_UNIT = int(Unit.MONEY_NANOS)


@spliced
def is_money(commands: Rows, row: int) -> bool:
    """Whether an event names its own price."""
    return commands[row]["asked"][_MONEY_UNIT] >= 0 or commands[row]["used"][_MONEY_UNIT] >= 0


@spliced
def own_price(commands: Rows, row: int) -> int:
    return max(int(commands[row]["asked"][_MONEY_UNIT]), int(commands[row]["used"][_MONEY_UNIT]))


@spliced
def commands_said(commands: Rows, row: int) -> bool:
    """Whether an event says how much."""
    said = False
    for unit in range(5):
        said = said or commands[row]["asked"][unit] >= 0 or commands[row]["used"][unit] >= 0
    return said


@called
def describe_event(books: Books, out: Out, work: Work, commands: Rows, row: int, plan: int, release: int) -> None:
    """Group 0 is the event as a usage that begins at its instant."""
    command = commands[row]
    usage = books.group[0]
    usage["session"] = 0
    usage["group"] = command["group"]
    usage["service_id"] = command["service_id"]
    usage["traffic"] = command["traffic"]
    usage["plan"] = plan
    usage["release"] = release
    usage["unit"] = work.job[J_UNIT]
    usage["number_key"] = command["number_key"]
    usage["number_digits"] = command["number_digits"]
    usage["content_nanos"] = command["content_nanos"]
    usage["unanswered"] = 1 if command["flags"] & _UNANSWERED else 0
    usage["segment"] = 0
    begin_segment(books, out, 0, work.job[J_INSTANT])
    for place in range(DRAWS):
        work.kept[place] = 0


@called
def start_event(
    books: Books, index: Index, out: Out, state: State, work: Work, program: Program, commands: Rows, row: int,
    verb: int,
) -> int:  # fmt: skip
    """Who, what and how much. Returns the phase."""
    job = work.job
    command = commands[row]
    if not sensible(commands, row):
        return refuse(out, job, _INVALID, 0, P_OVER)
    subscriber = who_is(books, index, commands, row)
    if subscriber == 0:
        return refuse(out, job, _UNKNOWN_SUBSCRIBER, 0, P_OVER)
    job[J_SUBSCRIBER] = subscriber
    job[J_ACCOUNT] = books.subscriber[subscriber]["account"]
    job[J_GROUP] = 0
    if verb != _RECORD and not is_served(books, subscriber):
        return refuse(out, job, _NOT_SERVED, 0, P_REMEMBER)
    plan = int(books.subscriber[subscriber]["plan"])
    if is_money(commands, row) and verb != _CHECK:
        job[J_UNIT] = _MONEY_UNIT
        describe_event(books, out, work, commands, row, plan, NOT_SAID)
        return P_EVENT
    if command["traffic"] < 0:
        if verb == _CHECK:  # only what is there
            job[J_AVAILABLE] = payable(books, job[J_ACCOUNT], subscriber, int(books.meta[0]["now_ms"]))
            if is_money(commands, row) and own_price(commands, row) > job[J_AVAILABLE]:
                return refuse(out, job, _INSUFFICIENT, 0, P_REMEMBER)
            return P_REMEMBER
        return refuse(out, job, _INVALID, 0, P_OVER)
    chosen = program_at(index, job[J_INSTANT])
    if resolve(
        books, index, out, job, program, subscriber, chosen, plan, int(command["traffic"]), job[J_INSTANT],
        int(command["subscriber_key"]), int(command["number_key"]), int(command["number_digits"]),
    ) < 0:  # fmt: skip
        return P_AWAY if job[J_NEED] != 0 else P_REMEMBER
    quantity = measured(command["used"], job[J_UNIT])
    if quantity < 0:
        quantity = measured(command["asked"], job[J_UNIT])
    describe_event(books, out, work, commands, row, plan, int(index.program_release[chosen]))
    set_charge(books, index, state, work, subscriber, 0, job[J_COMBINATION])
    look_up_number(books, index, program, work, 0)
    job[J_LIFTED] = 1
    job[J_AVAILABLE] = payable(books, job[J_ACCOUNT], subscriber, int(books.meta[0]["now_ms"]))
    if verb == _CHECK:
        wanted = quantity if quantity >= 0 else ask_policy(books, index, job)
        if wanted == 0:
            return P_REMEMBER
        begin_search(books, work, wanted, 1, 1)
        return P_SLICE
    if quantity < 0:
        if job[J_UNIT] == SECONDS:
            return refuse(out, job, _INVALID, 0, P_OVER)
        quantity = 1 if job[J_UNIT] == 4 else NOT_SAID
        if quantity < 0:
            return refuse(out, job, _INVALID, 0, P_OVER)
    job[J_USED] = quantity
    job[J_INPUT] = max(0, int(command["used"][2]))
    job[J_OUTPUT] = max(0, int(command["used"][3]))
    job[J_QUANTITY] = quantity
    return P_EVENT


@called
def finish_event(
    books: Books, index: Index, out: Out, state: State, work: Work, commands: Rows, row: int, verb: int, reason: int
) -> None:
    """The event was priced, or names its own price: take it, refuse it, or only say what it costs."""
    job = work.job
    answer = out.answer[row]
    usage = books.group[0]
    answer["unit"] = usage["unit"]
    if is_money(commands, row):
        _pay_own_price(books, index, out, state, work, commands, row, verb)
        return
    if verb == _ENQUIRE:
        answer["price_nanos"] = work.priced.amount_nanos[0] if reason == _PRICED else 0
        if reason != _PRICED:
            refuse(out, job, _NOT_PRICED, reason, 0)
        return
    if verb == _DEBIT and not can_pay(books, work, reason):
        if reason == _PRICED:
            answer["price_nanos"] = work.priced.amount_nanos[0]
            refuse(out, job, _INSUFFICIENT, 0, 0)
        else:
            refuse(out, job, _NOT_PRICED, reason, 0)
        return
    if reason != _PRICED:  # offline usage without a price: counted with its reason
        usage["units"] = job[J_USED]
        usage["reason"] = reason
        _close_event(books, index, out, state, work, commands, row)
        refuse(out, job, _NOT_PRICED, reason, 0)
        return
    if settled(books, index, out, state, work, reason, job[J_USED], job[J_INSTANT]):
        answer["granted_units"] = job[J_USED]
        answer["price_nanos"] = usage["amount_nanos"]
        answer["throttled"] = usage["throttled"]
        _remember_deed(books, index, out, work, commands, row)
        _close_event(books, index, out, state, work, commands, row)


@called
def _close_event(books: Books, index: Index, out: Out, state: State, work: Work, commands: Rows, row: int) -> None:
    """What was drawn stays drawn; the charge of an event has the key of its command."""
    job = work.job
    command = commands[row]
    usage = books.group[0]
    note_charge(
        books, out, job, 0, int(command["key_high"]), int(command["key_low"]), job[J_SUBSCRIBER], job[J_INSTANT]
    )
    lower(books, index, out, state, job[J_SUBSCRIBER], 0)
    usage["units"] = 0
    usage["amount_nanos"] = 0
    usage["bucket_units"] = 0
    usage["unanswered"] = 0
    close_segment(books, index, out, state, work, job[J_SUBSCRIBER], 0, job[J_INSTANT])


@called
def _pay_own_price(
    books: Books, index: Index, out: Out, state: State, work: Work, commands: Rows, row: int, verb: int
) -> None:
    """Content whose price the application knows: money alone pays."""
    job = work.job
    price = own_price(commands, row)
    answer = out.answer[row]
    answer["price_nanos"] = price
    if verb == _ENQUIRE:
        return
    there = payable(books, job[J_ACCOUNT], job[J_SUBSCRIBER], int(books.meta[0]["now_ms"]))
    if verb == _DEBIT and price > there:
        refuse(out, job, _INSUFFICIENT, 0, 0)
        return
    usage = books.group[0]
    taken = take_money(books, out, job, 0, price, work.kept)
    job[J_CHARGED] += taken
    usage["amount_nanos"] = price
    usage["uncollected_nanos"] = price - taken
    answer["uncollected_nanos"] = price - taken
    _remember_deed(books, index, out, work, commands, row)
    _close_event(books, index, out, state, work, commands, row)


@called
def _remember_deed(books: Books, index: Index, out: Out, work: Work, commands: Rows, row: int) -> None:
    """Keep what an event took for as long as the ring is long, so that it can be given back exactly."""
    command = commands[row]
    if command["key_high"] == 0 and command["key_low"] == 0:
        return
    meta = books.meta[0]
    place = int(meta["next_deed"])
    if place >= books.deed.shape[0]:
        place = 1
    deed = books.deed[place]
    if deed["subscriber"] != 0:
        unchain(index.deed_head, index.deed_chain, mixed(int(deed["key_low"])), place)
    meta["next_deed"] = place + 1
    meta["deeds"] = max(int(meta["deeds"]), place + 1)
    usage = books.group[0]
    deed["key_high"] = command["key_high"]
    deed["key_low"] = command["key_low"]
    deed["subscriber"] = work.job[J_SUBSCRIBER]
    deed["traffic"] = usage["traffic"]
    deed["release"] = usage["release"]
    deed["plan"] = usage["plan"]
    deed["unit"] = usage["unit"]
    deed["refunded"] = 0
    deed["units"] = usage["units"]
    deed["amount_nanos"] = int(usage["amount_nanos"]) - int(usage["uncollected_nanos"])
    deed["bucket_units"] = usage["bucket_units"]
    for draw in range(DRAWS):
        bucket = int(usage["draw_bucket"][draw])
        deed["bucket_id"][draw] = books.bucket[bucket]["bucket_id"] if bucket != 0 else 0
        deed["taken"][draw] = usage["draw_settled"][draw] if bucket != 0 else 0
    for counter in range(COUNTERS):
        deed["counter"][counter] = usage["counter"][counter]
        deed["counter_units"][counter] = usage["counter_settled"][counter]
    chain(index.deed_head, index.deed_chain, mixed(int(command["key_low"])), place)
    touch(out, T_DEED, place)
    touch(out, T_META, 0)


@called
def refund(books: Books, index: Index, out: Out, state: State, work: Work, commands: Rows, row: int) -> int:
    """Give back exactly what an earlier event took, or an amount of money. A Result.

    What was taken of a bucket that is gone comes back as money where it was money, else it is lost as its bucket was.
    """
    job = work.job
    command = commands[row]
    if command["reference_high"] != 0 or command["reference_low"] != 0:
        deed = find_deed(books, index, int(command["reference_high"]), int(command["reference_low"]))
        if deed == 0:
            return _UNKNOWN_SESSION
        if books.deed[deed]["refunded"]:
            return _ALREADY
        _give_back_deed(books, index, out, state, work, commands, row, deed)
        return _DONE
    subscriber = who_is(books, index, commands, row)
    if subscriber == 0:
        return _UNKNOWN_SUBSCRIBER
    amount = int(command["amount"])
    if is_money(commands, row):
        amount = own_price(commands, row)
    if amount <= 0 or amount > AMOUNT_LIMIT:
        return _INVALID
    job[J_SUBSCRIBER] = subscriber
    job[J_ACCOUNT] = books.subscriber[subscriber]["account"]
    job[J_UNIT] = _MONEY_UNIT
    if not _give_money(books, out, work, amount):
        return _UNKNOWN_ACCOUNT
    describe_event(books, out, work, commands, row, int(books.subscriber[subscriber]["plan"]), NOT_SAID)
    _note_refund(books, out, work, commands, row, 0, amount)
    return _DONE


@called
def _note_refund(books: Books, out: Out, work: Work, commands: Rows, row: int, units: int, amount: int) -> None:
    """A refund is a charge below zero."""
    job = work.job
    command = commands[row]
    usage = books.group[0]
    usage["units"] = -units
    usage["amount_nanos"] = -amount
    usage["bucket_units"] = 0
    note_charge(
        books, out, job, 0, int(command["key_high"]), int(command["key_low"]), job[J_SUBSCRIBER], job[J_INSTANT]
    )
    usage["units"] = 0
    usage["amount_nanos"] = 0
    usage["unanswered"] = 0
    job[J_CHARGED] -= amount
    payer = books.subscriber[job[J_SUBSCRIBER]]
    payer["spent_nanos"] -= amount
    touch(out, T_SUBSCRIBER, job[J_SUBSCRIBER])
    review_spending(books, out, job, job[J_SUBSCRIBER])
    if amount > 0:
        money_came(books, out, work, job[J_ACCOUNT])


@called
def _give_money(books: Books, out: Out, work: Work, amount: int) -> bool:
    """Money comes back to what is owed first, then to the first bucket of money there is. False where there is none."""
    job = work.job
    now_ms = int(books.meta[0]["now_ms"])
    purse = 0
    owed = 0
    bucket = int(books.account[job[J_ACCOUNT]]["first_money"])
    while bucket != 0:
        row = books.bucket[bucket]
        if row["state"] == BUCKET_LIVE and row["valid_from_ms"] <= now_ms < row["valid_until_ms"]:
            if row["kind"] == MONEY and purse == 0:
                purse = bucket
            if row["kind"] == CREDIT:
                owed = bucket
        bucket = int(row["next"])
    if purse == 0 and owed == 0:
        return False
    left = amount
    if owed != 0:
        row = books.bucket[owed]
        owes = int(row["opened"]) - int(row["free"]) - int(row["reserved"])
        gives = left if purse == 0 else min(left, max(0, owes))
        row["free"] += gives
        note_movement(books, out, job, owed, gives, int(row["free"]) + int(row["reserved"]), NOT_SAID)
        left -= gives
    if left > 0:
        row = books.bucket[purse]
        row["free"] += left
        note_movement(books, out, job, purse, left, int(row["free"]) + int(row["reserved"]), NOT_SAID)
    return True


@called
def _give_back_deed(
    books: Books, index: Index, out: Out, state: State, work: Work, commands: Rows, row: int, deed: int
) -> None:
    job = work.job
    taken = books.deed[deed]
    subscriber = int(taken["subscriber"])
    job[J_SUBSCRIBER] = subscriber
    job[J_ACCOUNT] = books.subscriber[subscriber]["account"]
    job[J_UNIT] = taken["unit"]
    lost = int(taken["amount_nanos"])
    for draw in range(DRAWS):
        units = int(taken["taken"][draw])
        bucket = find_bucket(books, index, int(taken["bucket_id"][draw])) if units != 0 else 0
        if bucket == 0 or books.bucket[bucket]["state"] != BUCKET_LIVE:
            continue
        there = books.bucket[bucket]
        there["free"] += units
        note_movement(books, out, job, bucket, units, int(there["free"]) + int(there["reserved"]), NOT_SAID)
        if there["kind"] >= MONEY:
            lost -= units
        else:
            add_taken(books, index, out, state, subscriber, bucket, -units)
            review_bucket(books, out, job, bucket, int(there["free"]) + int(there["reserved"]))
    for place in range(COUNTERS):
        counter = int(taken["counter"][place])
        if counter != 0:
            at = index.counter_place[counter]
            state.counter_units[at] = max(0, state.counter_units[at] - int(taken["counter_units"][place]))
            books.counter[counter]["units"] = state.counter_units[at]
            touch(out, T_COUNTER, counter)
    given = int(taken["amount_nanos"])
    if lost > 0 and not _give_money(books, out, work, lost):
        given -= lost
    taken["refunded"] = 1
    touch(out, T_DEED, deed)
    describe_event(books, out, work, commands, row, int(taken["plan"]), int(taken["release"]))
    books.group[0]["traffic"] = taken["traffic"]
    _note_refund(books, out, work, commands, row, int(taken["units"]), given)
    out.answer[row]["granted_units"] = taken["units"]
    out.answer[row]["unit"] = taken["unit"]
