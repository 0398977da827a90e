"""UNITS: usage of one rating group is settled, and the next slice is granted and held.

A command goes through phases; in each phase that asks for a price the loop prices `job[J_QUANTITY]` of the segment as
one usage and hands over what came of it. While a command is on its way all that its group drew is put back ("lifted").
"""

from millicent.charging.kernel.chain import find_identifier, find_subscription, touch
from millicent.charging.kernel.layout import (
    COMBINATION_CURRENCY,
    COMBINATION_INCOMING,
    COMBINATION_PICK,
    COMBINATION_REASON,
    COMBINATION_SERVICE,
    COMBINATION_UNIT,
    J_ACCOUNT,
    J_AVAILABLE,
    J_CHARGED,
    J_COMBINATION,
    J_COMMAND,
    J_FINAL_SLICE,
    J_GROUP,
    J_HIGH,
    J_INPUT,
    J_INSTANT,
    J_LEAST,
    J_LIFTED,
    J_LOW,
    J_MOST,
    J_NEED,
    J_NODE,
    J_OUTPUT,
    J_QUANTITY,
    J_ROLL,
    J_SESSION,
    J_SHARE,
    J_STEP,
    J_SUBSCRIBER,
    J_TIGHT,
    J_UNCOLLECTED,
    J_UNIT,
    J_USED,
    J_USED_AFTER,
    J_WANTED,
    T_GROUP,
    T_SESSION,
    Books,
    Index,
    Out,
    Program,
    Work,
)
from millicent.charging.kernel.purse import (
    can_hold,
    forget_empty,
    give_back,
    hold_money,
    lift,
    lower,
    payable,
    places_left,
    take_money,
)
from millicent.charging.kernel.record import note_charge, note_notice, payer_of
from millicent.charging.kernel.segment import (
    begin_segment,
    charge_key,
    close_segment,
    combination_at,
    fits,
    hold_draws,
    places_after,
    program_at,
    program_of,
    set_charge,
    settle_draws,
)
from millicent.charging.kernel.session import close_group, keep_alive, new_group
from millicent.charging.kernel.splice import called, spliced
from millicent.charging.keys import LONGEST_NUMBER, identifier_key
from millicent.charging.types import NO_LIMIT, NOT_SAID, Flag, NoticeKind, Result, Rows
from millicent.kit.kernels import Int64s
from millicent.rating.kernel.arrays import (
    AMOUNT_LIMIT,
    NODE_PLACE,
    NOTHING,
    PICK_ROOT,
    PICK_TARIFF,
    TARIFF_CALENDAR,
    TARIFF_PREFIX_SET,
    State,
)
from millicent.rating.kernel.number import KEY_DIGITS
from millicent.rating.kernel.prefix import node_of
from millicent.rating.kernel.rule import case_at
from millicent.rating.types import Reason
from millicent.subscriptions.types import IdentifierKind

(P_START, P_SETTLE, P_ROLL, P_SETTLE_AFTER, P_ASK, P_SLICE, P_FINISH, P_EVENT, P_REMEMBER, P_OVER, P_AWAY) = range(11)
# steps of the search for the largest slice
S_SEARCH, S_LAST = range(2)
UNKNOWN_CASE = -2
_KIND_BITS = 60
_NUMBER_BITS = (1 << _KIND_BITS) - 1
_MSISDN = identifier_key(IdentifierKind.MSISDN, "0") >> _KIND_BITS
CROWDED = 4  # so few places left for buckets: a segment that is not measured in time ends

