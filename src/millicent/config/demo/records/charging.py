"""Writes charging records as a PGW, an SGW and a CHF do (TS 32.298), and files of them (TS 32.297)."""

from collections.abc import Sequence
from dataclasses import dataclass

from millicent.config.demo.records import ber
from millicent.network.files.charging_file import header_time, write_header, write_record_header
from millicent.network.kernel.values import days_before

_NORMAL_RELEASE = 0
_EUTRAN, _NR = 6, 51
_PS, _FIVE_G = 7, 20  # numbers of TS 32.251 and TS 32.255 in a CDR header


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingGroupUsage:
    """What one rating group used within a record."""

    rating_group: int
    uplink_bytes: int
    downlink_bytes: int
    seconds: int
    first_ms: int
    last_ms: int
    qos: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSession:
    """One data session, or one piece of it, as a gateway or a charging function reports it."""

    imsi: str
    msisdn: str
    apn: str
    opening_ms: int
    seconds: int
    charging_id: int
    record_sequence: int  # -1: the only record of the session
    local_sequence: int
    network: str
    usage: Sequence[RatingGroupUsage]
    slice_type: int = 1
    slice_part: int = -1
    node: str = "pgw-1"


def pgw_record(session: DataSession) -> bytes:
    """A pGWRecord with one service data container for each rating group."""
    return ber.group(79, *_gateway(session, record_type=85), ber.group(34, *map(_service_data, session.usage)))


def sgw_record(session: DataSession) -> bytes:
    """An sGWRecord: the traffic volumes of the bearer, with no rating group."""
    return ber.group(78, *_gateway(session, record_type=84), ber.group(12, *map(_traffic_volume, session.usage)))


def _gateway(session: DataSession, *, record_type: int) -> list[bytes]:
    partial = [ber.integer(17, session.record_sequence)] if session.record_sequence >= 0 else []
    return [
        ber.integer(0, record_type),
        ber.value(3, ber.digits(session.imsi)),
        ber.group(4, ber.value(0, b"\x0a\x00\x00\x01")),
        ber.integer(5, session.charging_id),
        ber.group(6, ber.value(0, b"\x0a\x00\x00\x02")),
        ber.value(7, session.apn.encode()),
        ber.value(8, b"\xf1\x21"),
        ber.value(13, ber.stamp(session.opening_ms)),
        ber.integer(14, session.seconds),
        ber.integer(15, _NORMAL_RELEASE),
        *partial,
        ber.value(18, session.node.encode()),
        ber.integer(20, session.local_sequence),
        ber.value(22, ber.address(session.msisdn)),
        ber.value(23, b"\x08\x00"),
        ber.value(27, ber.network(session.network)),
        ber.integer(30, _EUTRAN),
        ber.group(35, b"\x0a\x01\x02"),
    ]


def _service_data(usage: RatingGroupUsage) -> bytes:
    return ber.sequence(
        ber.integer(1, usage.rating_group),
        ber.value(5, ber.stamp(usage.first_ms)),
        ber.value(6, ber.stamp(usage.last_ms)),
        ber.integer(7, usage.seconds),
        ber.value(8, b"\x07\x00\x00\x00\x80"),
        ber.group(9, ber.integer(1, usage.qos)),
        ber.integer(12, usage.uplink_bytes),
        ber.integer(13, usage.downlink_bytes),
        ber.value(14, ber.stamp(usage.last_ms)),
    )


def _traffic_volume(usage: RatingGroupUsage) -> bytes:
    return ber.sequence(
        ber.integer(3, usage.uplink_bytes),
        ber.integer(4, usage.downlink_bytes),
        ber.integer(5, 2),
        ber.value(6, ber.stamp(usage.last_ms)),
        ber.group(9, ber.integer(1, usage.qos)),
    )


