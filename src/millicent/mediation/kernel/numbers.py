"""Dialled digits to E.164 digits, by the rules of one dial plan."""

from millicent.kit.kernels import Int8s, Int64s, UInt8s, inlined, kernel

GOOD, EMPTY, BAD = 0, 1, 2
BARE_AUTO, BARE_NATIONAL, BARE_INTERNATIONAL = 0, 1, 2
LONGEST_WRITTEN = 32  # characters of one answer at most
_LONGEST_E164, _SHORTEST_E164 = 15, 5
_LONGEST_LOCAL = 9  # a bare number longer than this that begins with the country code is taken to be E.164

_ZERO, _NINE, _PLUS, _STAR, _HASH, _AT, _SEMICOLON, _COLON = 48, 57, 43, 42, 35, 64, 59, 58
_SPACE, _DASH, _DOT, _OPEN, _CLOSE, _SLASH = 32, 45, 46, 40, 41, 47


@inlined
def _leading(digits: UInt8s, count: int, table: UInt8s, offsets: Int64s) -> int:
    """Length of the longest entry that the digits begin with; 0 for none."""
    best = 0
    for entry in range(offsets.shape[0] - 1):
        length = offsets[entry + 1] - offsets[entry]
        if best < length <= count:
            matches = True
            for place in range(length):
                if table[offsets[entry] + place] != digits[place]:
                    matches = False
                    break
            if matches:
                best = length
    return best


@inlined
def _is_listed(digits: UInt8s, count: int, table: UInt8s, offsets: Int64s) -> bool:
    return _leading(digits, count, table, offsets) == count and count > 0


@inlined
def _drop(digits: UInt8s, count: int, length: int) -> int:
    for place in range(count - length):
        digits[place] = digits[place + length]
    return count - length


@inlined
def _read(text: UInt8s, start: int, end: int, digits: UInt8s, seen: Int8s) -> int:
    """Keep what was dialled, without separators, scheme and host. seen = [plus, star or hash, letters]."""
    seen[0], seen[1], seen[2] = 0, 0, 0
    count = 0
    for at in range(start, end):
        letter = text[at]
        if letter in (_AT, _SEMICOLON):
            break
        if letter == _COLON:  # "sip:", "tel:": what came before was no number
            seen[0], seen[1], seen[2], count = 0, 0, 0, 0
        elif letter == _PLUS and count == 0:
            seen[0] = 1
        elif letter in (_SPACE, _DASH, _DOT, _OPEN, _CLOSE, _SLASH):
            continue
        else:
            if count == digits.shape[0]:
                return -1
            if letter in (_STAR, _HASH):
                seen[1] = 1
            elif letter < _ZERO or letter > _NINE:
                seen[2] = 1
            digits[count] = letter
            count += 1
    return count


@inlined
def _to_e164(
    digits: UInt8s,
    count: int,
    country: UInt8s,
    lengths: Int64s,
    tables: UInt8s,
    international: Int64s,
    national: Int64s,
) -> int:
    """Turn digits without "+" into E.164 in place; returns the new count, or -1 for a short number."""
    longest_short, longest_national, bare = lengths[0], lengths[1], lengths[2]
    abroad = _leading(digits, count, tables, international)
    if abroad > 0:
        return _drop(digits, count, abroad)
    if count <= longest_short:
        return -1
    if bare == BARE_INTERNATIONAL:
        return count
    trunk = _leading(digits, count, tables, national)
    if trunk > 0:
        count = _drop(digits, count, trunk)
    elif count > longest_national:
        return count
    elif bare == BARE_AUTO and national.shape[0] > 1 and count > _LONGEST_LOCAL:
        own = True
        for place in range(country.shape[0]):
            own = own and digits[place] == country[place]
        if own:
            return count
    size = country.shape[0]
    if count + size > digits.shape[0]:
        return digits.shape[0]
    for place in range(count - 1, -1, -1):
        digits[place + size] = digits[place]
    for place in range(size):
        digits[place] = country[place]
    return count + size


@kernel
def normalise_numbers(
    text: UInt8s,  # what was dialled, all behind each other
    offsets: Int64s,  # [n + 1]
    country: UInt8s,  # digits of the country code
    lengths: Int64s,  # longest short number, longest national number, meaning of bare numbers
    tables: UInt8s,  # bytes of the four lists below
    pass_through: Int64s,  # offsets into `tables`, [entries + 1]
    short_codes: Int64s,
    international: Int64s,
    national: Int64s,
    names_are_short: bool,
    short_mark: UInt8s,  # "short:"
    digits: UInt8s,  # [LONGEST_WRITTEN - len(short_mark)] scratch
    seen: Int8s,  # [3] scratch
    written: UInt8s,  # [n * LONGEST_WRITTEN] written, front to back
    written_offsets: Int64s,  # [n + 1] written
    verdict: Int8s,  # [n] written: GOOD, EMPTY or BAD
) -> None:
    """Write E.164 digits, "short:NNN", or nothing for what is no number."""
    end = 0
    written_offsets[0] = 0
    for row in range(offsets.shape[0] - 1):
        count = _read(text, offsets[row], offsets[row + 1], digits, seen)
        short = False
        verdict[row] = GOOD
        if count == 0:
            verdict[row] = EMPTY if offsets[row] == offsets[row + 1] else BAD
        elif count < 0 or (seen[2] == 1 and not names_are_short):
            verdict[row] = BAD
        elif seen[1] == 1 or seen[2] == 1:
            short = True
        elif seen[0] == 0:
            through = _leading(digits, count, tables, pass_through)
            if through > 0 and count - through >= lengths[0]:
                count = _drop(digits, count, through)
            short = _is_listed(digits, count, tables, short_codes)
            if not short:
                turned = _to_e164(digits, count, country, lengths, tables, international, national)
                short = turned < 0
                count = count if short else turned
        if not short and verdict[row] == GOOD and not (_SHORTEST_E164 <= count <= _LONGEST_E164):
            verdict[row] = BAD
        if verdict[row] == GOOD:
            if short:
                for place in range(short_mark.shape[0]):
                    written[end] = short_mark[place]
                    end += 1
            for place in range(count):
                written[end] = digits[place]
                end += 1
        written_offsets[row + 1] = end
