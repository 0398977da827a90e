"""JSON objects of any system, in lines or an array, by a declared mapping; columns are paths such as `a.b.0`."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, BinaryIO

from millicent.mediation.types import DecodedChunk, FormatOptions
from millicent.network.files.json_fields import DAMAGE, interpret_json, json_walk, value_at
from millicent.network.files.mapped import MappedReader
from millicent.network.files.mapping import read_mapping
from millicent.network.files.options import OptionReader, common_options
from millicent.network.files.records import Form, decode_records


class JsonLines:
    """Option: `mapping`, in YAML or JSON; and the common ones."""

    code = "json_lines"

    def decode(self, stream: BinaryIO, *, options: FormatOptions, start_offset: int) -> Iterator[DecodedChunk]:
        """Yield chunks of usage; see `mediation.types.UsageFormat`."""
        reader = OptionReader(options, known={"mapping"})
        mapping = read_mapping(reader.text("mapping"))
        common = common_options(reader, service="data", identifier="", identifier_kind="device")
        filters = (column for column, _ in common.not_usage)
        names = tuple(dict.fromkeys((*mapping.used, *filters)))
        reading = MappedReader(
            mapping=mapping,
            places={name: place for place, name in enumerate(names)},
            common=common,
            zone=options.zone,
        )
        pick = partial(_pick, names=names)
        form = Form(
            what="a JSON object of the declared mapping",
            walk=json_walk(common),
            interpret=partial(interpret_json, pick=pick, width=len(names), interpret=reading.interpret),
            least_fields=1,
            most_fields=1,
            damage=DAMAGE,
        )
        yield from decode_records(stream, form=form, common=common, options=options, start_offset=start_offset)


def _pick(document: Mapping[str, Any], *, names: tuple[str, ...]) -> list[object]:
    return [value_at(document, name) for name in names]
