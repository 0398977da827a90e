"""The shard's loop: commands one after the other, with the rating kernel spliced in at one place."""

from millicent.charging.kernel.balance import change_balance
from millicent.charging.kernel.chain import chain, find_session, mixed, touch, unchain
from millicent.charging.kernel.event import commands_said, finish_event, is_money, refund, start_event
from millicent.charging.kernel.layout import (
    ANSWER_WORDS,
    J_ACCOUNT,
    J_CHARGED,
    J_COMMAND,
    J_GROUP,
    J_INSTANT,
    J_LIFTED,
    J_NEED,
    J_NODE,
    J_PHASE,
    J_QUANTITY,
    J_ROLL,
    J_SESSION,
    J_SUBSCRIBER,
    J_UNCOLLECTED,
    J_UNIT,
    J_USED,
    J_USED_AFTER,
    J_WANTED,
    J_WARM,
    LONGEST_TEXT,
    NEED_NOTHING,
    NEED_ROOM,
    OUT_CHARGES,
    OUT_MOVEMENTS,
    OUT_NOTICES,
    ROOM,
    T_BUCKET,
    T_GROUP,
    T_LASTING,
    T_META,
    T_SESSION,
    T_STORED,
    WARMED,
    Books,
    Index,
    Out,
    Program,
    Work,
)
from millicent.charging.kernel.purse import payable
from millicent.charging.kernel.segment import after_price, before_price, needs_room
from millicent.charging.kernel.session import close_of_peer, close_session, open_session, tick
from millicent.charging.kernel.splice import called, spliced, uncounted
from millicent.charging.kernel.units import (
    P_ASK,
    P_AWAY,
    P_EVENT,
    P_FINISH,
    P_OVER,
    P_REMEMBER,
    P_ROLL,
    P_SETTLE,
    P_SETTLE_AFTER,
    P_SLICE,
    P_START,
    after_settle,
    ask_slice,
    finish_units,
    grant_slice,
    is_served,
    next_change,
    refuse,
    roll_segment,
    search,
    settled,
    start_units,
    who_is,
)
from millicent.charging.kernel.who import change_who
from millicent.charging.types import Flag, Result, Rows, Verb
from millicent.kit.kernels import Int32s
from millicent.rating.kernel.arrays import NOTHING, State
from millicent.rating.kernel.price import price_charge

_OPEN, _UNITS, _END, _CLOSE, _TICK = (
    int(Verb.OPEN),
    int(Verb.UNITS),
    int(Verb.END),
    int(Verb.CLOSE),
    int(Verb.TICK),
)
_DEBIT, _REFUND, _CHECK, _ENQUIRE, _RECORD = (
    int(Verb.DEBIT),
    int(Verb.REFUND),
    int(Verb.CHECK),
    int(Verb.ENQUIRE),
    int(Verb.RECORD),
)
_TOP_UP, _CREDIT, _ACCOUNT, _STATUS = int(Verb.TOP_UP), int(Verb.CREDIT), int(Verb.ACCOUNT), int(Verb.STATUS)
_ROLL = int(Verb.ROLL)
_DONE, _INVALID, _FULL, _ALREADY = (
    int(Result.DONE),
    int(Result.INVALID),
    int(Result.FULL),
    int(Result.ALREADY),
)
_UNKNOWN_SUBSCRIBER, _UNKNOWN_SESSION = int(Result.UNKNOWN_SUBSCRIBER), int(Result.UNKNOWN_SESSION)
_OUT_OF_ORDER, _NOT_SERVED, _INSUFFICIENT = (
    int(Result.OUT_OF_ORDER),
    int(Result.NOT_SERVED),
    int(Result.INSUFFICIENT),
)
_HANDED_OVER = int(Flag.HANDED_OVER)


@spliced
def lasts(verb: int) -> bool:
    """Whether a verb changes balances: its answer is kept where the traffic of sessions cannot push it out."""
    return _TOP_UP <= verb <= _CREDIT or verb in (_DEBIT, _REFUND, _RECORD, _ROLL)


