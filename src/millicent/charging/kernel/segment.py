"""A segment: what is priced as one usage. Probing its price, taking over what a price drew, closing it."""

from millicent.charging.kernel.chain import member_of, touch
from millicent.charging.kernel.layout import (
    BUCKET_ENDED,
    COMBINATION_CLASS,
    COMBINATION_PICK,
    COUNTERS,
    DRAWS,
    J_A,
    J_B,
    J_C,
    J_ORIGIN,
    J_PROGRAM,
    NEED_COMBINATION,
    NEED_PROGRAM,
    T_BUCKET,
    T_COUNTER,
    T_GROUP,
    T_META,
    UNRESOLVED,
    Books,
    Index,
    Out,
    Work,
)
from millicent.charging.kernel.owner import insert_candidate, release_bucket
from millicent.charging.kernel.purse import use_draw
from millicent.charging.kernel.record import MONEY, note_charge, note_movement, payer_of, tell_used
from millicent.charging.kernel.splice import called, spliced
from millicent.charging.kernel.status import review_bucket
from millicent.charging.types import NOT_SAID
from millicent.kit.kernels import Int64s
from millicent.rating.kernel.arrays import DRAW_BUCKET, DRAW_TAKEN, NOTHING, State


@spliced
def program_at(index: Index, instant_ms: int) -> int:
    """The newest program in force at an instant; before all of them the first. NOTHING where there is none."""
    found = min(0, index.program_from_ms.shape[0] - 1)
    for program in range(index.program_from_ms.shape[0]):
        if index.program_from_ms[program] <= instant_ms:
            found = program
    return found


@spliced
def program_of(index: Index, release: int) -> int:
    """The program of a release; of one that is no longer loaded, the newest."""
    for program in range(index.program_release.shape[0]):
        if index.program_release[program] == release:
            return program
    return index.program_release.shape[0] - 1


@spliced
def combination_at(
    index: Index, job: Int64s, program: int, plan: int, traffic: int, origin: int, instant_ms: int
) -> int:  # fmt: skip
    """What a traffic under a plan is to a program, or what the loop needs first, below zero."""
    if program != job[J_PROGRAM]:
        job[J_A] = program
        return -NEED_PROGRAM
    epoch = 0
    while epoch < index.boundary_ms.shape[0] and index.boundary_ms[epoch] <= instant_ms:
        epoch += 1
    known = UNRESOLVED
    if plan < index.combination_of.shape[1] and traffic < index.combination_of.shape[2]:
        known = int(index.combination_of[epoch, plan, traffic, origin])
    if known == UNRESOLVED:
        job[J_A] = plan
        job[J_B] = traffic
        job[J_C] = epoch
        job[J_ORIGIN] = origin
        return -NEED_COMBINATION
    return known


@spliced
def set_charge(
    books: Books, index: Index, state: State, work: Work, subscriber: int, group: int, combination: int
) -> None:
    """Write down, but for the quantity, the usage that the segment is. All that its group drew is put back by now."""
    charges = work.charges
    usage = books.group[group]
    owner = books.subscriber[subscriber]
    charges.pick[0] = index.combination[combination, COMBINATION_PICK]
    charges.usage_class[0] = index.combination[combination, COMBINATION_CLASS]
    charges.instant_ms[0] = usage["start_ms"]
    charges.whole_by_start[0] = 0 if usage["unit"] == 0 else 1
    charges.number_key[0] = usage["number_key"]
    charges.number_digits[0] = usage["number_digits"]
    charges.answered[0] = 0 if usage["unanswered"] else 1
    charges.content_nanos[0] = usage["content_nanos"]
    pool = int(usage["pool"]) if usage["left"] else int(owner["pool"])
    charges.owner[0] = subscriber
    charges.counter_owner[0, 0] = subscriber
    charges.counter_owner[0, 1] = payer_of(books, subscriber, group)
    charges.counter_owner[0, 2] = pool if pool > 0 else NOTHING
    if usage["left"]:
        charges.owner[0] = 0
        own_candidates(books, index, state, subscriber, group)


@called
def own_candidates(books: Books, index: Index, state: State, subscriber: int, group: int) -> None:
    """Whoever moved draws on what was held for the slice and on nothing else: those are the candidates of row 0."""
    for slot in range(index.stride[0]):
        state.candidate_bucket[slot] = 0
        state.candidate_taken[slot] = 0
        index.candidate_member[slot] = 0
    for place in range(DRAWS):
        bucket = int(books.group[group]["draw_bucket"][place])
        if bucket != 0 and books.bucket[bucket]["kind"] < MONEY:
            insert_candidate(books, index, state, 0, bucket, member_of(books, subscriber, bucket))


@called
def leave_segment(books: Books, out: Out, subscriber: int, group: int) -> None:
    """The subscription goes to another payer or pool: what was granted stays with those who granted it."""
    usage = books.group[group]
    first = int(books.meta[0]["first_left"])
    usage["left"] = 1
    usage["account"] = books.subscriber[subscriber]["account"]
    usage["pool"] = books.subscriber[subscriber]["pool"]
    usage["next_left"] = first
    usage["previous_left"] = 0
    if first != 0:
        books.group[first]["previous_left"] = group
        touch(out, T_GROUP, first)
    books.meta[0]["first_left"] = group
    touch(out, T_GROUP, group)
    touch(out, T_META, 0)


