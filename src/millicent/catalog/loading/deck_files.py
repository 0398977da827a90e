"""Decks of a catalogue: the YAML that describes a file, and the file itself."""

from pathlib import PurePosixPath

from millicent.catalog.decks.read import read_deck
from millicent.catalog.decks.types import DeckFormat, DeckRead, DeckReport
from millicent.catalog.errors import Severity
from millicent.catalog.loading.reading import Section
from millicent.catalog.loading.units import UnitKind, parse_increments
from millicent.kit.errors import BadInput


def read_deck_file(section: Section) -> DeckRead | None:
    """None when the file is not there or not readable at all; that is a fault then."""
    layout = _layout(section)
    content = section.reading.files.get(layout.file)
    if content is None:
        section.fault("file", f"there is no file {layout.file!r}", "Put it in the folder, beside the deck's YAML file.")
        return None
    try:
        read = read_deck(content, layout=layout)
    except BadInput as wrong:
        section.fault("file", f"{wrong.where}: {wrong.what}", wrong.cure)
        return None
    _tell_refused(section, read.report)
    return read


def deck_path(section: Section) -> str:
    """The file's path in the folder: beside the YAML file that names it. It cannot leave the folder."""
    return str(PurePosixPath(section.node.file).parent / PurePosixPath(section.text("file")).name)


def _layout(section: Section) -> DeckFormat:
    columns = section.section("columns")
    zone = section.text("zone") or section.reading.zone
    section.time_zone(zone)
    return DeckFormat(
        code=section.text("code"),
        file=deck_path(section),
        currency=section.text("currency") or section.reading.currency,
        columns={name: columns.text(name) for name in columns.node.fields},
        per_units=section.quantity("per", kinds=frozenset(UnitKind), default=60),
        delimiter=section.text("delimiter", ","),
        decimal=section.text("decimal", "."),
        encoding=section.text("encoding", "utf-8"),
        increments=section.parsed("increments", parse_increments, default=(1, 1)),
        blocked=section.words("blocked"),
        date_format=section.text("date_format"),
        zone=zone,
        where=section.where,
    )


def _tell_refused(section: Section, report: DeckReport) -> None:
    """Refused rows block, unless the operator has said how many are expected: then they are a warning."""
    if not report.refused.height:
        return
    allowed = section.whole("refused_rows_allowed")
    reasons = ", ".join(f"{count} {reason}" for reason, count in report.counts().items())
    first = report.refused.row(0, named=True)
    section.reading.fault(
        section.field("file"),
        f"{report.file}: {report.refused.height} of {report.rows_in} rows are refused ({reasons}); "
        f"the first is row {first['row']}: {first['reason']} {first['detail']}".rstrip(),
        "Mend the rows, or say under `refused_rows_allowed:` how many you accept to lose.",
        code="refused_rows",
        severity=Severity.WARNING if report.refused.height <= allowed else Severity.FAULT,
    )
