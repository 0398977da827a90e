"""Walks Diameter messages (RFC 6733 clauses 3 and 4) by the dictionary's tables: bytes to columns, a code for a fault.

Every length is held against what stands around it; nesting is bounded; every known group is entered, so that an
unknown AVP that must be understood is found wherever it stands. The offending AVP's place is kept for Failed-AVP.
"""

from typing import NamedTuple

import numba
import numpy as np

from millicent.kit.kernels import Int32s, Int64s, UInt8s, UInt64s
from millicent.network.diameter.kernel import slots
from millicent.network.diameter.kernel.blake import digest_16
from millicent.network.diameter.kernel.layout import ABSENT, UNIT_KINDS
from millicent.rating.kernel.splice import spliced, uncounted

HEADER = 20
VERSION = 1
REQUEST, PROXIABLE, ERROR, RESENT = 0x80, 0x40, 0x20, 0x10
CREDIT_CONTROL = 272
CREDIT_CONTROL_APPLICATION = 4
DEEPEST = 16
LONGEST_IDENTITY = 255
LONGEST_SESSION_ID = 600
SCRATCH = 1024
SEPARATOR = 31
DOOR = np.frombuffer(b"diameter", np.uint8)
SECONDS_1900_TO_1970 = 2_208_988_800
MILLISECONDS = 1_000
LARGEST = 9_223_372_036_854_775_807
MOST_UNITS = 1 << 60
NANO_EXPONENT = 9
THREE_GPP = 10415
THREE_GPP_CONTEXTS = np.frombuffer(b"@3gpp.org", np.uint8)

# Result-Codes of RFC 6733 clause 7.1.
UNABLE_TO_DELIVER = 3002
REALM_NOT_SERVED = 3003
INVALID_AVP_BITS = 3009
AVP_UNSUPPORTED = 5001
INVALID_AVP_VALUE = 5004
MISSING_AVP = 5005
AVP_OCCURS_TOO_MANY_TIMES = 5009
INVALID_AVP_LENGTH = 5014

# What surrounds an AVP, where that says what it means.
ROOT, IGNORED, SUBSCRIPTION, SERVICE_OF, ASKED, USED, MONEY, VALUE, SERVICE, RECIPIENT = range(10)

_SEED = np.uint64(14_695_981_039_346_656_037)
_PRIME = np.uint64(1_099_511_628_211)
_SHIFT = np.uint64(29)


@spliced
def word_at(buffer: UInt8s, at: int) -> int:
    return (
        int(np.int64(buffer[at])) << 24
        | int(np.int64(buffer[at + 1])) << 16
        | int(np.int64(buffer[at + 2])) << 8
        | int(np.int64(buffer[at + 3]))
    )


@spliced
def three_at(buffer: UInt8s, at: int) -> int:
    return int(np.int64(buffer[at])) << 16 | int(np.int64(buffer[at + 1])) << 8 | int(np.int64(buffer[at + 2]))


@spliced
def signed_word_at(buffer: UInt8s, at: int) -> int:
    value = word_at(buffer, at)
    return value - (1 << 32) if value >= 1 << 31 else value


@spliced
def long_at(buffer: UInt8s, at: int) -> int:
    """An Unsigned64 or Integer64; what is beyond int64 comes out below zero."""
    high = word_at(buffer, at)
    high = high - (1 << 32) if high >= 1 << 31 else high
    return high * (1 << 32) + word_at(buffer, at + 4)


@spliced
def stamp_ms(seconds: int) -> int:
    """Time of RFC 6733 clause 4.3.1, seconds since 1900; after 2036 it begins again (RFC 5905)."""
    if seconds < 1 << 31:
        seconds += 1 << 32
    return (seconds - SECONDS_1900_TO_1970) * MILLISECONDS


if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]

    def _times(state: np.uint64) -> np.uint64:
        """Modulo 2^64, which numpy's scalars would warn of."""
        return np.uint64(int(state) * int(_PRIME) & 0xFFFFFFFFFFFFFFFF)

