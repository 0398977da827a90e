"""Compiles the loops before the first peer comes: it must not wait for a compiler."""

import numpy as np

from millicent.charging.types import ANSWER, COMMAND, commands
from millicent.network.diameter import messages as wire
from millicent.network.diameter.codec import Answering, as_bytes, decode, encode_answers, frame
from millicent.network.diameter.kernel import rows as loops
from millicent.network.diameter.kernel.decode import hashed

_REQUEST = wire.message_bytes(
    command=wire.CREDIT_CONTROL,
    application=wire.CREDIT_CONTROL_APPLICATION,
    flags=0xC0,
    hop_by_hop=1,
    end_to_end=1,
    content=wire.write_fields(
        [
            ("Session-Id", "warming;1"),
            ("Origin-Host", "warming.invalid"),
            ("Origin-Realm", "invalid"),
            ("Destination-Realm", "invalid"),
            ("Auth-Application-Id", wire.CREDIT_CONTROL_APPLICATION),
            ("Service-Context-Id", "32251@3gpp.org"),
            ("CC-Request-Type", 1),
            ("CC-Request-Number", 0),
        ]
    ),
)


def warm() -> None:
    """Run every loop once over one request that goes nowhere."""
    buffer, nothing = as_bytes(_REQUEST), as_bytes(b"")
    start, end, _, _ = frame(buffer, largest=buffer.size)
    hashed(buffer, 0, 1, np.uint64(1))
    realm = as_bytes(b"invalid")
    requests = decode(
        buffer,
        start=start,
        end=end,
        connection=np.zeros(1, np.int64),
        ranks=np.ones(5, np.int64),
        realm=realm,
        host=realm,
    )
    keys, traffic, peers = np.zeros(16, np.uint64), np.zeros((16, 2), np.int32), np.zeros((16, 1), np.int32)
    for key in (requests.messages["peer"][0], *requests.units["traffic"]):
        loops.put_key(keys, key)
    seen = np.empty(8, np.int64)
    count, octets, _, _ = loops.number_rows(requests.messages, requests.units, keys, traffic, keys, seen, seen)
    rows, texts = np.empty(count, COMMAND), np.empty(octets, np.uint8)
    loops.write_rows(buffer, requests.messages, requests.units, commands(1), 0, False, keys, peers[:, 0], rows, texts)
    answering = Answering(
        identity=nothing, session_terms=nothing, event_terms=nothing, finals=nothing,
        offsets=np.zeros(4, np.int64), currencies=np.zeros((0, 3), np.int64),
    )  # fmt: skip
    encode_answers(requests, np.zeros(count, ANSWER), answering)
