"""FreeSWITCH mod_cdr_csv: the vanilla template, or the template of the operator's cdr_csv.conf.xml.

Source: FreeSWITCH, conf/vanilla/autoload_configs/cdr_csv.conf.xml. Times are local times of the switch.
"""

import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from millicent.kit.errors import BadInput
from millicent.mediation.types import DecodedChunk, FormatOptions
from millicent.network.files.calls import CallColumns, CallReader
from millicent.network.files.options import OptionReader, common_options
from millicent.network.files.records import Form, decode_records
from millicent.network.files.separated import Layout, separated_walk

VANILLA = (
    "caller_id_name,caller_id_number,destination_number,context,start_stamp,answer_stamp,end_stamp,duration,billsec,"
    "hangup_cause,uuid,bleg_uuid,accountcode,read_codec,write_codec"
)
_TIME = "%FT%T%f"
_ATTRIBUTES = (
    "read_codec",
    "write_codec",
    "hangup_cause",
    "context",
)
# A leg that comes in to the switch is one that its user originates.
_DIRECTIONS = {"inbound": "originating", "outbound": "terminating"}


class FreeSwitchCsv:
    """Options: `template` (as in cdr_csv.conf.xml), `attributes`, and the common ones."""

    code = "freeswitch_csv"

    def decode(self, stream: BinaryIO, *, options: FormatOptions, start_offset: int) -> Iterator[DecodedChunk]:
        """Yield chunks of calls; see `mediation.types.UsageFormat`."""
        reader = OptionReader(options, known={"template", "attributes", "separator"})
        template = template_columns(reader.text("template", VANILLA))
        identifier = ",".join(each for each in ("accountcode", "caller_id_number") if each in template)
        common = common_options(reader, service="voice", identifier=identifier, identifier_kind="sip_user")
        calls = CallReader(
            columns=_columns(template, reader.names("attributes", ",".join(_ATTRIBUTES))),
            places={name: place for place, name in enumerate(template)},
            common=common,
            zone=options.zone,
        )
        calls.check()
        layout = Layout(separator=reader.text("separator", ","))
        form = Form(
            what="a FreeSWITCH mod_cdr_csv record",
            walk=separated_walk(layout, common),
            interpret=calls.interpret,
            least_fields=len(template),
            most_fields=len(template),
        )
        yield from decode_records(stream, form=form, common=common, options=options, start_offset=start_offset)


def template_columns(template: str) -> tuple[str, ...]:
    """`"${uuid}","${billsec}"` or `uuid,billsec` -> ("uuid", "billsec")."""
    columns = tuple(re.sub(r'^\s*"?\$?\{?|\}?"?\s*$', "", part) for part in template.strip().split(","))
    if len(set(columns)) < len(columns) or not all(columns):
        raise BadInput(f"{template!r} is not a template", where="template", cure='Write "${uuid}","${billsec}",...')
    return columns


def _columns(template: Sequence[str], attributes: Sequence[str]) -> CallColumns:
    def first(*names: str) -> str:
        return next((name for name in names if name in template), "")

    return CallColumns(
        start=first("start_uepoch", "start_epoch", "start_stamp"),
        answer=first("answer_uepoch", "answer_epoch", "answer_stamp"),
        end=first("end_uepoch", "end_epoch", "end_stamp"),
        millis=first("billmsec"),
        seconds=first("billsec"),
        other_party=first("destination_number"),
        caller=first("caller_id_number"),
        event_columns=tuple(filter(None, [first("uuid")])),
        attributes=[(name, name) for name in attributes],
        time_pattern=_TIME,
        direction=first("direction"),
        direction_values=_DIRECTIONS,
    )
