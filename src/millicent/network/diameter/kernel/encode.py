"""Writes Credit-Control answers (RFC 8506 clause 3.2, TS 32.299 clause 6.4) for a whole batch."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from millicent.charging.types import FinalAction, Result
from millicent.kit.kernels import Int64s, UInt8s
from millicent.network.diameter.kernel import slots
from millicent.network.diameter.kernel.decode import (
    CREDIT_CONTROL,
    CREDIT_CONTROL_APPLICATION,
    ERROR,
    HEADER,
    PROXIABLE,
    SECONDS_1900_TO_1970,
    three_at,
    word_at,
)
from millicent.network.diameter.kernel.rows import (
    EVENT,
    INITIAL,
    REFUND_OCTETS,
    TERMINATION,
    UPDATE,
    key_apart,
)
from millicent.network.kernel.copying import copy_bytes
from millicent.rating.kernel.splice import spliced, uncounted

SUCCESS = 2001
PER_MESSAGE, PER_UNITS = 640, 384  # octets at most, beside Session-Id, Proxy-Info and the given blocks
DIRECT_DEBITING, CHECK_BALANCE, PRICE_ENQUIRY = 0, 2, 3
LONGEST_SERVICES = 16  # Service-Identifiers of one MSCC that are said again
_DONE, _INSUFFICIENT, _INVALID = int(Result.DONE), int(Result.INSUFFICIENT), int(Result.INVALID)
_NOT_PRICED = int(Result.NOT_PRICED)
_NO_FINAL = int(FinalAction.NONE)
_SECONDS, _TOTAL, _OUTPUT, _UNITS, _MONEY = 0, 1, 3, 4, 5
_NANO_EXPONENT = -9
_HALF, _LOWER = np.uint64(32), np.uint64(0xFFFFFFFF)


UInt32s = NDArray[np.uint32]


class Out(NamedTuple):
    """Where answers are written: the same memory as octets and as words, and how the dictionary writes each AVP."""

    octets: UInt8s
    words: UInt32s
    code: Int64s  # [slots]
    vendor: Int64s
    flags: Int64s


@spliced
def _word(out: Out, at: int, value: int) -> int:
    """A word in network order; AVPs begin at multiples of 4."""
    turned = (value & 0xFF) << 24 | (value & 0xFF00) << 8 | (value >> 8) & 0xFF00 | (value >> 24) & 0xFF
    out.words[at >> 2] = np.uint32(turned)
    return at + 4


@spliced
def _head(out: Out, at: int, slot: int, content: int) -> int:
    vendor = out.vendor[slot]
    length = content + (12 if vendor != 0 else 8)
    at = _word(out, _word(out, at, out.code[slot]), out.flags[slot] << 24 | length)
    return _word(out, at, vendor) if vendor != 0 else at


@spliced
def _number(out: Out, at: int, slot: int, value: int) -> int:
    return _word(out, _head(out, at, slot, 4), value)


@spliced
def _long(out: Out, at: int, slot: int, value: int) -> int:
    at = _head(out, at, slot, 8)
    return _word(out, _word(out, at, value >> 32), value)


@spliced
def _copied(out: Out, at: int, source: UInt8s, start: int, length: int) -> int:
    copy_bytes(out.octets, at, source, start, length)
    return at + length


@spliced
def _text(
    out: Out, at: int, slot: int, source: UInt8s, start: int, length: int
) -> int:  # fmt: skip
    at = _copied(out, _head(out, at, slot, length), source, start, length)
    while at & 3 != 0:
        out.octets[at] = 0
        at += 1
    return at


@spliced
def _closed(out: Out, begun: int, at: int) -> int:
    """Say the length of the group that began at `begun`; its flags stand."""
    length = at - begun
    out.octets[begun + 5] = np.uint8(length >> 16 & 255)
    out.octets[begun + 6] = np.uint8(length >> 8 & 255)
    out.octets[begun + 7] = np.uint8(length & 255)
    return at


@spliced
def _money(
    out: Out, at: int, slot: int, nanos: int, exponent: int, currency: int
) -> int:  # fmt: skip
    """CC-Money or Cost-Information: the fewest digits that are exact; its currency by ISO 4217 number where known."""
    digits = nanos
    while exponent < 0 and digits % 10 == 0:
        digits //= 10
        exponent += 1
    begun = at
    at = _head(out, at, slot, 0)
    value = at
    at = _head(out, at, slots.UNIT_VALUE, 0)
    at = _long(out, at, slots.VALUE_DIGITS, digits)
    at = _number(out, at, slots.EXPONENT, exponent)
    at = _closed(out, value, at)
    if currency > 0:
        at = _number(out, at, slots.CURRENCY_CODE, currency)
    return _closed(out, begun, at)


@spliced
def _currency_of(answer: np.void, currencies: Int64s) -> tuple[int, int]:
    """(ISO 4217 number, exponent of a nano); 0 where we do not know it."""
    for place in range(currencies.shape[0]):
        if currencies[place, 0] == answer["currency"]:
            return currencies[place, 1], currencies[place, 2]
    return 0, _NANO_EXPONENT


@spliced
def _granted(out: Out, at: int, answer: np.void, currencies: Int64s) -> int:
    """Granted-Service-Unit in the unit of the answer, with the instant at which the price changes."""
    begun, units, unit = at, answer["granted_units"], answer["unit"]
    at = _head(out, at, slots.GRANTED_SERVICE_UNIT, 0)
    if answer["tariff_change_ms"] >= 0:
        seconds = answer["tariff_change_ms"] // 1_000 + SECONDS_1900_TO_1970
        at = _number(out, at, slots.TARIFF_TIME_CHANGE, seconds & 0xFFFFFFFF)
    if unit == _SECONDS:
        at = _number(out, at, slots.CC_TIME, min(units, 0xFFFFFFFF))
    elif unit == _MONEY:
        currency, exponent = _currency_of(answer, currencies)
        at = _money(out, at, slots.CC_MONEY, units, exponent, currency)
    else:
        slot = slots.CC_TOTAL_OCTETS + unit - _TOTAL
        at = _long(out, at, slot, units)
    return _closed(out, begun, at)


@spliced
def _limits(out: Out, at: int, answer: np.void) -> int:
    """Quota-Holding-Time and the threshold of the unit that was granted (TS 32.299 clause 7.2)."""
    if answer["holding_seconds"] >= 0:
        at = _number(out, at, slots.QUOTA_HOLDING_TIME, answer["holding_seconds"])
    if answer["threshold_units"] > 0 and answer["unit"] != _MONEY and answer["final"] == _NO_FINAL:
        slot = slots.VOLUME_QUOTA_THRESHOLD
        if answer["unit"] == _SECONDS:
            slot = slots.TIME_QUOTA_THRESHOLD
        elif answer["unit"] == _UNITS:
            slot = slots.UNIT_QUOTA_THRESHOLD
        at = _number(out, at, slot, min(answer["threshold_units"], 0xFFFFFFFF))
    return at


@spliced
def _final(out: Out, at: int, answer: np.void, policy: int, finals: UInt8s, offsets: Int64s) -> int:
    """The policy's Final-Unit-Indication: made beforehand for each action."""
    action = int(answer["final"])
    if action == _NO_FINAL:
        return at
    place = policy * 3 + action - 1
    return _copied(out, at, finals, offsets[place], offsets[place + 1] - offsets[place])


