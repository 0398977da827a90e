"""From columns of messages to rows of `charging.types.COMMAND`."""

import numpy as np

from millicent.charging.types import Flag, Verb
from millicent.kit.kernels import Int32s, Int64s, UInt8s, UInt64s
from millicent.network.diameter.kernel.decode import RESENT, hashed_number
from millicent.network.diameter.kernel.layout import ABSENT, UNIT_KINDS
from millicent.network.kernel.copying import copy_bytes
from millicent.rating.kernel.splice import spliced, uncounted

INITIAL, UPDATE, TERMINATION, EVENT = 1, 2, 3, 4
REASON_HOLDING_TIME, REASON_FINAL = 1, 2
TERMINATING_ROLE = 1
DELIVERY_REPORT, DELIVERY = 1, 3  # SM-Message-Type of a message that is received

_OPEN, _UNITS, _END = int(Verb.OPEN), int(Verb.UNITS), int(Verb.END)
_DEBIT, _REFUND, _CHECK, _ENQUIRE = int(Verb.DEBIT), int(Verb.REFUND), int(Verb.CHECK), int(Verb.ENQUIRE)
_RESENT, _FINAL, _ASKED, _TERMINATING = int(Flag.RESENT), int(Flag.FINAL), int(Flag.ASKED), int(Flag.TERMINATING)
_HANDED_OVER = int(Flag.HANDED_OVER)
_TOTAL, _INPUT, _OUTPUT, _MONEY = 1, 2, 3, 5
REFUND_OCTETS = 16
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@spliced
def _place_of(keys: UInt64s, wanted: np.uint64) -> int:
    """Where a key stands in an open table, or -1; 0 is no key. The table is never full."""
    mask = keys.shape[0] - 1
    place = int(wanted & np.uint64(0x7FFFFFFF)) & mask
    while keys[place] != np.uint64(0):
        if keys[place] == wanted:
            return place
        place = (place + 1) & mask
    return ABSENT


@uncounted
def put_key(keys: UInt64s, wanted: np.uint64) -> int:
    """The place of a key, taken now when it was not there."""
    mask = keys.shape[0] - 1
    place = int(wanted & np.uint64(0x7FFFFFFF)) & mask
    while keys[place] != np.uint64(0) and keys[place] != wanted:
        place = (place + 1) & mask
    keys[place] = wanted
    return place


@uncounted
def number_rows(
    messages: np.ndarray,  # [n] MESSAGE, its rows are written
    units: np.ndarray,  # [k] UNITS, their numbers are written
    traffic_keys: UInt64s,  # [power of two] open table
    traffic_numbers: Int32s,  # [the same, 2] NameKind.TRAFFIC, policy
    peer_keys: UInt64s,
    unknown_units: Int64s,  # [k] written
    unknown_peers: Int64s,  # [n] written
) -> tuple[int, int, int, int]:
    """Give each message its rows. Returns rows, octets of Session-Ids, and how many units and peers are unknown yet."""
    rows, octets, strange, strangers = 0, 0, 0, 0
    for at in range(messages.shape[0]):
        message = messages[at]
        if message["result"] != 0:
            continue
        count, kind = message["units"], message["type"]
        if kind in (INITIAL, TERMINATION):
            count += 1
        elif count == 0:
            count = 1
        message["first_row"], message["rows"] = rows, count
        rows += count
        if kind in (INITIAL, UPDATE):
            octets += message["session_length"]
        if _place_of(peer_keys, message["peer"]) < 0:
            unknown_peers[strangers] = at
            strangers += 1
        for place in range(message["first_unit"], message["first_unit"] + message["units"]):
            found = _place_of(traffic_keys, units[place]["traffic"])
            if found < 0:
                unknown_units[strange] = place
                strange += 1
            else:
                units[place]["number"], units[place]["policy"] = traffic_numbers[found, 0], traffic_numbers[found, 1]
    return rows, octets, strange, strangers


@spliced
def is_terminating(message: np.void) -> bool:
    kind = message["message_type"]
    return message["role"] == TERMINATING_ROLE or kind in (DELIVERY, DELIVERY_REPORT)


@spliced
def _verb_of(message: np.void) -> int:
    if message["type"] != EVENT:
        return _UNITS
    action = message["action"]
    if action == 0:
        return _DEBIT
    if action == 1:
        return _REFUND
    return _CHECK if action == 2 else _ENQUIRE