else:

    @spliced
    def _times(state: np.uint64) -> np.uint64:
        return state * _PRIME


@uncounted
def hashed(buffer: UInt8s, start: int, length: int, seed: np.uint64) -> np.uint64:
    """64 bits of FNV-1a: finds again, within one process, what was seen before. No key that is kept is made so."""
    state = seed ^ _SEED
    for place in range(start, start + length):
        state = _times(state ^ np.uint64(buffer[place]))
    return state ^ (state >> _SHIFT)


@spliced
def hashed_number(number: int, seed: np.uint64) -> np.uint64:
    state = seed
    for place in range(5):
        state = _times(state ^ np.uint64((number >> (8 * place)) & 255))
    return state ^ (state >> _SHIFT)


@uncounted
def frame(
    buffer: UInt8s,
    begin: int,
    end: int,
    largest: int,
    start: Int64s,  # [n] written
    ending: Int64s,  # [n] written
) -> tuple[int, int, int]:
    """Find whole messages. Returns (count, where the next begins, 0 or the Result-Code that ends the stream).

    After a header that cannot be one nothing tells where the next begins.
    """
    count, position = 0, begin
    while count < start.shape[0] and end - position >= 4:
        if buffer[position] != VERSION:
            return count, position, 5011
        length = three_at(buffer, position + 1)
        if length < HEADER or length % 4 != 0 or length > largest:
            return count, position, 5015
        if end - position < length:
            break
        start[count], ending[count] = position, position + length
        position += length
        count += 1
    return count, position, 0


@spliced
def _place_within(slot: int, place: int) -> int:
    """What surrounds the members of a group."""
    within = IGNORED
    if place == ROOT:
        if slot == slots.MSCC:
            within = SERVICE_OF
        elif slot == slots.SUBSCRIPTION_ID:
            within = SUBSCRIPTION
        elif slot == slots.SERVICE_INFORMATION:
            within = SERVICE
    if (place in (ROOT, SERVICE_OF)) and slot == slots.REQUESTED_SERVICE_UNIT:
        within = ASKED
    if (place in (ROOT, SERVICE_OF)) and slot == slots.USED_SERVICE_UNIT:
        within = USED
    if (place in (ASKED, USED)) and slot == slots.CC_MONEY:
        within = MONEY
    if place == MONEY and slot == slots.UNIT_VALUE:
        within = VALUE
    if place == SERVICE and (
        slot == slots.PS_INFORMATION or slot == slots.IMS_INFORMATION or slot == slots.SMS_INFORMATION
    ):
        within = SERVICE
    if (place == SERVICE and slot == slots.RECIPIENT_INFO) or (
        (place in (SERVICE, RECIPIENT)) and slot == slots.RECIPIENT_ADDRESS
    ):
        within = RECIPIENT
    return within


@spliced
def _unit_of(slot: int) -> int:
    unit = ABSENT
    if slot == slots.CC_TIME:
        unit = 0
    elif slot == slots.CC_TOTAL_OCTETS:
        unit = 1
    elif slot == slots.CC_INPUT_OCTETS:
        unit = 2
    elif slot == slots.CC_OUTPUT_OCTETS:
        unit = 3
    elif slot == slots.CC_SERVICE_SPECIFIC_UNITS:
        unit = 4
    return unit


@spliced
def nanos_of(digits: int, exponent: int) -> int:
    """Unit-Value as nanos, exactly; below zero where it is negative, too large or finer than a nano."""
    scale = exponent + NANO_EXPONENT
    if digits < 0:
        return -1
    while scale > 0 and digits <= MOST_UNITS // 10:
        digits *= 10
        scale -= 1
    while scale < 0 and digits % 10 == 0 and digits > 0:
        digits //= 10
        scale += 1
    return digits if (scale == 0 or digits == 0) and digits <= MOST_UNITS else -1