_DONE, _UNKNOWN_SUBSCRIBER, _UNKNOWN_SESSION = (
    int(Result.DONE),
    int(Result.UNKNOWN_SUBSCRIBER),
    int(Result.UNKNOWN_SESSION),
)
_INSUFFICIENT, _NOT_SERVED, _NOT_PRICED = int(Result.INSUFFICIENT), int(Result.NOT_SERVED), int(Result.NOT_PRICED)
_OUT_OF_ORDER, _CURRENCY_DIFFERS = int(Result.OUT_OF_ORDER), int(Result.CURRENCY_DIFFERS)
_INVALID, _FULL, _ALREADY = int(Result.INVALID), int(Result.FULL), int(Result.ALREADY)
_PRICED, _NO_TARIFF, _NO_RELEASE = int(Reason.PRICED), int(Reason.NO_TARIFF), int(Reason.NO_RELEASE)
_BUCKET_BLOCKED, _LIMIT_REACHED = int(Reason.BUCKET_BLOCKED), int(Reason.LIMIT_REACHED)
_AMOUNT_OVERFLOW = int(Reason.AMOUNT_OVERFLOW)
_FINAL, _ASKED, _UNANSWERED = int(Flag.FINAL), int(Flag.ASKED), int(Flag.UNANSWERED)
_HANDED_OVER, _CUMULATIVE, _BASELINE = int(Flag.HANDED_OVER), int(Flag.CUMULATIVE), int(Flag.BASELINE)
_UNCOLLECTED = int(NoticeKind.UNCOLLECTED)
SECONDS, TOTAL, INPUT, OUTPUT, SERVICE = 0, 1, 2, 3, 4  # Unit


@spliced
def refuse(out: Out, job: Int64s, result: int, reason: int, phase: int) -> int:
    """End a command with a result. Returns the phase."""
    answer = out.answer[job[J_COMMAND]]
    answer["result"] = result
    answer["reason"] = reason
    return phase


@spliced
def measured(quantities: Int64s, unit: int) -> int:
    """What a row of quantities says in the unit of a service; NOT_SAID where it says nothing."""
    if unit == TOTAL and quantities[TOTAL] < 0:
        if quantities[INPUT] < 0 and quantities[OUTPUT] < 0:
            return NOT_SAID
        return max(0, quantities[INPUT]) + max(0, quantities[OUTPUT])
    return quantities[unit]


@spliced
def sensible(commands: Rows, row: int) -> bool:
    """Whether all quantities are amounts or not said."""
    sound = True
    for unit in range(6):
        for quantity in (
            commands[row]["used"][unit],
            commands[row]["used_after"][unit],
            commands[row]["asked"][unit],
        ):
            sound = sound and NOT_SAID <= quantity <= AMOUNT_LIMIT
    return sound


@spliced
def who_is(books: Books, index: Index, commands: Rows, row: int) -> int:
    """The row of the subscription a command is about, 0 for nobody."""
    asked = commands[row]
    if asked["subscriber_key"] != 0:
        identifier = find_identifier(books, index, int(asked["subscriber_key"]))
        if identifier != 0:
            return int(books.identifier[identifier]["subscriber"])
    if asked["subscription_id"] >= 0:
        return find_subscription(books, index, int(asked["subscription_id"]))
    return 0


@spliced
def is_served(books: Books, subscriber: int) -> bool:
    account = int(books.subscriber[subscriber]["account"])
    return books.subscriber[subscriber]["status"] == 0 and books.account[account]["status"] == 0


@spliced
def find_group(books: Books, session: int, group: int, service_id: int) -> int:
    row = int(books.session[session]["first_group"])
    while row != 0 and (books.group[row]["group"] != group or books.group[row]["service_id"] != service_id):
        row = int(books.group[row]["next"])
    return row


@called
def place_of(loaded: Program, number_key: int, number_digits: int) -> int:
    """The place where a number lies, 0 for nowhere: as `rating.services.usage_columns` has it."""
    node = node_of(loaded.prefixes, 0, number_key, number_digits)
    return int(loaded.prefixes.node[node, NODE_PLACE]) if node >= 0 else 0