@called
def forget_left(books: Books, out: Out, group: int) -> None:
    """The segment that was left is closed: the group belongs to whoever pays now."""
    usage = books.group[group]
    before = int(usage["previous_left"])
    after = int(usage["next_left"])
    if before == 0:
        books.meta[0]["first_left"] = after
        touch(out, T_META, 0)
    else:
        books.group[before]["next_left"] = after
        touch(out, T_GROUP, before)
    if after != 0:
        books.group[after]["previous_left"] = before
        touch(out, T_GROUP, after)
    usage["left"] = 0
    usage["account"] = 0
    usage["pool"] = 0
    usage["next_left"] = 0
    usage["previous_left"] = 0
    touch(out, T_GROUP, group)


@spliced
def begin_segment(books: Books, out: Out, group: int, start_ms: int) -> None:
    usage = books.group[group]
    usage["start_ms"] = start_ms
    usage["change"] = books.meta[0]["change"]
    usage["units"] = 0
    usage["input_octets"] = 0
    usage["output_octets"] = 0
    usage["charged_units"] = 0
    usage["bucket_units"] = 0
    usage["amount_nanos"] = 0
    usage["uncollected_nanos"] = 0
    usage["granted_units"] = 0
    usage["tariff_change_ms"] = NOT_SAID
    usage["old_cycle"] = 0
    usage["reason"] = 0
    usage["throttled"] = 0
    usage["case"] = NOTHING
    usage["zone_set"] = NOTHING
    if group != 0:
        touch(out, T_GROUP, group)


@spliced
def before_price(books: Books, index: Index, state: State, work: Work, group: int) -> None:
    """A call that began in an old cycle is priced with the counters of that cycle."""
    usage = books.group[group]
    if usage["old_cycle"] == 0:
        return
    for place in range(COUNTERS):
        counter = int(usage["counter"][place])
        if counter != 0:
            units = index.counter_place[counter]
            work.counted[place] = state.counter_units[units]
            state.counter_units[units] = usage["counter_settled"][place]


@spliced
def after_price(books: Books, index: Index, state: State, work: Work, group: int, sound: bool) -> None:
    """Undo all that the price drew: only then is it decided whether the segment takes it over."""
    if sound:
        first = int(work.charges.owner[0]) * index.stride[0]
        for draw in range(work.priced.draw_count[0]):
            bucket = work.priced.draw[draw, DRAW_BUCKET]
            taken = work.priced.draw[draw, DRAW_TAKEN]
            state.remaining[bucket] += taken
            for candidate in range(first, first + index.stride[0]):
                if state.candidate_bucket[candidate] == bucket:
                    state.candidate_taken[candidate] -= taken
        for pending in range(1, work.scratch.pending_counter[0] + 1):
            if work.scratch.pending_counter[pending] >= 0:
                state.counter_units[work.scratch.pending_counter[pending]] -= work.scratch.pending_units[pending]
    else:
        work.priced.draw_count[0] = 0
        work.scratch.pending_counter[0] = 0
    usage = books.group[group]
    if usage["old_cycle"] != 0:
        for place in range(COUNTERS):
            counter = int(usage["counter"][place])
            if counter != 0:
                state.counter_units[index.counter_place[counter]] = work.counted[place]


@spliced
def fits(books: Books, work: Work, group: int) -> bool:
    """Whether the segment has places for all that the price drew."""
    return places_after(books, work, group) >= 0


@spliced
def places_after(books: Books, work: Work, group: int) -> int:
    """How many places the segment would still have; below zero: too few."""
    usage = books.group[group]
    needed = 0
    for draw in range(work.priced.draw_count[0]):
        known = False
        for place in range(DRAWS):
            known = known or usage["draw_bucket"][place] == work.priced.draw[draw, DRAW_BUCKET]
        needed += 0 if known else 1
    for place in range(DRAWS):
        needed -= 1 if usage["draw_bucket"][place] == 0 else 0
    moved = 0
    for pending in range(1, work.scratch.pending_counter[0] + 1):
        moved += 1 if work.scratch.pending_counter[pending] >= 0 else 0
    return -needed if moved <= COUNTERS else -1


@spliced
def needs_room(books: Books, work: Work, group: int) -> bool:
    """Whether what the price drew finds its places only in a new segment."""
    return books.group[group]["units"] > 0 and not fits(books, work, group)


@spliced
def drawn(work: Work, bucket: int) -> int:
    """What the price drew of a bucket."""
    for draw in range(work.priced.draw_count[0]):
        if work.priced.draw[draw, DRAW_BUCKET] == bucket:
            return work.priced.draw[draw, DRAW_TAKEN]
    return 0