@spliced
def _service(
    out: Out, at: int, buffer: UInt8s, message: np.void, one: np.void, answer: np.void, results: Int64s,
    currencies: Int64s, finals: UInt8s, offsets: Int64s,
) -> int:  # fmt: skip
    """One Multiple-Services-Credit-Control; it says again which group and services it is about."""
    begun = at
    at = _head(out, at, slots.MSCC, 0)
    granted = answer["granted_units"] > 0 and one["folded"] == 0
    if granted:
        at = _granted(out, at, answer, currencies)
    place, said = one["mscc_at"], 0
    while place < one["mscc_end"] and said < LONGEST_SERVICES:
        if word_at(buffer, place) == out.code[slots.SERVICE_IDENTIFIER] and buffer[place + 4] & 0x80 == 0:
            at = _number(out, at, slots.SERVICE_IDENTIFIER, word_at(buffer, place + 8))
            said += 1
        place += (three_at(buffer, place + 5) + 3) // 4 * 4
    if one["group"] >= 0:
        at = _number(out, at, slots.RATING_GROUP, one["group"])
    if granted and answer["validity_seconds"] > 0:
        at = _number(out, at, slots.VALIDITY_TIME, answer["validity_seconds"])
    at = _number(out, at, slots.RESULT_CODE, _code_of(int(answer["result"]), one, results))
    if one["folded"] == 0:
        at = _final(out, at, answer, one["policy"], finals, offsets)
    if granted and message["three_gpp"] == 1:
        at = _limits(out, at, answer)
    if _is_refundable(message, answer) and message["three_gpp"] == 1:
        at = _refund(out, at, message, one)
    return _closed(out, begun, at)