@called
def place_of_caller(loaded: Program, identifier: int) -> int:
    """The place of whoever is charged, where a number says who it is."""
    number = identifier & _NUMBER_BITS
    if identifier >> _KIND_BITS != _MSISDN or number >= 10**LONGEST_NUMBER or number == 0:
        return 0
    digits = 0
    value = number
    while value > 0:
        value //= 10
        digits += 1
    while digits > KEY_DIGITS:
        number //= 10
        digits -= 1
    for _ in range(KEY_DIGITS - digits):
        number *= 10
    return place_of(loaded, number, digits)


@spliced
def resolve(
    books: Books, index: Index, out: Out, job: Int64s, loaded: Program, subscriber: int, program: int, plan: int,
    traffic: int, instant_ms: int, caller: int, number_key: int, number_digits: int,
) -> int:  # fmt: skip
    """The combination that prices a usage. Below zero: refused (the answer says why), or the loop has to ask first."""
    if program < 0:
        refuse(out, job, _NOT_PRICED, _NO_RELEASE, 0)
        return NOTHING
    if plan < 0:
        refuse(out, job, _NOT_PRICED, _NO_TARIFF, 0)
        return NOTHING
    found = combination_at(index, job, program, plan, traffic, 0, instant_ms)
    if found >= 0 and index.combination_of.shape[3] > 1:  # some rule asks where the calling number lies
        if index.combination[found, COMBINATION_INCOMING]:
            origin = place_of(loaded, number_key, number_digits)
        else:
            origin = place_of_caller(loaded, caller)
        found = combination_at(index, job, program, plan, traffic, origin, instant_ms)
    if found < 0:
        job[J_NEED] = -found
        return NOTHING
    reason = int(index.combination[found, COMBINATION_REASON])
    if reason != _PRICED:
        refuse(out, job, _NOT_PRICED, reason, 0)
        return NOTHING
    currency = int(books.account[job[J_ACCOUNT]]["currency"])
    if currency >= 0 and index.combination[found, COMBINATION_CURRENCY] != currency:
        refuse(out, job, _CURRENCY_DIFFERS, 0, 0)
        return NOTHING
    job[J_COMBINATION] = found
    job[J_UNIT] = index.combination[found, COMBINATION_UNIT]
    return found


@spliced
def look_up_number(books: Books, index: Index, program: Program, work: Work, group: int) -> None:
    """The longest prefix of the other party's number, once for each command."""
    tariff = program.selection.pick[index.combination[work.job[J_COMBINATION], COMBINATION_PICK], PICK_TARIFF]
    work.job[J_NODE] = node_of(
        program.prefixes,
        program.prices.tariff[tariff, TARIFF_PREFIX_SET],
        int(books.group[group]["number_key"]),
        int(books.group[group]["number_digits"]),
    )