@spliced
def found_answer(
    answers: Rows, head: Int32s, links: Int32s, out: Out, commands: Rows, row: int, verb: int
) -> bool:  # fmt: skip
    """Answer from the stored answer of a ring, if it has one."""
    command = commands[row]
    high = int(command["key_high"])
    low = int(command["key_low"])
    at = int(head[mixed(low) & (head.shape[0] - 1)])
    while at != 0:
        stored = answers[at]
        if (
            stored["key_low"] == low
            and stored["key_high"] == high
            and stored["request_number"] == command["request_number"]
            and stored["group"] == command["group"]
            and stored["service_id"] == command["service_id"]
            and stored["verb"] == verb
        ):
            for word in range(ANSWER_WORDS):
                out.answer_words[row, word] = stored["answer"][word]
            out.answer[row]["stored"] = 1
            return True
        at = int(links[at])
    return False


@called
def answered_for_long(books: Books, index: Index, out: Out, commands: Rows, row: int, verb: int) -> bool:
    return found_answer(books.lasting, index.lasting_head, index.lasting_chain, out, commands, row, verb)


@spliced
def answered_before(books: Books, index: Index, out: Out, commands: Rows, row: int) -> bool:
    """Answer from the stored answer when this very request was answered before."""
    verb = int(commands[row]["verb"])
    if lasts(verb):
        return answered_for_long(books, index, out, commands, row, verb)
    return found_answer(books.stored, index.stored_head, index.stored_chain, out, commands, row, verb)


@spliced
def store_answer(
    answers: Rows, head: Int32s, links: Int32s, out: Out, table: int, place: int, commands: Rows, row: int
) -> None:
    """Write the answer over the oldest of a ring."""
    command = commands[row]
    stored = answers[place]
    if stored["verb"] != 0:
        unchain(head, links, mixed(int(stored["key_low"])), place)
    stored["key_high"] = command["key_high"]
    stored["key_low"] = command["key_low"]
    stored["request_number"] = command["request_number"]
    stored["group"] = command["group"]
    stored["service_id"] = command["service_id"]
    stored["verb"] = command["verb"]
    for word in range(ANSWER_WORDS):
        stored["answer"][word] = out.answer_words[row, word]
    chain(head, links, mixed(int(command["key_low"])), place)
    touch(out, table, place)
    touch(out, T_META, 0)


@called
def remember_for_long(books: Books, index: Index, out: Out, commands: Rows, row: int) -> None:
    meta = books.meta[0]
    place = int(meta["next_lasting"])
    if place >= books.lasting.shape[0]:
        place = 1
    meta["next_lasting"] = place + 1
    meta["lasting_answers"] = max(int(meta["lasting_answers"]), place + 1)
    store_answer(books.lasting, index.lasting_head, index.lasting_chain, out, T_LASTING, place, commands, row)


@spliced
def remember(books: Books, index: Index, out: Out, commands: Rows, row: int) -> None:
    """Store the answer in its ring. What has no key is not remembered."""
    command = commands[row]
    if command["key_high"] == 0 and command["key_low"] == 0:
        return
    if lasts(int(command["verb"])):
        remember_for_long(books, index, out, commands, row)
        return
    meta = books.meta[0]
    place = int(meta["next_answer"])
    if place >= books.stored.shape[0]:
        place = 1
    meta["next_answer"] = place + 1
    meta["answers"] = max(int(meta["answers"]), place + 1)
    store_answer(books.stored, index.stored_head, index.stored_chain, out, T_STORED, place, commands, row)