class Scratch(NamedTuple):
    """Room that the loop works in: it allocates nothing."""

    ends: Int64s  # [DEEPEST]
    places: Int64s  # [DEEPEST]
    current: Int64s  # [UNIT_KINDS]
    text: UInt8s  # [SCRATCH]
    words: UInt64s  # the same memory
    state: UInt64s  # [8]


def new_scratch() -> Scratch:
    text = np.zeros(SCRATCH, np.uint8)
    return Scratch(
        np.empty(DEEPEST, np.int64),
        np.empty(DEEPEST, np.int64),
        np.empty(UNIT_KINDS, np.int64),
        text,
        text.view(np.uint64),
        np.empty(8, np.uint64),
    )


@uncounted
def decode(
    buffer: UInt8s,  # [b] whole messages of Credit-Control requests
    start: Int64s,  # [n]
    ending: Int64s,  # [n]
    connection: Int64s,  # [n]
    vendors: Int64s,  # [v] the dictionary
    entries: Int32s,  # [v, codes]
    ranks: Int64s,  # [5] how much a kind of Subscription-Id is preferred, higher first
    realm: UInt8s,  # ours
    host: UInt8s,  # ours
    messages: np.ndarray,  # [n] MESSAGE, written
    units: np.ndarray,  # [k] UNITS, written; room for one in 8 octets and one for each message
    scratch: Scratch,
) -> int:
    """Decode a batch; each message on its own. Returns how many rows of `units` were written."""
    ends, places, current, text, words, state = scratch
    count = 0
    for row in range(start.shape[0]):
        message = messages[row]
        _clear(message, start[row], ending[row], connection[row], count)
        message["flags"] = np.int64(buffer[start[row] + 4])
        message["hop_by_hop"] = word_at(buffer, start[row] + 12)
        message["end_to_end"] = word_at(buffer, start[row] + 16)
        count = _walk(buffer, row, message, vendors, entries, ranks, units, count, ends, places, current)
        if message["result"] == 0:
            _refuse_missing(message)
        if message["result"] == 0 and count == message["first_unit"] and _asks_as_a_whole(message):
            _new_units(units, count, row, ABSENT, ABSENT)
            units[count]["asked_for"] = 1
            count += 1
        message["units"] = count - message["first_unit"]
        if message["units"] > 1:
            _fold(units, message["first_unit"], count, message["type"])
        for place in range(message["first_unit"], count):
            if units[place]["mscc_at"] < 0:
                units[place]["service_id"] = message["service_id"]
        if message["result"] == 0:
            _refuse_foreign(buffer, message, realm, host)
        if message["result"] == 0:
            _name(buffer, message, units, text, words, state)
            tail = THREE_GPP_CONTEXTS.shape[0]
            begin = message["context_at"] + message["context_length"] - tail
            if message["context_length"] >= tail and _is_same_name(buffer, begin, tail, THREE_GPP_CONTEXTS):
                message["three_gpp"] = 1
    return count


@spliced
def _is_same_name(buffer: UInt8s, at: int, length: int, name: UInt8s) -> bool:
    """Names of hosts and realms do not tell case apart."""
    if length != name.shape[0]:
        return False
    for place in range(length):
        one, other = int(np.int64(buffer[at + place])), int(np.int64(name[place]))
        one = one + 32 if 65 <= one <= 90 else one
        other = other + 32 if 65 <= other <= 90 else other
        if one != other:
            return False
    return True


@spliced
def _refuse_foreign(buffer: UInt8s, message: np.void, realm: UInt8s, host: UInt8s) -> None:
    """What is for another realm or another host does not end here: we are no relay."""
    if not _is_same_name(buffer, message["to_realm_at"], message["to_realm_length"], realm):
        message["result"] = REALM_NOT_SERVED
    elif message["to_host_at"] >= 0 and not _is_same_name(
        buffer, message["to_host_at"], message["to_host_length"], host
    ):
        message["result"] = UNABLE_TO_DELIVER