@spliced
def counter_at(books: Books, index: Index, out: Out, work: Work, place: int) -> int:
    """The row of a counter, made when somebody counts for the first time."""
    row = int(index.counter_row[place])
    if row == 0 and books.meta[0]["counters"] < books.counter.shape[0]:
        row = int(books.meta[0]["counters"])
        books.meta[0]["counters"] = row + 1
        block = 0
        while block + 1 < work.block_first.shape[0] and work.block_first[block + 1] <= place:
            block += 1
        counter = books.counter[row]
        counter["name"] = work.block_name[block]
        counter["scope"] = work.block_scope[block]
        counter["owner"] = place - work.block_first[block]
        counter["units"] = 0
        index.counter_row[place] = row
        index.counter_place[row] = place
        touch(out, T_COUNTER, row)
        touch(out, T_META, 0)
    return row


@called
def settle_draws(books: Books, index: Index, out: Out, work: Work, group: int) -> None:
    """What the price drew is from now on what the segment took; each difference is a movement."""
    usage = books.group[group]
    for draw in range(work.priced.draw_count[0]):
        use_draw(books, group, work.priced.draw[draw, DRAW_BUCKET])
    for place in range(DRAWS):
        bucket = int(usage["draw_bucket"][place])
        if bucket == 0 or books.bucket[bucket]["kind"] >= MONEY:
            continue
        taken = drawn(work, bucket)
        more = taken - int(usage["draw_settled"][place])
        if more == 0:
            continue
        usage["draw_settled"][place] = taken
        row = books.bucket[bucket]
        remaining = int(row["free"]) + int(row["reserved"]) - taken
        note_movement(books, out, work.job, bucket, -more, remaining, NOT_SAID)
        if more > 0:
            tell_used(books, out, work.job, bucket, remaining)
        if row["watch"] != 0:
            review_bucket(books, out, work.job, bucket, remaining)
    if usage["old_cycle"] == 0:
        for place in range(COUNTERS):
            usage["counter_settled"][place] = 0
        count_draws(books, index, out, work, group, False)


@called
def count_draws(books: Books, index: Index, out: Out, work: Work, group: int, held: bool) -> None:
    """Take over what the price added to counters, as settled or as held beyond that."""
    usage = books.group[group]
    for pending in range(1, work.scratch.pending_counter[0] + 1):
        at = work.scratch.pending_counter[pending]
        row = counter_at(books, index, out, work, at) if at >= 0 else 0
        if row == 0:
            continue
        found = NOTHING
        for place in range(COUNTERS):
            if usage["counter"][place] == row:
                found = place
        for place in range(COUNTERS):
            if found < 0 and usage["counter"][place] == 0:
                found = place
        if found < 0:
            continue
        usage["counter"][found] = row
        units = work.scratch.pending_units[pending]
        if held:
            usage["counter_held"][found] = max(0, units - int(usage["counter_settled"][found]))
        else:
            usage["counter_settled"][found] = units


@called
def hold_draws(books: Books, index: Index, out: Out, work: Work, group: int) -> None:
    """What the price of the slice draws beyond what is settled is held."""
    usage = books.group[group]
    for draw in range(work.priced.draw_count[0]):
        place = use_draw(books, group, work.priced.draw[draw, DRAW_BUCKET])
        more = work.priced.draw[draw, DRAW_TAKEN] - int(usage["draw_settled"][place])
        usage["draw_held"][place] = max(0, more)
    if usage["old_cycle"] == 0:
        count_draws(books, index, out, work, group, True)


@spliced
def charge_key(books: Books, group: int, part: int) -> tuple[int, int]:
    """The session's key with the group, the service and the segment mixed in."""
    usage = books.group[group]
    session = books.session[int(usage["session"])]
    service = int(usage["service_id"])
    high = int(session["key_high"]) ^ (int(usage["group"]) | ((service & 0x7FFFFFFF) << 32))
    low = int(session["key_low"]) ^ (int(usage["segment"]) | ((service >> 31) << 40) | (part << 41))
    return high, low


@called
def close_segment(
    books: Books, index: Index, out: Out, state: State, work: Work, subscriber: int, group: int, ended_ms: int
) -> None:
    """The price of a segment is final: nothing is held any more, its draws are no longer put back."""
    usage = books.group[group]
    if usage["units"] != 0 or usage["amount_nanos"] != 0 or usage["unanswered"] != 0 or usage["bucket_units"] != 0:
        high, low = charge_key(books, group, 0)
        note_charge(books, out, work.job, group, high, low, subscriber, ended_ms)
        usage["segment"] += 1
    for place in range(DRAWS):
        bucket = int(usage["draw_bucket"][place])
        if bucket == 0:
            continue
        usage["draw_bucket"][place] = 0
        usage["draw_settled"][place] = 0
        books.bucket[bucket]["users"] -= 1
        touch(out, T_BUCKET, bucket)
        if books.bucket[bucket]["state"] == BUCKET_ENDED:
            release_bucket(books, index, out, state, work.job, bucket)
    for place in range(COUNTERS):
        usage["counter"][place] = 0
        usage["counter_settled"][place] = 0
    if usage["left"]:
        forget_left(books, out, group)
    if group != 0:
        touch(out, T_GROUP, group)