@spliced
def start(
    books: Books, index: Index, out: Out, state: State, work: Work, program: Program, commands: Rows, row: int
) -> int:
    """Begin a command. Returns its phase."""
    job = work.job
    command = commands[row]
    verb = int(command["verb"])
    if verb == _CLOSE and command["key_high"] == 0 and command["key_low"] == 0:
        close_of_peer(books, out, int(command["door"]), int(command["peer"]))
        return P_OVER
    if verb in (_UNITS, _OPEN, _END, _CLOSE):
        session = find_session(books, index, int(command["key_high"]), int(command["key_low"]))
        number = int(command["request_number"])
        last = int(books.session[session]["last_request"])
        if (session == 0 or number <= last) and answered_before(books, index, out, commands, row):
            return P_OVER
        if verb == _OPEN:
            if session != 0:
                return refuse(out, job, _ALREADY, 0, P_OVER)
            if begin_session(books, index, out, work, commands, row) == 0:
                return P_OVER
            return P_REMEMBER
        if session == 0:
            if verb != _UNITS or (command["flags"] & _HANDED_OVER) == 0:
                return refuse(out, job, _UNKNOWN_SESSION, 0, P_OVER)
            session = begin_session(books, index, out, work, commands, row)
            if session == 0:
                return P_OVER
        elif number < last and verb != _CLOSE:
            return refuse(out, job, _OUT_OF_ORDER, 0, P_OVER)
        describe(books, out, work, session, row)
        if verb == _UNITS:
            if number > last:
                books.session[session]["last_request"] = command["request_number"]
                touch(out, T_SESSION, session)
            return start_units(books, index, out, state, work, program, commands, row, session)
        out.answer[row]["session_nanos"] = books.session[session]["money_nanos"]
        close_session(books, index, out, state, work, session, job[J_INSTANT])
        return P_REMEMBER
    if verb == _TICK:
        tick(books, index, out, state, work)
        return P_OVER
    keyed = command["key_high"] != 0 or command["key_low"] != 0
    if keyed and answered_before(books, index, out, commands, row):
        return P_OVER
    if verb in (_DEBIT, _CHECK, _ENQUIRE, _RECORD):
        return start_event(books, index, out, state, work, program, commands, row, verb)
    return unpriced(books, index, out, state, work, commands, row, verb)


@called
def unpriced(
    books: Books, index: Index, out: Out, state: State, work: Work, commands: Rows, row: int, verb: int
) -> int:
    """Verbs that need no price. Returns the phase."""
    result = _INVALID
    if verb == _REFUND:
        result = refund(books, index, out, state, work, commands, row)
    elif _TOP_UP <= verb <= _CREDIT:
        result = change_balance(books, index, out, state, work, commands, verb)
    elif _ACCOUNT <= verb <= _STATUS:
        result = change_who(books, index, out, state, work, commands, verb)
    if work.job[J_NEED] != NEED_NOTHING:
        return P_AWAY
    refuse(out, work.job, result, 0, 0)
    return P_REMEMBER if result == _DONE else P_OVER


@called
def describe(books: Books, out: Out, work: Work, session: int, row: int) -> None:
    subscriber = int(books.session[session]["subscriber"])
    account = int(books.subscriber[subscriber]["account"])
    work.job[J_SESSION] = session
    work.job[J_SUBSCRIBER] = subscriber
    work.job[J_ACCOUNT] = account
    out.answer[row]["session"] = session


@called
def begin_session(books: Books, index: Index, out: Out, work: Work, commands: Rows, row: int) -> int:
    """Open a session for a command; 0 when it is refused, and then the answer says why."""
    job = work.job
    command = commands[row]
    if command["text_length"] > LONGEST_TEXT:
        refuse(out, job, _INVALID, 0, 0)
        return 0
    subscriber = who_is(books, index, commands, row)
    if subscriber == 0:
        refuse(out, job, _UNKNOWN_SUBSCRIBER, 0, 0)
        return 0
    if not is_served(books, subscriber):
        refuse(out, job, _NOT_SERVED, 0, 0)
        return 0
    session = open_session(
        books, index, out, job, subscriber, int(command["key_high"]), int(command["key_low"]),
        int(command["subscriber_key"]), int(command["door"]), int(command["peer"]), int(command["request_number"]),
        job[J_INSTANT],
        int(command["text_offset"]), int(command["text_length"]),
    )  # fmt: skip
    if session == 0:
        refuse(out, job, _FULL, 0, 0)
    else:
        describe(books, out, work, session, row)
    return session


