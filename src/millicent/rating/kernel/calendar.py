"""Which rule is in force at an instant: local time, kind of day, segments of the day."""

from millicent.kit.kernels import Int64s
from millicent.rating.kernel.arrays import (
    NEVER,
    SCHEDULE_CONSTANT,
    SCHEDULE_FIRST_DAY,
    VARIES,
    Calendars,
    Selection,
)
from millicent.rating.kernel.splice import spliced

MS_PER_DAY = 86_400_000
HOLIDAY = 7


@spliced
def transition_at(calendars: Calendars, calendar: int, instant_ms: int, hint: Int64s) -> int:
    """The last change of UTC offset at or before an instant. Tries the one found last first."""
    last = calendars.first[calendar + 1] - 1
    found = hint[calendar]
    if calendars.instant_ms[found] <= instant_ms and (found == last or instant_ms < calendars.instant_ms[found + 1]):
        return found
    low = calendars.first[calendar]
    high = last
    while low < high:
        middle = (low + high + 1) >> 1
        if calendars.instant_ms[middle] <= instant_ms:
            low = middle
        else:
            high = middle - 1
    hint[calendar] = low
    return low


@spliced
def day_type(calendars: Calendars, calendar: int, day: int) -> int:
    """Monday is 0, Sunday 6, a holiday 7. Day 0 is Thursday 1 January 1970."""
    place = day - calendars.holiday_day[calendar]
    first = calendars.holiday_first[calendar]
    if 0 <= place < calendars.holiday_first[calendar + 1] - first and calendars.holiday[first + place]:
        return HOLIDAY
    return (day + 3) % 7


@spliced
def scheduled_case(
    selection: Selection, schedule: int, calendars: Calendars, calendar: int, instant_ms: int, hint: Int64s
) -> tuple[int, int]:
    """The case in force and an instant until which it certainly is; beyond it the caller asks again.

    The certain time ends with the segment, the local day, or a change of UTC offset: none of them is a boundary of
    the price unless another case comes into force there.
    """
    constant = selection.schedule[schedule, SCHEDULE_CONSTANT]
    if constant != VARIES:
        return constant, NEVER
    transition = transition_at(calendars, calendar, instant_ms, hint)
    offset = calendars.offset_ms[transition]
    local = instant_ms + offset
    day = local // MS_PER_DAY
    second_ms = local - day * MS_PER_DAY
    segment = selection.schedule[schedule, SCHEDULE_FIRST_DAY + day_type(calendars, calendar, day)]
    until = MS_PER_DAY
    while not selection.segment_last[segment]:
        next_start = selection.segment_start[segment + 1] * 1000
        if second_ms < next_start:
            until = next_start
            break
        segment += 1
    until_ms = instant_ms + (until - second_ms)
    if transition + 1 < calendars.first[calendar + 1] and calendars.instant_ms[transition + 1] < until_ms:
        until_ms = calendars.instant_ms[transition + 1]
    return selection.segment_case[segment], until_ms
