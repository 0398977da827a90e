"""A catalogue folder, or the files of a release, to a Catalogue; or every fault that stands in the way.

The order: YAML to nodes with places, nodes against the published schema, documents to values, references followed,
lints of meaning. See README.md for the folder's rooms.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from millicent.catalog.decks.types import DeckReport
from millicent.catalog.errors import CatalogueFaults, Fault, Severity
from millicent.catalog.lints import lint_catalogue
from millicent.catalog.loading.assemble import assemble, gather
from millicent.catalog.loading.derived import derived_from
from millicent.catalog.loading.folder import DERIVED_FILE, read_folder
from millicent.catalog.loading.reading import Reading
from millicent.catalog.types import Catalogue


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What came of reading a catalogue. `catalogue` is None when a fault makes it unusable.

    `files` are those that belong to it, with what was taken from libraries beside them: the content of a release.
    """

    catalogue: Catalogue | None
    faults: tuple[Fault, ...]
    decks: tuple[DeckReport, ...]
    files: Mapping[str, bytes]

    @property
    def blocking(self) -> tuple[Fault, ...]:
        return tuple(fault for fault in self.faults if fault.severity is Severity.FAULT)


def examine_files(files: Mapping[str, bytes], *, with_lints: bool = True) -> Examination:
    """Read a catalogue from its files, by path. Nothing is opened, nothing is fetched.

    A release is read without lints: a lint of a later version must not make it unusable.
    """
    reading = Reading(files=files, derived=derived_from(files.get(DERIVED_FILE)))
    documents = gather(reading)
    catalogue, decks = assemble(documents, reading=reading)
    reading.follow_references()
    if with_lints and reading.sound:
        reading.faults.extend(lint_catalogue(catalogue))
    used = {path: files[path] for path in sorted(documents.used) if path in files}
    return Examination(
        catalogue=catalogue if reading.sound else None,
        faults=tuple(sorted(reading.faults, key=lambda fault: (fault.file, fault.line, fault.column))),
        decks=tuple(decks),
        files=used | {DERIVED_FILE: reading.derived.to_bytes()},
    )


def examine_folder(folder: Path) -> Examination:
    return examine_files(read_folder(folder))


def read_catalogue(folder: Path) -> tuple[Catalogue | None, list[Fault]]:
    """The catalogue of a folder, None when it is not usable, and everything to say about it."""
    examination = examine_folder(folder)
    return examination.catalogue, list(examination.faults)


def load_catalogue(folder: Path) -> Catalogue:
    """The catalogue of a folder. Raises CatalogueFaults holding every fault."""
    examination = examine_folder(folder)
    return usable(examination)


def usable(examination: Examination) -> Catalogue:
    if examination.catalogue is None:
        raise CatalogueFaults(examination.blocking)
    return examination.catalogue


__all__ = ["Examination", "examine_files", "examine_folder", "load_catalogue", "read_catalogue", "usable"]