@spliced
def complete(books: Books, out: Out, work: Work, row: int) -> None:
    """Figures that every answer carries."""
    job = work.job
    answer = out.answer[row]
    subscriber = job[J_SUBSCRIBER]
    answer["charged_nanos"] = job[J_CHARGED]
    if job[J_UNCOLLECTED] != 0:
        answer["uncollected_nanos"] = job[J_UNCOLLECTED]
    account = job[J_ACCOUNT]
    if subscriber != 0:
        account = int(books.subscriber[subscriber]["account"])
        answer["subscriber"] = subscriber
    if account == 0:
        return
    answer["currency"] = books.account[account]["currency"]
    answer["available_nanos"] = payable(books, account, subscriber, int(books.meta[0]["now_ms"]))
    if job[J_SESSION] != 0 and books.session[job[J_SESSION]]["state"] != 0:
        answer["session_nanos"] = books.session[job[J_SESSION]]["money_nanos"]


@spliced
def warm(books: Books, index: Index, out: Out, state: State, work: Work, commands: Rows, first: int) -> None:
    """Look at the rows that the next commands will need, in short loops without writes.

    Nothing comes of it but that the processor fetches many of them at once, instead of one after the other.
    """
    count = min(WARMED, commands.shape[0] - first)
    seen = 0
    for place in range(count):
        command = commands[first + place]
        work.warmed[place, 0] = find_session(books, index, int(command["key_high"]), int(command["key_low"]))
        seen ^= int(index.stored_head[mixed(int(command["key_low"])) & (index.stored_head.shape[0] - 1)])
        stored = int(books.meta[0]["next_answer"]) + place
        if stored < books.stored.shape[0]:
            seen ^= int(books.stored[stored]["key_low"]) ^ int(out.stamp[out.base[T_STORED] + stored])
    for place in range(count):
        session = work.warmed[place, 0]
        work.warmed[place, 1] = books.session[session]["first_group"]
        work.warmed[place, 2] = books.session[session]["subscriber"]
        seen ^= int(out.stamp[out.base[T_SESSION] + session])
    for place in range(count):
        usage = books.group[work.warmed[place, 1]]
        seen ^= int(usage["start_ms"]) ^ int(usage["units"]) ^ int(usage["totals"][2])
        seen ^= int(usage["draw_settled"][0]) ^ int(usage["draw_held"][0]) ^ int(usage["counter"][0])
        seen ^= int(out.stamp[out.base[T_GROUP] + work.warmed[place, 1]])
        subscriber = work.warmed[place, 2]
        work.warmed[place, 3] = books.subscriber[subscriber]["account"]
        slot = subscriber * index.stride[0]
        work.warmed[place, 1] = state.candidate_bucket[slot]
        seen ^= int(state.candidate_taken[slot]) ^ int(index.candidate_member[slot])
    for place in range(count):
        work.warmed[place, 2] = books.account[work.warmed[place, 3]]["first_money"]
        seen ^= int(books.bucket[work.warmed[place, 1]]["free"]) ^ int(books.bucket[work.warmed[place, 1]]["users"])
        seen ^= int(out.stamp[out.base[T_BUCKET] + work.warmed[place, 1]])
    for place in range(count):
        bucket = work.warmed[place, 2]
        seen ^= int(books.bucket[bucket]["free"]) ^ int(books.bucket[bucket]["state"])
        seen ^= int(out.stamp[out.base[T_BUCKET] + bucket])
    work.job[J_WARM] = seen


