"""FreeRADIUS detail files: accounting of broadband and Wi-Fi sessions, with the attributes of MikroTik and Cisco.

Source: FreeRADIUS 3.x, rlm_detail; RFC 2866 (accounting), RFC 2869 (Gigawords, Event-Timestamp), RFC 3162 and 4818.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import polars as pl

from millicent.kit.errors import BadInput
from millicent.kit.kernels import Bools, Int64s, UInt8s
from millicent.mediation.types import DecodedChunk, FormatOptions, Part, SuspenseReason
from millicent.network.files.fields import Fields, Read, first_filled
from millicent.network.files.options import CommonOptions, OptionReader, common_options
from millicent.network.files.records import Form, Interpretation, Room, Verdict, Walk, decode_records
from millicent.network.files.window import Window
from millicent.network.kernel import detail
from millicent.network.kernel.values import EMPTY, READ, WRONG

HEADER = "header"
_HEADER_TIME = "%a %b %d %H:%M:%S %Y"
_EVENT_TIME = "%b %d %Y %H:%M:%S %Z"
_NEEDED = (
    "Acct-Status-Type",
    "Acct-Session-Id",
    "Acct-Unique-Session-Id",
    "Acct-Session-Time",
    "Acct-Input-Octets",
    "Acct-Output-Octets",
    "Acct-Input-Gigawords",
    "Acct-Output-Gigawords",
    "Acct-Delay-Time",
    "Event-Timestamp",
    "Timestamp",
    "User-Name",
    "NAS-IP-Address",
    "NAS-IPv6-Address",
    "NAS-Identifier",
)
# attribute of the usage -> attribute of RADIUS
ATTRIBUTES = {
    "nas": "NAS-Identifier",
    "nas_ip": "NAS-IP-Address",
    "nas_port": "NAS-Port-Id",
    "nas_port_type": "NAS-Port-Type",
    "framed_ip": "Framed-IP-Address",
    "framed_ipv6_prefix": "Framed-IPv6-Prefix",
    "delegated_ipv6_prefix": "Delegated-IPv6-Prefix",
    "calling_station": "Calling-Station-Id",
    "called_station": "Called-Station-Id",
    "terminate_cause": "Acct-Terminate-Cause",
    "class": "Class",
    "rate_limit": "Mikrotik-Rate-Limit",
    "mikrotik_group": "Mikrotik-Group",
    "mikrotik_realm": "Mikrotik-Realm",
    "mikrotik_host_ip": "Mikrotik-Host-IP",
    "cisco_avpair": "Cisco-AVPair",
    "cisco_service": "Cisco-Service-Info",
    "cisco_account": "Cisco-Account-Info",
    "cisco_nas_port": "Cisco-NAS-Port",
}
_PARTS = {
    "Start": Part.START,
    "1": Part.START,
    "Stop": Part.STOP,
    "2": Part.STOP,
    "Interim-Update": Part.INTERIM,
    "Alive": Part.INTERIM,
    "3": Part.INTERIM,
}
_SEVERAL = frozenset({"Cisco-AVPair"})
_MOST_OF_A_NAME = 16
_AGAIN = "#"  # in no name of an attribute
_SWITCHED = ("Accounting-On", "Accounting-Off", "7", "8")
_LARGEST_COUNTER = 2**32 - 1
_DAMAGE = {
    detail.NO_VALUE: "an attribute line without a value",
    detail.NO_BLANK_LINE: "the next record begins before the empty line that ends this one",
    detail.NO_HEADER: "attributes without the line that says when",
}


class RadiusDetail:
    """Options: `attributes` (names of ATTRIBUTES to keep), and the common ones; `identifier` is a RADIUS attribute.

    Start, Interim-Update and Stop are parts that mediation joins; volumes include the Gigawords. Accounting-On and
    -Off are no usage: they end what is left of the NAS's sessions, which are known by the attribute `nas_ip` or `nas`.
    Of Cisco-AVPair the first sixteen of a record are kept: cisco_avpair, cisco_avpair_2 and so on.
    """

    code = "radius_detail"

    def decode(self, stream: BinaryIO, *, options: FormatOptions, start_offset: int) -> Iterator[DecodedChunk]:
        """Yield chunks of session parts; see `mediation.types.UsageFormat`."""
        reader = OptionReader(options, known={"attributes"})
        common = common_options(reader, service="broadband", identifier="User-Name", identifier_kind="radius_user")
        attributes = reader.names("attributes", ",".join(ATTRIBUTES))
        for name in attributes:
            if name not in ATTRIBUTES:
                raise BadInput(
                    f"{name!r} is not known", where="attributes", cure=f"Known are: {', '.join(ATTRIBUTES)}."
                )
        filters = tuple(column for column, _ in common.not_usage)
        kept = tuple(each for name in attributes for each in _repeated(name))
        wanted = dict.fromkeys((*_NEEDED, *common.identifier, *filters, *(column for _, column in kept)))
        if common.supplier:
            wanted[common.supplier] = None
        places = {name: place for place, name in enumerate((HEADER, *wanted))}
        reading = _DetailReader(places=places, common=common, attributes=kept, zone=options.zone)
        form = Form(
            what="a FreeRADIUS detail record",
            walk=_detail_walk(tuple(wanted), common),
            interpret=reading.interpret,
            least_fields=0,
            most_fields=len(places),
            damage=_DAMAGE,
        )
        yield from decode_records(stream, form=form, common=common, options=options, start_offset=start_offset)


def _repeated(name: str) -> Iterator[tuple[str, str]]:
    """(attribute of the usage, column): several of a name have a column each, filled in the order they come."""
    yield name, ATTRIBUTES[name]
    if ATTRIBUTES[name] in _SEVERAL:
        for number in range(2, _MOST_OF_A_NAME + 1):
            yield f"{name}_{number}", f"{ATTRIBUTES[name]}{_AGAIN}{number}"


def _detail_walk(wanted: tuple[str, ...], common: CommonOptions) -> Walk:
    written = [name.partition(_AGAIN)[0].encode() for name in wanted]
    names = np.frombuffer(b"".join(written), np.uint8)
    offsets = np.cumsum([0, *map(len, written)], dtype=np.int64)

    def walk(window: Window, room: Room) -> tuple[int, int]:
        records, position = detail.walk_detail(
            window.buffer,
            window.begin,
            window.buffer.size,
            window.final and not common.growing,
            common.record_limit_bytes,
            names,
            offsets,
            room.record_start,
            room.record_end,
            room.next_start,
            room.status,
            room.foreign,
            room.field_count,
            room.field_start,
            room.field_end,
            room.field_style,
        )
        return int(records), int(position)

    return walk


@dataclass(frozen=True, slots=True, kw_only=True)
class _DetailReader:
    places: dict[str, int]
    common: CommonOptions
    attributes: tuple[tuple[str, str], ...]
    zone: str

    def text(self, fields: Fields, name: str) -> pl.Series:
        return fields.text(self.places[name])

    def number(self, fields: Fields, name: str, verdict: Verdict) -> Int64s:
        """A counter of at most 32 bits; absent is 0."""
        read = fields.scaled(self.places[name])
        wrong = (read.status == WRONG) | (read.value < 0) | (read.value > _LARGEST_COUNTER)
        verdict.refuse(wrong, SuspenseReason.BAD_QUANTITY, f"{name} is not a counter of 32 bits")
        return np.where(wrong, 0, read.value)

    def interpret(self, fields: Fields, offsets: Int64s) -> Interpretation:
        verdict = Verdict.of(fields.height)
        status = self.text(fields, "Acct-Status-Type")
        self._judge_status(fields, status, verdict)
        seconds = self.number(fields, "Acct-Session-Time", verdict)
        when = self._event_time(fields, verdict)
        start = (status.replace_strict(_PARTS, default="") == Part.START).to_numpy()
        seconds = np.where(start, 0, seconds)  # some NAS repeat the last session's time in a Start
        columns = self._identity(fields, status, seconds, verdict) | {
            "occurred_at_ms": pl.Series(when),
            "duration_ms": pl.Series(seconds * 1_000),
            "uplink_bytes": pl.Series(np.where(start, 0, self._volume(fields, "Input", verdict))),
            "downlink_bytes": pl.Series(np.where(start, 0, self._volume(fields, "Output", verdict))),
            "answered": pl.repeat(True, fields.height, dtype=pl.Boolean, eager=True),
            "attributes": fields.json([(name, self.places[column]) for name, column in self.attributes]),
            "service": pl.repeat(self.common.service, fields.height, dtype=pl.String, eager=True),
            "direction": pl.repeat(self.common.direction, fields.height, dtype=pl.String, eager=True),
        }
        if self.common.supplier:
            columns["supplier"] = self.text(fields, self.common.supplier)
        return Interpretation(columns=columns, verdict=verdict, ended=self._ended(fields, status, when))

    def _ended(self, fields: Fields, status: pl.Series, when: Int64s) -> pl.DataFrame | None:
        """A NAS that begins or ends accounting has lost its sessions from before."""
        switched = np.flatnonzero(status.is_in(_SWITCHED).to_numpy() & (when > 0))
        if not switched.size:
            return None
        told, known = fields.rows(switched), dict(self.attributes)
        named = [(name, self.text(told, ATTRIBUTES[name])) for name in ("nas_ip", "nas") if name in known]
        rows = [
            next(((name, values[row], at) for name, values in named if values[row]), None)
            for row, at in enumerate(when[switched].tolist())
        ]
        schema = {"attribute": pl.String, "value": pl.String, "occurred_at_ms": pl.Int64}
        return pl.DataFrame([row for row in rows if row is not None], schema=schema, orient="row")

    def _judge_status(self, fields: Fields, status: pl.Series, verdict: Verdict) -> None:
        header = fields.instants(self.places[HEADER], pattern=_HEADER_TIME, zone=self.zone)
        no_date = (header.status != READ) & (status == "").to_numpy()
        verdict.refuse(no_date, SuspenseReason.DAMAGED, "neither a date above it nor an Acct-Status-Type in it")
        verdict.refuse((status == "").to_numpy(), SuspenseReason.MISSING_FIELD, "Acct-Status-Type is missing")
        switched = status.is_in(_SWITCHED).to_numpy()
        verdict.refuse(switched, SuspenseReason.NOT_USAGE, "Accounting-On or -Off: the NAS began or ended accounting")
        strange = ~status.is_in(list(_PARTS)).to_numpy()
        verdict.refuse(strange, SuspenseReason.NOT_USAGE, "an Acct-Status-Type that reports no session")
        for column, values in self.common.not_usage:
            hit = self.text(fields, column).is_in(sorted(values)).to_numpy()
            verdict.refuse(hit, SuspenseReason.NOT_USAGE, f"{column} is one of {', '.join(sorted(values))}")

    def _event_time(self, fields: Fields, verdict: Verdict) -> Int64s:
        """Event-Timestamp says when it happened; else the server's own time less the delay that the NAS reports."""
        said = _either(
            fields.instants(self.places["Event-Timestamp"], pattern=_EVENT_TIME, zone=self.zone),
            fields.scaled(self.places["Event-Timestamp"], multiply=1_000),
        )
        verdict.refuse(said.status == WRONG, SuspenseReason.BAD_TIME, "Event-Timestamp is not a time")
        received = fields.scaled(self.places["Timestamp"], multiply=1_000)
        header = fields.instants(self.places[HEADER], pattern=_HEADER_TIME, zone=self.zone)
        stamped = np.where(received.status == READ, received.value, header.value)
        known = (said.status == READ) | (received.status == READ) | (header.status == READ)
        verdict.refuse(~known, SuspenseReason.BAD_TIME, "nothing in it is a time")
        delay = self.number(fields, "Acct-Delay-Time", verdict) * 1_000
        return np.where(said.status == READ, said.value, stamped - delay)

    def _volume(self, fields: Fields, side: str, verdict: Verdict) -> Int64s:
        octets = self.number(fields, f"Acct-{side}-Octets", verdict)
        gigawords = self.number(fields, f"Acct-{side}-Gigawords", verdict)
        too_many = gigawords > 2**30
        verdict.refuse(too_many, SuspenseReason.BAD_QUANTITY, f"Acct-{side}-Gigawords is beyond any session")
        return octets + (np.where(too_many, 0, gigawords) << 32)

    def _identity(self, fields: Fields, status: pl.Series, seconds: Int64s, verdict: Verdict) -> dict[str, pl.Series]:
        identifier = first_filled([self.text(fields, name) for name in self.common.identifier])
        verdict.refuse((identifier == "").to_numpy(), SuspenseReason.MISSING_FIELD, "nothing says whose session it is")
        session = self.text(fields, "Acct-Session-Id")
        unique = self.text(fields, "Acct-Unique-Session-Id")
        verdict.refuse(_both_empty(session, unique), SuspenseReason.MISSING_FIELD, "Acct-Session-Id is missing")
        nas = first_filled([self.text(fields, name) for name in _NEEDED if name.startswith("NAS-")])
        user = self.text(fields, "User-Name")
        made = pl.DataFrame({"u": unique, "n": nas, "s": session, "w": user, "t": status, "d": seconds}).select(
            key=pl.when(pl.col("u") != "").then("u").otherwise(pl.concat_str("n", "s", "w", separator="/")),
            part=pl.col("t").replace_strict(_PARTS, default=""),
            moment=pl.concat_str("t", "d", separator="/"),
        )
        return {
            "identifier": identifier,
            "identifier_kind": pl.repeat(self.common.identifier_kind, fields.height, dtype=pl.String, eager=True),
            "part": made["part"],
            "correlation_key": made["key"],
            "event_id": made.select(pl.concat_str("key", "moment", separator="/")).to_series(),
        }


def _both_empty(one: pl.Series, other: pl.Series) -> Bools:
    return ((one == "") & (other == "")).to_numpy()


def _either(first: Read, second: Read) -> Read:
    """The first reading where it succeeded, else the second."""
    status: UInt8s = np.where(first.status == EMPTY, EMPTY, np.where(first.status == READ, READ, second.status))
    return Read(np.where(first.status == READ, first.value, second.value), status.astype(np.uint8))
