"""The network of the demo: its switches, gateways and platforms, and how a source for each is declared."""

from collections.abc import Callable
from dataclasses import dataclass, field

MOBILE_SWITCH_MAPPING = """\
columns: [type, id, caller, dialled, start, tenths, result]
header: true
separator: ";"
quote: ""
fields:
  occurred_at: {column: start, time: "%d/%m/%Y %H:%M:%S"}
  duration: {column: tenths, unit: ds}
  service: {value: voice}
  identifier_kind: {value: msisdn}
  identifier: caller
  other_party: dialled
  event_id: id
  answered: {column: result, map: {A: "true", N: "false"}, default: "false"}
not_usage:
  - {column: type, values: [HB]}
"""
DEVICE_MAPPING = """\
fields:
  occurred_at: {column: time}
  service: {column: service}
  identifier_kind: {value: device}
  identifier: device.id
  uplink: {column: volume.up, unit: B}
  downlink: {column: volume.down, unit: B}
  events: {column: units}
  event_id: id
"""


def _cut(content: bytes) -> bytes:
    """The first two fifths of a line, as a full disk leaves it."""
    return content[: max(2 * len(content) // 5, 1)].rstrip(b"\n") + b"\n"


def _cut_object(content: bytes) -> bytes:
    return content[: len(content) // 2] + b"\n"


def _spoil_attribute(content: bytes) -> bytes:
    return content.replace(b"\tAcct-Session-Id = ", b"\tAcct-Session-Id\x3d", 1)


def _spoil_length(content: bytes) -> bytes:
    """Make the length of the record's second element impossible."""
    place = content.index(b"\x80") + 2 + content[content.index(b"\x80") + 1] + 1
    return content[:place] + b"\xff" + content[place + 1 :]


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSource:
    """One source: `share` of all records in a thousand; it serves every `of`-th subscriber from `turn` on."""

    name: str
    format: str
    share: int
    services: tuple[str, ...]
    identifier_kinds: tuple[str, ...]
    suffix: str
    damage: Callable[[bytes], bytes]
    options: dict[str, str] = field(default_factory=dict)
    turn: int = 0
    of: int = 1
    header: bytes = b""
    repeats: bool = False  # its first file arrives twice
    whole: bool = True  # its records are whole usages, not parts that are joined

    def declaration(self, zone: str) -> dict[str, object]:
        """What mediation is told about the source; its files are in the folder of its name."""
        return {"name": self.name, "format": self.format, "zone": zone, "options": self.options, "folder": self.name}


_SIP = ("sip_user",)
SOURCES = (
    DemoSource(
        name="fs-mad1", format="freeswitch_csv", share=330, services=("voice",), identifier_kinds=_SIP, suffix=".csv",
        damage=_cut, of=5, turn=0, repeats=True,
    ),
    DemoSource(
        name="fs-bcn1", format="freeswitch_json", share=60, services=("voice",), identifier_kinds=_SIP, suffix=".json",
        damage=_cut_object, of=5, turn=1,
    ),
    DemoSource(
        name="pbx1", format="asterisk_csv", share=90, services=("voice",), identifier_kinds=_SIP, suffix=".csv",
        damage=_cut, options={"supplier": "dstchannel"}, of=5, turn=2,
    ),
    DemoSource(
        name="sbc1", format="kamailio_acc", share=70, services=("voice",), identifier_kinds=_SIP, suffix=".log",
        damage=_cut, of=5, turn=3, whole=False,
    ),
    DemoSource(
        name="sbc2", format="kamailio_cdrs", share=50, services=("voice",), identifier_kinds=_SIP, suffix=".log",
        damage=_cut, options={"columns": "start_time,end_time,duration,caller,callee,callid"}, of=5, turn=4,
    ),
    DemoSource(
        name="msc1", format="delimited", share=130, services=("voice",), identifier_kinds=("msisdn",), suffix=".txt",
        damage=_cut, options={"mapping": MOBILE_SWITCH_MAPPING}, header=b"type;id;caller;dialled;start;tenths;result\n",
    ),
    DemoSource(
        name="bras", format="radius_detail", share=120, services=("broadband",), identifier_kinds=("radius_user",),
        suffix=".detail", damage=_spoil_attribute, whole=False,
    ),
    DemoSource(
        name="pgw1", format="charging_records", share=50, services=("data",), identifier_kinds=("msisdn",),
        suffix=".dat", damage=_spoil_length, options={"home_networks": "21409"}, of=2, turn=0,
    ),
    DemoSource(
        name="chf1", format="charging_records", share=70, services=("data", "sms"), identifier_kinds=("msisdn",),
        suffix=".dat", damage=_spoil_length, options={"home_networks": "21409"}, of=2, turn=1, repeats=True,
    ),
    DemoSource(
        name="things1", format="json_lines", share=60, services=("iot", "iptv", "content"),
        identifier_kinds=("device",), suffix=".jsonl", damage=_cut_object, options={"mapping": DEVICE_MAPPING},
    ),
)  # fmt: skip
