"""Where things are in the charging records of TS 32.298: tag paths, in the order of the text of the standard.

`GPRSRecord` (5.2.2): sGWRecord [78], pGWRecord [79]. `CHFRecord` (5.2.5): chargingFunctionRecord [200].
A path names context tags by number and the element of a SEQUENCE OF or SET OF by `*`.
"""

from functools import lru_cache
from typing import Final

import numpy as np

from millicent.kit.kernels import Int16s, Int32s, UInt8s
from millicent.network.kernel.ber import ADD, CHILD_COLUMNS, EARLIEST, FIRST, KEEP, LATEST, LINE, PASS, UNIVERSAL

SGW, PGW, CHF = 78, 79, 200

# Columns of a record: positions of its values.
KEPT: Final = (
    "type", "imsi", "msisdn", "apn", "opening", "duration", "cause", "record_sequence", "node", "local_sequence",
    "network", "rat", "charging_id", "start", "stop", "imei",
    "subscriber_type", "subscriber", "user", "session", "consumer_network", "five_qi", "slice_type", "slice_part",
    "pdu_session", "roamer", "sms_sender", "sms_recipient", "sms_time", "sms_count",
)  # fmt: skip
# Columns of a line of usage within a record.
LINES: Final = (
    "kind", "rating_group", "uplink", "downlink", "total", "seconds", "units", "first_use", "last_use", "qos",
    "service_id",
)  # fmt: skip
BEARER, SERVICE = 0, 1  # kinds of lines: the same octets may be counted in both, so the bearer's yield

_UNIVERSAL_SEQUENCE = 16
_GATEWAY_RECORD = {
    "0": "type", "3": "imsi", "5": "charging_id", "7": "apn", "13": "opening", "14": "duration", "15": "cause",
    "17": "record_sequence", "18": "node", "20": "local_sequence", "22": "msisdn", "27": "network", "29": "imei",
    "30": "rat", "38": "start", "39": "stop",
}  # fmt: skip
_CHF_RECORD = {
    "0": "type", "1": "node", "2.0": "subscriber_type", "2.1": "subscriber", "3.3": "consumer_network",
    "6": "opening", "7": "duration", "8": "record_sequence", "9": "cause", "11": "local_sequence",
    "13.0": "charging_id", "13.1.0": "user", "13.1.1": "user", "13.1.3": "user", "13.1.4": "user",
    "13.4": "roamer", "13.6": "pdu_session", "13.7.0": "slice_type", "13.7.1": "slice_part", "13.12": "rat",
    "13.13": "apn", "13.15.1": "five_qi", "13.17": "start", "13.18": "stop", "13.27": "network",
    "15.1.1": "sms_sender", "15.2.*.1": "sms_recipient", "15.8": "sms_time", "15.26": "sms_count", "16": "session",
}  # fmt: skip
# path of a line -> (kind, {path below it: (what to do, column)})
_TRAFFIC_VOLUME = {
    "3": (ADD, "uplink"), "4": (ADD, "downlink"), "6": (LATEST, "last_use"), "9.1": (FIRST, "qos"),
}  # fmt: skip
_SERVICE_DATA = {
    "1": (FIRST, "rating_group"), "5": (EARLIEST, "first_use"), "6": (LATEST, "last_use"), "7": (ADD, "seconds"),
    "9.1": (FIRST, "qos"), "12": (ADD, "uplink"), "13": (ADD, "downlink"), "17": (FIRST, "service_id"),
}  # fmt: skip
_UNIT_USAGE = {
    "0": (FIRST, "rating_group"), "1.*.0": (FIRST, "service_id"), "1.*.1": (ADD, "seconds"), "1.*.4": (ADD, "total"),
    "1.*.5": (ADD, "uplink"), "1.*.6": (ADD, "downlink"), "1.*.7": (ADD, "units"), "1.*.8": (EARLIEST, "first_use"),
    "1.*.11.2": (EARLIEST, "first_use"), "1.*.11.3": (LATEST, "last_use"), "1.*.11.4.1": (FIRST, "qos"),
}  # fmt: skip


class BerTable:
    """The tag paths as arrays that the walk runs over."""

    def __init__(self) -> None:
        self._children: list[dict[int, int]] = [{}]
        self._operations: list[int] = [PASS]
        self._columns: list[int] = [0]

    def add(self, path: str, operation: int, column: int) -> None:
        node = 0
        for step in path.split("."):
            place = UNIVERSAL + _UNIVERSAL_SEQUENCE if step == "*" else int(step)
            node = self._children[node].setdefault(place, len(self._children))
            if node == len(self._children):
                self._children.append({})
                self._operations.append(PASS)
                self._columns.append(0)
        self._operations[node], self._columns[node] = operation, column

    def arrays(self) -> tuple[Int16s, UInt8s, Int32s]:
        child = np.full((len(self._children), CHILD_COLUMNS), -1, np.int16)
        for node, places in enumerate(self._children):
            for place, below in places.items():
                child[node, place] = below
        return child, np.array(self._operations, np.uint8), np.array(self._columns, np.int32)


@lru_cache(maxsize=1)
def charging_record_table() -> tuple[Int16s, UInt8s, Int32s]:
    """(child, operation, column) for `kernel.ber.walk_charging_records`."""
    table = BerTable()
    for record, kept in ((SGW, _GATEWAY_RECORD), (PGW, _GATEWAY_RECORD), (CHF, _CHF_RECORD)):
        for path, name in kept.items():
            table.add(f"{record}.{path}", KEEP, KEPT.index(name))
    for path, kind, below in (
        (f"{SGW}.12.*", BEARER, _TRAFFIC_VOLUME),
        (f"{PGW}.12.*", BEARER, _TRAFFIC_VOLUME),
        (f"{PGW}.34.*", SERVICE, _SERVICE_DATA),
        (f"{CHF}.5.*", SERVICE, _UNIT_USAGE),
    ):
        table.add(path, LINE, kind)
        for step, (operation, name) in below.items():
            table.add(f"{path}.{step}", operation, LINES.index(name))
    return table.arrays()
