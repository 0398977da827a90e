"""Separated text of any switch, by a declared mapping."""

from collections.abc import Iterator
from typing import BinaryIO

from millicent.kit.errors import BadInput
from millicent.mediation.types import DecodedChunk, FormatOptions
from millicent.network.files.mapped import MappedReader
from millicent.network.files.mapping import DeclaredMapping, read_mapping
from millicent.network.files.options import OptionReader, common_options
from millicent.network.files.records import Form, decode_records
from millicent.network.files.separated import Layout, separated_walk
from millicent.network.files.window import text_start

_LONGEST_HEADER = 65_536


class Delimited:
    """Option: `mapping`, in YAML or JSON; and the common ones."""

    code = "delimited"

    def decode(self, stream: BinaryIO, *, options: FormatOptions, start_offset: int) -> Iterator[DecodedChunk]:
        """Yield chunks of usage; see `mediation.types.UsageFormat`."""
        reader = OptionReader(options, known={"mapping"})
        mapping = read_mapping(reader.text("mapping"))
        common = common_options(reader, service="voice", identifier="", identifier_kind="msisdn")
        names = mapping.columns or _header_names(stream, mapping)
        if not names:
            return  # an empty file
        if len(set(names)) < len(names):
            raise BadInput("a column is named twice", where="mapping.columns", cure="Give each its own name.")
        reading = MappedReader(
            mapping=mapping,
            places={name: place for place, name in enumerate(names)},
            common=common,
            zone=options.zone,
        )
        reading.check("mapping" if mapping.columns else "byte 0, the header line")
        form = Form(
            what="a record of the declared mapping",
            walk=separated_walk(_layout(mapping), common),
            interpret=reading.interpret,
            least_fields=len(names),
            most_fields=len(names),
            header_lines=1 if mapping.header else 0,
            comment=mapping.comment,
        )
        yield from decode_records(stream, form=form, common=common, options=options, start_offset=start_offset)


def _layout(mapping: DeclaredMapping) -> Layout:
    return Layout(
        separator=mapping.separator,
        quote=mapping.quote,
        backslash=mapping.backslash,
        multiline=mapping.multiline,
    )


def _header_names(stream: BinaryIO, mapping: DeclaredMapping) -> tuple[str, ...]:
    """The names in the first line of the file."""
    if not mapping.header:
        raise BadInput("nothing names the columns", where="mapping", cure="Give `columns: [...]` or `header: true`.")
    begin = text_start(stream, 0)
    stream.seek(begin)
    line = stream.readline(_LONGEST_HEADER).decode("utf-8", "replace").strip("\r\n")
    if not line:
        return ()
    return tuple(name.strip().strip(mapping.quote or " ") for name in line.split(mapping.separator))
