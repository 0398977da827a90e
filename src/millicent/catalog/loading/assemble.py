"""All documents of a folder, in the order in which they lean on each other, to one Catalogue."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from millicent.catalog.decks.types import DeckReport
from millicent.catalog.loading import basics
from millicent.catalog.loading.calendars import read_calendar
from millicent.catalog.loading.deck_files import deck_path, read_deck_file
from millicent.catalog.loading.declaring import declare_all
from millicent.catalog.loading.expected import read_expectation
from millicent.catalog.loading.folder import DERIVED_FILE, ROOM_FILES, ROOM_FOLDERS, kind_of
from millicent.catalog.loading.nodes import Node, read_documents
from millicent.catalog.loading.offerings import read_offering
from millicent.catalog.loading.reading import Reading, Section
from millicent.catalog.loading.shapes import shape_faults
from millicent.catalog.loading.tariffs import read_tariff
from millicent.catalog.loading.zones import read_zone_map
from millicent.catalog.types import Catalogue, Operator, RateDeck, Tariff, TariffCalendar

_REQUIRED = ("operator.yaml", "specifications.yaml")
_NOBODY = Operator(code="", legal_name="", country="", currency="EUR", zone="UTC")


@dataclass(slots=True, kw_only=True)
class Documents:
    """Sound documents by kind; `used` are the files that belong to the catalogue."""

    by_kind: dict[str, list[Section]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def of(self, kind: str) -> list[Section]:
        return self.by_kind.get(kind, [])


def gather(reading: Reading) -> Documents:
    """Compose every YAML file and hold it against its schema. What is not sound is told and left out."""
    documents = Documents()
    for path, content in reading.files.items():
        if path == DERIVED_FILE or not path.endswith((".yaml", ".yml")):
            continue
        kind = kind_of(path)
        nodes, faults = read_documents(path, content)
        reading.faults.extend(faults)
        if kind is None:
            rooms = ", ".join([*ROOM_FILES, *(f"{room}/" for room in ROOM_FOLDERS)])
            _fault_at_start(reading, path, "this file has no place in a catalogue", f"Its places are: {rooms}.")
            continue
        documents.used.add(path)
        for node in nodes:
            _gather_one(documents, node=node, kind=kind, reading=reading)
    for path in _REQUIRED:
        if path not in reading.files:
            _fault_at_start(reading, path, "this file is missing", "Every catalogue has one.")
    return documents


def _gather_one(documents: Documents, *, node: Node, kind: str, reading: Reading) -> None:
    declare_all(kind, node, reading=reading)
    faults = shape_faults(kind, node)
    reading.faults.extend(faults)
    if not faults:
        documents.by_kind.setdefault(kind, []).append(Section(node=node, reading=reading))


def _fault_at_start(reading: Reading, path: str, message: str, cure: str) -> None:
    nowhere = Node(file=path, line=1, column=1, key_line=1, key_column=1, value=None)
    reading.fault(nowhere, message, cure, code="schema")


def assemble(documents: Documents, *, reading: Reading) -> tuple[Catalogue, list[DeckReport]]:
    """Read every room. The catalogue is only good when the reading has no fault afterwards."""
    operator = _operator(documents, reading=reading)
    if operator.logo_file:
        documents.used.add(operator.logo_file)
    specifications = {
        code: each for part in documents.of("specifications") for code, each in basics.read_specifications(part).items()
    }
    calendars = {calendar.code: calendar for calendar in map(read_calendar, documents.of("calendar"))}
    tariffs = {
        tariff.code: tariff
        for tariff in (
            read_tariff(part, specifications=specifications, zone=_zone_of(part, calendars))
            for part in documents.of("tariff")
        )
    }
    discounts = {code: each for part in documents.of("discounts") for code, each in basics.read_discounts(part).items()}
    offerings = {
        offering.code: offering
        for offering in (
            read_offering(part, specifications=specifications, tariffs=tariffs, discounts=discounts)
            for part in documents.of("offering")
        )
    }
    decks, reports = _decks(documents)
    _check_deck_currencies(documents, tariffs=tariffs, decks=decks)
    expectations = (
        read_expectation(row, specifications=specifications, calendars=calendars, tariffs=tariffs, offerings=offerings)
        for part in documents.of("expectations")
        for row in _rows(part)
    )
    catalogue = Catalogue(
        operator=operator,
        specifications=specifications,
        calendars=calendars,
        zone_maps={zone_map.code: zone_map for zone_map in map(read_zone_map, documents.of("zones"))},
        network_zones={
            code: each for part in documents.of("networks") for code, each in basics.read_networks(part).items()
        },
        decks=decks,
        tariffs=tariffs,
        offerings=offerings,
        discounts=discounts,
        taxes={code: each for part in documents.of("taxes") for code, each in basics.read_taxes(part).items()},
        ledger_codes={
            code: each for part in documents.of("ledger") for code, each in basics.read_ledger_codes(part).items()
        },
        supplier_tariffs=_partners(documents, "suppliers"),
        reseller_tariffs=_partners(documents, "resellers"),
        expectations=tuple(each for each in expectations if each is not None),
    )
    return catalogue, reports


def _operator(documents: Documents, *, reading: Reading) -> Operator:
    for part in documents.of("operator"):
        reading.currency, reading.zone = part.text("currency"), part.text("zone")
        return basics.read_operator(part)
    return _NOBODY


def _partners(documents: Documents, key: str) -> dict[str, str]:
    return {
        code: tariff
        for part in documents.of("operator")
        for code, tariff in basics.read_partner_tariffs(part, key).items()
    }


def _zone_of(section: Section, calendars: Mapping[str, TariffCalendar]) -> str:
    calendar = calendars.get(section.text("calendar"))
    return calendar.zone if calendar else "UTC"


def _rows(section: Section) -> list[Section]:
    return [Section(node=node, reading=section.reading) for node in section.node.parts]


def _decks(documents: Documents) -> tuple[dict[str, RateDeck], list[DeckReport]]:
    decks: dict[str, RateDeck] = {}
    reports: list[DeckReport] = []
    for section in documents.of("deck"):
        documents.used.add(deck_path(section))
        read = read_deck_file(section)
        if read is not None:
            decks[read.deck.code] = read.deck
            reports.append(read.report)
    return decks, reports


def _check_deck_currencies(
    documents: Documents, *, tariffs: Mapping[str, Tariff], decks: Mapping[str, RateDeck]
) -> None:
    for section in documents.of("tariff"):
        tariff = tariffs[section.text("code")]
        for code in tariff.decks:
            if code in decks and decks[code].currency != tariff.currency:
                section.fault(
                    "decks",
                    f"deck {code!r} is in {decks[code].currency}, the tariff in {tariff.currency}",
                    "A tariff and its decks share one currency.",
                )
