"""Batches of Credit-Control requests: bytes to rows of commands, rows of answers to bytes."""

import ipaddress
from dataclasses import dataclass

import numpy as np

from millicent.charging.types import Result, Rows
from millicent.kit.kernels import Int64s, UInt8s
from millicent.network.diameter.dictionary import dictionary, tables
from millicent.network.diameter.kernel import decode as walk
from millicent.network.diameter.kernel.encode import PER_MESSAGE, PER_UNITS, Out, encode
from millicent.network.diameter.kernel.layout import MESSAGE, UNITS
from millicent.network.diameter.kernel.rows import INITIAL
from millicent.network.diameter.messages import Field, write_fields

# RFC 8506 clause 9.1 and RFC 6733 clause 7.1, by charging.types.Result.
RESULT_CODES = {
    Result.DONE: 2001,
    Result.UNKNOWN_SUBSCRIBER: 5030,  # DIAMETER_USER_UNKNOWN
    Result.UNKNOWN_SESSION: 5002,  # DIAMETER_UNKNOWN_SESSION_ID
    Result.UNKNOWN_ACCOUNT: 5030,
    Result.UNKNOWN_BUCKET: 5012,  # DIAMETER_UNABLE_TO_COMPLY
    Result.INSUFFICIENT: 4012,  # DIAMETER_CREDIT_LIMIT_REACHED
    Result.NOT_SERVED: 4010,  # DIAMETER_END_USER_SERVICE_DENIED
    Result.NOT_PRICED: 5031,  # DIAMETER_RATING_FAILED
    Result.OUT_OF_ORDER: 5012,
    Result.CURRENCY_DIFFERS: 5004,  # DIAMETER_INVALID_AVP_VALUE
    Result.INVALID: 5004,
    Result.FULL: 3004,  # DIAMETER_TOO_BUSY
    Result.ALREADY: 5012,
}
# What concerns the session or the subscriber, and so every service of the message.
WIDE = frozenset(
    {
        Result.UNKNOWN_SUBSCRIBER, Result.UNKNOWN_SESSION, Result.UNKNOWN_ACCOUNT, Result.OUT_OF_ORDER,
        Result.FULL, Result.ALREADY,
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """A decoded batch; rows of `messages` stand in the order of the bytes."""

    buffer: UInt8s
    messages: Rows  # MESSAGE [n]
    units: Rows  # UNITS [k]


@dataclass(frozen=True, slots=True, kw_only=True)
class Final:
    """What to do when the last slice is used, as one policy has it."""

    redirect_address: str = ""
    filter_ids: tuple[str, ...] = ()  # names of filters that the client has, or rules ("permit out ip from any to ...")

    def blocks(self) -> tuple[bytes, bytes, bytes]:
        """Final-Unit-Indication for TERMINATE, REDIRECT and RESTRICT."""
        server: Field = (
            "Redirect-Server",
            [
                ("Redirect-Address-Type", _address_type(self.redirect_address)),
                ("Redirect-Server-Address", self.redirect_address),
            ],
        )
        return (
            _final_unit([("Final-Unit-Action", 0)]),
            _final_unit([("Final-Unit-Action", 1), server]),
            _final_unit([("Final-Unit-Action", 2), *(_filter(each) for each in self.filter_ids)]),
        )


def _address_type(address: str) -> int:
    """Redirect-Address-Type (RFC 8506 clause 8.38) by how the address is written."""
    kinds = dictionary().values["Redirect-Address-Type"]
    try:
        return kinds[f"ipv{ipaddress.ip_address(address).version}"]
    except ValueError:
        return kinds["sip_uri" if address.lower().startswith(("sip:", "sips:")) else "url"]


def _filter(said: str) -> Field:
    """An IPFilterRule (RFC 6733 clause 4.3.1) begins with what it does; all else names a filter of the client."""
    return ("Restriction-Filter-Rule" if said.startswith(("permit ", "deny ")) else "Filter-Id"), said


def _final_unit(fields: list[Field]) -> bytes:
    return write_fields([("Final-Unit-Indication", fields)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """All that answers say beside what the shard says, as bytes ready to be copied."""

    identity: UInt8s
    session_terms: UInt8s
    event_terms: UInt8s
    finals: UInt8s
    offsets: Int64s
    currencies: Int64s  # [c, 3]


def result_tables() -> tuple[Int64s, Int64s]:
    """Result-Code by Result, and 1 where it concerns the whole message."""
    codes = np.array([RESULT_CODES[each] for each in Result], np.int64)
    return codes, np.array([each in WIDE for each in Result], np.int64)


_RESULTS, _WIDE = result_tables()


def as_bytes(raw: bytes) -> UInt8s:
    """Bytes as a loop reads them."""
    return np.frombuffer(raw, np.uint8) if raw else np.zeros(0, np.uint8)


def frame(buffer: UInt8s, *, largest: int) -> tuple[Int64s, Int64s, int, int]:
    """Where whole messages begin and end, how far they reach, and 0 or the Result-Code that ends the stream."""
    room = buffer.size // walk.HEADER + 1
    start, end = np.empty(room, np.int64), np.empty(room, np.int64)
    count, position, fault = walk.frame(buffer, 0, buffer.size, largest, start, end)
    return start[:count], end[:count], position, fault


def decode(
    buffer: UInt8s, *, start: Int64s, end: Int64s, connection: Int64s, ranks: Int64s, realm: UInt8s, host: UInt8s
) -> Requests:
    """Decode Credit-Control requests, each on its own. `realm` and `host` are ours; each begins at a multiple of 4."""
    known = tables()
    messages = np.empty(start.size, MESSAGE)
    units = np.empty(int(np.sum(end - start)) // 8 + start.size, UNITS)
    count = walk.decode(
        buffer, start, end, connection, known.vendors, known.entries, ranks, realm, host, messages, units,
        walk.new_scratch(),
    )  # fmt: skip
    return Requests(buffer=buffer, messages=messages, units=units[:count])


def encode_answers(requests: Requests, answers: Rows, answering: Answering) -> tuple[UInt8s, Int64s, Int64s]:
    """Answers to all sound messages in one run of bytes, and where each begins and ends in it."""
    known, messages = tables(), requests.messages
    longest = int(np.max(np.diff(answering.offsets))) if answering.offsets.size > 1 else 0
    beside = answering.identity.size + max(answering.session_terms.size, answering.event_terms.size)
    room = int(np.sum(messages["session_length"]) + np.sum(messages["proxies"]))
    room += messages.size * (PER_MESSAGE + beside) + requests.units.size * (PER_UNITS + longest)
    words = np.empty(room // 4 + 1, np.uint32)
    out = Out(words.view(np.uint8), words, known.code, known.vendor, known.flags)
    begin, end = np.empty(messages.size, np.int64), np.empty(messages.size, np.int64)
    written = encode(
        requests.buffer, messages, requests.units, answers, _RESULTS, _WIDE, answering.currencies,
        answering.identity, answering.session_terms, answering.event_terms, answering.finals, answering.offsets,
        out, begin, end,
    )  # fmt: skip
    return out.octets[:written], begin, end


def refused_openings(requests: Requests, answers: Rows) -> Int64s:
    """Messages that opened a session and were then refused their only units: rows of `messages`."""
    messages = requests.messages
    alone = np.flatnonzero((messages["result"] == 0) & (messages["type"] == INITIAL) & (messages["units"] == 1))
    alone = alone[requests.units["mscc_at"][messages["first_unit"][alone]] < 0]
    first = messages["first_row"][alone]
    opened = answers["result"][first] == Result.DONE
    refused: Int64s = alone[opened & (answers["result"][first + 1] != Result.DONE)]
    return refused
