"""An operator's logo: SVG or PNG, from the files of a catalogue release and from nowhere else."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

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


def read_logo(files: Mapping[str, bytes], logo_file: str) -> Logo:
    """The logo that an operator names, from the files of a catalogue release; what is no small picture is refused."""
    content = files.get(logo_file)
    if content is None:
        raise BadInput(
            "this logo is not a file of the catalogue", where=logo_file, cure="Put it into the catalogue's folder."
        )
    if len(content) > LARGEST_BYTES:
        raise BadInput("the logo is larger than 1 MB", where=logo_file, cure="Every bill carries it: make it small.")
    if content.startswith(_PNG_START):
        return Logo(kind="png", content=content)
    if b"<svg" in content[:4096]:
        return Logo(kind="svg", content=content)
    raise BadInput("the logo is neither SVG nor PNG", where=logo_file, cure="Convert it to SVG.")