@spliced
def start_units(
    books: Books, index: Index, out: Out, state: State, work: Work, program: Program, commands: Rows, row: int,
    session: int,
) -> int:  # fmt: skip
    """Find or make the group, lift it, and decide what is to be priced. Returns the phase."""
    job = work.job
    command = commands[row]
    if not sensible(commands, row):
        return refuse(out, job, _INVALID, 0, P_OVER)
    subscriber = int(books.session[session]["subscriber"])
    group = find_group(books, session, int(command["group"]), int(command["service_id"]))
    job[J_SESSION] = session
    job[J_SUBSCRIBER] = subscriber
    job[J_ACCOUNT] = books.subscriber[subscriber]["account"]
    job[J_GROUP] = group
    traffic = int(command["traffic"])
    if group == 0:
        if traffic < 0:
            return refuse(out, job, _INVALID, 0, P_OVER)
        begun = job[J_INSTANT]
        if measured(command["used"], SECONDS) > 0 or measured(command["used"], TOTAL) > 0:
            begun = int(books.session[session]["opened_ms"])  # it was going on before anybody asked
        chosen = program_at(index, begun)
        plan = int(books.subscriber[subscriber]["plan"])
        if resolve(
            books, index, out, job, program, subscriber, chosen, plan, traffic, begun,
            int(books.session[session]["caller_key"]), int(command["number_key"]), int(command["number_digits"]),
        ) < 0:  # fmt: skip
            return P_AWAY if job[J_NEED] != 0 else P_REMEMBER
        group = new_group(books, out, session, int(command["group"]), int(command["service_id"]))
        if group == 0:
            return refuse(out, job, _FULL, 0, P_OVER)
        job[J_GROUP] = group
        usage = books.group[group]
        usage["traffic"] = traffic
        usage["plan"] = plan
        usage["release"] = index.program_release[chosen]
        usage["unit"] = job[J_UNIT]
        usage["number_key"] = command["number_key"]
        usage["number_digits"] = command["number_digits"]
        usage["content_nanos"] = command["content_nanos"]
        usage["unanswered"] = 0
        begin_segment(books, out, group, begun)
    else:
        usage = books.group[group]
        job[J_ACCOUNT] = payer_of(books, subscriber, group)
        chosen = program_of(index, int(usage["release"]))
        if resolve(
            books, index, out, job, program, subscriber, chosen, int(usage["plan"]), int(usage["traffic"]),
            int(usage["start_ms"]), int(books.session[session]["caller_key"]), int(usage["number_key"]),
            int(usage["number_digits"]),
        ) < 0:  # fmt: skip
            return P_AWAY if job[J_NEED] != 0 else P_REMEMBER
    usage = books.group[group]
    final = (command["flags"] & _FINAL) != 0
    usage["unanswered"] = 1 if (command["flags"] & _UNANSWERED) and usage["units"] == 0 else 0
    _count_usage(books, work, commands, row, group)
    job[J_ROLL] = 0
    moved = max(
        int(books.subscriber[subscriber]["change"]),
        int(books.account[job[J_ACCOUNT]]["change"]),
        int(books.pool[int(books.subscriber[subscriber]["pool"])]["change"]),
    )
    if usage["plan"] != books.subscriber[subscriber]["plan"] and books.subscriber[subscriber]["plan"] >= 0:
        job[J_ROLL] = 1
    if usage["unit"] != SECONDS:
        changes = int(usage["tariff_change_ms"])
        if moved > usage["change"] or (traffic >= 0 and traffic != usage["traffic"]):
            job[J_ROLL] = 1
        if 0 <= changes <= job[J_INSTANT]:
            job[J_ROLL] = 1
        if changes < 0 and job[J_ROLL] == 0:  # nobody was told of a change: all of it belongs to this segment
            job[J_USED] += job[J_USED_AFTER]
            job[J_USED_AFTER] = 0
    else:
        job[J_USED] += job[J_USED_AFTER]
        job[J_USED_AFTER] = 0
    if usage["left"]:  # what was granted is used there, whatever was used beyond it by the new payer
        job[J_ROLL] = 1
        beyond = max(0, job[J_USED] + job[J_USED_AFTER] - int(usage["granted_units"]))
        job[J_USED] += job[J_USED_AFTER] - beyond
        job[J_USED_AFTER] = beyond
    if final and job[J_USED_AFTER] == 0:
        job[J_ROLL] = 0
    elif job[J_USED_AFTER] > 0:
        job[J_ROLL] = 1
    lift(books, index, out, state, subscriber, group, work.kept)
    job[J_LIFTED] = 1
    usage["granted_units"] = 0
    set_charge(books, index, state, work, subscriber, group, job[J_COMBINATION])
    look_up_number(books, index, program, work, group)
    touch(out, T_GROUP, group)
    if job[J_USED] > 0 or (final and usage["unanswered"] != 0):
        job[J_QUANTITY] = int(usage["units"]) + job[J_USED]
        return P_SETTLE
    return after_settle(books, index, out, state, work, commands, row)


