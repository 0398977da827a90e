"""FreeSWITCH mod_json_cdr: one object for each leg, alone, in lines, run together, or in an array.

Source: FreeSWITCH, mod_json_cdr and switch_ivr_generate_json_cdr. Values of `variables` may be URL-encoded (`encode`).
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, BinaryIO
from urllib.parse import unquote

from millicent.mediation.types import DecodedChunk, FormatOptions
from millicent.network.files.calls import CallColumns, CallReader
from millicent.network.files.fields import ISO_PATTERN
from millicent.network.files.json_fields import DAMAGE, interpret_json, json_walk, value_at
from millicent.network.files.options import OptionReader, common_options
from millicent.network.files.records import Form, decode_records

_ALWAYS = (
    "uuid",
    "direction",
    "start_uepoch",
    "answer_uepoch",
    "end_uepoch",
    "billmsec",
    "accountcode",
    "caller_id_number",
    "destination_number",
    "sip_gateway_name",
)
# Where a value is when it is not among the variables.
_ELSEWHERE = {
    "caller_id_number": "callflow.0.caller_profile.caller_id_number",
    "destination_number": "callflow.0.caller_profile.destination_number",
}
_ATTRIBUTES = "read_codec,write_codec,hangup_cause,sip_hangup_disposition"
_RECORD_LIMIT = "1048576"


class FreeSwitchJson:
    """Options: `attributes` (names of variables), `encoded` (true where mod_json_cdr URL-encodes), the common ones."""

    code = "freeswitch_json"

    def decode(self, stream: BinaryIO, *, options: FormatOptions, start_offset: int) -> Iterator[DecodedChunk]:
        """Yield chunks of calls; see `mediation.types.UsageFormat`."""
        options = with_default(options, "record_limit_bytes", _RECORD_LIMIT)
        reader = OptionReader(options, known={"attributes", "encoded"})
        common = common_options(
            reader,
            service="voice",
            identifier="accountcode,caller_id_number",
            identifier_kind="sip_user",
            supplier="sip_gateway_name",
        )
        attributes = reader.names("attributes", _ATTRIBUTES)
        filters = [column for column, _ in common.not_usage]
        names = tuple(dict.fromkeys((*_ALWAYS, *attributes, *common.identifier, common.supplier, *filters)))
        calls = CallReader(
            columns=_columns(attributes),
            places={name: place for place, name in enumerate(names)},
            common=common,
            zone=options.zone,
        )
        calls.check()
        pick = partial(_pick, names=names, encoded=reader.flag("encoded"))
        form = Form(
            what="a FreeSWITCH mod_json_cdr record",
            walk=json_walk(common),
            interpret=partial(interpret_json, pick=pick, width=len(names), interpret=calls.interpret),
            least_fields=1,
            most_fields=1,
            damage=DAMAGE,
        )
        yield from decode_records(stream, form=form, common=common, options=options, start_offset=start_offset)


def with_default(options: FormatOptions, name: str, value: str) -> FormatOptions:
    """The same options with one more default."""
    if name in options.options:
        return options
    return FormatOptions(
        zone=options.zone,
        first_record_number=options.first_record_number,
        options={**options.options, name: value},
    )


def _columns(attributes: tuple[str, ...]) -> CallColumns:
    return CallColumns(
        start="start_uepoch",
        answer="answer_uepoch",
        end="end_uepoch",
        millis="billmsec",
        other_party="destination_number",
        caller="caller_id_number",
        event_columns=("uuid",),
        attributes=[(name, name) for name in attributes],
        time_pattern=ISO_PATTERN,
        direction="direction",
        direction_values={"inbound": "originating", "outbound": "terminating"},
    )


def _pick(document: Mapping[str, Any], *, names: tuple[str, ...], encoded: bool) -> list[object]:
    """The named variables; the caller and the number dialled are in the call flow when no variable has them."""
    variables = document.get("variables")
    if not isinstance(variables, dict):
        raise ValueError("a mod_json_cdr record has variables")
    values = []
    for name in names:
        value = variables.get(name)
        if not value and name in _ELSEWHERE:
            value = value_at(document, _ELSEWHERE[name])
        values.append(unquote(value) if encoded and isinstance(value, str) else value)
    return values
