"""An operator's logo: SVG or PNG, from the catalogue's folder and from nowhere else."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from millicent.kit.errors import BadInput

LARGEST_BYTES = 1_000_000
MEDIA_TYPES = {"svg": "image/svg+xml", "png": "image/png"}
_PNG_START = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Logo:
    kind: str  # "svg" or "png"
    content: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def read_logo(catalogue_folder: Path, logo_file: str) -> Logo:
    """Read the logo that an operator names; a path out of the folder, another format or a huge file is refused."""
    folder = catalogue_folder.resolve()
    path = (folder / logo_file).resolve()
    if not path.is_relative_to(folder) or not path.is_file():
        raise BadInput(
            "this logo is not a file of the catalogue folder",
            where=logo_file,
            cure="Give a path relative to that folder.",
        )
    content = path.read_bytes()
    if len(content) > LARGEST_BYTES:
        raise BadInput("the logo is larger than 1 MB", where=logo_file, cure="Bills carry it each: make it small.")
    if content.startswith(_PNG_START):
        return Logo(kind="png", content=content)
    if b"<svg" in content[:4096]:
        return Logo(kind="svg", content=content)
    raise BadInput("the logo is neither SVG nor PNG", where=logo_file, cure="Convert it to SVG.")