@spliced
def _count_usage(books: Books, work: Work, commands: Rows, row: int, group: int) -> None:
    """What was used since the last report, in the unit of the service, and of volumes each way."""
    command = commands[row]
    usage = books.group[group]
    for unit in range(6):
        said = int(command["used"][unit])
        before = int(usage["totals"][unit])
        if command["flags"] & _CUMULATIVE:
            work.used[unit] = NOT_SAID if said < 0 else max(0, said - before)
            usage["totals"][unit] = max(before, said)
            if command["flags"] & _BASELINE:
                work.used[unit] = min(work.used[unit], 0)
        else:
            work.used[unit] = said
            usage["totals"][unit] = min(AMOUNT_LIMIT, before + max(0, said))
    job = work.job
    unit = int(usage["unit"])
    whole = max(0, measured(work.used, unit))
    after = min(whole, max(0, measured(command["used_after"], unit)))
    job[J_USED] = whole - after
    job[J_USED_AFTER] = after
    job[J_INPUT] = max(0, work.used[INPUT])
    job[J_OUTPUT] = max(0, work.used[OUTPUT])


@spliced
def settled(
    books: Books, index: Index, out: Out, state: State, work: Work, reason: int, used: int, ended_ms: int
) -> bool:
    """Take over the price of what was used. False when it has none: then it is counted with its reason."""
    job = work.job
    group = job[J_GROUP]
    usage = books.group[group]
    subscriber = job[J_SUBSCRIBER]
    if reason == _PRICED and not fits(books, work, group):
        reason = _AMOUNT_OVERFLOW
    if reason != _PRICED:
        _count_unpriced(books, out, work, group, subscriber, reason, used, ended_ms)
        refuse(out, job, _NOT_PRICED, reason, 0)
        return False
    settle_draws(books, index, out, work, group)
    due = work.priced.amount_nanos[0] - int(usage["amount_nanos"])
    pay_due(books, out, work, group, due)
    usage["amount_nanos"] = work.priced.amount_nanos[0]
    usage["units"] += used
    usage["input_octets"] += job[J_INPUT]
    usage["output_octets"] += job[J_OUTPUT]
    job[J_INPUT] = 0
    job[J_OUTPUT] = 0
    usage["charged_units"] = work.priced.charged_units[0]
    usage["bucket_units"] = work.priced.bucket_units[0]
    usage["case"] = work.priced.case[0]
    usage["zone_set"] = work.priced.zone_set[0]
    usage["throttled"] = work.priced.throttled[0]
    return True


@called
def _count_unpriced(
    books: Books, out: Out, work: Work, group: int, subscriber: int, reason: int, used: int, ended_ms: int
) -> None:
    """Usage without a price is told as a charge of nothing with its reason: it is counted, never dropped."""
    usage = books.group[group]
    high, low = charge_key(books, group, 1 + int(usage["segment"]))
    note_charge(books, out, work.job, group, high, low, subscriber, ended_ms)
    row = out.charge[out.counts[1] - 1]
    row["reason"] = reason
    row["units"] = used
    row["amount_nanos"] = 0
    row["uncollected_nanos"] = 0
    row["charged_units"] = 0
    row["bucket_units"] = 0
    row["input_octets"] = work.job[J_INPUT]
    row["output_octets"] = work.job[J_OUTPUT]
    usage["segment"] += 1


@called
def pay_due(books: Books, out: Out, work: Work, group: int, due: int) -> None:
    """Take or give back the difference of the price; what cannot be paid stands in the charge, and is told."""
    job = work.job
    usage = books.group[group]
    if due > 0:
        taken = take_money(books, out, job, group, due, work.kept)
        job[J_CHARGED] += taken
        if taken < due:
            usage["uncollected_nanos"] += due - taken
            job[J_UNCOLLECTED] += due - taken
            note_notice(
                books, out, job, _UNCOLLECTED, job[J_SUBSCRIBER], job[J_ACCOUNT], 0, int(usage["session"]), 0,
                due - taken,
            )  # fmt: skip
    elif due < 0:
        forgiven = max(0, min(-due, int(usage["uncollected_nanos"])))
        usage["uncollected_nanos"] -= forgiven
        given = give_back(books, out, job, group, -due - forgiven)
        usage["uncollected_nanos"] -= -due - forgiven - given  # below zero: nobody has a bucket to give it to
        job[J_CHARGED] -= given