@uncounted
def apply_commands(
    commands: Rows,  # SIGNED COMMAND [n]
    first: int,
    books: Books,
    index: Index,
    out: Out,
    state: State,
    program: Program,
    work: Work,
) -> int:
    """Apply commands from the first on. Returns the place it came to; work.job says what it needs to go on there."""
    job = work.job
    for row in range(first, commands.shape[0]):
        phase = job[J_PHASE]
        if phase == P_START and (row - first) % WARMED == 0:
            warm(books, index, out, state, work, commands, row)
        job[J_NEED] = NEED_NOTHING
        if phase == P_START:
            if (
                out.counts[OUT_MOVEMENTS] + ROOM > out.movement.shape[0]
                or out.counts[OUT_CHARGES] + ROOM > out.charge.shape[0]
                or out.counts[OUT_NOTICES] + ROOM > out.notice.shape[0]
            ):
                job[J_NEED] = NEED_ROOM
                return row
            received = int(commands[row]["received_ms"])
            if received > books.meta[0]["now_ms"]:
                books.meta[0]["now_ms"] = received
                touch(out, T_META, 0)
            job[J_COMMAND] = row
            job[J_INSTANT] = commands[row]["instant_ms"] if commands[row]["instant_ms"] >= 0 else received
            job[J_SESSION] = 0
            job[J_SUBSCRIBER] = 0
            job[J_ACCOUNT] = 0
            job[J_GROUP] = 0
            job[J_CHARGED] = 0
            job[J_UNCOLLECTED] = 0
            job[J_LIFTED] = 0
            phase = start(books, index, out, state, work, program, commands, row)
            if phase == P_AWAY:
                return row
        verb = int(commands[row]["verb"])
        while phase < P_REMEMBER:
            if phase == P_ROLL:
                phase = roll_segment(books, index, out, state, work, program)
                if phase == P_AWAY:
                    job[J_PHASE] = P_ROLL
                    return row
                continue
            if phase == P_ASK:
                phase = ask_slice(books, index, out, work, commands, row)
                continue
            if phase == P_FINISH:
                finish_units(books, index, out, state, work, commands, row)
                phase = P_REMEMBER
                continue
            group = job[J_GROUP]
            reason = 0
            if not (phase == P_EVENT and is_money(commands, row)):
                work.charges.quantity[0] = job[J_QUANTITY]
                work.priced.draw_count[0] = 0
                work.priced.throttled[0] = 0
                work.priced.unserved_units[0] = 0
                before_price(books, index, state, work, group)
                reason = price_charge(
                    work.charges, 0, job[J_NODE], program.prefixes, program.calendars, program.prices,
                    program.selection, state, work.scratch, work.priced, None,
                )  # fmt: skip
                after_price(books, index, state, work, group, reason == 0)
            if phase in (P_SETTLE, P_SETTLE_AFTER):
                crowded = phase == P_SETTLE and reason == 0 and needs_room(books, work, group)
                if crowded:  # the segment ends without this usage, which is the first of the next
                    job[J_USED_AFTER] += job[J_USED]
                    job[J_USED] = 0
                    job[J_ROLL] = 1
                used = job[J_USED] if phase == P_SETTLE else job[J_USED_AFTER]
                if not crowded and not settled(books, index, out, state, work, reason, used, job[J_INSTANT]):
                    phase = P_FINISH
                elif phase == P_SETTLE:
                    phase = after_settle(books, index, out, state, work, commands, row)
                else:
                    phase = P_ASK
            elif phase == P_SLICE:
                granted = search(books, out, work, reason)
                if granted >= 0 and verb == _UNITS:
                    grant_slice(books, index, out, state, work, granted, row)
                    lasts_ms = 1000 * int(out.answer[row]["validity_seconds"])
                    change_ms = next_change(books, work, program, group, job[J_INSTANT] + lasts_ms)
                    books.group[group]["tariff_change_ms"] = change_ms
                    out.answer[row]["tariff_change_ms"] = change_ms
                elif granted >= 0:
                    out.answer[row]["unit"] = job[J_UNIT]
                    out.answer[row]["granted_units"] = granted
                    out.answer[row]["price_nanos"] = work.priced.amount_nanos[0]
                    if granted < job[J_WANTED] and commands_said(commands, row):
                        refuse(out, job, _INSUFFICIENT, 0, 0)
                if granted != NOTHING:
                    phase = P_FINISH if verb == _UNITS else P_REMEMBER
            else:
                finish_event(books, index, out, state, work, commands, row, verb, reason)
                phase = P_REMEMBER
        job[J_PHASE] = P_START
        if _DEBIT <= verb <= _RECORD:
            books.group[0] = index.blank_group[0]
        if out.answer[row]["stored"] == 0:
            complete(books, out, work, row)
        if phase == P_REMEMBER:
            remember(books, index, out, commands, row)
    return commands.shape[0]