@spliced
def _clear(message: np.void, start: int, end: int, connection: int, first_unit: int) -> None:
    message["result"], message["failed_at"], message["failed_length"], message["failed_slot"] = 0, ABSENT, 0, 0
    message["start"], message["end"], message["connection"] = start, end, connection
    message["session_at"] = message["host_at"] = message["realm_at"] = message["to_realm_at"] = ABSENT
    message["to_host_at"] = message["context_at"] = message["user_at"] = message["id_at"] = ABSENT
    message["calling_at"] = message["called_at"] = message["network_at"] = message["rat_at"] = ABSENT
    message["station_at"] = message["application"] = message["type"] = message["number"] = ABSENT
    message["instant_ms"] = message["origin_state"] = message["action"] = message["several"] = ABSENT
    message["service_id"] = message["role"] = message["message_type"] = message["id_type"] = message["id_rank"] = ABSENT
    message["to_host_length"] = message["user_length"] = message["id_length"] = message["calling_length"] = 0
    message["called_length"] = message["network_length"] = message["rat_length"] = message["station_length"] = 0
    message["session_length"] = message["host_length"] = message["realm_length"] = message["to_realm_length"] = 0
    message["context_length"] = 0
    message["proxies"], message["first_unit"], message["units"] = 0, first_unit, 0
    message["first_row"], message["rows"] = 0, 0
    message["subscriber"], message["traffic"], message["peer"] = np.uint64(0), np.uint64(0), np.uint64(0)
    message["key_high"], message["key_low"] = np.uint64(0), np.uint64(0)
    message["other_key"], message["other_digits"], message["three_gpp"] = 0, 0, 0


@spliced
def _new_units(units: np.ndarray, count: int, row: int, at: int, end: int) -> None:
    one = units[count]
    one["message"], one["mscc_at"], one["mscc_end"] = row, at, end
    one["group"], one["service_id"] = ABSENT, ABSENT
    one["asked_for"], one["reported"], one["reason"] = 0, 0, ABSENT
    one["refund_at"], one["refund_length"], one["traffic"] = ABSENT, 0, np.uint64(0)
    one["number"], one["policy"] = ABSENT, 0
    one["currency"], one["currency_at"], one["folded"] = ABSENT, ABSENT, 0
    for unit in range(UNIT_KINDS):
        one["used"][unit] = ABSENT
        one["used_after"][unit] = ABSENT
        one["asked"][unit] = ABSENT


@spliced
def _refuse(message: np.void, result: int, at: int, length: int) -> None:
    message["result"], message["failed_at"], message["failed_length"] = result, at, length


@spliced
def _add_used(one: np.void, current: Int64s, change: int) -> None:
    """Add one Used-Service-Unit to what the service reports; `change` 1 is after the tariff change."""
    for unit in range(UNIT_KINDS):
        if current[unit] < 0:
            continue
        one["used"][unit] = min(max(one["used"][unit], 0) + current[unit], MOST_UNITS)
        if change == 1:
            one["used_after"][unit] = min(max(one["used_after"][unit], 0) + current[unit], MOST_UNITS)