@spliced
def after_settle(books: Books, index: Index, out: Out, state: State, work: Work, commands: Rows, row: int) -> int:
    """What comes after the usage of the segment is settled. Returns the phase."""
    job = work.job
    subscriber = job[J_SUBSCRIBER]
    group = job[J_GROUP]
    usage = books.group[group]
    forget_empty(books, out, group)
    if usage["unit"] != SECONDS and places_left(books, group) < CROWDED and (commands[row]["flags"] & _FINAL) == 0:
        job[J_ROLL] = 1  # the next slice finds its places in a new segment
    if job[J_ROLL] == 0:
        return P_ASK
    changes = int(usage["tariff_change_ms"])
    begins = job[J_INSTANT]
    if 0 <= changes <= begins and job[J_USED_AFTER] > 0:
        begins = changes
    lower(books, index, out, state, subscriber, group)
    job[J_LIFTED] = 0
    close_segment(books, index, out, state, work, subscriber, group, begins)
    job[J_ACCOUNT] = books.subscriber[subscriber]["account"]
    begin_segment(books, out, group, begins)
    usage["plan"] = books.subscriber[subscriber]["plan"]
    if commands[row]["traffic"] >= 0:
        usage["traffic"] = commands[row]["traffic"]
    usage["release"] = NOT_SAID
    return P_ROLL


@spliced
def roll_segment(books: Books, index: Index, out: Out, state: State, work: Work, program: Program) -> int:
    """A new segment begins under the newest program. Returns the phase."""
    job = work.job
    group = job[J_GROUP]
    subscriber = job[J_SUBSCRIBER]
    usage = books.group[group]
    start_ms = int(usage["start_ms"])
    chosen = program_at(index, start_ms)
    usage["release"] = index.program_release[chosen]
    plan = int(usage["plan"])
    if resolve(
        books, index, out, job, program, subscriber, chosen, plan, int(usage["traffic"]), start_ms,
        int(books.session[job[J_SESSION]]["caller_key"]), int(usage["number_key"]), int(usage["number_digits"]),
    ) < 0:  # fmt: skip
        return P_AWAY if job[J_NEED] != 0 else P_FINISH
    usage["unit"] = job[J_UNIT]
    lift(books, index, out, state, subscriber, group, work.kept)
    job[J_LIFTED] = 1
    set_charge(books, index, state, work, subscriber, group, job[J_COMBINATION])
    look_up_number(books, index, program, work, group)
    if job[J_USED_AFTER] > 0:
        job[J_QUANTITY] = job[J_USED_AFTER]
        return P_SETTLE_AFTER
    return P_ASK


@spliced
def policy_of(index: Index, books: Books, job: Int64s) -> int:
    """The row of the declared policy of the service at hand, 0 where the unit's own holds."""
    name = int(index.combination[job[J_COMBINATION], COMBINATION_SERVICE])
    if 0 <= name < books.policy.shape[0] - 1 and books.policy[name + 1]["declared"]:
        return name + 1
    return 0


@spliced
def ask_policy(books: Books, index: Index, job: Int64s) -> int:
    """How many units a slice of the service at hand has when nobody says."""
    declared = policy_of(index, books, job)
    policy = books.policy[declared] if declared > 0 else index.default_policy[job[J_UNIT]]
    return int(policy["slice_units"])


@spliced
def ask_slice(books: Books, index: Index, out: Out, work: Work, commands: Rows, row: int) -> int:
    """How much the next slice may be. Returns the phase."""
    job = work.job
    command = commands[row]
    if (command["flags"] & _ASKED) == 0 or (command["flags"] & _FINAL):
        return P_FINISH
    if not is_served(books, job[J_SUBSCRIBER]):
        books.session[job[J_SESSION]]["wanting"] = 1
        return refuse(out, job, _NOT_SERVED, 0, P_FINISH)
    declared = policy_of(index, books, job)
    policy = books.policy[declared] if declared > 0 else index.default_policy[job[J_UNIT]]
    asked = measured(command["asked"], job[J_UNIT])
    wanted = int(policy["slice_units"]) if asked < 0 else asked
    wanted = min(wanted, int(policy["most_units"]))
    out.answer[row]["granted_units"] = 0
    if wanted == 0:
        return P_FINISH
    begin_search(books, work, wanted, int(policy["share"]), int(policy["least_units"]))
    return P_SLICE