def chf_record(session: DataSession) -> bytes:
    """A chargingFunctionRecord of a PDU session."""
    part = [ber.value(1, session.slice_part.to_bytes(3, "big"))] if session.slice_part >= 0 else []
    pieces = [ber.integer(8, session.record_sequence)] if session.record_sequence >= 0 else []
    five_qi = session.usage[0].qos if session.usage else 9
    return ber.group(
        200,
        ber.integer(0, 200),
        ber.value(1, session.node.encode()),
        ber.group(2, ber.integer(0, 1), ber.value(1, f"imsi-{session.imsi}".encode())),
        ber.group(3, ber.integer(0, 1), ber.value(3, ber.network(session.network))),
        ber.group(5, *map(_unit_usage, session.usage)),
        ber.value(6, ber.stamp(session.opening_ms)),
        ber.integer(7, session.seconds),
        *pieces,
        ber.integer(9, _NORMAL_RELEASE),
        ber.integer(11, session.local_sequence),
        ber.group(
            13,
            ber.integer(0, session.charging_id),
            ber.group(1, ber.value(3, session.msisdn.encode())),
            ber.integer(6, 5),
            ber.group(7, ber.integer(0, session.slice_type), *part),
            ber.integer(12, _NR),
            ber.value(13, session.apn.encode()),
            ber.group(15, ber.integer(1, five_qi)),
            ber.value(27, ber.network(session.network)),
        ),
    )


def _unit_usage(usage: RatingGroupUsage) -> bytes:
    container = ber.sequence(
        ber.integer(1, usage.seconds),
        ber.integer(4, usage.uplink_bytes + usage.downlink_bytes),
        ber.integer(5, usage.uplink_bytes),
        ber.integer(6, usage.downlink_bytes),
        ber.group(
            11,
            ber.value(2, ber.stamp(usage.first_ms)),
            ber.value(3, ber.stamp(usage.last_ms)),
            ber.group(4, ber.integer(1, usage.qos)),
        ),
    )
    return ber.sequence(ber.integer(0, usage.rating_group), ber.group(1, container))


def chf_message_record(
    *, imsi: str, sender: str, recipient: str, at_ms: int, local_sequence: int, network: str, node: str = "chf-1"
) -> bytes:
    """A chargingFunctionRecord of one short message that the subscriber sent."""
    return ber.group(
        200,
        ber.integer(0, 200),
        ber.value(1, node.encode()),
        ber.group(2, ber.integer(0, 1), ber.value(1, f"imsi-{imsi}".encode())),
        ber.group(3, ber.integer(0, 3), ber.value(3, ber.network(network))),
        ber.value(6, ber.stamp(at_ms)),
        ber.integer(7, 0),
        ber.integer(9, _NORMAL_RELEASE),
        ber.integer(11, local_sequence),
        ber.group(
            15,
            ber.group(1, ber.value(0, ber.digits(imsi)), ber.value(1, ber.address(sender))),
            ber.group(2, ber.sequence(ber.value(1, ber.address(recipient)))),
            ber.value(8, ber.stamp(at_ms)),
            ber.integer(21, 0),
            ber.integer(26, 1),
        ),
    )


def charging_file(records: Sequence[bytes], *, sequence_number: int, five_g: bool, at_ms: int) -> bytes:
    """A file of TS 32.297: its header, and each record behind a CDR header."""
    number = _FIVE_G if five_g else _PS
    body = b"".join(write_record_header(len(record), charging=number) + record for record in records)
    month, day, hour, minute = _calendar(at_ms)
    at = header_time(month=month, day=day, hour=hour, minute=minute)
    return (
        write_header(records=len(records), body_octets=len(body), sequence_number=sequence_number, opened=at, closed=at)
        + body
    )


def _calendar(at_ms: int) -> tuple[int, int, int, int]:
    minutes = at_ms // 60_000
    days, minute_of_day = divmod(minutes, 1_440)
    year = 1970 + days // 366
    while days_before(year + 1, 1, 1) <= days:
        year += 1
    month = next(each for each in range(12, 0, -1) if days_before(year, each, 1) <= days)
    return month, days - days_before(year, month, 1) + 1, minute_of_day // 60, minute_of_day % 60