@spliced
def _walk(
    buffer: UInt8s,
    row: int,
    message: np.void,
    vendors: Int64s,
    entries: Int32s,
    ranks: Int64s,
    units: np.ndarray,
    count: int,
    ends: Int64s,
    places: Int64s,
    current: Int64s,
) -> int:
    """Read the AVPs of one message. Returns how many rows of `units` there are now."""
    begin = int(message["start"])
    depth, position = 0, begin + HEADER
    ends[0], places[0] = message["end"], ROOT
    whole = ABSENT  # units of the command itself
    service = ABSENT  # units of the MSCC that we are in
    unit_row, change, digits, exponent = ABSENT, ABSENT, ABSENT, 0
    id_type, id_at, id_length = ABSENT, ABSENT, 0
    while True:
        while position >= ends[depth]:
            if depth == 0:
                return count
            place = places[depth]
            if place == USED:
                _add_used(units[unit_row], current, change)
            elif place == ASKED:
                for unit in range(UNIT_KINDS):
                    units[unit_row]["asked"][unit] = current[unit]
            elif place == VALUE:
                current[UNIT_KINDS - 1] = nanos_of(digits, exponent)
                if current[UNIT_KINDS - 1] < 0:
                    _refuse(message, INVALID_AVP_VALUE, message["failed_at"], message["failed_length"])
                    return count
                message["failed_at"], message["failed_length"] = ABSENT, 0
            elif place == SUBSCRIPTION and 0 <= id_type < ranks.shape[0] and id_at >= 0:
                if ranks[id_type] > message["id_rank"]:
                    message["id_rank"], message["id_type"] = ranks[id_type], id_type
                    message["id_at"], message["id_length"] = id_at, id_length
            elif place == SERVICE_OF:
                service = ABSENT
            padded = begin + (ends[depth] - begin + 3) // 4 * 4
            depth -= 1
            position = min(padded, ends[depth])
        end, place, at = ends[depth], places[depth], position
        if end - position < 8:
            _refuse(message, INVALID_AVP_LENGTH, position, end - position)
            return count
        code, flags, length = word_at(buffer, at), int(np.int64(buffer[at + 4])), three_at(buffer, at + 5)
        body, vendor = at + 8, 0
        if flags & 0x80 != 0:
            body += 4
        if length < body - at or length > end - at:
            _refuse(message, INVALID_AVP_LENGTH, at, min(end - at, body - at))
            return count
        if flags & 0x80 != 0:
            vendor = word_at(buffer, at + 8)
            if vendor == THREE_GPP:
                message["three_gpp"] = 1
        content = at + length - body
        position = min(at + (length + 3) // 4 * 4, end)
        if flags & 0x1F != 0:
            _refuse(message, INVALID_AVP_BITS, at, length)
            return count
        entry = 0
        if code < entries.shape[1]:
            for known in range(vendors.shape[0]):
                if vendors[known] == vendor:
                    entry = int(np.int64(entries[known, code]))
        if entry == 0:
            if flags & 0x40 != 0:
                _refuse(message, AVP_UNSUPPORTED, at, length)
                return count
            continue
        slot, width = entry >> 8, (entry >> 4) & 15
        if width != 0 and content != width and (slot != 0 or flags & 0x40 != 0):
            _refuse(message, INVALID_AVP_LENGTH, at, body - at)
            return count
        if entry & 2 != 0:  # a group
            if depth + 1 >= DEEPEST:
                _refuse(message, INVALID_AVP_VALUE, at, length)
                return count
            if slot == slots.PROXY_INFO and place == ROOT:
                message["proxies"] += position - at
            within = _place_within(slot, place)
            if within == SERVICE_OF:
                service = count
                _new_units(units, count, row, body, at + length)
                count += 1
            elif within in (ASKED, USED):
                if place == ROOT:
                    if whole == ABSENT:
                        whole = count
                        _new_units(units, count, row, ABSENT, ABSENT)
                        count += 1
                    unit_row = whole
                else:
                    unit_row = service
                if within == ASKED:
                    units[unit_row]["asked_for"] = 1
                else:
                    units[unit_row]["reported"] = 1
                change = ABSENT
                for unit in range(UNIT_KINDS):
                    current[unit] = ABSENT
            elif within == SUBSCRIPTION:
                id_type, id_at, id_length = ABSENT, ABSENT, 0
            elif within == VALUE:
                digits, exponent = ABSENT, 0
                message["failed_at"], message["failed_length"] = at, length
            if content > 0:
                depth += 1
                ends[depth], places[depth] = at + length, within
                position = body
            continue
        if slot == 0 or place == IGNORED:
            continue
        if place == ROOT:
            if slot == slots.SESSION_ID:
                if message["session_at"] >= 0:
                    _refuse(message, AVP_OCCURS_TOO_MANY_TIMES, at, length)
                    return count
                if content == 0 or content > LONGEST_SESSION_ID:
                    _refuse(message, INVALID_AVP_VALUE, at, length)
                    return count
                message["session_at"], message["session_length"] = body, content
            elif slot == slots.ORIGIN_HOST or slot == slots.ORIGIN_REALM or slot == slots.DESTINATION_REALM:
                again = (
                    message["host_at"]
                    if slot == slots.ORIGIN_HOST
                    else message["realm_at"]
                    if slot == slots.ORIGIN_REALM
                    else message["to_realm_at"]
                )
                if again >= 0:
                    _refuse(message, AVP_OCCURS_TOO_MANY_TIMES, at, length)
                    return count
                if content == 0 or content > LONGEST_IDENTITY:
                    _refuse(message, INVALID_AVP_VALUE, at, length)
                    return count
                if slot == slots.ORIGIN_HOST:
                    message["host_at"], message["host_length"] = body, content
                elif slot == slots.ORIGIN_REALM:
                    message["realm_at"], message["realm_length"] = body, content
                else:
                    message["to_realm_at"], message["to_realm_length"] = body, content
            elif slot == slots.DESTINATION_HOST:
                message["to_host_at"], message["to_host_length"] = body, content
            elif slot == slots.SERVICE_CONTEXT_ID:
                if message["context_at"] >= 0:
                    _refuse(message, AVP_OCCURS_TOO_MANY_TIMES, at, length)
                    return count
                message["context_at"], message["context_length"] = body, content
            elif slot == slots.AUTH_APPLICATION_ID:
                message["application"] = word_at(buffer, body)
                if message["application"] != CREDIT_CONTROL_APPLICATION:
                    _refuse(message, INVALID_AVP_VALUE, at, length)
                    return count
            elif slot == slots.CC_REQUEST_TYPE:
                if message["type"] >= 0:
                    _refuse(message, AVP_OCCURS_TOO_MANY_TIMES, at, length)
                    return count
                message["type"] = signed_word_at(buffer, body)
                if message["type"] < 1 or message["type"] > 4:
                    _refuse(message, INVALID_AVP_VALUE, at, length)
                    return count
            elif slot == slots.CC_REQUEST_NUMBER:
                if message["number"] >= 0:
                    _refuse(message, AVP_OCCURS_TOO_MANY_TIMES, at, length)
                    return count
                message["number"] = word_at(buffer, body)
            elif slot == slots.EVENT_TIMESTAMP:
                message["instant_ms"] = stamp_ms(word_at(buffer, body))
            elif slot == slots.USER_NAME:
                message["user_at"], message["user_length"] = body, content
            elif slot == slots.ORIGIN_STATE_ID:
                message["origin_state"] = word_at(buffer, body)
            elif slot == slots.SERVICE_IDENTIFIER:
                message["service_id"] = word_at(buffer, body)
            elif slot == slots.REQUESTED_ACTION:
                message["action"] = signed_word_at(buffer, body)
                if message["action"] < 0 or message["action"] > 3:
                    _refuse(message, INVALID_AVP_VALUE, at, length)
                    return count
            elif slot == slots.MULTIPLE_SERVICES_INDICATOR:
                message["several"] = signed_word_at(buffer, body)
            elif slot == slots.REFUND_INFORMATION:
                if whole == ABSENT:
                    whole = count
                    _new_units(units, count, row, ABSENT, ABSENT)
                    count += 1
                units[whole]["refund_at"], units[whole]["refund_length"] = body, content
        elif place == SERVICE_OF:
            if slot == slots.RATING_GROUP:
                units[service]["group"] = word_at(buffer, body)
            elif slot == slots.SERVICE_IDENTIFIER:
                if units[service]["service_id"] == ABSENT:
                    units[service]["service_id"] = word_at(buffer, body)
            elif slot == slots.REPORTING_REASON:
                units[service]["reason"] = signed_word_at(buffer, body)
            elif slot == slots.REFUND_INFORMATION:
                units[service]["refund_at"], units[service]["refund_length"] = body, content
        elif place in (ASKED, USED):
            unit = _unit_of(slot)
            if unit >= 0:
                current[unit] = word_at(buffer, body) if unit == 0 else long_at(buffer, body)
                if current[unit] < 0 or current[unit] > MOST_UNITS:
                    _refuse(message, INVALID_AVP_VALUE, at, length)
                    return count
            elif slot == slots.TARIFF_CHANGE_USAGE:
                change = signed_word_at(buffer, body)
            elif slot == slots.REPORTING_REASON:
                units[unit_row]["reason"] = signed_word_at(buffer, body)
        elif place == MONEY:
            if slot == slots.CURRENCY_CODE:
                units[unit_row]["currency"], units[unit_row]["currency_at"] = word_at(buffer, body), at
        elif place == VALUE:
            if slot == slots.VALUE_DIGITS:
                digits = long_at(buffer, body)
            elif slot == slots.EXPONENT:
                exponent = signed_word_at(buffer, body)
                exponent = min(max(exponent, -60), 60)
        elif place == SUBSCRIPTION:
            if slot == slots.SUBSCRIPTION_ID_TYPE:
                id_type = signed_word_at(buffer, body)
            elif slot == slots.SUBSCRIPTION_ID_DATA:
                id_at, id_length = body, content
        elif place == SERVICE:
            if slot == slots.SGSN_NETWORK:
                message["network_at"], message["network_length"] = body, content
            elif slot == slots.RAT_TYPE:
                message["rat_at"], message["rat_length"] = body, content
            elif slot == slots.CALLED_STATION_ID:
                message["station_at"], message["station_length"] = body, content
            elif slot == slots.ROLE_OF_NODE:
                message["role"] = signed_word_at(buffer, body)
            elif slot == slots.CALLING_PARTY_ADDRESS:
                if message["calling_at"] < 0:
                    message["calling_at"], message["calling_length"] = body, content
            elif slot == slots.CALLED_PARTY_ADDRESS:
                message["called_at"], message["called_length"] = body, content
            elif slot == slots.SM_MESSAGE_TYPE:
                message["message_type"] = signed_word_at(buffer, body)
        elif place == RECIPIENT and slot == slots.ADDRESS_DATA and message["called_at"] < 0:
            message["called_at"], message["called_length"] = body, content


@spliced
def _fold(units: np.ndarray, first: int, count: int, kind: int) -> None:
    """Several reports of one service in a message are one report: the first of them speaks for all.

    The shard knows a slice by its group and service, and takes the second report under one number for the first again.
    """
    for place in range(first + 1, count):
        one = units[place]
        for earlier in range(first, place):
            other = units[earlier]
            same = other["group"] == one["group"] and other["service_id"] == one["service_id"]
            if not same or other["folded"] == 1 or other["mscc_at"] < 0 or one["refund_at"] >= 0:
                continue
            one["folded"] = 1
            _add(other["used"], one["used"])
            _add(other["used_after"], one["used_after"])
            if kind == 4:  # of an event, what is asked for is what happened
                _add(other["asked"], one["asked"])
            elif one["asked_for"] == 1:
                for unit in range(UNIT_KINDS):
                    other["asked"][unit] = max(other["asked"][unit], one["asked"][unit])
            if other["reason"] < 0 or (one["asked_for"] == 1 and other["asked_for"] == 0):
                other["reason"] = one["reason"]
            other["asked_for"] = max(other["asked_for"], one["asked_for"])
            other["reported"] = max(other["reported"], one["reported"])
            break


@spliced
def _add(sums: Int64s, more: Int64s) -> None:
    for unit in range(UNIT_KINDS):
        if more[unit] >= 0:
            sums[unit] = min(max(sums[unit], 0) + more[unit], MOST_UNITS)


@spliced
def _asks_as_a_whole(message: np.void) -> bool:
    """An event, or the first request of a session that does not have several services, needs no unit to be named."""
    return message["type"] == 4 or (message["type"] == 1 and message["several"] != 1)


@spliced
def _refuse_missing(message: np.void) -> None:
    """What clause 3.1 of RFC 8506 asks of every request; of an event, also what is wanted."""
    missing = 0
    if message["session_at"] < 0:
        missing = slots.SESSION_ID
    elif message["host_at"] < 0:
        missing = slots.ORIGIN_HOST
    elif message["realm_at"] < 0:
        missing = slots.ORIGIN_REALM
    elif message["to_realm_at"] < 0:
        missing = slots.DESTINATION_REALM
    elif message["application"] < 0:
        missing = slots.AUTH_APPLICATION_ID
    elif message["context_at"] < 0:
        missing = slots.SERVICE_CONTEXT_ID
    elif message["type"] < 0:
        missing = slots.CC_REQUEST_TYPE
    elif message["number"] < 0:
        missing = slots.CC_REQUEST_NUMBER
    elif message["type"] == 4 and message["action"] < 0:
        missing = slots.REQUESTED_ACTION
    if missing != 0:
        message["result"], message["failed_slot"] = MISSING_AVP, missing


@spliced
def _name(buffer: UInt8s, message: np.void, units: np.ndarray, text: UInt8s, words: UInt64s, state: UInt64s) -> None:
    """Keys: of the session, of its traffic, of its peer; and the identifier's where it is digits alone."""
    length = DOOR.shape[0]
    for place in range(length):
        text[place] = DOOR[place]
    text[length] = SEPARATOR
    length += 1
    for place in range(message["host_length"]):
        text[length] = buffer[message["host_at"] + place]
        length += 1
    text[length] = SEPARATOR
    length += 1
    for place in range(message["session_length"]):
        text[length] = buffer[message["session_at"] + place]
        length += 1
    message["key_high"], message["key_low"] = digest_16(text, words, length, state)
    message["peer"] = hashed(buffer, message["host_at"], message["host_length"], np.uint64(1))
    kind = np.uint64(2)
    kind = hashed(buffer, message["context_at"], message["context_length"], kind)
    if message["network_at"] >= 0:
        kind = hashed(buffer, message["network_at"], message["network_length"], kind)
    if message["rat_at"] >= 0:
        kind = hashed(buffer, message["rat_at"], message["rat_length"], kind)
    if message["station_at"] >= 0:
        kind = hashed(buffer, message["station_at"], message["station_length"], kind)
    kind = hashed_number((message["role"] + 1) * 16 + message["message_type"] + 1, kind)
    message["traffic"] = kind
    for place in range(message["first_unit"], message["first_unit"] + message["units"]):
        units[place]["traffic"] = hashed_number(
            units[place]["service_id"] + 1, hashed_number(units[place]["group"] + 1, kind)
        )
    message["subscriber"] = _digits_key(buffer, message)


@spliced
def _digits_key(buffer: UInt8s, message: np.void) -> np.uint64:
    """`charging.keys.identifier_key` of an MSISDN or an IMSI; 0 where the text is not plain digits."""
    at, length = message["id_at"], message["id_length"]
    if at < 0 or message["id_type"] > 1:
        return np.uint64(0)
    if message["id_type"] == 0 and length > 0 and buffer[at] == 43:
        at, length = at + 1, length - 1
    if length < 5 or length > 15 or (message["id_type"] == 0 and buffer[at] == 48):
        return np.uint64(0)
    value = 0
    for place in range(at, at + length):
        digit = int(np.int64(buffer[place])) - 48
        if digit < 0 or digit > 9:
            return np.uint64(0)
        value = value * 10 + digit
    return np.uint64(value | ((message["id_type"] + 1) << 60))