@spliced
def _code_of(result: int, one: np.void, results: Int64s) -> int:
    """Result-Code; a rating group that nobody declared cannot be rated (TS 32.299 clause 6.6)."""
    if result == _INVALID and one["number"] < 0:
        return int(results[_NOT_PRICED])
    return int(results[result])


@spliced
def _is_refundable(message: np.void, answer: np.void) -> bool:
    return message["type"] == EVENT and message["action"] == DIRECT_DEBITING and answer["result"] == _DONE


@spliced
def _refund(out: Out, at: int, message: np.void, one: np.void) -> int:
    """Refund-Information (TS 32.299 clause 7.2.184): the key of the event, by which a refund will name it."""
    at = _head(out, at, slots.REFUND_INFORMATION, REFUND_OCTETS)
    high, low = message["key_high"], message["key_low"] ^ key_apart(message, one)
    at = _word(out, _word(out, at, int(high >> _HALF)), int(high & _LOWER))
    return _word(out, _word(out, at, int(low >> _HALF)), int(low & _LOWER))


@spliced
def _message_result(message: np.void, units: np.ndarray, answers: np.ndarray, wide: Int64s) -> int:
    """Which Result speaks for the whole message: of the session, or of the only units that it has."""
    first, last = int(message["first_row"]), int(message["first_row"] + message["rows"] - 1)
    if message["type"] == TERMINATION:
        return int(answers[last]["result"])
    result = int(answers[first]["result"])
    if message["type"] == INITIAL:
        if result != _DONE or message["units"] == 0:
            return result
        first += 1
        result = int(answers[first]["result"])
    if message["type"] == UPDATE and message["units"] == 0 and result == _INVALID:
        return _DONE  # it named no service: the session is there, and that was all it asked
    if message["units"] == 0 or units[message["first_unit"]]["mscc_at"] < 0 or wide[result] == 1:
        return result
    return _DONE


