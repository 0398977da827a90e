"""Asterisk cdr_csv: Master.csv, with or without uniqueid, userfield and the columns of newer releases.

Source: Asterisk, main/cdr.c and cdr/cdr_csv.c. Times are local times of the switch unless `usegmtime` is set there.
"""

from collections.abc import Iterator
from typing import BinaryIO

from millicent.mediation.types import DecodedChunk, FormatOptions
from millicent.network.files.calls import CallColumns, CallReader
from millicent.network.files.fields import ISO_PATTERN
from millicent.network.files.options import OptionReader, common_options
from millicent.network.files.records import Form, decode_records
from millicent.network.files.separated import Layout, separated_walk

ALWAYS = (
    "accountcode",
    "src",
    "dst",
    "dcontext",
    "clid",
    "channel",
    "dstchannel",
    "lastapp",
    "lastdata",
    "start",
    "answer",
    "end",
    "duration",
    "billsec",
    "disposition",
    "amaflags",
)
SOMETIMES = ("uniqueid", "userfield", "peeraccount", "linkedid", "sequence")
# "PJSIP/carrier-00000ed9" -> "carrier": the peer without the number of the channel
_PEER = r"^[^/]*/(.*?)(?:-[0-9a-f]+)?(?:;[12])?$"


class AsteriskCsv:
    """Options: `attributes`, `loguniqueid` and `loguserfield` as in cdr.conf, and the common ones.

    `supplier=dstchannel` names the trunk peer of the outgoing channel.
    """

    code = "asterisk_csv"

    def decode(self, stream: BinaryIO, *, options: FormatOptions, start_offset: int) -> Iterator[DecodedChunk]:
        """Yield chunks of calls; see `mediation.types.UsageFormat`."""
        reader = OptionReader(options, known={"attributes", "columns"})
        names = reader.names("columns", ",".join(ALWAYS + SOMETIMES))
        common = common_options(reader, service="voice", identifier="accountcode,src", identifier_kind="sip_user")
        calls = CallReader(
            columns=_columns(reader.names("attributes", "disposition,lastapp,dcontext")),
            places={name: place for place, name in enumerate(names)},
            common=common,
            zone=options.zone,
            supplier_pattern=_PEER if common.supplier in ("channel", "dstchannel") else "",
        )
        calls.check()
        form = Form(
            what="an Asterisk cdr_csv record",
            walk=separated_walk(Layout(), common),
            interpret=calls.interpret,
            least_fields=min(len(ALWAYS), len(names)),
            most_fields=len(names),
        )
        yield from decode_records(stream, form=form, common=common, options=options, start_offset=start_offset)


def _columns(attributes: tuple[str, ...]) -> CallColumns:
    return CallColumns(
        start="start",
        answer="answer",
        end="end",
        seconds="billsec",
        other_party="dst",
        caller="src",
        # A queue writes one record for each member that it rang, all with the same uniqueid.
        event_columns=("uniqueid", "channel", "dstchannel", "start"),
        disposition="disposition",
        answered_values=frozenset({"ANSWERED"}),
        attributes=[(name, name) for name in attributes],
        time_pattern=ISO_PATTERN,
    )
