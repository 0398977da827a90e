"""Reads whole numbers, decimals and instants out of fields, with a status in place of an exception."""

import numpy as np

from millicent.kit.kernels import Int32s, Int64s, UInt8s, inlined, kernel

READ, EMPTY, WRONG = 0, 1, 2

LARGEST = 9_223_372_036_854_775_807

# Steps of a time pattern, in the order that they are read. A step below 256 is that very byte.
YEAR, YEAR_SHORT, MONTH, MONTH_NAME, DAY, HOUR, MINUTE, SECOND, FRACTION, OFFSET, WORD, HOUR_12, HALF = range(256, 269)
DAY_NAME = 269

_MONTHS = np.frombuffer(b"janfebmaraprmayjunjulaugsepoctnovdec", np.uint8)


@inlined
def days_before(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 to a date of the Gregorian calendar (H. Hinnant, days_from_civil)."""
    shifted = year - 1 if month <= 2 else year
    era = shifted // 400
    year_of_era = shifted - era * 400
    day_of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    return era * 146097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719468


@inlined
def days_in(year: int, month: int) -> int:
    if month == 2:
        return 29 if (year % 4 == 0 and year % 100 != 0) or year % 400 == 0 else 28
    return 30 if month in (4, 6, 9, 11) else 31


@kernel
def read_scaled(
    buffer: UInt8s,  # [b]
    start: Int32s,  # [n] -1: absent
    end: Int32s,  # [n]
    multiply: int,  # what one whole unit becomes, for example 1000 for seconds in milliseconds
    divide: int,  # then divided by this
    value: Int64s,  # [n] written
    status: UInt8s,  # [n] written
) -> None:
    """Read decimals exactly; a part below the last whole step is rounded half up, after all digits were seen.

    Up to 9 digits after the point count, more are WRONG; so is an overflow, a sign without digits, or any other byte.
    """
    for row in range(start.shape[0]):
        position, last = start[row], end[row]
        value[row] = 0
        while position >= 0 and position < last and buffer[position] == 32:
            position += 1
        while last > position and buffer[last - 1] == 32:
            last -= 1
        if position < 0 or position >= last:
            status[row] = EMPTY
            continue
        negative = buffer[position] == 45
        if negative or buffer[position] == 43:
            position += 1
        number, digits, after, point, wrong = 0, 0, 0, False, False
        while position < last:
            byte = buffer[position]
            if byte == 46 and not point:
                point = True
            elif 48 <= byte <= 57 and digits < 18 and after < 9:
                number = number * 10 + (int(np.int64(byte)) - 48)
                digits += 1 if number > 0 else 0
                after += 1 if point else 0
            else:
                wrong = True
                break
            position += 1
        if wrong or not 48 <= buffer[last - 1] <= 57:
            status[row] = WRONG
            continue
        divisor = divide
        for _ in range(after):
            divisor *= 10
        if number > LARGEST // multiply - divisor:
            status[row] = WRONG
            continue
        answer = (number * multiply + divisor // 2) // divisor
        value[row] = -answer if negative else answer
        status[row] = READ


@inlined
def _two(buffer: UInt8s, at: int) -> int:
    high, low = int(np.int64(buffer[at])) - 48, int(np.int64(buffer[at + 1])) - 48
    if high < 0 or high > 9 or low < 0 or low > 9:
        return -1
    return int(high * 10 + low)


@inlined
def _usual_time(buffer: UInt8s, at: int) -> int:
    """`2026-11-22 01:37:06` in local milliseconds, -1 where it is anything else: most switches write so."""
    century, years, month, day = (
        _two(buffer, at),
        _two(buffer, at + 2),
        _two(buffer, at + 5),
        _two(buffer, at + 8),
    )
    hour, minute, second = _two(buffer, at + 11), _two(buffer, at + 14), _two(buffer, at + 17)
    year = century * 100 + years
    marks = buffer[at + 4] == 45 and buffer[at + 7] == 45 and buffer[at + 13] == 58 and buffer[at + 16] == 58
    blank = buffer[at + 10] == 32 or buffer[at + 10] == 84
    if not marks or not blank or century < 0 or years < 0 or hour < 0 or minute < 0 or second < 0:
        return -1
    if year < 1970 or month < 1 or month > 12 or day < 1 or hour > 23 or minute > 59 or second > 60:
        return -1
    if day > days_in(year, month):
        return -1
    return (days_before(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second) * 1_000


@kernel
def read_instants(
    buffer: UInt8s,  # [b]
    start: Int32s,  # [n] -1: absent
    end: Int32s,  # [n]
    steps: Int32s,  # [s] the pattern
    switch_ms: Int64s,  # [z] local time from which offset_ms[z] holds
    offset_ms: Int64s,  # [z]
    value: Int64s,  # [n] written, UTC milliseconds
    status: UInt8s,  # [n] written
) -> None:
    """Read local times by a pattern. An hour that occurs twice is the first of the two; one that is skipped is read
    with the offset before the change. An offset or the word UTC, GMT or Z in the text wins over the zone."""
    zone = 0
    usual = steps.shape[0] >= 6 and steps[0] == YEAR and steps[1] == 45 and steps[5] == 84  # "%FT%T..."
    for row in range(start.shape[0]):
        position, last = start[row], end[row]
        value[row] = 0
        if position < 0 or position >= last:
            status[row] = EMPTY
            continue
        if usual and last - position == 19:
            local = _usual_time(buffer, position)
            if local >= 0:
                while zone > 0 and local < switch_ms[zone]:
                    zone -= 1
                while zone + 1 < switch_ms.shape[0] and local >= switch_ms[zone + 1]:
                    zone += 1
                value[row] = local - offset_ms[zone]
                status[row] = READ
                continue
        year, month, day, hour, minute, second, millis = 0, 1, 1, 0, 0, 0, 0
        fixed, shift, wrong, half = False, 0, False, -1
        for step in steps:
            if step == FRACTION:
                if position >= last or (buffer[position] != 46 and buffer[position] != 44):
                    continue  # a fraction may be left out
                position += 1
                weight = 100
                first = position
                while position < last and 48 <= buffer[position] <= 57:
                    millis += (int(np.int64(buffer[position])) - 48) * weight
                    weight //= 10
                    position += 1
                wrong = wrong or position == first
                continue
            if position >= last:
                wrong = step != OFFSET  # an offset may be left out
                break
            if step < 256:
                if step == 32 or step == 84:  # blanks: one or more; the T of ISO 8601 may be a blank
                    wrong = buffer[position] != 32 and buffer[position] != step
                    position += 1
                    while position < last and buffer[position] == 32:
                        position += 1
                else:
                    wrong = buffer[position] != step
                    position += 1
            elif step == YEAR:
                if position + 4 > last:
                    wrong = True
                    break
                high, low = _two(buffer, position), _two(buffer, position + 2)
                wrong = high < 0 or low < 0
                year = high * 100 + low
                position += 4
            elif step == MONTH_NAME:
                month = 0
                if position + 3 <= last:
                    for candidate in range(12):
                        if (
                            buffer[position] | 32 == _MONTHS[3 * candidate]
                            and buffer[position + 1] | 32 == _MONTHS[3 * candidate + 1]
                            and buffer[position + 2] | 32 == _MONTHS[3 * candidate + 2]
                        ):
                            month = candidate + 1
                wrong = month == 0
                position += 3
            elif step == DAY_NAME:
                wrong = position + 3 > last
                position += 3
            elif step == OFFSET:
                if buffer[position] == 90 or buffer[position] == 122:
                    position += 1
                elif (buffer[position] == 43 or buffer[position] == 45) and position + 3 <= last:
                    sign = 1 if buffer[position] == 43 else -1
                    hours = _two(buffer, position + 1)
                    position += 3
                    if position < last and buffer[position] == 58:
                        position += 1
                    minutes = 0
                    if position + 2 <= last:
                        minutes = _two(buffer, position)
                        position += 2
                    wrong = hours < 0 or hours > 15 or minutes < 0 or minutes > 59
                    shift = sign * (hours * 60 + minutes) * 60_000
                else:
                    wrong = True
                fixed = True
            elif step == WORD:  # the short name of a zone: only those of UTC mean the same everywhere
                first = position
                while position < last and buffer[position] != 32:
                    position += 1
                length = position - first
                if length == 1:
                    fixed = buffer[first] == 90
                elif length == 3:
                    fixed = (buffer[first] == 85 and buffer[first + 1] == 84 and buffer[first + 2] == 67) or (
                        buffer[first] == 71 and buffer[first + 1] == 77 and buffer[first + 2] == 84
                    )
            elif step == HALF:
                half = 1 if buffer[position] | 32 == 112 else 0
                wrong = position + 2 > last or (buffer[position] | 32 != 112 and buffer[position] | 32 != 97)
                position += 2
            else:
                number = -1
                if position + 2 <= last:
                    number = _two(buffer, position)
                width = 2
                if number < 0 and step != YEAR_SHORT and 48 <= buffer[position] <= 57:
                    number = int(np.int64(buffer[position])) - 48  # a day or an hour of one digit
                    width = 1
                position += width
                wrong = number < 0
                if step == MONTH:
                    month = number
                elif step == DAY:
                    day = number
                elif step in (HOUR, HOUR_12):
                    hour = number
                elif step == MINUTE:
                    minute = number
                elif step == SECOND:
                    second = number
                elif step == YEAR_SHORT:
                    year = 2000 + number if number < 70 else 1900 + number
            if wrong:
                break
        if half >= 0:
            wrong = wrong or hour < 1 or hour > 12
            hour = hour % 12 + 12 * half
        if (
            wrong
            or position != last
            or year < 1970
            or month < 1
            or month > 12
            or day < 1
            or day > days_in(year, month)
            or hour > 23
            or minute > 59
            or second > 60
        ):
            status[row] = WRONG
            continue
        local = (days_before(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second) * 1_000 + millis
        if fixed:
            value[row] = local - shift
        else:
            while zone > 0 and local < switch_ms[zone]:
                zone -= 1
            while zone + 1 < switch_ms.shape[0] and local >= switch_ms[zone + 1]:
                zone += 1
            value[row] = local - offset_ms[zone]
        status[row] = READ