@spliced
def _say_units(row: np.void, one: np.void) -> None:
    """Quantities and what is asked; octets up and down are also a total."""
    row["group"] = one["group"] if one["group"] >= 0 else 0
    if one["service_id"] >= 0:
        row["service_id"] = one["service_id"]
    row["traffic"] = one["number"]
    row["reporting_reason"] = one["reason"] if 0 <= one["reason"] < 127 else ABSENT
    for unit in range(UNIT_KINDS):
        row["used"][unit] = one["used"][unit]
        row["used_after"][unit] = one["used_after"][unit]
        row["asked"][unit] = one["asked"][unit]
    if one["used"][_TOTAL] < 0 and (one["used"][_INPUT] >= 0 or one["used"][_OUTPUT] >= 0):
        row["used"][_TOTAL] = max(one["used"][_INPUT], 0) + max(one["used"][_OUTPUT], 0)
    after_input, after_output = one["used_after"][_INPUT], one["used_after"][_OUTPUT]
    if one["used_after"][_TOTAL] < 0 and (after_input >= 0 or after_output >= 0):
        row["used_after"][_TOTAL] = max(after_input, 0) + max(after_output, 0)


@uncounted
def write_rows(
    buffer: UInt8s,
    messages: np.ndarray,  # [n] MESSAGE
    units: np.ndarray,  # [k] UNITS
    template: np.ndarray,  # [1] COMMAND that says nothing but its door
    received_ms: int,
    take_over: bool,  # an update of a session that we do not know opens it
    peer_keys: UInt64s,
    peer_numbers: Int32s,
    commands: np.ndarray,  # [r] COMMAND, written
    texts: UInt8s,  # [t] written: Session-Ids
) -> int:
    """Write the rows that `number_rows` counted. Returns the octets of `texts`."""
    written = 0
    for at in range(messages.shape[0]):
        message = messages[at]
        if message["result"] != 0:
            continue
        kind, first = message["type"], int(message["first_row"])
        flags = _RESENT if message["flags"] & RESENT != 0 else 0
        if is_terminating(message):
            flags |= _TERMINATING
        if kind == UPDATE and take_over:
            flags |= _HANDED_OVER
        peer = peer_numbers[_place_of(peer_keys, message["peer"])]
        verb = _verb_of(message)
        for place in range(message["rows"]):
            commands[first + place] = template[0]
            row = commands[first + place]
            row["verb"], row["flags"], row["request_number"] = verb, flags, message["number"]
            row["key_high"], row["key_low"] = message["key_high"], message["key_low"]
            row["received_ms"], row["instant_ms"] = received_ms, message["instant_ms"]
            row["subscriber_key"], row["peer"] = message["subscriber"], peer
            if message["other_digits"] != 0:
                row["number_key"], row["number_digits"] = message["other_key"], message["other_digits"]
            unit = message["first_unit"] + place - (1 if kind == INITIAL else 0)
            if kind == INITIAL and place == 0:
                row["verb"] = _OPEN
            elif kind == TERMINATION and place == message["rows"] - 1:
                row["verb"] = _END
            elif message["units"] > 0:
                one = units[unit]
                _say_units(row, one)
                if one["asked_for"] == 1 and kind != TERMINATION:
                    row["flags"] |= _ASKED
                if kind == TERMINATION or one["reason"] == REASON_FINAL or one["reason"] == REASON_HOLDING_TIME:
                    row["flags"] |= _FINAL
                if kind == EVENT:
                    row["key_low"] ^= key_apart(message, one)
                if verb == _REFUND:
                    _say_refund(buffer, row, one)
        if kind == INITIAL or (kind == UPDATE and take_over):
            copy_bytes(texts, written, buffer, message["session_at"], message["session_length"])
            commands[first]["text_offset"], commands[first]["text_length"] = written, message["session_length"]
            written += int(message["session_length"])
    return written


@spliced
def _long_word(buffer: UInt8s, at: int) -> np.uint64:
    value = np.uint64(0)
    for place in range(at, at + 8):
        value = value << np.uint64(8) | np.uint64(buffer[place])
    return value


@spliced
def _say_refund(buffer: UInt8s, row: np.void, one: np.void) -> None:
    """Which event is given back: Refund-Information is the key that we told when it was debited; else an amount."""
    if one["refund_length"] == REFUND_OCTETS:
        row["reference_high"] = _long_word(buffer, one["refund_at"])
        row["reference_low"] = _long_word(buffer, one["refund_at"] + 8)
    elif one["asked"][_MONEY] > 0:
        row["amount"] = one["asked"][_MONEY]


@spliced
def key_apart(message: np.void, one: np.void) -> np.uint64:
    """Tells the events of one Session-Id apart: each is remembered by a key of its own."""
    by_group = hashed_number(one["group"] + 1, _GOLDEN)
    return hashed_number(message["number"], hashed_number(one["service_id"] + 1, by_group))