@uncounted
def encode(
    buffer: UInt8s,  # [b] the requests
    messages: np.ndarray,  # [n] MESSAGE
    units: np.ndarray,  # [k] UNITS
    answers: np.ndarray,  # [r] ANSWER
    results: Int64s,  # [Result] Result-Code
    wide: Int64s,  # [Result] 1: it concerns the whole message
    currencies: Int64s,  # [c, 3] NameKind.CURRENCY, ISO 4217 number, exponent of a nano
    identity: UInt8s,  # Origin-Host, Origin-Realm, Auth-Application-Id, as they are written
    session_terms: UInt8s,  # CC-Session-Failover and failure handling, for the first answer of a session
    event_terms: UInt8s,  # the same for an event
    finals: UInt8s,  # Final-Unit-Indications, three for each policy
    offsets: Int64s,  # [3 policies + 1]
    out: Out,  # written
    begin: Int64s,  # [n] written, where each answer begins
    end: Int64s,  # [n] written; the same as `begin` where nothing was written: a refused message
) -> int:
    """Write an answer to every sound message. Returns the octets written."""
    at = 0
    for row in range(messages.shape[0]):
        message = messages[row]
        begin[row], end[row] = at, at
        if message["result"] != 0:
            continue
        start, kind = at, message["type"]
        result = _message_result(message, units, answers, wide)
        checked = kind == EVENT and message["action"] == CHECK_BALANCE and (result in (_DONE, _INSUFFICIENT))
        said = SUCCESS if checked else int(results[result])
        if result == _INVALID and message["units"] > 0:
            said = _code_of(result, units[message["first_unit"]], results)
        error = ERROR if 3_000 <= said < 4_000 else 0
        at = _word(out, at + 4, (message["flags"] & PROXIABLE | error) << 24 | CREDIT_CONTROL)
        at = _word(out, at, CREDIT_CONTROL_APPLICATION)
        at = _word(out, at, message["hop_by_hop"])
        at = _word(out, at, message["end_to_end"])
        at = _text(out, at, slots.SESSION_ID, buffer, message["session_at"], message["session_length"])
        at = _number(out, at, slots.RESULT_CODE, said)
        at = _copied(out, at, identity, 0, identity.shape[0])
        at = _number(out, at, slots.CC_REQUEST_TYPE, kind)
        at = _number(out, at, slots.CC_REQUEST_NUMBER, message["number"])
        if kind == INITIAL and said == SUCCESS:
            at = _copied(out, at, session_terms, 0, session_terms.shape[0])
        elif kind == EVENT and said == SUCCESS:
            at = _copied(out, at, event_terms, 0, event_terms.shape[0])
        opened = 1 if kind == INITIAL else 0
        # Where the session itself was refused its services have nothing more to say.
        speak = result == _DONE or wide[result] == 0
        for place in range(message["units"] if speak else 0):
            one = units[message["first_unit"] + place]
            answer = answers[message["first_row"] + opened + place]
            if one["mscc_at"] >= 0:
                if kind != TERMINATION or answer["result"] != _DONE:
                    at = _service(out, at, buffer, message, one, answer, results, currencies, finals, offsets)
            elif kind != TERMINATION:
                if answer["granted_units"] > 0:
                    at = _granted(out, at, answer, currencies)
                    if answer["validity_seconds"] > 0:
                        at = _number(out, at, slots.VALIDITY_TIME, answer["validity_seconds"])
                at = _final(out, at, answer, one["policy"], finals, offsets)
                if answer["granted_units"] > 0 and message["three_gpp"] == 1:
                    at = _limits(out, at, answer)
                if _is_refundable(message, answer) and message["three_gpp"] == 1:
                    at = _refund(out, at, message, one)
        if kind == EVENT and message["action"] == PRICE_ENQUIRY and result == _DONE:
            at = _cost(out, at, message, answers, currencies)
        if checked:
            value = 1 if result == _INSUFFICIENT else 0
            at = _number(out, at, slots.CHECK_BALANCE_RESULT, value)
        if message["proxies"] > 0:
            at = _proxies(out, at, buffer, message)
        _word(out, start, 1 << 24 | (at - start))
        end[row] = at
    return at


@spliced
def _cost(
    out: Out, at: int, message: np.void, answers: np.ndarray, currencies: Int64s
) -> int:  # fmt: skip
    """Cost-Information: the prices of all services of the message together."""
    total, first = 0, message["first_row"]
    for place in range(message["rows"]):
        if answers[first + place]["price_nanos"] > 0:
            total += answers[first + place]["price_nanos"]
    currency, exponent = _currency_of(answers[first], currencies)
    return _money(out, at, slots.COST_INFORMATION, total, exponent, currency)


@spliced
def _proxies(out: Out, at: int, buffer: UInt8s, message: np.void) -> int:
    """Every Proxy-Info goes back as it came, in its order (RFC 6733 clause 6.2)."""
    place = message["start"] + HEADER
    while place + 8 <= message["end"]:
        length = (three_at(buffer, place + 5) + 3) // 4 * 4
        if word_at(buffer, place) == out.code[slots.PROXY_INFO] and buffer[place + 4] & 0x80 == 0:
            at = _copied(out, at, buffer, place, length)
        place += length
    return at
