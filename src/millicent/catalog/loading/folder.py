"""Which file of a catalogue folder is what."""

from collections.abc import Mapping
from pathlib import Path

from millicent.kit.errors import BadInput

DERIVED_FILE = "derived.json"
LARGEST_FILE_BYTES = 512 * 1024 * 1024

# One document holds a whole room:
ROOM_FILES = {
    "operator.yaml": "operator",
    "specifications.yaml": "specifications",
    "networks.yaml": "networks",
    "discounts.yaml": "discounts",
    "taxes.yaml": "taxes",
    "ledger.yaml": "ledger",
}
# Each document is one thing of the room:
ROOM_FOLDERS = {
    "calendars": "calendar",
    "zones": "zones",
    "decks": "deck",
    "tariffs": "tariff",
    "offerings": "offering",
    "expectations": "expectations",
}
_READ = {".yaml", ".yml", ".csv", ".tsv", ".txt", ".svg", ".png"}


def kind_of(path: str) -> str | None:
    """What kind of document a YAML file holds; None where it has no place."""
    if path in ROOM_FILES:
        return ROOM_FILES[path]
    room, slash, rest = path.partition("/")
    return ROOM_FOLDERS.get(room) if slash and rest else None


def read_folder(folder: Path) -> Mapping[str, bytes]:
    """Every file that a catalogue may use, by its path in the folder with "/" between. Links out of it are left."""
    if not folder.is_dir():
        raise BadInput("there is no such folder", where=str(folder), cure="Name a catalogue folder.")
    root = folder.resolve()
    found: dict[str, bytes] = {}
    for path in sorted(root.rglob("*")):
        if path.suffix.lower() not in _READ or not path.is_file() or not path.resolve().is_relative_to(root):
            continue
        name = path.relative_to(root).as_posix()
        if any(part.startswith(".") for part in name.split("/")):
            continue
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise BadInput("this file is too large", where=name, cure="Split the deck.")
        found[name] = path.read_bytes()
    if not found:
        raise BadInput("the folder holds no catalogue", where=str(folder), cure="Start with operator.yaml.")
    return found