@spliced
def begin_search(books: Books, work: Work, wanted: int, share: int, least: int) -> None:
    job = work.job
    job[J_WANTED] = wanted
    job[J_SHARE] = share
    job[J_LEAST] = least
    job[J_MOST] = min(wanted * share, NO_LIMIT) if wanted <= NO_LIMIT // share else NO_LIMIT
    job[J_LOW] = 0
    job[J_HIGH] = job[J_MOST]
    job[J_STEP] = S_SEARCH
    job[J_FINAL_SLICE] = 0
    job[J_TIGHT] = 0
    job[J_AVAILABLE] = payable(books, job[J_ACCOUNT], job[J_SUBSCRIBER], int(books.meta[0]["now_ms"]))
    _probe(books, work, job[J_MOST])


@spliced
def _probe(books: Books, work: Work, units: int) -> None:
    work.job[J_QUANTITY] = int(books.group[work.job[J_GROUP]]["units"]) + units


@spliced
def can_pay(books: Books, work: Work, reason: int) -> bool:
    """Whether the slice that was just priced can be paid and held."""
    job = work.job
    need = work.priced.amount_nanos[0] - int(books.group[job[J_GROUP]]["amount_nanos"])
    return (
        reason == _PRICED
        and work.priced.unserved_units[0] == 0
        and need <= job[J_AVAILABLE]
        and can_hold(books, job[J_ACCOUNT], job[J_GROUP], need, places_after(books, work, job[J_GROUP]))
    )


@spliced
def search(books: Books, out: Out, work: Work, reason: int) -> int:
    """The largest slice that can be paid, by halving: the price rises with the units.

    Returns units when they are found and were priced last, NOTHING while it goes on (the next quantity stands in the
    job), or -2 when nothing can be paid: the answer then says why.
    """
    job = work.job
    units = job[J_QUANTITY] - int(books.group[job[J_GROUP]]["units"])
    paid = can_pay(books, work, reason)
    if job[J_STEP] == S_LAST:
        if not paid:
            refuse(out, job, _INSUFFICIENT, 0, 0)
        return units if paid else -2
    if paid:
        job[J_LOW] = units
    else:
        job[J_HIGH] = units - 1
        need = work.priced.amount_nanos[0] - int(books.group[job[J_GROUP]]["amount_nanos"])
        poor = reason != _PRICED or work.priced.unserved_units[0] != 0 or need > job[J_AVAILABLE]
        job[J_TIGHT] = 0 if poor else 1  # there was money for it, but in more buckets than a slice can hold
        if units == 1:
            poor = reason in (_PRICED, _BUCKET_BLOCKED, _LIMIT_REACHED)
            refuse(out, job, _INSUFFICIENT if poor else _NOT_PRICED, 0 if poor else reason, 0)
    if job[J_LOW] < job[J_HIGH]:
        _probe(books, work, (job[J_LOW] + job[J_HIGH] + 1) >> 1)
        return NOTHING
    most = job[J_LOW]
    if most == 0:
        return -2
    granted = min(job[J_WANTED], max(most // job[J_SHARE], min(most, job[J_LEAST])))
    job[J_FINAL_SLICE] = 1 if granted == most and most < job[J_MOST] and job[J_TIGHT] == 0 else 0
    if paid and units == granted:
        return granted
    job[J_STEP] = S_LAST  # what was priced last is another quantity: price this one once more
    _probe(books, work, granted)
    return NOTHING


@called
def grant_slice(books: Books, index: Index, out: Out, state: State, work: Work, granted: int, row: int) -> None:
    """Hold what the slice may cost, and answer with it."""
    job = work.job
    group = job[J_GROUP]
    usage = books.group[group]
    answer = out.answer[row]
    need = max(0, work.priced.amount_nanos[0] - int(usage["amount_nanos"]))
    hold_draws(books, index, out, work, group)
    hold_money(books, job, group, need)
    usage["granted_units"] = granted
    answer["granted_units"] = granted
    answer["price_nanos"] = need
    answer["throttled"] = work.priced.throttled[0]
    declared = policy_of(index, books, job)
    policy = books.policy[declared] if declared > 0 else index.default_policy[job[J_UNIT]]
    answer["validity_seconds"] = policy["validity_seconds"]
    answer["holding_seconds"] = policy["holding_seconds"]
    answer["threshold_units"] = granted * int(policy["threshold_percent"]) // 100 if granted < 2**50 else NOT_SAID
    if job[J_FINAL_SLICE]:
        answer["final"] = policy["final"]
        answer["threshold_units"] = NOT_SAID
        books.session[job[J_SESSION]]["wanting"] = 1


@spliced
def next_change(books: Books, work: Work, program: Program, group: int, until_ms: int) -> int:
    """The next instant before another at which this usage would have another price; NOT_SAID where there is none.

    Of usage measured in time nobody needs to know: it is priced second by second.
    """
    usage = books.group[group]
    if usage["unit"] == SECONDS:
        return NOT_SAID
    pick = work.charges.pick[0]
    tariff = program.selection.pick[pick, PICK_TARIFF]
    at_ms = work.job[J_INSTANT]
    first = UNKNOWN_CASE
    while True:
        case, certain_ms, _ = case_at(
            program.prefixes, program.selection, program.calendars, program.prices.tariff[tariff, TARIFF_CALENDAR],
            pick, program.selection.pick[pick, PICK_ROOT], work.job[J_NODE], int(usage["start_ms"]), at_ms,
            work.scratch.calendar_hint,
        )  # fmt: skip
        if first == UNKNOWN_CASE:
            first = case
        elif case != first:
            return at_ms
        if certain_ms >= until_ms:
            return NOT_SAID
        at_ms = certain_ms


@called
def finish_units(books: Books, index: Index, out: Out, state: State, work: Work, commands: Rows, row: int) -> None:
    """Draw and hold again, close the group when it was the last report, answer."""
    job = work.job
    command = commands[row]
    group = job[J_GROUP]
    session = job[J_SESSION]
    subscriber = job[J_SUBSCRIBER]
    answer = out.answer[row]
    if job[J_LIFTED]:
        lower(books, index, out, state, subscriber, group)
        job[J_LIFTED] = 0
    open_row = books.session[session]
    open_row["money_nanos"] += job[J_CHARGED]
    if answer["result"] == _INSUFFICIENT:
        open_row["wanting"] = 1
    usage = books.group[group]
    answer["unit"] = usage["unit"]
    if answer["throttled"] == 0:
        answer["throttled"] = usage["throttled"]
    declared = policy_of(index, books, job)
    policy = books.policy[declared] if declared > 0 else index.default_policy[int(usage["unit"])]
    usage["deadline_ms"] = books.meta[0]["now_ms"] + 1000 * (
        int(policy["validity_seconds"]) + int(policy["grace_seconds"])
    )
    if answer["result"] != _DONE:
        answer["granted_units"] = NOT_SAID
    if command["flags"] & _FINAL:
        close_group(books, index, out, state, work, session, group, job[J_INSTANT])
        if open_row["first_group"] == 0:
            open_row["deadline_ms"] = books.meta[0]["now_ms"] + 1000 * (
                int(policy["validity_seconds"]) + int(policy["grace_seconds"])
            )
    keep_alive(books, out, session)
    touch(out, T_GROUP, group)
    touch(out, T_SESSION, session)
